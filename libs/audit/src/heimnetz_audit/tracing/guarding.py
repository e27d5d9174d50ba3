"""What a condition proves about the values it tests.

A proven property is a pair of the value's number and the kind of sink it is harmless for.
Properties that start with `@` or are a short text ("the value lacks ..") are weighed by the
sinks, because they only help in the right place.
"""

import ast
import re
import warnings
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, Final

from heimnetz_audit.model.values import ANY, NO_FACTS, Facts, Implied, Value
from heimnetz_audit.tracing.engine import Engine
from heimnetz_audit.tracing.heap import State

#: The characters that make a text dangerous for a kind of sink; a pattern that admits none of
#: them makes the text harmless there.
DANGEROUS: Final = {
    "command": frozenset(" ;|&$`<>\n\t\"'()\\"),
    "code": frozenset("(.[\"'"),
    "sql": frozenset(" '\"\n\t;("),
    "path": frozenset("/\\"),
    "html": frozenset("<>\"'&"),
    "ldap": frozenset("*()\\|&"),
    "xpath": frozenset("'\"[/( "),
    "xml": frozenset("<&"),
    "redirect": frozenset("/\\:"),
    "ssrf": frozenset("/\\:.@"),
    "template": frozenset("{"),
    "regex": frozenset("+*({"),
    "log": frozenset("\r\n"),
    "header": frozenset("\r\n"),
    "session": frozenset(" \n<>'\"/."),
    "nosql": frozenset("${"),
}
HOST_KINDS: Final = ("redirect", "ssrf")
ALPHABET_METHODS: Final = frozenset(
    {"isalnum", "isalpha", "isdecimal", "isdigit", "isnumeric", "isidentifier"}
)
PATTERN_LIMIT: Final = 500
_PLAIN_PATHS: Final = re.compile(r"^https?://[^/?#@\\]+/|^/[A-Za-z0-9_.-]+")


def numbers(value: Value, part: str = "") -> list[int]:
    return [number for number, scope in value.guards if scope == part]


def about(value: Value, *kinds: str, part: str = "") -> Facts:
    return frozenset((number, kind) for number in numbers(value, part) for kind in kinds)


def everything(value: Value) -> Facts:
    """A test that pins the value down; for the host of an address, its targets only."""
    return about(value, ANY) | about(value, *HOST_KINDS, part="host")


def implied(facts: Facts) -> Implied:
    return Implied(facts, NO_FACTS)


def negated(implied: Implied | None) -> Implied | None:
    return None if implied is None else Implied(implied.when_false, implied.when_true)


def truth(value: Value, state: State) -> bool | None:
    """Whether a condition holds; None when it depends on what is not known."""
    if value.consts is not None:
        found = {bool(const) for const in value.consts}
        return found.pop() if len(found) == 1 else None
    if value.code is not None:
        return None
    item = state.heap.of(value)
    if item is not None and item.seq is not None and item.rest is None and not item.items:
        return bool(item.seq) or (None if item.kind == "instance" else False)
    if value.parts and any(isinstance(part, str) and part for part in value.parts):
        return True
    return None


def refine(state: State, value: Value, *, holds: bool) -> State:
    """The state on the way where the condition came out as told."""
    implied = value.implies
    if implied is None:
        return state
    facts = implied.when_true if holds else implied.when_false
    if facts:
        state.facts |= facts
    return state


def refine_none(state: State, node: ast.expr, *, holds: bool) -> None:
    """`if not name`: on the way where it is empty, the name holds nothing from outside."""
    if holds or not isinstance(node, ast.Name):
        return
    value = state.env.get(node.id)
    if value is not None and value.taints and not value.refs:
        state.facts |= about(value, ANY)


def compared(kind: type[ast.cmpop], a: Value, b: Value, state: State) -> Implied | None:
    """What `a <kind> b` proves."""
    if kind in (ast.Eq, ast.NotEq, ast.Is, ast.IsNot):
        implied = _equality(a, b, state)
    elif kind in (ast.In, ast.NotIn):
        implied = _membership(a, b, state)
    else:
        return None
    return negated(implied) if kind in (ast.NotEq, ast.NotIn, ast.IsNot) else implied


def _equality(a: Value, b: Value, state: State) -> Implied | None:
    for tested, other in ((a, b), (b, a)):
        if tested.guards and not state.heap.taints(other):
            facts = everything(tested)
            for scope in {scope for _, scope in tested.guards if scope.startswith("count:")}:
                if other.const == 0:
                    facts |= about(tested, scope.removeprefix("count:"), part=scope)
            for scope in {scope for _, scope in tested.guards if scope.startswith("end:")}:
                if isinstance(other.const, str) and other.const:
                    facts |= about(
                        tested, f"@{scope.removeprefix('end:')}:{other.const}", part=scope
                    )
            if "root" in {scope for _, scope in tested.guards}:
                facts |= about(tested, "path", part="root")
            return Implied(facts, NO_FACTS)
    return None


def _membership(a: Value, b: Value, state: State) -> Implied | None:
    if a.guards and not state.heap.taints(b):
        return Implied(everything(a), NO_FACTS)
    # `".." in path`: where it does not hold, the text does not occur.
    needle = a.text
    if needle and b.guards:
        lacks = about(b, needle)
        for scope in {scope for _, scope in b.guards if scope == "inner"}:
            lacks |= about(b, f"@inner:{needle}", part=scope)
        for scope in {scope for _, scope in b.guards if scope == "parts"}:
            lacks |= about(b, needle, part=scope)
        return Implied(NO_FACTS, lacks)
    return None


def tested(
    engine: Engine, state: State, name: str, receiver: Value | None, args: tuple[Value, ...]
) -> Implied | None:
    """What a call proves by being true; `receiver` is the object of a method."""
    method = name.rpartition(".")[2]
    if receiver is not None and receiver.guards:
        found = _tested_method(state, method, receiver, args)
        if found is not None:
            return found
    if name == "isinstance" and len(args) == 2:
        wanted = args[1].name or ""
        safe = wanted in ("int", "float", "bool", "uuid.UUID", "datetime.date")
        return Implied(everything(args[0]), NO_FACTS) if safe else None
    if method in ("url_has_allowed_host_and_scheme", "is_safe_url") and args:
        return Implied(about(args[0], *HOST_KINDS), NO_FACTS)
    if method in ("match", "fullmatch", "search") and args:
        return _tested_pattern(state, method, name, receiver, args)
    if method in ("any", "all") and args:
        return args[0].implies
    return None


def _tested_method(
    state: State, method: str, receiver: Value, args: tuple[Value, ...]
) -> Implied | None:
    if method in ALPHABET_METHODS:
        return Implied(about(receiver, ANY), NO_FACTS)
    if method in ("startswith", "endswith") and args:
        return Implied(_edge(state, method, receiver, args[0]), NO_FACTS)
    if method == "is_relative_to":
        return Implied(about(receiver, "path", part="resolved"), NO_FACTS)
    if method == "is_absolute":
        return Implied(NO_FACTS, about(receiver, "@relative"))
    return None


def _edge(state: State, method: str, receiver: Value, edge: Value) -> Facts:
    facts: Facts = NO_FACTS
    if method == "startswith" and not state.heap.taints(edge):
        # Only of a path without `..` does the beginning tell where it leads.
        facts |= about(receiver, "path", part="resolved")
        facts |= about(receiver, "@rooted")
    options = list(edge.texts())
    item = state.heap.elements(edge)
    if item is not None:
        options = [text for each in item for text in each.texts()]
    if edge.const is not ... and isinstance(edge.const, tuple):
        options = [text for text in edge.const if isinstance(text, str)]
    if not options:
        return facts
    if method == "startswith" and all(_PLAIN_PATHS.match(option) for option in options):
        facts |= about(receiver, *HOST_KINDS)
    if len(options) == 1:
        facts |= about(receiver, f"@{method}:{options[0]}")
    return facts


def _tested_pattern(
    state: State, method: str, name: str, receiver: Value | None, args: tuple[Value, ...]
) -> Implied | None:
    pattern: str | None
    if name.startswith("re."):
        pattern, subject = args[0].text, args[1] if len(args) > 1 else None
    else:
        item = state.heap.of(receiver) if receiver is not None else None
        compiled = item.items.get("pattern") if item is not None else None
        pattern, subject = compiled.text if compiled is not None else None, args[0]
    if pattern is None or subject is None or not subject.guards:
        return None
    facts = about(subject, *harmless_kinds(pattern, method))
    facts |= about(subject, *HOST_KINDS, part="host") if facts else NO_FACTS
    forbidden = forbidden_characters(pattern) if method == "search" else ""
    return Implied(facts, about(subject, *forbidden, *kinds_without(forbidden)))


def kinds_without(characters: str) -> list[str]:
    absent = frozenset(characters)
    return [kind for kind, bad in DANGEROUS.items() if bad <= absent]


def _parse(pattern: str) -> Any:
    if len(pattern) > PATTERN_LIMIT:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return parser.parse(pattern)
    except (re.error, RecursionError, OverflowError, ValueError, AssertionError):
        return None


def forbidden_characters(pattern: str) -> str:
    """Of a pattern that looks for single characters (`[;&|]`): these characters."""
    parsed = _parse(pattern)
    if parsed is None or len(parsed) != 1:
        return ""
    code, operand = parsed[0]
    if code is codes.LITERAL:
        return chr(operand)
    if code is not codes.IN:
        return ""
    found = _admitted_class(operand)
    return "".join(sorted(found)) if found is not None else ""


def harmless_kinds(pattern: str, method: str) -> tuple[str, ...]:
    """The kinds of sink that a text is harmless for when it matches the whole pattern."""
    parsed = _parse(pattern)
    if parsed is None or not len(parsed):
        return ()
    items = list(parsed)
    starts = method != "search" or _is_at(items[0], codes.AT_BEGINNING, codes.AT_BEGINNING_STRING)
    ends = method == "fullmatch" or _is_at(items[-1], codes.AT_END, codes.AT_END_STRING)
    if not starts or not ends:
        return ()
    admitted = _admitted(items)
    if admitted is None:
        return ()
    kinds = [kind for kind, bad in DANGEROUS.items() if not admitted & bad]
    return (ANY, *kinds) if len(kinds) == len(DANGEROUS) else tuple(kinds)


def _is_at(item: Any, *wanted: Any) -> bool:
    return item[0] is codes.AT and item[1] in wanted


def _admitted(items: Any) -> set[str] | None:
    """The ASCII characters that can occur in a match; None when any can."""
    found: set[str] = set()
    for code, operand in items:
        inner: set[str] | None
        if code is codes.AT:
            continue
        if code is codes.LITERAL:
            inner = {chr(operand)}
        elif code is codes.IN:
            inner = _admitted_class(operand)
        elif code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            inner = _admitted(operand[2])
        elif code is codes.SUBPATTERN:
            inner = _admitted(operand[3])
        elif code is codes.BRANCH:
            inner = _admitted([pair for branch in operand[1] for pair in branch])
        else:
            inner = None
        if inner is None:
            return None
        found |= inner
    return found


_CLASSES: Final = {
    codes.CATEGORY_DIGIT: set("0123456789"),
    codes.CATEGORY_WORD: set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"),
    codes.CATEGORY_SPACE: set(" \t\n\r\f\v"),
}


def _admitted_class(items: Any) -> set[str] | None:
    found: set[str] = set()
    for code, operand in items:
        if code is codes.LITERAL:
            found.add(chr(operand))
        elif code is codes.RANGE:
            low, high = operand
            found |= {chr(number) for number in range(low, min(high, 0x250) + 1)}
        elif code is codes.CATEGORY and operand in _CLASSES:
            found |= _CLASSES[operand]
        else:
            return None
    return found


def kept_kinds(pattern: str, replacement: str) -> list[str]:
    """What a text is harmless for after everything that `[^...]` matches was replaced."""
    parsed = _parse(pattern)
    if parsed is None or len(parsed) != 1:
        return []
    code, operand = parsed[0]
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT) and len(operand[2]) == 1:
        code, operand = operand[2][0]
    if code is codes.NOT_LITERAL:
        kept: set[str] | None = {chr(operand)}
    elif code is codes.CATEGORY and operand is codes.CATEGORY_NOT_WORD:
        kept = _CLASSES[codes.CATEGORY_WORD]
    elif code is codes.IN and operand[0][0] is codes.NEGATE:
        kept = _admitted_class(operand[1:])
    elif code is codes.IN and [*operand] == [(codes.CATEGORY, codes.CATEGORY_NOT_WORD)]:
        kept = _CLASSES[codes.CATEGORY_WORD]
    elif code is codes.IN or code is codes.LITERAL:
        removed = _admitted_class(operand) if code is codes.IN else {chr(operand)}
        return [*(removed or ()), *kinds_without("".join(removed or ()))]
    else:
        kept = None
    if kept is None:
        return []
    kept = kept | set(replacement)
    return [kind for kind, bad in DANGEROUS.items() if not kept & bad]
