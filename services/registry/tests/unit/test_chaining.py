from pathlib import Path

from heimnetz_manifest.trail import Link
from heimnetz_registry.chaining import Copy


def test_a_copy_keeps_links_and_writes_over_what_a_crash_left_of_one(tmp_path: Path) -> None:
    copy = Copy(tmp_path / "trail")
    links = [Link(at, at * 10, bytes([at]) * 32) for at in range(1, 6)]
    assert copy.read(1, 10) == []
    copy.append(links[:3])
    with (tmp_path / "trail").open("ab") as file:
        file.write(b"half a rec")

    assert copy.length == 3
    copy.append(links[3:])

    assert copy.read(1, 10) == links
    assert copy.read(4, 1) == links[3:4]
