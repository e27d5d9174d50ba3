#!/usr/bin/env bash
# Says where everything is, once the stack is up.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

setting() { sed -n "s/^$1=//p" .env 2>/dev/null | tail -n 1; }
port=${HEIMNETZ_PORT:-$(setting HEIMNETZ_PORT)}
host=${HEIMNETZ_HOST:-$(setting HEIMNETZ_HOST)}
base=https://${host:-localhost}:${port:-8443}

echo "Documentation   $base/docs/"
if docker compose config --services | grep -qx grafana; then
  echo "Grafana         $base/grafana/"
else
  echo "Grafana         not started: no image registry can be reached, and no package stands in for it"
fi
echo "Prometheus      $base/prometheus/"
echo "Alertmanager    $base/alertmanager/"
echo "APIs            $base/api/<service>/openapi.json"
echo
echo "Set-up token    docker compose exec registry cat /run/heimnetz/secrets/setup-token"
echo "                It makes the owner's account, once: heimnetz login --setup-token -"
echo "                All but the documentation asks for that account's name and password."
