"""What docs-gen announces."""

from typing import ClassVar

from heimnetz_common.events import EventData


class DocsGenerated(EventData):
    """The pages of a version are there, in these formats."""

    name: ClassVar[str] = "docs.generated.v1"

    plugin: str
    version: str
    formats: list[str]
