"""May this be trusted?"""

import gzip
from urllib.parse import quote

from heimnetz_sdk._transport import Transport
from heimnetz_sdk.models import Advisories, Audit, Page, decode, decode_page

BASE = "/api/auditor/v1"
#: A quarter of a million advisories are checked line by line.
IMPORT_SECONDS = 120.0
ACCEPT = {
    "json": "application/json",
    "sarif": "application/sarif+json",
    "markdown": "text/markdown",
    "text": "text/plain",
    "cyclonedx": "application/vnd.cyclonedx+json",
}


class Auditor:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list_audits(self, plugin: str | None = None, *, limit: int = 50) -> Page[Audit]:
        query = {"plugin": plugin, "limit": limit}
        return decode_page(
            Audit, self._transport.request("GET", f"{BASE}/audits", query=query).json()
        )

    def get_report(
        self, plugin: str, version: str, form: str = "json", *, is_static: bool = False
    ) -> str:
        """The latest report, as it is kept; `form` is json, sarif, markdown, text or cyclonedx.

        A static one leaves waivers and the version before out, as `heimnetz audit` does offline.
        """
        path = f"{BASE}/audits/{quote(plugin, safe='')}/{quote(version, safe='')}"
        query = {"format": form} | ({"static": "true"} if is_static else {})
        return self._transport.request(
            "GET", path, query=query, headers={"Accept": f"{ACCEPT[form]}, */*;q=0.1"}
        ).text

    def get_advisories(self) -> Advisories:
        return decode(Advisories, self._transport.request("GET", f"{BASE}/advisories").json())

    def put_advisories(self, lines: bytes) -> Advisories:
        """Replace the known vulnerabilities that audits compare with; as the owner.

        `lines` are what `heimnetz osv import` reads from OSV's files, uncompressed.
        """
        packed = gzip.compress(lines, 6, mtime=0)
        answer = self._transport.request(
            "PUT",
            f"{BASE}/advisories",
            content=lambda: iter((packed,)),
            headers={"Content-Type": "application/gzip"},
            timeout_seconds=IMPORT_SECONDS,
        )
        return decode(Advisories, answer.json())

    def audit_again(self, plugin: str, version: str) -> None:
        self._transport.request(
            "POST", f"{BASE}/audits", document={"plugin": plugin, "version": version}
        )
