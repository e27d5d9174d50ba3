import gzip
import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

MANIFEST = b"""\
manifest: 1
name: energy-report
version: 1.0.0
title: Energy report
summary: Sums up a year of readings
licence: Apache-2.0
authors: [{name: Ada, email: ada@example.org}]
kind: job
runtime: python
entry_point: energy_report.main:run
permissions:
  network:
    - to: api.example.org:443
      reason: Reads prices
  storage: {size: 1 MiB, reason: Remembers readings}
limits: {memory: 128 MiB, cpu: 0.5, wall: 30 s}
configuration:
  type: object
  properties:
    price: {type: number, default: 0.3, minimum: 0}
    api_key: {type: string, secret: true}
examples:
  - name: a-year
    input: {year: 2025}
    files: [examples/year.csv]
    output: {days: 365}
"""
FILES = {
    "plugin.yaml": MANIFEST,
    "src/energy_report/main.py": b"def run(input, context):\n    return {}\n",
    "examples/year.csv": b"time,kwh\n",
}


@dataclass
class Entry:
    """A member as an attacker writes it: any name, type, mode, size and extended header."""

    name: str | bytes
    data: bytes = b""
    kind: bytes = b"0"
    mode: int = 0o644
    size: int | bytes | None = None
    pax: dict[str, str] = field(default_factory=dict)
    link: bytes = b""
    device: bool = False

    def encode(self) -> bytes:
        raw = self.name.encode() if isinstance(self.name, str) else self.name
        extended = _pax(self.pax) if self.pax else b""
        size = len(self.data) if self.size is None else self.size
        header = bytearray(512)
        header[0 : len(raw)] = raw
        header[100:108] = b"%07o\0" % self.mode
        header[108:116] = header[116:124] = b"0000000\0"
        header[124:136] = size if isinstance(size, bytes) else b"%011o\0" % size
        header[136:148] = b"00000000000\0"
        header[156:157] = self.kind
        header[157 : 157 + len(self.link)] = self.link
        header[257:265] = b"ustar\00000"
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        return extended + bytes(header) + self.data + bytes(-len(self.data) % 512)


def _pax(records: dict[str, str]) -> bytes:
    body = b""
    for key, value in records.items():
        text = f" {key}={value}\n".encode()
        length = len(text) + len(str(len(text) + 3))
        body += str(length).encode() + text
    return Entry("PaxHeader", body, kind=b"x").encode()


END = bytes(1024)


def archive(*entries: Entry, end: bytes = END) -> bytes:
    return gzip.compress(
        b"".join(entry.encode() for entry in entries) + end, compresslevel=1, mtime=0
    )


def plugin(*extra: Entry, without: str = "") -> bytes:
    """A good package with more members behind the good ones."""
    good = [Entry(name, data) for name, data in FILES.items() if name != without]
    return archive(*good, *extra)


@pytest.fixture
def edited() -> Callable[[bytes, bytes], bytes]:
    def replace(old: bytes, new: bytes) -> bytes:
        assert old in MANIFEST
        return MANIFEST.replace(old, new)

    return replace


def by_tarfile(files: dict[str, bytes], tar_format: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tar_format) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = 1_700_000_000.5
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
