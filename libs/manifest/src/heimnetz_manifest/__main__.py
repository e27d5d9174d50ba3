"""Writes what is generated from the model: `schema`, `template` or `reference`."""

from __future__ import annotations

import json
import sys

from heimnetz_manifest.errors import kinds
from heimnetz_manifest.schema import manifest_schema
from heimnetz_manifest.template import explained_keys, manifest_template


def reference() -> str:
    """The tables of docs/manifest.md."""
    keys = "".join(f"| `{key}` | {meaning} |\n" for key, meaning in explained_keys())
    refusals = "".join(
        f"| `{kind}` | {title} | {hint} |\n" for kind, (title, hint) in kinds().items()
    )
    return (
        f"## Keys\n\n| key | meaning |\n| --- | --- |\n{keys}\n"
        f"## Refusals\n\n| kind | title | answer |\n| --- | --- | --- |\n{refusals}"
    )


def schema() -> str:
    return json.dumps(manifest_schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    writers = {"schema": schema, "template": manifest_template, "reference": reference}
    if len(sys.argv) != 2 or sys.argv[1] not in writers:
        sys.exit(f"usage: python -m heimnetz_manifest {'|'.join(writers)}")
    sys.stdout.write(writers[sys.argv[1]]())


if __name__ == "__main__":
    main()
