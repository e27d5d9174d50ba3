"""Rows 1 to 37 of the table of hostile input, each with its own kind of refusal."""

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import time
import zipfile
import zlib
from contextlib import nullcontext

import archives
import pytest
from archives import END, FILES, MANIFEST, Entry, archive, plugin

from heimnetz_manifest import InvalidManifest, PackageError, inspect_package, read_package
from heimnetz_manifest.paths import clean_path

TAR = b"".join(Entry(name, data).encode() for name, data in FILES.items()) + END
GOOD = plugin()
# One MiB that compresses to a quarter: below the greatest ratio, above what is worth attacking with.
NOISE = os.urandom(1 << 20).translate(b"abcd" * 64)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("plugin.yaml", MANIFEST)
    return buffer.getvalue()


def gzip_of(body: bytes, flags: int = 0, extra: bytes = b"") -> bytes:
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = raw.compress(body) + raw.flush()
    head = b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\2\xff" + extra
    return head + packed + struct.pack("<II", zlib.crc32(body), len(body))


def gnu_long_name() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("d/" * 4 + "x" * 120))
    return buffer.getvalue()


HOSTILE: dict[str, tuple[bytes, str]] = {
    "1 parent path": (plugin(Entry("../x")), "archive-path-traversal"),
    "1 parent path inside": (plugin(Entry("a/../../x")), "archive-path-traversal"),
    "2 absolute path": (plugin(Entry("/etc/passwd")), "archive-absolute-path"),
    "3 drive letter": (plugin(Entry("C:/x")), "archive-windows-path"),
    "3 backslash": (plugin(Entry("a\\b")), "archive-windows-path"),
    "3 UNC": (plugin(Entry("\\\\host\\share")), "archive-windows-path"),
    "4 symbolic link": (plugin(Entry("x", kind=b"2", link=b"plugin.yaml")), "archive-symbolic-link"),
    "5 hard link": (plugin(Entry("x", kind=b"1", link=b"plugin.yaml")), "archive-hard-link"),
    "6 character device": (plugin(Entry("x", kind=b"3")), "archive-device"),
    "6 block device": (plugin(Entry("x", kind=b"4")), "archive-device"),
    "7 fifo": (plugin(Entry("x", kind=b"6")), "archive-fifo"),
    "7 unknown type": (plugin(Entry("x", kind=b"D")), "archive-member-type"),
    "8 setuid": (plugin(Entry("x", mode=0o4755)), "archive-special-bits"),
    "8 setgid": (plugin(Entry("x", mode=0o2755)), "archive-special-bits"),
    "8 sticky": (plugin(Entry("x/", kind=b"5", mode=0o1777)), "archive-special-bits"),
    "9 duplicate": (plugin(Entry("x"), Entry("x")), "archive-duplicate-name"),
    "9 duplicate directory": (
        plugin(Entry("x/", kind=b"5"), Entry("x/", kind=b"5")),
        "archive-duplicate-name",
    ),
    "10 case": (plugin(Entry("read.me"), Entry("READ.me")), "archive-case-collision"),
    "10 case of a directory": (plugin(Entry("Src/x.py")), "archive-case-collision"),
    "11 Unicode form": (
        plugin(Entry("caf\u00e9"), Entry("cafe\u0301")),
        "archive-unicode-collision",
    ),
    "12 not UTF-8": (plugin(Entry(b"caf\xe9")), "archive-name-encoding"),
    "13 NUL": (plugin(Entry(b"a.py\0.txt")), "archive-nul-in-name"),
    "14 control": (plugin(Entry("a\nb")), "archive-forbidden-character"),
    "14 direction": (plugin(Entry("a\u202egnp.py")), "archive-forbidden-character"),
    "14 space that is none": (plugin(Entry("a\u00a0b")), "archive-forbidden-character"),
    "14 zero width": (plugin(Entry("a\u200bb")), "archive-forbidden-character"),
    "15 deep": (plugin(Entry("a/b/c/d/e/f/g/h/i/j/k")), "archive-path-too-long"),
    "16 empty name": (plugin(Entry("")), "archive-name"),
    "16 dot": (plugin(Entry(".", kind=b"5")), "archive-name"),
    "16 leading dot": (plugin(Entry("./x")), "archive-name"),
    "16 double slash": (plugin(Entry("a//b")), "archive-name"),
    "16 trailing dot": (plugin(Entry("a.")), "archive-name"),
    "16 trailing space": (plugin(Entry("a ")), "archive-name"),
    "16 reserved": (plugin(Entry("CON")), "archive-name"),
    "16 reserved with ending": (plugin(Entry("a/nul.txt")), "archive-name"),
    "16 stream of a file": (plugin(Entry("data:b")), "archive-name"),
    "17 file, then directory": (
        plugin(Entry("a"), Entry("a/b")),
        "archive-file-and-directory",
    ),
    "17 directory, then file": (
        plugin(Entry("a/b"), Entry("a")),
        "archive-file-and-directory",
    ),
    "18 members": (
        plugin(*(Entry(f"f{n}") for n in range(2001))),
        "archive-too-many-members",
    ),
    "18 extended headers": (
        plugin(Entry("n", NOISE), *(Entry(f"f{n}", pax={"mtime": "1"}) for n in range(2000))),
        "archive-too-many-members",
    ),
    "19 unpacked": (
        plugin(*(Entry(f"f{n}", NOISE * 9) for n in range(6))),
        "archive-unpacked-too-large",
    ),
    "19 ratio": (plugin(Entry("zeros", bytes(9 << 20))), "archive-ratio"),
    "20 bomb": (gzip.compress(bytes(200 << 20), 1), "archive-ratio"),
    "20 bomb of text": (gzip.compress(b"A" * (200 << 20), 1), "archive-ratio"),
    "20 bomb in a tar": (plugin(*(Entry(f"f{n}", bytes(10 << 20)) for n in range(9))), "archive-ratio"),
    "22 GNU sparse": (plugin(Entry("x", kind=b"S")), "archive-sparse"),
    "22 PAX sparse": (plugin(Entry("x", pax={"GNU.sparse.major": "1"})), "archive-sparse"),
    "23 PAX path": (plugin(Entry("x", pax={"path": "../../etc/cron.d/x"})), "archive-pax-override"),
    "23 PAX size": (plugin(Entry("x", pax={"size": "4096"})), "archive-pax-override"),
    "23 PAX link": (plugin(Entry("x", pax={"linkpath": "/"})), "archive-pax-override"),
    "23 GNU long name": (gnu_long_name(), "archive-pax-override"),
    "23 huge PAX": (plugin(Entry("x", pax={"comment": "y" * 9000})), "archive-pax-too-large"),
    "23 broken PAX": (
        plugin(Entry("PaxHeader", b"9999 mtime=1\n", kind=b"x"), Entry("x")),
        "archive-pax-broken",
    ),
    "24 base-256 size": (plugin(Entry("x", size=b"\x80" + b"\xff" * 11)), "archive-number"),
    "24 negative size": (plugin(Entry("x", size=b"-0000000001\0")), "archive-number"),
    "24 huge size": (plugin(Entry("x", size=b"77777777777\0")), "archive-file-too-large"),
    "24 not octal": (plugin(Entry("x", size=b"99999999999\0")), "archive-number"),
    "25 trailing data": (GOOD + b"more", "archive-trailing-data"),
    "25 several gzip members": (GOOD + GOOD, "archive-several-gzip-members"),
    "26 truncated": (GOOD[:-100], "archive-truncated"),
    "26 no trailer": (GOOD[:-4], "archive-truncated"),
    "26 bad checksum": (GOOD[:-8] + b"\0\0\0\0" + GOOD[-4:], "archive-checksum"),
    "26 bad length": (GOOD[:-4] + b"\0\0\0\0", "archive-checksum"),
    "26 flipped bit": (GOOD[:30] + bytes([GOOD[30] ^ 255]) + GOOD[31:], ""),
    "26 header alone": (b"\x1f\x8b\x08\0\0\0\0\0\2\xff", "archive-truncated"),
    "27 no end": (archive(*(Entry(n, d) for n, d in FILES.items()), end=b""), "archive-no-end"),
    "27 half an end": (
        archive(*(Entry(n, d) for n, d in FILES.items()), end=bytes(512)),
        "archive-no-end",
    ),
    "27 data after the end": (
        archive(Entry("plugin.yaml", MANIFEST), end=END + Entry("evil", b"x").encode() + END),
        "archive-data-after-end",
    ),
    "27 endless padding": (archive(Entry("plugin.yaml", MANIFEST), end=bytes(1 << 17)), "archive-data-after-end"),
    "27 file cut": (gzip.compress(Entry("plugin.yaml", MANIFEST).encode()[:800]), "archive-no-end"),
    "28 zip": (zipped(), "archive-format"),
    "29 7z": (b"7z\xbc\xaf\x27\x1c" + bytes(100), "archive-format"),
    "30 xz": (lzma.compress(TAR), "archive-format"),
    "30 bzip2": (bz2.compress(TAR), "archive-format"),
    "31 plain tar": (TAR, "archive-format"),
    "31 gzip of something else": (gzip.compress(b"hello" * 500), "archive-not-tar"),
    "32 ELF in front": (b"\x7fELF" + GOOD, "archive-format"),
    "32 PDF in front": (b"%PDF-1.7\n" + GOOD, "archive-format"),
    "32 zip behind": (GOOD + zipped(), "archive-trailing-data"),
    "32 gzip extra field": (gzip_of(TAR, 4, b"\x04\0ELF!"), "archive-gzip-header"),
    "32 gzip comment": (gzip_of(TAR, 16, b"<script>\0"), "archive-gzip-header"),
    "32 long file name": (gzip_of(TAR, 8, b"x" * 400 + b"\0"), "archive-gzip-header"),
    "34 nothing": (b"", "archive-format"),
    "34 empty archive": (archive(), "archive-no-manifest"),
    "34 no manifest": (plugin(without="plugin.yaml"), "archive-no-manifest"),
    "34 manifest in a folder": (archive(Entry("p/plugin.yaml", MANIFEST)), "archive-several-manifests"),
    "35 nested manifest": (plugin(Entry("sub/plugin.yaml")), "archive-several-manifests"),
    "35 other case": (plugin(Entry("sub/Plugin.YAML")), "archive-several-manifests"),
    "35 other ending": (plugin(Entry("plugin.yml")), "archive-several-manifests"),
    "36 large file": (plugin(Entry("x", NOISE * 10 + b"x")), "archive-file-too-large"),
    "37 .git": (plugin(Entry(".git/config")), "archive-unwanted-file"),
    "37 .env": (plugin(Entry("src/.env")), "archive-unwanted-file"),
    "37 .env of production": (plugin(Entry(".env.production")), "archive-unwanted-file"),
    "37 cache": (plugin(Entry("src/__pycache__/x.py")), "archive-unwanted-file"),
    "37 private key": (plugin(Entry("server.key")), "archive-unwanted-file"),
    "37 native by name": (plugin(Entry("src/x.so")), "archive-native-code"),
    "37 native by content": (plugin(Entry("src/data.bin", b"\x7fELF" + bytes(60))), "archive-native-code"),
    "checksum of a header": (gzip.compress(b"plugin.yaml" + TAR[11:148] + b"0000000\0" + TAR[156:]), "archive-header"),
    "link target in a file": (plugin(Entry("x", link=b"/etc/passwd")), "archive-header"),
    "directory with content": (plugin(Entry("x/", b"data", kind=b"5")), "archive-header"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused_with_its_own_kind(case: str) -> None:
    data, kind = HOSTILE[case]

    with pytest.raises(PackageError) as caught:
        read_package(data)

    if kind:
        assert caught.value.kind == kind
    assert caught.value.kind.startswith("archive-")
    assert len(caught.value.detail) < 500
    assert caught.value.detail.isprintable()


@pytest.mark.parametrize(
    ("path", "fits"),
    [
        ("x" * 100, True),
        ("x" * 101, False),
        ("é" * 51, False),
        (f"{'a' * 90}/{'b' * 90}/{'c' * 73}", True),
        (f"{'a' * 90}/{'b' * 90}/{'c' * 74}", False),
        ("a/b/c/d/e/f/g/h/i/j", True),
        ("a/b/c/d/e/f/g/h/i/j/k", False),
    ],
)
def test_row_15_paths_have_a_longest_length_part_and_depth(path: str, fits: bool) -> None:
    with nullcontext() if fits else pytest.raises(PackageError, match="255"):
        clean_path(path.encode(), is_directory=False)


def test_what_is_too_large_and_what_is_another_format_say_so_by_their_hint() -> None:
    hints = {}
    for case in ("19 ratio", "20 bomb in a tar", "28 zip", "1 parent path"):
        with pytest.raises(PackageError) as caught:
            read_package(HOSTILE[case][0])
        hints[case] = caught.value.status_hint

    assert hints == {
        "19 ratio": "too-large",
        "20 bomb in a tar": "too-large",
        "28 zip": "unsupported-media",
        "1 parent path": "invalid",
    }


def test_more_than_20_mib_are_refused_while_reading() -> None:
    data = plugin(*(Entry(f"f{n}", os.urandom(7 << 20)) for n in range(3)))

    with pytest.raises(PackageError) as caught:
        read_package(data)

    assert (caught.value.kind, caught.value.status_hint) == ("archive-too-large", "too-large")


def test_a_gzip_bomb_costs_little_time() -> None:
    bomb = plugin(*(Entry(f"f{n}", bytes(10 << 20)) for n in range(19)))
    started = time.process_time()

    with pytest.raises(PackageError):
        inspect_package(bomb)

    assert time.process_time() - started < 1


def test_row_21_a_nested_archive_is_opaque() -> None:
    inner = plugin(Entry("../../etc/passwd"))

    package = read_package(plugin(Entry("nested.tar.gz", inner)))

    assert package.files["nested.tar.gz"] == inner


def test_row_37_native_code_that_the_manifest_names_is_accepted() -> None:
    manifest = MANIFEST + b"native: [src/fast.so]\n"
    files = {**FILES, "plugin.yaml": manifest, "src/fast.so": b"\x7fELF"}

    package = read_package(archive(*(Entry(name, data) for name, data in files.items())))

    assert package.manifest.native == ["src/fast.so"]


@pytest.mark.parametrize(
    "tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
)
def test_archives_of_ordinary_tools_are_accepted(tar_format: int) -> None:
    package = read_package(archives.by_tarfile(FILES, tar_format))

    assert package.files == FILES


def test_a_file_name_in_the_gzip_header_is_accepted() -> None:
    assert read_package(gzip_of(TAR, 8, b"p.tar\0")).manifest.name == "energy-report"


def test_inspecting_keeps_the_manifest_alone() -> None:
    package = inspect_package(GOOD)

    assert set(package.files) == {"plugin.yaml"}
    assert package.sizes == {name: len(data) for name, data in FILES.items()}


def test_files_that_the_manifest_names_must_be_there() -> None:
    with pytest.raises(InvalidManifest) as caught:
        read_package(plugin(without="examples/year.csv"))

    assert caught.value.kind == "manifest-missing-file"
    assert caught.value.mistakes[0].pointer == "/examples/0/files/0"
    assert caught.value.mistakes[0].line == 25


def test_an_entry_point_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidManifest) as caught:
        read_package(plugin(without="src/energy_report/main.py"))

    assert caught.value.mistakes[0].pointer == "/entry_point"


def test_a_manifest_over_64_kib_is_refused_before_it_is_read() -> None:
    big = MANIFEST + b"#" * 65536

    with pytest.raises(InvalidManifest) as caught:
        read_package(archive(Entry("plugin.yaml", big)))

    assert (caught.value.kind, caught.value.status_hint) == ("manifest-too-large", "too-large")
