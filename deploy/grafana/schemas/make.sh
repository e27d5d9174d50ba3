#!/usr/bin/env bash
# Makes JSON Schemas of Grafana's own types: deploy/grafana/schemas/make.sh VERSION
# Needs node and npm. The result is committed, since the checks need neither.
set -euo pipefail
version=${1:?version of @grafana/schema, for example 13.2.3}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init --yes >/dev/null
npm install --silent --no-audit --no-fund "@grafana/schema@$version" ts-json-schema-generator@2.4.0
types=../node_modules/@grafana/schema/dist/types/raw
mkdir entries out
printf '%s' '{"compilerOptions":{"module":"esnext","moduleResolution":"node","skipLibCheck":true,"strict":true,"target":"es2020"},"include":["entries/*.ts"]}' >tsconfig.json

# One entry a panel: their types have the same names.
echo "import * as d from '$types/dashboard/x/types.gen'; export interface Checked extends d.Dashboard {}" >entries/dashboard.ts
for panel in timeseries statetimeline table; do
  echo "import * as p from '$types/composable/$panel/panelcfg/x/types.gen'; export interface Checked { options: p.Options; custom: p.FieldConfig }" >"entries/$panel.ts"
done
echo "import * as p from '$types/composable/stat/panelcfg/x/types.gen'; export interface Checked { options: p.Options; custom: {} }" >entries/stat.ts
for entry in entries/*.ts; do
  name=$(basename "$entry" .ts)
  npx ts-json-schema-generator --tsconfig tsconfig.json --path "$entry" --type Checked --no-type-check --out "out/$name.json"
done

python3 - "$version" "$here" <<'PYTHON'
import json
import pathlib
import sys

version, here = sys.argv[1], pathlib.Path(sys.argv[2])


def bare(node):
    """Without prose, and without `required`: Grafana fills in what is missing."""
    if isinstance(node, list):
        return [bare(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: bare(item) for name, item in value.items()}
        if key in ("properties", "definitions")
        else bare(value)
        for key, value in node.items()
        if key not in ("description", "default", "required")
    }


for path in sorted(pathlib.Path("out").glob("*.json")):
    schema = bare(json.loads(path.read_text()))
    schema["$comment"] = f"Made of the types of @grafana/schema {version} by make.sh"
    (here / path.name).write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n")
PYTHON
