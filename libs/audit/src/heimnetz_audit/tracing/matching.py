"""Patterns of `match`: whether a value fits, and what the names in the pattern are bound to."""

import ast
from collections.abc import Callable

from heimnetz_audit.model.values import Value, constant
from heimnetz_audit.tracing import folding, guarding
from heimnetz_audit.tracing.engine import Engine
from heimnetz_audit.tracing.heap import State

Assign = Callable[[Engine, State, ast.expr, Value], None]


def fits(
    engine: Engine, state: State, subject: Value, pattern: ast.pattern, assign: Assign
) -> bool | None:
    """None when it depends on what is not known."""
    if isinstance(pattern, ast.MatchValue | ast.MatchSingleton):
        return _fits_value(engine, state, subject, pattern)
    if isinstance(pattern, ast.MatchAs):
        found: bool | None = True
        if pattern.pattern is not None:
            found = fits(engine, state, subject, pattern.pattern, assign)
        if pattern.name is not None:
            state.env[pattern.name] = subject
        return found
    if isinstance(pattern, ast.MatchOr):
        answers = [fits(engine, state, subject, each, assign) for each in pattern.patterns]
        if True in answers:
            return True
        return None if None in answers else False
    if isinstance(pattern, ast.MatchSequence):
        return _fits_sequence(engine, state, subject, pattern, assign)
    return _bind_all(state, subject, pattern)


def _fits_value(
    engine: Engine, state: State, subject: Value, pattern: ast.MatchValue | ast.MatchSingleton
) -> bool | None:
    if isinstance(pattern, ast.MatchValue):
        wanted = engine.evaluate(state, pattern.value)
    else:
        wanted = constant(pattern.value)
    answer = folding.compare(ast.Eq, subject, wanted)
    if answer is not None:
        return guarding.truth(answer, state)
    implied = guarding.compared(ast.Eq, subject, wanted, state)
    guarding.refine(state, Value(implies=implied), holds=True)
    return None


def _fits_sequence(
    engine: Engine, state: State, subject: Value, pattern: ast.MatchSequence, assign: Assign
) -> bool | None:
    elements = state.heap.elements(subject)
    if elements is None or any(isinstance(p, ast.MatchStar) for p in pattern.patterns):
        return _bind_all(state, state.heap.content(subject), pattern)
    if len(elements) != len(pattern.patterns):
        return False
    answers = [
        fits(engine, state, each, inner, assign)
        for each, inner in zip(elements, pattern.patterns, strict=True)
    ]
    if False in answers:
        return False
    return None if None in answers else True


def _bind_all(state: State, subject: Value, pattern: ast.pattern) -> bool | None:
    for node in ast.walk(pattern):
        name = getattr(node, "name", None) or getattr(node, "rest", None)
        if isinstance(name, str):
            state.env[name] = subject.replaced(consts=None, parts=None)
    return None
