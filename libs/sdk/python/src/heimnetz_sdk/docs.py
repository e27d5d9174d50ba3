"""The pages of every version."""

from urllib.parse import quote

from heimnetz_sdk._transport import Transport
from heimnetz_sdk.models import DocsPage, Page, decode_page

BASE = "/api/docs-gen/v1"


class Docs:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list_pages(self) -> Page[DocsPage]:
        return decode_page(DocsPage, self._transport.request("GET", f"{BASE}/docs").json())

    def generate(self, plugin: str, version: str) -> None:
        path = f"{BASE}/docs/{quote(plugin, safe='')}/{quote(version, safe='')}"
        self._transport.request("POST", path)

    def get_page(self, plugin: str, version: str, name: str = "index.html") -> str:
        """A generated file, read from the open `/docs/`."""
        path = f"/docs/{quote(plugin, safe='')}/{quote(version, safe='')}/{quote(name)}"
        return self._transport.request("GET", path, headers={"Accept": "*/*"}).text

    def get_guide(self, path: str) -> str:
        """A page of the platform's own documentation as Markdown, such as `checks/host-access`."""
        return self._transport.request(
            "GET", f"/docs/platform/{quote(path)}.md", headers={"Accept": "*/*"}
        ).text
