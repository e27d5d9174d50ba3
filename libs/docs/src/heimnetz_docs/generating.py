"""Pages in, files out. The same input gives the same bytes: no clock and no network."""

from collections.abc import Iterable, Mapping, Sequence

from heimnetz_docs import renderers, sources, text
from heimnetz_docs.guides import Guide
from heimnetz_docs.model import Care, Cell, Entry, Grade, Known, Look, Page, Subject, Tile, Tone
from heimnetz_docs.sources import audit, permissions, triggers
from heimnetz_manifest import Limits

FORMATS = ("html", "markdown", "json", "openapi")
STATES = {
    "approved": Tone.GOOD,
    "needs_review": Tone.WARNING,
    "submitted": Tone.NOTE,
    "deprecated": Tone.WARNING,
    "rejected": Tone.DANGER,
    "yanked": Tone.DANGER,
    "quarantined": Tone.DANGER,
}
GRADES = {"A": Tone.GOOD, "B": Tone.GOOD, "C": Tone.WARNING, "D": Tone.WARNING}


def generate(subject: Subject) -> dict[str, bytes]:
    """All files of one version, by their path below the version's directory.

    Time grows with the text of the package, at worst with its square: whoever is not the author
    gives it a limit and falls back to `Care.PLAIN`.
    """
    return render(subject, describe(subject))


def render(subject: Subject, page: Page) -> dict[str, bytes]:
    """The same, of what `describe` answered for the subject."""
    own, front = renderers.html.version(page, subject.care)
    interface = renderers.openapi.document(subject)
    files = {
        "index.html": own,
        "front.html": front,
        "index.md": renderers.markdown.version(page, subject.care),
        "index.json": renderers.json.version(page, subject.known),
        "openapi.json": renderers.json.dump(interface),
        "api.html": renderers.html.interface(page, interface),
    }
    return files | dict(page.images)


def generate_front(
    entries: Sequence[Entry], latest: Entry, latest_files: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Files of a plugin's own directory: the latest version's pages, and the list of all versions.

    `entries` are newest first; `latest_files` is what `generate` answered for `latest`.
    """
    return {
        "index.html": latest_files["front.html"],
        **{name: latest_files[name] for name in ("index.md", "index.json", "openapi.json")},
        "versions.html": renderers.html.versions(entries, latest),
        "versions.json": renderers.json.entries(entries),
        "latest.js": renderers.json.script("heimnetzLatest", latest.version),
    }


def generate_site(entries: Iterable[Entry], guides: Sequence[Guide] = ()) -> dict[str, bytes]:
    """The index of everything, the search index, and the files that all pages share."""
    plugins = sorted(entries, key=lambda item: (item.title.lower(), item.plugin))
    return {
        "index.html": renderers.html.site(plugins, guides),
        "index.json": renderers.json.entries(plugins),
        "search.json": renderers.json.search(plugins, guides),
        "_static/search-index.js": renderers.json.script(
            "heimnetzSearch", renderers.json.search_entries(plugins, guides)
        ),
        **renderers.html.static_files(),
    }


def generate_guides(guides: Sequence[Guide]) -> dict[str, bytes]:
    """The platform's own documentation, by path below its directory: pages, and as written."""
    pages = {f"{guide.path}.html": renderers.html.guide(guide, guides) for guide in guides}
    return pages | {f"{guide.path}.md": guide.markdown.encode() for guide in guides}


def describe(subject: Subject) -> Page:
    """The page, before anything is drawn."""
    manifest, known = subject.manifest, subject.known
    found = [section for source in sources.ALL if (section := source(subject)) is not None]
    warnings = [warning for section in found for warning in section.warnings]
    if subject.care is Care.PLAIN:
        warnings.insert(
            0, "The author's text took too long to lay out and is shown as it is written."
        )
    images = {path: data for section in found for path, data in section.images.items()}
    return Page(
        plugin=str(manifest.name),
        version=str(manifest.version),
        title=text.line(manifest.title),
        summary=text.line(manifest.summary, 300),
        state=known.state,
        marks=_marks(subject),
        tiles=_tiles(subject),
        sections=tuple(found),
        grade=_grade(known),
        warnings=tuple(warnings),
        sha256=subject.package.sha256,
        size_bytes=subject.package.size_bytes,
        images=images,
    )


def entry_of(page: Page, known: Known) -> Entry:
    return Entry(
        plugin=page.plugin,
        version=page.version,
        title=page.title,
        summary=page.summary,
        state=page.state,
        grade=page.grade.letter if page.grade else None,
        published_at=known.published_at,
    )


def _grade(known: Known) -> Grade | None:
    if known.audit is None:
        return None
    # An audit that could not finish has no letter.
    letter = known.audit.grade if len(known.audit.grade) == 1 else "?"
    return Grade(letter, known.audit.score, known.audit.verdict)


def _marks(subject: Subject) -> tuple[Cell, ...]:
    manifest = subject.manifest
    state = subject.known.state
    words = state.replace("_", " ")
    return (
        Cell(words, Look.MARK, STATES.get(state, Tone.NEUTRAL)),
        Cell(f"version {manifest.version}", Look.MARK),
        Cell(manifest.kind, Look.MARK),
        Cell(manifest.runtime, Look.MARK),
        Cell(manifest.licence, Look.MARK),
    )


def _caps(limits: Limits) -> str:
    """Memory, processors and time, each on one line with its unit."""
    parts = (
        text.size(limits.memory_bytes),
        f"{limits.cpus:g} CPU",
        text.duration(limits.wall_seconds),
    )
    return ", ".join(part.replace(" ", "\u00a0") for part in parts)


def _tiles(subject: Subject) -> tuple[Tile, ...]:
    manifest, known = subject.manifest, subject.known
    reach = permissions.summary(manifest)
    tiles = [
        Tile("Can reach", reach, Tone.GOOD if reach == "Nothing" else Tone.NOTE, "permissions"),
        Tile("Runs", triggers.summary(manifest), Tone.NEUTRAL, "triggers"),
        Tile("Uses at most", _caps(manifest.limits), Tone.NEUTRAL, "limits"),
    ]
    if known.audit:
        tally = audit.tally(known.audit)
        tone = GRADES.get(known.audit.grade, Tone.DANGER)
        tiles.append(Tile("Audit findings", tally[0].upper() + tally[1:], tone, "audit"))
    else:
        tiles.append(Tile("Audit", "Not yet audited", Tone.NOTE, "audit"))
    if known.previous is not None:
        asks = manifest.permissions.keys() - known.previous.manifest.permissions.keys()
        answer = f"Asks for {len(asks)} more" if asks else "Asks for nothing new"
        tiles.append(
            Tile(
                f"Since {known.previous.manifest.version}",
                answer,
                Tone.WARNING if asks else Tone.GOOD,
                "changes",
            )
        )
    return tuple(tiles)
