"""The package itself: who published which bytes, and what is in it."""

from heimnetz_docs import text
from heimnetz_docs.model import Cell, Facts, Look, Section, Subject, Table

MAX_FILES = 200


def describe(subject: Subject) -> Section:
    package, manifest, known = subject.package, subject.manifest, subject.known
    authors = ", ".join(author.name for author in manifest.authors)
    items: list[tuple[str, Cell]] = [
        ("SHA-256", Cell(package.sha256, Look.CODE)),
        ("Size", Cell(text.size(package.size_bytes))),
        ("Licence", Cell(manifest.licence, Look.CODE)),
        ("Author" if len(manifest.authors) == 1 else "Authors", Cell(authors)),
        ("Entry point", Cell(manifest.entry_point, Look.CODE)),
        ("Category", Cell(manifest.category)),
    ]
    if manifest.keywords:
        items.append(("Keywords", Cell(", ".join(manifest.keywords))))
    if known.publisher:
        items.append(("Published by", Cell(known.publisher)))
    if known.published_at:
        items.append(("Published on", Cell(known.published_at.strftime("%Y-%m-%d %H:%M UTC"))))
    if manifest.homepage:
        items.append(("Home page", Cell(manifest.homepage, href=manifest.homepage)))
    if manifest.dependencies:
        items.append(("Dependencies", Cell(f"locked in {manifest.dependencies.lock}")))
    paths = sorted(subject.files)
    rows = tuple(
        (Cell(path, Look.CODE), Cell(text.size(len(subject.files[path]))))
        for path in paths[:MAX_FILES]
    )
    caption = (
        f"Files ({len(paths)})"
        if len(paths) <= MAX_FILES
        else f"The first {MAX_FILES} of {len(paths)} files"
    )
    facts = {
        "sha256": package.sha256,
        "size_bytes": package.size_bytes,
        "category": manifest.category,
        "keywords": list(manifest.keywords),
        "files": [{"path": path, "size_bytes": len(subject.files[path])} for path in paths],
    }
    return Section(
        "package", "Package", (Facts(tuple(items)), Table(caption, ("Path", "Size"), rows)), facts
    )
