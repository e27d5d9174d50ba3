#!/usr/bin/env bash
# Makes sure that there is a browser for the tests of pages. HEIMNETZ_NO_INSTALL=1: say so, install nothing.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "${HEIMNETZ_NO_INSTALL:-0}" = 1 ] || [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "browser: Chromium is needed for the tests of pages (Debian, Ubuntu: apt-get install chromium)" >&2
  exit 1
fi
echo "browser: installing with apt: chromium" >&2
DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2
DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends chromium >/dev/null
