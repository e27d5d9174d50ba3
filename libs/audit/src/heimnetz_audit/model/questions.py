"""The question that most flow checks ask: does something from outside reach this argument?"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from heimnetz_audit.model.checks import LOCAL, OUTSIDE, REMOTE, Hit, Question
from heimnetz_audit.model.findings import Confidence, Severity
from heimnetz_audit.model.values import Call, Taint, Value

ORIGINS: Final = {
    "request": "a request",
    "passed": "a request",
    "dump": "the whole environment",
    "output": "the output of a program",
    "input": "the input of the plugin",
    "argument": "the command line",
    "environment": "the environment",
    "file": "a file",
    "network": "an answer from the network",
    "decoded": "decoded data",
    "secret": "stored credentials",
    "clipboard": "the clipboard",
    "screenshot": "the screen",
    "keys": "pressed keys",
    "system": "the identity of the system",
    "listing": "the names of files",
}
Condition = Callable[[Call, Value, Taint], bool]


def origin(taint: Taint) -> str:
    return ORIGINS.get(taint.kind, taint.kind)


def tainted(
    sink: str,
    message: str,
    *positions: int | str,
    sources: frozenset[str] = OUTSIDE,
    severity: Severity = Severity.HIGH,
    condition: Condition | None = None,
    every: bool = False,
) -> Question:
    """A question about arguments by position or keyword; `{}` in the message is the origin.

    Data that the owner of the machine chose (arguments, environment, files) weighs less than what
    somebody else sent.
    """

    def ask(call: Call) -> Iterator[Hit]:
        for value in _chosen(call, positions, every=every):
            for taint in call.live(value, sink, sources):
                if condition is not None and not condition(call, value, taint):
                    continue
                level, sure = weigh(taint, severity)
                text = message.format(origin(taint))
                yield Hit(message=text, severity=level, confidence=sure, taint=taint)
                return

    return ask


def weigh(taint: Taint, severity: Severity) -> tuple[Severity, Confidence]:
    if taint.kind == "passed":
        # The request as a whole went through code that is not there.
        return min(severity, Severity.MEDIUM), Confidence.LOW
    if taint.kind in REMOTE:
        return severity, Confidence.HIGH
    if taint.kind in LOCAL:
        return min(severity, Severity.LOW), Confidence.LOW
    return min(severity, Severity.MEDIUM), Confidence.MEDIUM


def _chosen(call: Call, positions: Iterable[int | str], *, every: bool) -> Iterator[Value]:
    if every:
        yield from call.every()
        return
    for position in positions:
        if isinstance(position, int):
            if position == -1 and call.receiver is not None:
                yield call.receiver
            elif 0 <= position < len(call.args):
                yield call.args[position]
            elif call.has_more and call.args:
                yield call.args[-1]
        elif position in call.keywords:
            yield call.keywords[position]


def on(names: str, question: Question) -> dict[str, Question]:
    """The same question for each of the names, which are divided by blanks."""
    return dict.fromkeys(names.split(), question)


def stands_within(value: Value, taint: Taint, marks: str) -> bool:
    """Whether the text of the taint stands between one of these marks in a larger text."""
    parts = value.parts
    if parts is None:
        return False
    for before, part in zip(("", *parts), parts, strict=False):
        if isinstance(part, Value) and any(t.chain[0] == taint.chain[0] for t in part.taints):
            return isinstance(before, str) and before != "" and before[-1] in marks
    return False


def leads(value: Value, taint: Taint) -> bool:
    """Whether the text of the taint is the beginning of the value, or may be."""
    parts = value.parts
    if parts is None:
        return True
    first = parts[0]
    return isinstance(first, Value) and any(t.chain[0] == taint.chain[0] for t in first.taints)
