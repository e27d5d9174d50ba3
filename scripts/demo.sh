#!/usr/bin/env bash
# Takes real plugins through the running stack: publish, audit, install, run, look at what came out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export PATH="$PWD/.venv/bin:$PATH"
readings=plugins/energy-report/examples/year.csv
charts=${HEIMNETZ_OUT:-out}/energy-report

step() { printf '\n== %s\n' "$*"; }

step "Logging in"
scripts/login.sh
heimnetz whoami

step "Waiting for the audits of the first-party plugins, which the stack published and signed"
for plugin in plugins/*/plugin.yaml; do
  heimnetz publish "${plugin%/plugin.yaml}" --wait
done

step "What the audits found"
heimnetz audits
heimnetz report energy-report

step "Installing energy-report"
heimnetz install energy-report --yes --config price_per_kwh=0.32

step "Running it on a year of readings ($(wc -l <"$readings") lines)"
heimnetz run energy-report --file "$readings" --out "$charts"

step "Trying out a burglar that nobody approved: every attempt, and what stopped it"
heimnetz publish tests/security/burglar --wait || true
heimnetz trial burglar@1.0.0

step "Done. The chart is in $charts:"
ls "$charts"
echo
scripts/addresses.sh
cat <<END

The CLI is in .venv/bin:  export PATH="$PWD/.venv/bin:\$PATH"
Try next:
  heimnetz run energy-report --file $readings --json | jq .outcome
  heimnetz show energy-report
  heimnetz status
END
