"""What a package pins, read from files that may be hostile."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heimnetz_audit import SourceTree, pinning
from heimnetz_audit.model import Pinned

ONE, OTHER = "1" * 64, "2" * 64
MANIFEST = "manifest: 1\nname: adder\nversion: 1.2.0\nlicence: MIT\n"


def read(lock: str | bytes | None, manifest: str | None = MANIFEST) -> Pinned:
    files = {} if lock is None else {"requirements.lock": lock}
    if manifest is not None:
        named = "" if lock is None else "dependencies:\n  lock: requirements.lock\n"
        files["plugin.yaml"] = manifest + named
    raw = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return pinning.read(SourceTree.from_files(raw))


def test_a_lock_gives_names_versions_hashes_and_who_asked() -> None:
    pinned = read(
        f"Zope.Interface==7.0 ; python_version >= '3.11' \\\n"
        f"    --hash=sha256:{OTHER} \\\n    --hash=sha256:{ONE}\n    # via\n    #   -r in.txt\n"
        f"    #   adder-tools\n"
        f"adder_tools[fast]==1!2.0+local --hash=sha256:{ONE}  # exact\n    # via -r in.txt\n"
    )

    assert pinned.state == "whole"
    assert [(d.name, d.version, d.line) for d in pinned.dependencies] == [
        ("adder-tools", "1!2.0+local", 7),
        ("zope-interface", "7.0", 1),
    ]
    assert pinned.dependencies[1].hashes == (ONE, OTHER)
    assert pinned.dependencies[1].needed_by == ("", "adder-tools")


@pytest.mark.parametrize(
    "line",
    [
        "pygal==3.0",
        f"pygal>=3.0 --hash=sha256:{ONE}",
        f"pygal --hash=sha256:{ONE}",
        f"pygal @ https://example.org/pygal.whl --hash=sha256:{ONE}",
        f"--index-url=https://example.org/ --hash=sha256:{ONE}",
        f"pygal==3.0 --hash=md5:{ONE[:32]}",
        "-e .",
        "\x00",
    ],
)
def test_a_line_that_pins_nothing_makes_the_lock_damaged_and_is_left_out(line: str) -> None:
    pinned = read(f"{line}\ntzdata==2026.1 --hash=sha256:{ONE}\n")

    assert pinned.state == "damaged"
    assert [d.name for d in pinned.dependencies] == ["tzdata"]


def test_a_manifest_without_a_lock_has_no_dependencies() -> None:
    assert read(None).state == "none"
    assert read(None).name == "adder"


def test_a_folder_without_a_manifest_is_read_by_the_usual_name_of_a_lock() -> None:
    assert read(f"a==1 --hash=sha256:{ONE}", None).state == "whole"
    assert read(None, None).state == "missing"


def test_a_lock_that_is_named_but_not_there_is_damaged() -> None:
    named = MANIFEST + "dependencies: {lock: other.lock}\n"

    assert read(None, named).state == "damaged"


def test_only_the_top_of_a_manifest_names_the_package() -> None:
    nested = f"x: [{{name: evil}}, name]\ny: {{name: evil, z: {{dependencies: {{lock: no}}}}}}\n{MANIFEST}"

    assert read(None, nested).name == "adder"


@pytest.mark.parametrize(
    "manifest",
    [
        "[" * 100_000,
        "{a: " * 50_000,
        "name: [",
        "name: \x00",
        "a: &a [x]\n" + "".join(f"b{n}: &b{n} {{<<: [*a, *a]}}\n" for n in range(1000)),
        "name: " + "x" * 300_000,
        "? {name: x}\n: y\n",
        "*nothing",
    ],
    ids=range(8),
)
def test_a_hostile_manifest_says_nothing(manifest: str) -> None:
    assert read(None, manifest).name == ""


@pytest.mark.parametrize(
    "lock",
    [
        b"\xff\xfe" * 1000,
        b"a" * 300_000,
        b" " * 250_000 + b"a",
        b"a==1" + b" " * 250_000 + b"--hash=sha256:",
        b"\\\n" * 120_000,
        b"-" * 250_000,
        b"a" + b"-." * 120_000 + b"==1 --hash=sha256:" + ONE.encode(),
    ],
    ids=range(7),
)
def test_a_hostile_lock_is_damaged_and_costs_no_more_than_its_bytes(lock: bytes) -> None:
    assert read(lock).dependencies == ()


@settings(max_examples=50)
@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_is_too_strange_to_be_read(lock: str, manifest: str) -> None:
    files = {"requirements.lock": lock, "plugin.yaml": manifest}
    raw = {name: text.encode("utf-8", "surrogatepass") for name, text in files.items()}

    assert pinning.read(SourceTree.from_files(raw)).dependencies == ()
