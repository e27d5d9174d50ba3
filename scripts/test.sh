#!/usr/bin/env bash
# Every test there is. The ones that need servers start them; the ones that need the whole stack
# start one of their own, beside a stack that may be in use.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export PATH="$PWD/.venv/bin:$PATH"
export TESTCONTAINERS_RYUK_DISABLED=true

scripts/bootstrap.sh
scripts/browser.sh
scripts/gvisor.sh
scripts/check.sh
docker compose --profile '*' build --quiet
export HEIMNETZ_TEST_IMAGES=built
step() { printf '\n== %s\n' "$*"; }

step "Integration, browser, contract and security tests"
mapfile -t folders < <(find services libs deploy -type d \( -path '*/tests/integration' -o -path '*/tests/browser' \))
# One more than there are cores: much of it waits for servers.
pytest -n "$(($(nproc) + 1))" --dist loadfile --no-loadscope-reorder -m "not stack" "${folders[@]}" tests

# Both wait more than they work, and each has a stack of its own.
step "End to end; beside it outages, lasting load, and everything is killed at random"
log=$(mktemp)
HEIMNETZ_TEST_STACK=chaos HEIMNETZ_TEST_PORT=18453 pytest -m stack tests/chaos >"$log" 2>&1 &
chaos=$!
trap 'kill "$chaos" 2>/dev/null || true; rm -f "$log"' EXIT
failed=0
pytest -m stack --ignore=tests/chaos tests || failed=1
tail --pid="$chaos" --lines=+1 --follow "$log"
wait "$chaos" || failed=1
exit "$failed"
