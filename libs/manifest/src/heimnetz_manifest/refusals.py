"""The refusals of the unpacker, one class per attack or defect."""

from __future__ import annotations

from heimnetz_manifest.errors import PackageError


class PackageTooLarge(PackageError):
    kind = "archive-too-large"
    title = "Package is larger than 20 MiB"
    status_hint = "too-large"


class UnpackedTooLarge(PackageError):
    kind = "archive-unpacked-too-large"
    title = "Package unpacks to more than 50 MiB"
    status_hint = "too-large"


class RatioTooHigh(PackageError):
    kind = "archive-ratio"
    title = "Package is compressed more than fifty-fold"
    status_hint = "too-large"


class FileTooLarge(PackageError):
    kind = "archive-file-too-large"
    title = "A file is larger than 10 MiB"
    status_hint = "too-large"


class NotGzip(PackageError):
    kind = "archive-format"
    title = "Package is not a .tar.gz"
    status_hint = "unsupported-media"


class NotTar(PackageError):
    kind = "archive-not-tar"
    title = "The gzip file does not hold a tar archive"


class GzipHeader(PackageError):
    kind = "archive-gzip-header"
    title = "The gzip header has optional fields"


class GzipBroken(PackageError):
    kind = "archive-gzip-broken"
    title = "The compressed data is damaged"


class GzipTruncated(PackageError):
    kind = "archive-truncated"
    title = "Package ends too early"


class GzipChecksum(PackageError):
    kind = "archive-checksum"
    title = "The gzip checksum does not fit"


class SeveralGzipMembers(PackageError):
    kind = "archive-several-gzip-members"
    title = "Several gzip streams in one file"


class TrailingData(PackageError):
    kind = "archive-trailing-data"
    title = "Data follows the gzip stream"


class NoEnd(PackageError):
    kind = "archive-no-end"
    title = "The tar archive has no end mark"


class DataAfterEnd(PackageError):
    kind = "archive-data-after-end"
    title = "Data follows the end of the tar archive"


class BadHeader(PackageError):
    kind = "archive-header"
    title = "A tar header is damaged"


class BadNumber(PackageError):
    kind = "archive-number"
    title = "A number in a tar header is negative, huge or not octal"


class PaxOverride(PackageError):
    kind = "archive-pax-override"
    title = "An extended header replaces name, size or kind of a member"


class PaxTooLarge(PackageError):
    kind = "archive-pax-too-large"
    title = "An extended header is huge"


class PaxBroken(PackageError):
    kind = "archive-pax-broken"
    title = "An extended header is damaged"


class Sparse(PackageError):
    kind = "archive-sparse"
    title = "Sparse members are not accepted"


class SymbolicLink(PackageError):
    kind = "archive-symbolic-link"
    title = "Symbolic links are not accepted"


class HardLink(PackageError):
    kind = "archive-hard-link"
    title = "Hard links are not accepted"


class Device(PackageError):
    kind = "archive-device"
    title = "Devices are not accepted"


class Fifo(PackageError):
    kind = "archive-fifo"
    title = "Pipes and sockets are not accepted"


class UnknownMember(PackageError):
    kind = "archive-member-type"
    title = "Only plain files and directories are accepted"


class SpecialBits(PackageError):
    kind = "archive-special-bits"
    title = "Set-uid, set-gid and sticky bits are not accepted"


class TooManyMembers(PackageError):
    kind = "archive-too-many-members"
    title = "Package has more than 2,000 members"


class PathTraversal(PackageError):
    kind = "archive-path-traversal"
    title = "A path leaves the package"


class AbsolutePath(PackageError):
    kind = "archive-absolute-path"
    title = "A path is absolute"


class WindowsPath(PackageError):
    kind = "archive-windows-path"
    title = "A path has a drive letter or backslash"


class NotUtf8(PackageError):
    kind = "archive-name-encoding"
    title = "A name is not UTF-8"


class NulInName(PackageError):
    kind = "archive-nul-in-name"
    title = "A name holds NUL"


class ForbiddenCharacter(PackageError):
    kind = "archive-forbidden-character"
    title = "A name holds control, direction or invisible characters"


class PathTooLong(PackageError):
    kind = "archive-path-too-long"
    title = "A path is longer than 255 bytes, has a part over 100 bytes, or is deeper than 10"


class BadName(PackageError):
    kind = "archive-name"
    title = "A name is empty, a dot, ends in a dot or space, or is reserved on Windows"


class DuplicateName(PackageError):
    kind = "archive-duplicate-name"
    title = "A name is there twice"


class CaseCollision(PackageError):
    kind = "archive-case-collision"
    title = "Two names differ only in case"


class UnicodeCollision(PackageError):
    kind = "archive-unicode-collision"
    title = "Two names differ only in their Unicode form"


class FileAndDirectory(PackageError):
    kind = "archive-file-and-directory"
    title = "A name is both file and directory"


class NoManifest(PackageError):
    kind = "archive-no-manifest"
    title = "Package has no plugin.yaml at its root"


class SeveralManifests(PackageError):
    kind = "archive-several-manifests"
    title = "Package has more than one manifest"


class UnwantedFile(PackageError):
    kind = "archive-unwanted-file"
    title = "Package holds a file that never belongs in one"


class NativeCode(PackageError):
    kind = "archive-native-code"
    title = "Package holds native code that the manifest does not name"
