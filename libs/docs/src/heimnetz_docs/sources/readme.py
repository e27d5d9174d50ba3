"""What the author says about the plugin: the README, or else the manifest's description."""

from collections.abc import Mapping

from heimnetz_docs import markup, pictures, text
from heimnetz_docs.model import Care, Notice, Prose, Section, Subject, Tone

MAX_CHARACTERS = 200_000
LINKS = {
    "README.md": "#readme",
    "CHANGELOG.md": "#changelog",
    "CHANGES.md": "#changelog",
    "plugin.yaml": "#package",
}


def describe(subject: Subject) -> Section:
    found = find(subject.files, "readme.md", "readme", "readme.txt")
    if found is None:
        return _without_readme(subject)
    path, data = found
    markdown, warnings = read(data, path)
    if not markdown.strip():
        return Section(
            "readme",
            "About",
            (Notice(Tone.WARNING, f"{path} is empty."),),
            warnings=(f"{path} is empty",),
        )
    block, images, more = prose(subject, markup.without_title(markdown), "readme")
    return Section("readme", "About", (block,), {"markdown": markdown}, (*warnings, *more), images)


def _without_readme(subject: Subject) -> Section:
    warnings = ("the package has no README.md",)
    description = subject.manifest.description
    if description is None:
        notice = Notice(Tone.NOTE, "The author wrote no README.")
        return Section("readme", "About", (notice,), warnings=warnings)
    block, images, more = prose(subject, description, "readme")
    return Section(
        "readme", "About", (block,), {"markdown": description}, (*warnings, *more), images
    )


def find(files: Mapping[str, bytes], *names: str) -> tuple[str, bytes] | None:
    """A file at the root of the package, whatever the case of its name; earlier names win."""
    by_name = {path.lower(): path for path in sorted(files) if "/" not in path}
    for name in names:
        if name in by_name:
            return by_name[name], files[by_name[name]]
    return None


def read(data: bytes, path: str) -> tuple[str, tuple[str, ...]]:
    """The text of a file as far as it can be read, and what is wrong with it."""
    warnings = []
    content, is_utf8 = text.decode(data)
    if not is_utf8:
        warnings.append(f"{path} is not UTF-8; what could not be read is shown as \ufffd")
    if len(content) > MAX_CHARACTERS:
        content = content[:MAX_CHARACTERS]
        warnings.append(f"{path} is longer than {MAX_CHARACTERS:,} characters and is shown in part")
    return content, tuple(warnings)


def prose(
    subject: Subject, markdown: str, prefix: str, level: int = 3
) -> tuple[Prose, dict[str, bytes], tuple[str, ...]]:
    """A block of an author's Markdown with its pictures, and what is missing for it."""
    if subject.care is Care.PLAIN:
        return Prose(markdown, prefix, level), {}, ()
    places, images, missing = pictures.beside_page(subject.files, markup.images_of(markdown))
    warnings = tuple(
        f"picture not in the package, not shown: {text.line(name, 80)}" for name in missing[:5]
    )
    if len(missing) > 5:
        warnings += (f"{len(missing) - 5} more pictures are not shown",)
    return Prose(markdown, prefix, level, places, LINKS), images, warnings
