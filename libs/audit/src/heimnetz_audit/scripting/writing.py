"""Nodes of the tree that the engine walks, made within bounds."""

import ast
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, TypeVar

from tree_sitter import Node

from heimnetz_audit.scripting import nodes

#: Of one syntax tree; each level costs the engine some calls that wait for each other.
DEPTH_LIMIT: Final = 220
#: Of one file; each takes about half a kilobyte (measured with CPython 3.11).
NODES_LIMIT: Final = 250_000
_Made = TypeVar("_Made", bound=ast.AST)


class TooLarge(Exception):
    """The code has more parts than one audit holds in memory."""


class TooDeep(Exception):
    """The code nests deeper than the engine walks."""


def parts_of(node: Node) -> list[Node]:
    """The children that are more than punctuation.

    `node.named_children` keeps what it made as long as the tree lives, at twice its size.
    """
    cursor = node.walk()
    found: list[Node] = []
    more = cursor.goto_first_child()
    while more:
        child = cursor.node
        if child is not None and child.is_named and child.type != "comment":
            found.append(child)
        more = cursor.goto_next_sibling()
    return found


class Writer(ABC):
    """Makes nodes, and counts them."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        #: Every node that was made.
        self.nodes: list[ast.AST] = []
        self.identifiers: set[str] = set()
        self.requires: list[tuple[str, int]] = []
        self._depth = 0

    def enter(self) -> None:
        self._depth += 1
        if self._depth > DEPTH_LIMIT:
            raise TooDeep

    def leave(self) -> None:
        self._depth -= 1

    def make(self, made: _Made, node: Node) -> _Made:
        made.lineno = node.start_point[0] + 1  # type: ignore[attr-defined]
        made.end_lineno = node.end_point[0] + 1  # type: ignore[attr-defined]
        self.nodes.append(made)
        if len(self.nodes) > NODES_LIMIT:
            raise TooLarge
        return made

    def text(self, node: Node) -> str:
        return self.source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def name(self, name: str, node: Node) -> nodes.Name:
        return self.make(nodes.Name(id=name, ctx=ast.Load()), node)

    def nothing(self, node: Node) -> ast.Constant:
        return self.make(ast.Constant(value=None), node)

    def member(self, owner: ast.expr, name: str, node: Node) -> nodes.Member:
        self.identifiers.add(name)
        return self.make(nodes.Member(value=owner, attr=name, ctx=ast.Load()), node)

    def assign(
        self, target: ast.expr, value: ast.expr, node: Node, *, declares: bool = False
    ) -> nodes.Assign:
        made = self.make(nodes.Assign(target=target, value=value), node)
        made.declares = declares
        return made

    def field(self, node: Node, name: str) -> ast.expr:
        found = node.child_by_field_name(name)
        return self.expression(found) if found is not None else self.nothing(node)

    @abstractmethod
    def expression(self, node: Node) -> ast.expr:
        """Raises: TooDeep, TooLarge."""

    @abstractmethod
    def identifier(self, node: Node) -> ast.expr:
        """A variable, or the name of one."""

    @abstractmethod
    def key(self, node: Node | None, outer: Node) -> ast.expr:
        """The name of a member, as a value."""

    @abstractmethod
    def block(self, statements: Sequence[Node]) -> list[ast.stmt]:
        """Raises: TooDeep, TooLarge."""
