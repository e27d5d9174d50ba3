"""The forms in which a page is drawn."""

from heimnetz_docs.renderers import html, json, markdown, openapi

__all__ = ["html", "json", "markdown", "openapi"]
