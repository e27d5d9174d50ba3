"""What is refused of catalogues; each kind is public API.

That another one's server is wrong or away is no failure of ours: it is a conflict, and no 5xx.
"""

from datetime import datetime

from heimnetz_common.errors import Conflict, Forbidden, NotFound, Unavailable


class CatalogueNotFound(NotFound):
    kind = "catalogue-not-found"
    title = "No such catalogue"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no catalogue {name}")


class CatalogueExists(Conflict):
    kind = "catalogue-exists"
    title = "Catalogue is there already"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a catalogue {name} already; remove it first")


class TooManyCatalogues(Conflict):
    kind = "too-many-catalogues"
    title = "There are too many catalogues"

    def __init__(self, limit: int) -> None:
        super().__init__(f"there are at most {limit} catalogues")


class CatalogueUnreachable(Conflict):
    kind = "catalogue-unreachable"
    title = "Server of the catalogue does not answer"

    def __init__(self, host: str) -> None:
        super().__init__(
            f"{host} does not answer, or the registry has no way out: "
            "HEIMNETZ_CATALOGUES_INTERNAL=false in .env gives it one"
        )


class CatalogueTooSlow(Conflict):
    kind = "catalogue-too-slow"
    title = "Server of the catalogue is too slow"


class CatalogueCertificate(Conflict):
    kind = "catalogue-certificate-wrong"
    title = "Certificate of the catalogue's server is not to be trusted"


class CatalogueAddressRefused(Conflict):
    kind = "catalogue-address-refused"
    title = "Catalogue leads into the home network"

    def __init__(self, host: str, address: str) -> None:
        super().__init__(
            f"{host} leads to {address}, which is not on the internet; name the address if meant"
        )


class CatalogueRedirect(Conflict):
    kind = "catalogue-redirect-refused"
    title = "Catalogue sends elsewhere than it may"


class CatalogueAnswer(Conflict):
    kind = "catalogue-answer-unexpected"
    title = "Server of the catalogue does not give the file"


class CatalogueTooMuch(Conflict):
    kind = "catalogue-too-much"
    title = "Server of the catalogue sends more than it may"


class CatalogueReplayed(Conflict):
    kind = "catalogue-replayed"
    title = "Index is older than the one that was read"

    def __init__(self, counter: int, known: int) -> None:
        super().__init__(
            f"the index has the counter {counter}; {known} was read before, with other content"
        )


class CatalogueExpired(Conflict):
    kind = "catalogue-expired"
    title = "Index of the catalogue has expired"

    def __init__(self, expired_at: datetime) -> None:
        super().__init__(f"the index was good until {expired_at.isoformat(timespec='seconds')}")


class ReleaseNotFound(NotFound):
    kind = "catalogue-release-not-found"
    title = "Catalogue does not have this version"

    def __init__(self, name: str, plugin: str, version: str) -> None:
        super().__init__(f"{name} has no version {version} of {plugin}")


class ReleaseRevoked(Forbidden):
    kind = "catalogue-release-revoked"
    title = "A catalogue warns of this version"

    def __init__(self, sha256: str, catalogue: str, reason: str) -> None:
        super().__init__(f"{catalogue} warns of {sha256}: {reason}")


class DigestMismatch(Conflict):
    kind = "catalogue-digest-mismatch"
    title = "Package is not the one that the index names"

    def __init__(self, wanted: str, found: str) -> None:
        super().__init__(f"the index says sha256 {wanted}, what came has {found}")


class PluginOfAnother(Conflict):
    kind = "catalogue-plugin-taken"
    title = "Plugin is another publisher's here"

    def __init__(self, plugin: str, publisher: str) -> None:
        super().__init__(f"{plugin} is {publisher}'s here; a catalogue adds no version to it")


class CatalogueKeyMissing(Unavailable):
    kind = "catalogue-key-missing"
    title = "The key for the index is missing"

    def __init__(self) -> None:
        super().__init__("the file catalogue.key is missing or broken; restore it from a backup")


class PackageNotOffered(NotFound):
    kind = "package-not-offered"
    title = "No such package is offered"

    def __init__(self, sha256: str) -> None:
        super().__init__(f"there is no approved version with sha256 {sha256}")
