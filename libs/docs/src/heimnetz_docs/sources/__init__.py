"""Where a page's sections come from: a module each, which answers one section or nothing."""

from collections.abc import Callable

from heimnetz_docs.model import Section, Subject
from heimnetz_docs.sources import (
    audit,
    changelog,
    changes,
    code,
    configuration,
    contents,
    endpoints,
    examples,
    limits,
    metrics,
    permissions,
    readme,
    triggers,
    usage,
)

Source = Callable[[Subject], Section | None]

ALL: tuple[Source, ...] = (
    readme.describe,
    usage.describe,
    permissions.describe,
    configuration.describe,
    triggers.describe,
    limits.describe,
    examples.describe,
    endpoints.describe,
    metrics.describe,
    code.describe,
    changes.describe,
    changelog.describe,
    audit.describe,
    contents.describe,
)

__all__ = ["ALL", "Source"]
