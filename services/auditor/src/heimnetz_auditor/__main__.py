"""Starts the auditor: `python -m heimnetz_auditor`."""

from heimnetz_auditor.app import create
from heimnetz_auditor.settings import AuditorSettings
from heimnetz_common.settings import load_settings
from heimnetz_common.web import serve


def main() -> None:
    settings = load_settings(AuditorSettings)
    serve(create(settings), settings)


if __name__ == "__main__":
    main()
