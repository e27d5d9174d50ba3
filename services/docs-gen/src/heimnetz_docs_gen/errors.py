"""What can go wrong in docs-gen alone."""

from heimnetz_common.errors import InvalidInput, NotFound


class VersionNotFound(NotFound):
    kind = "version-not-found"
    title = "There is no such version"

    def __init__(self, plugin: str, version: str) -> None:
        super().__init__(f"there is no {plugin} {version}")


class NotDrawable(InvalidInput):
    """The package gives no page, not even with its text uninterpreted."""

    kind = "not-drawable"
    title = "No pages can be made of this package"
