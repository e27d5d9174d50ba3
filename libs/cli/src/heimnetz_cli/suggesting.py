"""The least permissions that a plugin's code and its observed behaviour account for."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.reading import Uses

if TYPE_CHECKING:
    from heimnetz_manifest import Destination, Permissions

CODE, SEEN, DECLARED = "code", "seen", "declared"
NEW_REASON = "Say here why, for the owner who decides"
_USUAL_STORAGE_BYTES = 1 << 20
_UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


@dataclass(frozen=True, slots=True)
class Observation:
    """Something that runs or a trial reached for."""

    kind: str
    target: str
    version: str = ""


@dataclass(slots=True)
class Suggestion:
    """`needs` has the reason and the sources of each grant key; see `Permissions.asked`."""

    declared: Mapping[str, str]
    needs: dict[str, set[str]] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)

    @property
    def added(self) -> list[str]:
        return sorted(self.needs.keys() - self.declared.keys())

    @property
    def removed(self) -> list[str]:
        return sorted(self.declared.keys() - self.needs.keys())

    @property
    def fits(self) -> bool:
        return not self.added and not self.removed

    def reason(self, key: str) -> str:
        return self.declared.get(key, NEW_REASON)

    def need(self, key: str, source: str) -> None:
        self.needs.setdefault(key, set()).add(source)


def suggest(
    permissions: "Permissions",
    network: Iterable[str],
    uses: Uses,
    observations: Iterable[Observation],
) -> Suggestion:
    """`network` is what the auditor infers: `host:port`, with `*` for what the code computes."""
    seen = list(observations)
    result = Suggestion(declared=dict(permissions.asked()), questions=list(uses.questions))
    _add_network(result, sorted(set(network)), seen)
    _add_named(result, uses, seen)
    storage = permissions.storage
    size = storage.size_bytes if storage else _USUAL_STORAGE_BYTES
    if "storage" in uses.keys:
        result.need(f"storage:{size}", CODE)
    if any(one.kind == "storage" for one in seen):
        result.need(f"storage:{size}", SEEN)
    for secret in permissions.secrets:
        result.need(f"secrets:{secret.name}", DECLARED)  # neither code nor runs can show it
    return result


def suggest_more(permissions: "Permissions", refused: Iterable[Observation]) -> Suggestion:
    """What the manifest does not ask for yet, and would need for what was refused."""
    result = Suggestion(declared=dict(permissions.asked()))
    for key in result.declared:
        result.need(key, DECLARED)
    for one in refused:
        if one.kind == "connect" and not _is_covered(result, one.target):
            _add_destination(result, one.target, SEEN)
        elif one.kind in {"publish", "call"}:
            _add_name(result, f"{one.kind}:{one.target}", SEEN)
        elif one.kind == "storage" and permissions.storage is None:
            result.need(f"storage:{_USUAL_STORAGE_BYTES}", SEEN)
    added = {key: result.needs[key] for key in result.added}
    return Suggestion(declared={}, needs=added, questions=result.questions)


def _add_network(result: Suggestion, inferred: list[str], seen: list[Observation]) -> None:
    declared = [key.partition(":")[2] for key in result.declared if key.startswith("network:")]
    for target in inferred:
        if "*" not in target:
            _add_destination(result, target, CODE)
    for pattern in (one for one in inferred if "*" in one):
        matching = [target for target in declared if fnmatchcase(target, pattern)]
        for target in matching:
            result.need(f"network:{target}", CODE)
        reached = [
            one for one in seen if one.kind == "connect" and fnmatchcase(one.target, pattern)
        ]
        if not matching and not reached:
            result.questions.append(
                f"the code reaches {pattern}, with an address that it computes; which one, the "
                "manifest has to say"
            )
    for one in seen:
        if one.kind == "connect" and not _is_covered(result, one.target):
            _add_destination(result, one.target, SEEN)


def _add_destination(result: Suggestion, target: str, source: str) -> None:
    destination = _destination(target)
    if destination is None:
        result.questions.append(f"{target[:200]} is nothing that a plugin can be granted")
        return
    result.need(f"network:{destination}", source)


def _is_covered(result: Suggestion, target: str) -> bool:
    wanted = _destination(target)
    if wanted is None:
        return False
    for key, sources in result.needs.items():
        granted = _destination(key.removeprefix("network:")) if key.startswith("network:") else None
        if granted is not None and granted.reaches(wanted):
            sources.add(SEEN)
            return True
    return False


def _destination(target: str) -> "Destination | None":
    from heimnetz_manifest import Destination

    try:
        return Destination.parse(target)
    except ValueError:
        return None


def _add_named(result: Suggestion, uses: Uses, seen: list[Observation]) -> None:
    """Events and other plugins."""
    for key in sorted(uses.keys - {"storage"}):
        _add_name(result, key, CODE)
    for one in seen:
        if one.kind in {"publish", "call"}:
            _add_name(result, f"{one.kind}:{one.target}", SEEN)
    for key in result.declared:
        if key.partition(":")[0] in uses.open_kinds:
            result.need(key, CODE)


def _add_name(result: Suggestion, key: str, source: str) -> None:
    kind, _, name = key.partition(":")
    if is_grantable(kind, name):
        result.need(key, source)
    else:
        result.questions.append(f"{kind} {name[:200]!r} is nothing that a plugin can be granted")


def is_grantable(kind: str, name: str) -> bool:
    from pydantic import ValidationError

    from heimnetz_manifest import Permissions

    field_name = {"publish": "event", "call": "plugin"}[kind]
    try:
        Permissions.model_validate({kind: [{field_name: name, "reason": NEW_REASON}]})
    except ValidationError:
        return False
    return True


def to_document(result: Suggestion) -> dict[str, Any]:
    """The permissions as the manifest has them."""
    document: dict[str, Any] = {}
    for key in sorted(result.needs):
        kind, _, name = key.partition(":")
        reason = result.reason(key)
        if kind == "storage":
            document["storage"] = {"size": _size(int(name)), "reason": reason}
            continue
        word = {"network": "to", "secrets": "name", "publish": "event", "call": "plugin"}[kind]
        document.setdefault(kind, []).append({word: name, "reason": reason})
    order = ("network", "storage", "secrets", "publish", "call")
    return {kind: document[kind] for kind in order if kind in document}


def to_yaml(result: Suggestion, *, with_sources: bool) -> str:
    """The block of the manifest, with comments that say where each line comes from."""
    document = to_document(result)
    if not document:
        return "permissions: {}\n"
    return "permissions:\n" + "".join(_lines(result, document, with_sources=with_sources))


def _lines(result: Suggestion, document: Mapping[str, Any], *, with_sources: bool) -> Iterator[str]:
    sources = {key.partition(":")[2]: found for key, found in result.needs.items()}
    for kind, entries in document.items():
        yield f"  {kind}:\n"
        for entry in [entries] if isinstance(entries, dict) else entries:
            (word, name), (_, reason) = entry.items()
            known = sources.get(name) or next(
                (found for key, found in result.needs.items() if key.startswith("storage:")), set()
            )
            remark = f"  # {_explain(known)}" if with_sources else ""
            begin, indent = ("    ", "    ") if kind == "storage" else ("    - ", "      ")
            yield f"{begin}{word}: {_scalar(name)}{remark}\n"
            yield f"{indent}reason: {_scalar(reason)}\n"


def _explain(sources: set[str]) -> str:
    words = {CODE: "the code does it", SEEN: "seen in runs or a trial", DECLARED: "as declared"}
    return ", ".join(words[source] for source in sorted(sources))


def replace_permissions(text: str, result: Suggestion) -> str:
    """The manifest with the suggested permissions; everything outside of them stays.

    Raises: Failure, when the place cannot be found; nothing is guessed.
    """
    from heimnetz_manifest import InvalidManifest, parse_manifest

    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines()
    begin, end = _find_block(lines)
    block = to_yaml(result, with_sources=False).splitlines() if result.needs else []
    changed = newline.join([*lines[:begin], *block, *lines[end:], ""])
    try:
        found = parse_manifest(changed.encode()).permissions
    except InvalidManifest as error:
        raise Failure(
            f"the permissions cannot be replaced in place ({error.detail}); "
            "copy what is printed without --write",
            Exit.CONFLICT,
        ) from None
    if dict(found.asked()) != {key: result.reason(key) for key in result.needs}:
        raise Failure("the permissions cannot be replaced in place", Exit.CONFLICT)
    return changed


def _find_block(lines: list[str]) -> tuple[int, int]:
    begin = next((n for n, line in enumerate(lines) if re.match(r"permissions\s*:", line)), None)
    if begin is None:
        return len(lines), len(lines)
    end = begin + 1
    for number in range(begin + 1, len(lines)):
        line = lines[number]
        if line[:1] in {" ", "\t"} and line.strip():
            end = number + 1
        elif line.strip() and not line.startswith("#"):
            break
    return begin, end


def _size(size_bytes: int) -> str:
    for unit, factor in _UNITS:
        if size_bytes % factor == 0:
            return f"{size_bytes // factor} {unit}"
    return f"{size_bytes} B"


def _scalar(text: str) -> str:
    """Plain where every reader agrees that it is a text."""
    is_plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9 ,.;/()-]*[A-Za-z0-9.)]", text) is not None
    is_target = re.fullmatch(r"[a-z][a-z0-9.-]*:[0-9]+", text) is not None
    if text.lower() in {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}:
        is_plain = False
    is_size = re.fullmatch(r"[0-9]+ (B|KiB|MiB|GiB)", text) is not None
    return text if is_plain or is_target or is_size else json.dumps(text, ensure_ascii=False)
