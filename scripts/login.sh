#!/usr/bin/env bash
# Logs the CLI in to the stack on this machine, with a token that only who controls its containers can make.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

setting() { sed -n "s/^$1=//p" .env 2>/dev/null | tail -n 1; }
port=${HEIMNETZ_PORT:-$(setting HEIMNETZ_PORT)}
url=https://localhost:${port:-8443}
out=${HEIMNETZ_OUT:-out}
ca=$out/gateway-ca.crt

mkdir -p "$out"
docker compose cp gateway:/data/caddy/pki/authorities/local/root.crt "$ca.new" >/dev/null 2>&1
if [ -f "$ca" ] && cmp -s "$ca.new" "$ca" && HEIMNETZ_URL=$url .venv/bin/heimnetz whoami >/dev/null 2>&1; then
  rm -f "$ca.new"
else
  mv -f "$ca.new" "$ca"
  docker compose exec -T registry python -m heimnetz_registry create-token --name "cli-$(hostname)" --role owner |
    .venv/bin/heimnetz login --url "$url" --ca-file "$ca" --token -
fi
