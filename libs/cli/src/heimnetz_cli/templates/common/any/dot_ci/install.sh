#!/bin/sh
# Installs the command `heimnetz` for this Python, from the platform's own repository.
set -eu

if [ -z "${HEIMNETZ_REPOSITORY:-}" ]; then
  echo "HEIMNETZ_REPOSITORY is needed: the address of the platform's Git repository" >&2
  exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git clone --quiet --depth 1 -- "$HEIMNETZ_REPOSITORY" "$folder/heimnetz"
cd "$folder/heimnetz/libs"
python3 -m pip install --quiet ./manifest ./audit "./sdk/python[client]" ./cli
