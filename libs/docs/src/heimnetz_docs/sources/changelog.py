"""The author's own list of changes."""

from heimnetz_docs.markup import without_title
from heimnetz_docs.model import Section, Subject
from heimnetz_docs.sources import readme


def describe(subject: Subject) -> Section | None:
    found = readme.find(subject.files, "changelog.md", "changes.md", "changelog", "history.md")
    if found is None:
        return None
    path, data = found
    markdown, warnings = readme.read(data, path)
    if not markdown.strip():
        return None
    block, images, more = readme.prose(subject, without_title(markdown), "changelog")
    return Section(
        "changelog", "Changelog", (block,), {"markdown": markdown}, (*warnings, *more), images
    )
