"""Files, plain or gzip, line by line; the form of a file is that of most of its first lines."""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from log_digest.formats import ALL, Format
from log_digest.model import LogError

SAMPLE_LINES = 200
LINE_BYTES = 16 * 1024
UNPACKED_BYTES = 1024 * 1024 * 1024


def recognise(file: Path, name: str) -> str | None:
    """The name of the file's form; None where no form fits a fifth of the lines.

    Raises: LogError, for what is no text.
    """
    votes: Counter[str] = Counter()
    lines = 0
    for _, line in numbered(file, name):
        lines += 1
        form = next((form for form, parse in ALL.items() if parse(line) is not None), None)
        if form is not None:
            votes[form] += 1
        if lines == SAMPLE_LINES:
            break
    if lines == 0:
        raise LogError(f"{name} is empty")
    form, count = votes.most_common(1)[0] if votes else (None, 0)
    return form if count * 5 >= lines else None


def parser(form: str | None) -> Format:
    return ALL[form] if form is not None else lambda _: None


def numbered(file: Path, name: str) -> Iterator[tuple[int, str]]:
    """Lines that are not blank with their number; what exceeds 16 KiB of a line is dropped.

    Raises: LogError.
    """
    try:
        with _opened(file) as stream:
            yield from _lines(stream, name)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise LogError(f"{name} is broken: {error}") from None


def _lines(stream: IO[bytes], name: str) -> Iterator[tuple[int, str]]:
    number, read, is_rest = 0, 0, False
    while data := stream.readline(LINE_BYTES):
        read += len(data)
        if read > UNPACKED_BYTES:
            raise LogError(f"{name} unpacks to more than {UNPACKED_BYTES >> 20} MiB")
        if number == 0 and not is_rest:
            data = data.removeprefix(b"\xef\xbb\xbf")
            if data.count(0) * 10 > len(data):
                raise LogError(f"{name} is no text log")
        is_continued, is_rest = is_rest, not data.endswith(b"\n")
        if is_continued:
            continue
        number += 1
        line = data.decode("utf-8", "backslashreplace").strip("\r\n")
        if line.strip():
            yield number, line


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    with file.open("rb") as plain:
        is_packed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        if not is_packed:
            yield plain
            return
        with gzip.open(plain, "rb") as unpacked:
            yield unpacked
