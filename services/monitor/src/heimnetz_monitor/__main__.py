"""Starts the monitor: `python -m heimnetz_monitor`."""

from heimnetz_common.settings import load_settings
from heimnetz_common.web import serve
from heimnetz_monitor.app import create
from heimnetz_monitor.settings import MonitorSettings


def main() -> None:
    settings = load_settings(MonitorSettings)
    serve(create(settings), settings)


if __name__ == "__main__":
    main()
