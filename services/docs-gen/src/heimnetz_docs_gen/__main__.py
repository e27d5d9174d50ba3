"""Starts docs-gen: `python -m heimnetz_docs_gen`."""

from heimnetz_common.settings import load_settings
from heimnetz_common.web import serve
from heimnetz_docs_gen.app import create
from heimnetz_docs_gen.settings import DocsGenSettings


def main() -> None:
    settings = load_settings(DocsGenSettings)
    serve(create(settings), settings)


if __name__ == "__main__":
    main()
