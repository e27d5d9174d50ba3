#!/usr/bin/env bash
# Makes .venv from the hashed lock, with our own packages editable: the CLI, and what checks and tests need.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf 'venv: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

is_usable() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local name
  for name in "${HEIMNETZ_PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
    if is_usable "$name"; then
      command -v "$name"
      return
    fi
  done
  return 1
}

install_python() {
  if [ "${HEIMNETZ_NO_INSTALL:-0}" = 1 ] || [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    fail "Python 3.11 or newer with its module venv is needed (Debian, Ubuntu: apt-get install python3-venv)"
  fi
  say "installing with apt: python3 python3-venv"
  DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2
  DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends python3 python3-venv >/dev/null
}

packages() { find libs services deploy -name pyproject.toml -not -path '*/node_modules/*' -printf '%h\n' | sort; }

# What the environment was made from: the lock, the packages' own files, and the interpreter.
recipe() {
  { cat requirements/dev.lock && packages | sed 's|$|/pyproject.toml|' | xargs sha256sum && "$1" -VV; } | sha256sum
}

main() {
  local python wanted editable=()
  if ! python=$(find_python); then
    install_python
    python=$(find_python) || fail "the distribution's Python is older than 3.11; name a newer one in HEIMNETZ_PYTHON"
  fi
  wanted=$(recipe "$python")
  if [ -x .venv/bin/python ] && [ "$(cat .venv/recipe 2>/dev/null)" = "$wanted" ]; then return; fi
  say "making .venv with $("$python" --version) (a minute or two, once)"
  if ! .venv/bin/python -c '' 2>/dev/null; then "$python" -m venv --clear .venv; fi
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.lock
  while read -r package; do editable+=(--editable "$package"); done < <(packages)
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation "${editable[@]}"
  echo "$wanted" >.venv/recipe
}

main
