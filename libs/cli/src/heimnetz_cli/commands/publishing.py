"""From a directory to a published version."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heimnetz_cli import keyring
from heimnetz_cli.commands.catalogue import audit_line, signature_line
from heimnetz_cli.commands.options import Json, example
from heimnetz_cli.commands.signing import signature_file
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import list_mistakes, note, progress, show, show_json, size
from heimnetz_cli.session import open_client

if TYPE_CHECKING:
    from heimnetz_manifest import Manifest, ManifestError, Package
    from heimnetz_sdk.client import Client
    from heimnetz_sdk.models import Version

POLL_SECONDS = 0.5


def publish(
    path: Annotated[Path, typer.Argument(exists=True, help="A directory, or a packed file.")],
    is_awaited: Annotated[
        bool, typer.Option("--wait", help="Wait for the audit and the verdict.")
    ] = False,
    wait_seconds: Annotated[
        float, typer.Option("--timeout", min=1, help="Wait at most so long.")
    ] = 300,
    name: Annotated[
        str | None,
        typer.Option(help="Send the file as it is, unchecked, as a version of this plugin."),
    ] = None,
    is_unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Send no signature, though there is one.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Publish a version: pack, check, sign, send. The same bytes again change nothing.

    The signature beside the file is sent, or one by your key, if you have one.
    """
    package: Path | bytes
    checked: Package | None = None
    if name is not None:
        package, plugin = path, name
    else:
        package, checked = read_package_of(path)
        plugin = str(checked.manifest.name)
    envelope = None if is_unsigned else _envelope(path, checked)
    with open_client() as client:
        with progress(f"sending {plugin}"):
            version, is_new = client.registry.publish(plugin, package, envelope=envelope)
        note(
            f"{version.plugin} {version.version} "
            f"{'is published' if is_new else 'was there already, with the same bytes'} "
            f"({size(version.size_bytes)}, sha256 {version.sha256})"
        )
        note(f"signed: {signature_line(version)}")
        if is_awaited:
            version = follow_audit(client, version, wait_seconds)
    if as_json:
        show_json(version.document)
    else:
        show(f"{version.plugin} {version.version} {version.state}")
    if is_awaited and version.state != "approved":
        raise typer.Exit(Exit.BAD_OUTCOME)


def _envelope(path: Path, checked: "Package | None") -> bytes | None:
    """What lies beside the file, or is made with the key that is here."""
    file = signature_file(path)
    if path.is_file() and file.exists():
        from heimnetz_manifest.signing import ENVELOPE_BYTES

        with file.open("rb") as stream:
            # One byte more than the registry takes, so that it refuses what is too large.
            return stream.read(ENVELOPE_BYTES + 1)
    if checked is None or not keyring.key_file().exists():
        return None
    from heimnetz_manifest.signing import Subject, sign

    manifest = checked.manifest
    subject = Subject(str(manifest.name), str(manifest.version), checked.sha256)
    return sign(keyring.get(), subject)


def read_package_of(path: Path) -> tuple[bytes | Path, "Package"]:
    from heimnetz_manifest import ManifestError, inspect_package, pack

    try:
        if path.is_dir():
            data = pack(path)
            return data, inspect_package(data)
        return path, inspect_package(path)
    except ManifestError as error:
        raise Failure(list_mistakes(error, path), Exit.REFUSED_INPUT) from None


def follow_audit(client: "Client", version: "Version", wait_seconds: float) -> "Version":
    deadline = time.monotonic() + wait_seconds
    with progress(f"{version.plugin} {version.version} waits for its audit") as line:
        while version.state == "submitted" or version.score is None:
            if time.monotonic() > deadline:
                raise Failure(
                    f"no verdict after {wait_seconds:.0f} s; "
                    f"look later: heimnetz show {version.plugin}@{version.version}",
                    Exit.UNAVAILABLE,
                )
            time.sleep(POLL_SECONDS)
            version = client.registry.get_version(version.plugin, version.version)
            if version.score is not None:
                line.update(f"audited: {audit_line(version)}")
            if version.state in {"rejected", "needs_review"}:
                break
    note(f"audit: {audit_line(version)}")
    if version.reason:
        note(f"{version.state}: {version.reason}")
    if version.state != "approved":
        note(f"read why: heimnetz report {version.plugin}@{version.version}")
    return version


def pack_directory(
    path: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to; - is standard output.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Pack a directory; the same files give the same bytes everywhere."""
    import hashlib
    import sys

    from heimnetz_manifest import ManifestError, inspect_package, pack

    try:
        data = pack(path)
        manifest = inspect_package(data).manifest
    except ManifestError as error:
        raise Failure(list_mistakes(error, path), Exit.REFUSED_INPUT) from None
    digest = hashlib.sha256(data).hexdigest()
    if out is not None and str(out) == "-":
        sys.stdout.buffer.write(data)
        return
    target = out or Path(f"{manifest.name}-{manifest.version}.tar.gz")
    target.write_bytes(data)
    if as_json:
        show_json({"file": str(target), "sha256": digest, "size_bytes": len(data)})
    else:
        show(f"{target} ({size(len(data))}, sha256 {digest})")


def check(
    path: Annotated[Path, typer.Argument(exists=True)] = Path(),
    as_json: Json = False,
) -> None:
    """Check a plugin's directory, package or manifest as the registry would."""
    from heimnetz_manifest import ManifestError

    if as_json:
        judged = judge(path)
        show_json(judged)
        if not judged["is_valid"]:
            raise typer.Exit(Exit.BAD_OUTCOME)
        return
    try:
        manifest = _manifest_of(path)
    except ManifestError as error:
        raise Failure(list_mistakes(error, path), Exit.BAD_OUTCOME) from None
    show(f"{manifest.name} {manifest.version} is in order")


def judge(path: Path) -> dict[str, Any]:
    """What `check` answers as JSON: `is_valid`, and the mistakes or what it is."""
    from heimnetz_manifest import ManifestError

    try:
        manifest = _manifest_of(path)
    except ManifestError as error:
        return {"is_valid": False, "kind": error.kind, "mistakes": _mistakes(error)}
    return {"is_valid": True, "plugin": str(manifest.name), "version": str(manifest.version)}


def _manifest_of(path: Path) -> "Manifest":
    """Raises: ManifestError."""
    from heimnetz_manifest import inspect_package, pack, parse_manifest
    from heimnetz_manifest.loading import MANIFEST_BYTES

    if path.is_dir():
        return inspect_package(pack(path)).manifest
    if path.suffix in {".yaml", ".yml"}:
        with path.open("rb") as stream:
            return parse_manifest(stream.read(MANIFEST_BYTES + 1))
    return inspect_package(path).manifest


def _mistakes(error: "ManifestError") -> list[dict[str, Any]]:
    found = getattr(error, "mistakes", ())
    if not found:
        return [{"kind": error.kind, "detail": error.detail, "pointer": ""}]
    return [
        {
            "kind": mistake.kind,
            "pointer": mistake.pointer,
            "detail": mistake.detail,
            "line": mistake.line,
            "column": mistake.column,
            "suggestion": mistake.suggestion,
        }
        for mistake in found
    ]


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("heimnetz publish plugins/energy-report --wait"))(publish)
    app.command("pack", epilog=example("heimnetz pack . -o - | sha256sum"))(pack_directory)
    app.command(epilog=example("heimnetz check plugins/energy-report"))(check)
