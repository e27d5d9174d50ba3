#!/usr/bin/env bash
# Locks both sets again with the uv of .venv. The services' set is a subset of the developers', version by version.
set -euo pipefail
cd "$(dirname "$0")"
export PATH="$PWD/../.venv/bin:$PATH"
lock() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command requirements/lock.sh "$@"; }
lock dev.in -o dev.lock
lock services.in --constraints dev.lock -o services.lock
