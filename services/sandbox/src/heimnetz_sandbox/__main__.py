"""Starts the sandbox: `python -m heimnetz_sandbox`."""

from heimnetz_common.settings import load_settings
from heimnetz_common.web import serve
from heimnetz_sandbox.app import create
from heimnetz_sandbox.settings import SandboxSettings


def main() -> None:
    settings = load_settings(SandboxSettings)
    serve(create(settings), settings)


if __name__ == "__main__":
    main()
