#!/usr/bin/env bash
# Lint, types, import rules and unit tests, side by side; each says its piece when it is through.
# shellcheck disable=SC2317,SC2329  # the functions are called by a name that a loop puts together
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export PATH="$PWD/.venv/bin:$PATH"
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

check_format() { ruff format --check .; }
check_lint() { ruff check .; }
check_types() {
  local packages=() path
  for path in libs/*/src/*/ libs/sdk/python/src/*/ services/*/src/*/ deploy/*/src/*/; do
    if [ -e "$path/__init__.py" ]; then packages+=(--package "$(basename "$path")"); fi
  done
  mypy "${packages[@]}"
}
check_imports() {
  local file
  while read -r file; do lint-imports "$file"; done < <(grep -l 'tool.importlinter' pyproject.toml {libs,services}/*/pyproject.toml libs/sdk/*/pyproject.toml)
}
check_compose() { docker compose config --quiet && docker compose --file docker-compose.yml config --quiet; }
check_shell() { shellcheck scripts/*.sh deploy/*/*.sh; }
check_unit() {
  local folders=()
  mapfile -t folders < <(find libs services deploy plugins -type d -path '*/tests/unit' -o -type d -path 'plugins/*/tests')
  pytest --quiet -n 2 -m "not engine and not stack" "${folders[@]}"
}

failed=0
declare -A running
for name in unit types format lint imports compose shell; do
  "check_$name" >"$logs/$name" 2>&1 &
  running[$name]=$!
done
for name in format lint shell compose imports types unit; do
  if wait "${running[$name]}"; then
    printf 'ok      %s  %s\n' "$name" "$(tail -n 1 "$logs/$name")"
  else
    failed=1
    printf 'FAILED  %s\n' "$name"
    cat "$logs/$name"
  fi
done
exit "$failed"
