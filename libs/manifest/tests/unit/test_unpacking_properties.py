import gzip
import io
import tarfile
from contextlib import suppress

from archives import END, FILES, Entry, plugin
from hypothesis import given, settings
from hypothesis import strategies as st

from heimnetz_manifest import ManifestError, PackageError, read_package
from heimnetz_manifest.paths import clean_path

GOOD = plugin()
TAR = b"".join(Entry(name, data).encode() for name, data in FILES.items()) + END


@given(st.binary(max_size=2000))
def test_no_bytes_raise_anything_but_a_refusal(data: bytes) -> None:
    with suppress(ManifestError):
        read_package(data)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_changed_byte_of_a_package_changes_what_is_read(at: int, change: int) -> None:
    data = bytearray(GOOD)
    data[at] ^= change
    # The header has bytes without a meaning, and deflate has several spellings of one text.
    with suppress(ManifestError):
        package = read_package(bytes(data))
        assert package.files == FILES


@given(st.integers(0, len(TAR) - 1), st.binary(min_size=1, max_size=40))
@settings(max_examples=300)
def test_a_damaged_tar_is_refused_or_read_as_tarfile_reads_it(at: int, damage: bytes) -> None:
    tar = TAR[:at] + damage + TAR[at + len(damage) :]
    try:
        package = read_package(gzip.compress(tar))
    except ManifestError:
        return
    with tarfile.open(fileobj=io.BytesIO(tar)) as reference:
        expected = {m.name: reference.extractfile(m).read() for m in reference if m.isfile()}  # type: ignore[union-attr]

    assert package.files == expected


@given(
    st.one_of(
        st.binary(max_size=120),
        st.text(max_size=80).map(lambda t: t.encode("utf-8", "surrogatepass")),
    )
)
def test_no_name_leaves_the_package(raw: bytes) -> None:
    try:
        path = clean_path(raw, is_directory=False)
    except PackageError:
        return

    assert not path.startswith("/")
    assert not {"..", ".", ""} & set(path.split("/"))
    assert not set(path) & set("\\\0\n\r:")
    assert path.isprintable() or " " in path
