#!/usr/bin/env bash
# Removes the stack with its data: volumes, and what is in the run directory. Keeps .env and the images.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ "${YES:-0}" != 1 ]; then
  printf 'This removes every plugin, run, secret and metric of this stack. Type yes: ' >&2
  read -r answer || answer=
  if [ "$answer" != yes ]; then
    echo "Nothing was removed." >&2
    exit 1
  fi
fi
if ! docker version >/dev/null 2>&1; then
  echo "No container engine answers, so nothing can be removed; make up starts one." >&2
  exit 1
fi
docker compose --profile '*' stop --timeout 20
if docker image inspect "heimnetz/platform:${HEIMNETZ_VERSION:-0.1.0}" >/dev/null 2>&1; then
  # Its files belong to the sandbox's user and to the plugins'.
  docker compose run --rm --no-deps --entrypoint find init /run/heimnetz/data/run -mindepth 1 -delete
fi
docker compose --profile '*' down --volumes --remove-orphans
rm -rf "${HEIMNETZ_OUT:-out}"
