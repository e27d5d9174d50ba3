"""Writes the dashboards as JSON: `python deploy/grafana/generate.py [DIRECTORY]`.

The JSON is committed, because Grafana reads files; a test compares it with what this writes.
"""

import json
import sys
import warnings
from pathlib import Path

with warnings.catch_warnings():
    # The SDK prefers dashboardv2, which Grafana cannot provision from files yet.
    warnings.simplefilter("ignore", DeprecationWarning)
    from boards import home, levels, platform, plugin, security

HERE = Path(__file__).parent
ALL = (
    home.DASHBOARD,
    plugin.DASHBOARD,
    security.DASHBOARD,
    platform.DASHBOARD,
    levels.DASHBOARD,
)


def main(directory: Path) -> None:
    for dashboard in ALL:
        document = dashboard.document()
        path = directory / f"{dashboard.uid.removeprefix('heimnetz-')}.json"
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "dashboards")
