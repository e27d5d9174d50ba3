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
step() { printf '\n== %s\n' "$*"; }

step "Integration, browser, contract and security tests"
mapfile -t folders < <(find services libs deploy -type d \( -path '*/tests/integration' -o -path '*/tests/browser' \))
# One more than there are cores: much of it waits for servers.
pytest -n "$(($(nproc) + 1))" --dist loadfile -m "not stack" "${folders[@]}" tests
step "End to end"
pytest -m stack --ignore=tests/chaos tests
step "Outages, lasting load, and everything is killed at random"
pytest -m stack tests/chaos
