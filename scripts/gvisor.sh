#!/usr/bin/env bash
# Makes sure that gVisor's runsc is there for the tests of it; no engine is told of it here.
# HEIMNETZ_NO_INSTALL=1: say so, install nothing.
set -euo pipefail

if command -v runsc >/dev/null; then exit 0; fi
if [ "${HEIMNETZ_NO_INSTALL:-0}" = 1 ] || [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "gvisor: runsc is needed for the tests of gVisor (Debian: apt-get install runsc)" >&2
  exit 1
fi
echo "gvisor: installing with apt: runsc" >&2
DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2
DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends runsc >/dev/null
