"""What the registry refuses, in the families of common; each kind is public API."""

from collections.abc import Sequence

from heimnetz_common.errors import (
    Conflict,
    Forbidden,
    HeimnetzError,
    InvalidInput,
    Mistake,
    NotFound,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)
from heimnetz_manifest import ManifestError, kinds

_FAMILIES: dict[str, type[HeimnetzError]] = {
    "too-large": TooLarge,
    "unsupported-media": UnsupportedMedia,
    "invalid": InvalidInput,
}
# A kind of the library is a kind of the registry; the library names them all.
REFUSALS: dict[str, type[HeimnetzError]] = {
    kind: type("Refused", (_FAMILIES[hint],), {"kind": kind, "title": title})
    for kind, (title, hint) in kinds().items()
}


def invalid(kind: str, detail: str, mistakes: Sequence[Mistake]) -> InvalidInput:
    """A refusal of our own under a kind of the library."""
    family = REFUSALS[kind]
    assert issubclass(family, InvalidInput)  # only such kinds are asked for
    return family(detail, mistakes)


def refusal(error: ManifestError) -> HeimnetzError:
    """What the library refused, as the registry answers it."""
    family = REFUSALS[error.kind]
    found = getattr(error, "mistakes", ())
    if not issubclass(family, InvalidInput):
        return family(error.detail)
    mistakes = [
        Mistake(
            detail=f"{item.detail} (did you mean {item.suggestion}?)"
            if item.suggestion
            else item.detail,
            pointer=item.pointer,
            line=item.line,
            column=item.column,
        )
        for item in found
    ]
    return family(error.detail, mistakes)


class PluginNotFound(NotFound):
    kind = "plugin-not-found"
    title = "No such plugin"

    def __init__(self, plugin: str) -> None:
        super().__init__(f"there is no plugin {plugin}")


class VersionNotFound(NotFound):
    kind = "version-not-found"
    title = "No such version"

    def __init__(self, plugin: str, version: str) -> None:
        super().__init__(f"there is no version {version} of {plugin}")


class InstallationNotFound(NotFound):
    kind = "installation-not-found"
    title = "Plugin is not installed"

    def __init__(self, plugin: str) -> None:
        super().__init__(f"{plugin} is not installed")


class TokenNotFound(NotFound):
    kind = "token-not-found"
    title = "No such token"

    def __init__(self, token_id: str) -> None:
        super().__init__(f"there is no token {token_id}")


class VersionExists(Conflict):
    kind = "version-exists"
    title = "Version already published"

    def __init__(self, plugin: str, version: str) -> None:
        super().__init__(
            f"{plugin} {version} is already published with other bytes; "
            "publish a new version number (build metadata does not make one)"
        )


class VersionDeleted(Conflict):
    kind = "version-deleted"
    title = "Version number was used and deleted"

    def __init__(self, plugin: str, version: str) -> None:
        super().__init__(f"{plugin} {version} was deleted; its number is never used again")


class LowerVersion(Conflict):
    kind = "lower-version"
    title = "Version is lower than the latest"

    def __init__(self, plugin: str, version: str, latest: str) -> None:
        super().__init__(
            f"{plugin} {version} is lower than {latest}; publish with allow_lower=true if meant"
        )


class NameTaken(Conflict):
    kind = "name-taken"
    title = "Name is too like one that exists"

    def __init__(self, plugin: str, twin: str) -> None:
        super().__init__(f"{plugin} differs from {twin} in hyphens alone")


class NameMismatch(InvalidInput):
    kind = "name-mismatch"
    title = "Package is of another plugin"

    def __init__(self, asked: str, packed: str) -> None:
        super().__init__(
            f"the package is of {packed}, the address says {asked}",
            [Mistake(f"this is not {asked}", "/name")],
        )


class IllegalTransition(Conflict):
    kind = "illegal-transition"
    title = "Version cannot take this state"

    def __init__(self, current: str, wanted: str, possible: list[str]) -> None:
        allowed = ", ".join(possible) or "no other state"
        super().__init__(f"a version that is {current} cannot become {wanted}, but {allowed}")


class NotDecidable(Forbidden):
    kind = "decision-not-yours"
    title = "The caller may not decide this"

    def __init__(self, wanted: str, roles: list[str]) -> None:
        super().__init__(f"only {', '.join(roles)} may make a version {wanted}")


class NotInstallable(Conflict):
    kind = "version-not-installable"
    title = "Version cannot be installed"

    def __init__(self, plugin: str, version: str, state: str) -> None:
        super().__init__(f"{plugin} {version} is {state}; only approved versions can be installed")


class OlderVersion(Conflict):
    kind = "older-version"
    title = "Version is older than the installed one"

    def __init__(self, plugin: str, version: str, installed: str) -> None:
        super().__init__(
            f"{plugin} {installed} is installed, {version} is older; "
            "set allow_downgrade if that is meant"
        )


class VersionInstalled(Conflict):
    kind = "version-installed"
    title = "Version is in use"

    def __init__(self, plugin: str, version: str) -> None:
        super().__init__(f"{plugin} {version} is installed; remove the installation first")


class NothingToRollBack(Conflict):
    kind = "nothing-to-roll-back"
    title = "There is no version before this one"

    def __init__(self, plugin: str, version: str) -> None:
        super().__init__(f"{plugin} {version} took no other version's place")


class InstallationChangedMeanwhile(Conflict):
    kind = "installation-changed"
    title = "The installation was changed meanwhile"

    def __init__(self, plugin: str, revision: int) -> None:
        super().__init__(f"the installation of {plugin} has revision {revision} now; look again")


class AnotherVersionInstalled(Conflict):
    kind = "another-version-installed"
    title = "Another version is installed by now"

    def __init__(self, plugin: str, version: str, installed: str) -> None:
        super().__init__(f"{plugin} {installed} is installed, not {version}")


class PassphraseWrong(InvalidInput):
    kind = "passphrase-wrong"
    title = "The file cannot be opened"

    def __init__(self) -> None:
        super().__init__("the passphrase is wrong, or the file was altered")


class ExportOfAnother(Conflict):
    kind = "export-of-another"
    title = "The file is of another plugin or of other bytes"

    def __init__(self, version: str) -> None:
        super().__init__(f"the file was not made from the {version} that is published here")


class PackageDamaged(Unavailable):
    kind = "package-damaged"
    title = "The stored package is missing or altered"

    def __init__(self, sha256: str) -> None:
        super().__init__(
            f"the package {sha256} is missing or altered on disk and is not served; "
            "publish the same bytes again or restore a backup",
            retry_after_seconds=300,
        )


class UploadTooSlow(InvalidInput):
    kind = "upload-too-slow"
    title = "Upload is too slow"


class UploadCut(InvalidInput):
    kind = "upload-cut"
    title = "Upload ended too early"


class AlreadySetUp(Conflict):
    kind = "already-set-up"
    title = "The owner exists already"

    def __init__(self) -> None:
        super().__init__("set-up was done; log in instead")


class WrongSetupToken(Unauthenticated):
    kind = "wrong-setup-token"
    title = "The set-up token is wrong"

    def __init__(self) -> None:
        super().__init__("the set-up token is in the registry's volume; `make up` says where")


class WrongCredentials(Unauthenticated):
    kind = "wrong-credentials"
    title = "Name, password or token is wrong"

    def __init__(self, detail: str = "name, password or token is wrong, or has expired") -> None:
        super().__init__(detail)


class TooManyGuesses(TooMany):
    kind = "too-many-guesses"
    title = "Too many wrong tries"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(
            f"wait {retry_after_seconds} s before the next try",
            retry_after_seconds=retry_after_seconds,
        )


class NameInUse(Conflict):
    kind = "name-in-use"
    title = "A person has this name"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is a person; a token needs a name of its own")


class KeyMissing(Unavailable):
    kind = "encryption-key-missing"
    title = "The key for secrets is missing"

    def __init__(self) -> None:
        super().__init__(
            "the file encryption.key is missing or broken; restore it from a backup. "
            "Plugins without secrets are not affected"
        )


class TrailKeyMissing(Unavailable):
    kind = "trail-key-missing"
    title = "The key for checkpoints of the trail is missing"

    def __init__(self) -> None:
        super().__init__("the file trail.key is missing or broken; restore it from a backup")


class TrailAltered(Conflict):
    kind = "trail-altered"
    title = "The trail is not what was written"

    def __init__(self, position: int) -> None:
        super().__init__(
            f"the link at position {position} is another than was noted; nothing is signed"
        )


class SigningKeyNotFound(NotFound):
    kind = "signing-key-not-found"
    title = "No such signing key"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no signing key {key_id}")


class SigningKeyExists(Conflict):
    kind = "signing-key-exists"
    title = "Signing key is known already"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the key {key_id} is known already, or was; make a new one")


class SigningKeyProof(InvalidInput):
    kind = "signing-key-proof"
    title = "Possession of the signing key is not proved"

    def __init__(self, pointer: str) -> None:
        super().__init__(
            "whoever registers a key signs for it with that key",
            [Mistake("the signature does not fit", pointer)],
        )


class TooManySigningKeys(Conflict):
    kind = "too-many-signing-keys"
    title = "The publisher has too many signing keys"

    def __init__(self, limit: int) -> None:
        super().__init__(f"a publisher has at most {limit} keys, old ones included")


class SigningKeyUnknown(InvalidInput):
    kind = "signing-key-unknown"
    title = "Signature is by an unknown key"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the key {key_id} is not registered here; heimnetz key new registers one")


class SigningKeyForeign(Forbidden):
    kind = "signing-key-foreign"
    title = "Signing key is another publisher's"

    def __init__(self, key_id: str, publisher: str) -> None:
        super().__init__(f"the key {key_id} is not one of {publisher}")


class SigningKeyRevoked(Forbidden):
    kind = "signing-key-revoked"
    title = "Signing key was revoked"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the key {key_id} was revoked; sign with another one")


class SigningKeyRetired(Forbidden):
    kind = "signing-key-retired"
    title = "Signing key was rotated"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the key {key_id} was rotated; sign with its successor")


class SignatureDowngrade(Forbidden):
    kind = "signature-downgrade"
    title = "Plugin was signed before, and not so now"


class UnsignedRefused(Forbidden):
    kind = "unsigned-refused"
    title = "Packages have to be signed here"

    def __init__(self) -> None:
        super().__init__("the owner's policy refuses packages without a signature: heimnetz sign")


class SignatureNotFound(NotFound):
    kind = "signature-not-found"
    title = "Version is not signed"

    def __init__(self, plugin: str, version: str) -> None:
        super().__init__(f"{plugin} {version} is not signed")


class SignatureRevoked(Conflict):
    kind = "signature-revoked"
    title = "Version was signed by a key that was revoked"

    def __init__(self, plugin: str, version: str, key_id: str) -> None:
        super().__init__(
            f"{plugin} {version} was signed by {key_id}, which was revoked; "
            "only the owner can install it, with allow_revoked_key"
        )
