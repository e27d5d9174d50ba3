"""What the plugin asks to reach and why; what its code and its runs show, where that is known."""

from heimnetz_docs import text
from heimnetz_docs.model import (
    Block,
    Cell,
    Look,
    Notice,
    Paragraph,
    Reach,
    Section,
    Subject,
    Table,
    Tone,
)
from heimnetz_manifest import Manifest

_WORDS = {
    "network": "Connect to",
    "storage": "Keep own data, up to",
    "secrets": "Read the secret",
    "publish": "Announce events of type",
    "call": "Call the plugin",
}


def describe(subject: Subject) -> Section:
    manifest = subject.manifest
    blocks: list[Block] = []
    rows = tuple(
        (Cell(_words(key)), Cell(shown_value(key), Look.CODE), Cell(reason))
        for key, reason in manifest.permissions.asked()
    )
    if rows:
        blocks.append(
            Table("Permissions that the author asks for", ("May", "What", "Reason given"), rows)
        )
        blocks.append(
            Paragraph(
                (
                    Cell("Nothing else can be reached: a plugin has no network of its own. "),
                    Cell("You can grant less than is asked."),
                )
            )
        )
    else:
        blocks.append(
            Notice(
                Tone.GOOD,
                "Asks for nothing: no network, no storage, no secrets, no other plugin."
                " It gets its input and gives a result.",
            )
        )
    audit = subject.known.audit
    if audit and audit.reaches:
        blocks.append(_views(tuple(audit.reaches)))
    facts = [{"permission": key, "reason": reason} for key, reason in manifest.permissions.asked()]
    return Section("permissions", "Permissions", tuple(blocks), facts)


def _views(reaches: tuple[Reach, ...]) -> Table:
    rows = tuple(
        (
            Cell(f"{reach.kind}: {reach.target}", Look.CODE),
            _seen(reach.declared, "declared", "not declared"),
            _seen(reach.inferred, "in the code", "not in the code"),
            _seen(reach.observed, "seen in runs", "not seen"),
        )
        for reach in reaches
    )
    return Table(
        "Three views: what is declared, what the code shows, what runs did",
        ("What", "Manifest", "Code", "Runs"),
        rows,
    )


def _seen(answer: bool | None, yes: str, no: str) -> Cell:
    if answer is None:
        return Cell("not looked at")
    return Cell(yes if answer else no, Look.MARK, Tone.NOTE if answer else Tone.NEUTRAL)


def _words(key: str) -> str:
    return _WORDS.get(key.partition(":")[0], key.partition(":")[0])


def shown_value(key: str) -> str:
    kind, _, value = key.partition(":")
    if kind == "storage" and value.isdigit():
        return text.size(int(value))
    if kind == "network" and value.startswith("lan:"):
        return f"any device in the home network, port {value.partition(':')[2]}"
    return value


def shown(key: str) -> str:
    """A grant key in words: `Connect to example.org:443`."""
    return f"{_words(key)} {shown_value(key)}"


def summary(manifest: Manifest) -> str:
    """What the plugin can reach, in a few words."""
    asked = manifest.permissions
    hosts = [item.to for item in asked.network]
    parts = []
    if hosts:
        parts.append(hosts[0] if len(hosts) == 1 else text.count(len(hosts), "destination"))
    if asked.storage:
        parts.append(f"{text.size(asked.storage.size_bytes)} of own data")
    if asked.secrets:
        parts.append(text.count(len(asked.secrets), "secret"))
    if asked.publish:
        parts.append("announces events")
    if asked.call:
        parts.append(text.count(len(asked.call), "other plugin"))
    return ", ".join(parts) or "Nothing"
