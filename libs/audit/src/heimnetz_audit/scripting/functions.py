"""Functions, classes and patterns of JavaScript, written as the tree that the engine walks."""

import ast
from collections.abc import Iterable
from typing import Final

from tree_sitter import Node

from heimnetz_audit.scripting import nodes
from heimnetz_audit.scripting.writing import Writer, parts_of

_TARGETS: Final = {
    "object_pattern": "_object_pattern",
    "array_pattern": "_array_pattern",
    "rest_pattern": "_rest_pattern",
    "assignment_pattern": "_default_pattern",
    "object_assignment_pattern": "_default_pattern",
    "shorthand_property_identifier_pattern": "identifier",
}


class Functions(Writer):
    """What has a body or a pattern of its own."""

    def function(self, node: Node) -> ast.expr:
        return self.make(nodes.Function(function=self.procedure(node)), node)

    def procedure(
        self, node: Node, *, first: str = "", marks: tuple[str, ...] = (), name: str = ""
    ) -> nodes.Procedure:
        """`first` is a parameter that stands before all others: `this`, of a method."""
        named = node.child_by_field_name("name")
        name = name or (self.text(named) if named is not None else "<function>")
        body = node.child_by_field_name("body")
        arguments, prologue = self._parameters(node, first)
        statements: list[ast.stmt] = []
        if body is not None and body.type == "statement_block":
            statements = self.block(parts_of(body))
        elif body is not None:
            statements = [self.make(ast.Return(value=self.expression(body)), body)]
        made = nodes.Procedure(
            name=name,
            args=arguments,
            body=[*prologue, *statements] or [self.make(ast.Pass(), node)],
            decorator_list=[],
            returns=None,
        )
        made.marks = marks
        return self.make(made, node)

    def _parameters(self, node: Node, first: str) -> tuple[ast.arguments, list[ast.stmt]]:
        listed = node.child_by_field_name("parameters")
        single = node.child_by_field_name("parameter")
        given = [single] if single is not None else parts_of(listed) if listed else []
        names = [ast.arg(arg=first, annotation=None)] if first else []
        defaults: list[ast.expr] = []
        prologue: list[ast.stmt] = []
        rest: ast.arg | None = None
        for position, each in enumerate(each for each in given if each.type != "comment"):
            default: ast.expr | None = None
            if each.type == "assignment_pattern":
                default = self.field(each, "right")
                each = each.child_by_field_name("left") or each  # noqa: PLW2901 - without its default
            if each.type == "rest_pattern":
                rest = self.make(ast.arg(arg=self.text(each).lstrip(". \n"), annotation=None), each)
                break
            plain = each.type == "identifier"
            name = self.text(each) if plain else f"${position}"
            names.append(self.make(ast.arg(arg=name, annotation=None), each))
            if not plain:
                value = self.name(name, each)
                target = self.target(each)
                made = self.assign(target, value, each, declares=True)
                prologue.append(self.make(ast.Expr(value=made), each))
            if default is not None or defaults:
                defaults.append(default or self.nothing(each))
        arguments = ast.arguments(
            posonlyargs=[], args=names, vararg=rest, kwonlyargs=[], kw_defaults=[], kwarg=None,
            defaults=defaults,
        )  # fmt: skip
        return arguments, prologue

    def _class(self, node: Node) -> ast.expr:
        return self.make(nodes.Class(definition=self.class_of(node)), node)

    def class_of(self, node: Node) -> ast.ClassDef:
        named = node.child_by_field_name("name")
        body = node.child_by_field_name("body")
        bases: list[ast.expr] = []
        for each in parts_of(node):
            if each.type == "class_heritage":
                bases.extend(self.expression(inner) for inner in parts_of(each))
        statements: list[ast.stmt] = []
        for each in parts_of(body) if body is not None else ():
            statements.extend(self._class_member(each))
        made = ast.ClassDef(
            name=self.text(named) if named is not None else "<class>",
            bases=bases,
            keywords=[],
            body=statements or [self.make(ast.Pass(), node)],
            decorator_list=[],
        )
        return self.make(made, node)

    def _class_member(self, node: Node) -> Iterable[ast.stmt]:
        words = {each.type for each in node.children}
        if node.type == "method_definition":
            named = node.child_by_field_name("name")
            name = self.text(named) if named is not None else "<method>"
            self.identifiers.add(name)
            if "static" in words:
                yield self.procedure(node, marks=("staticmethod",))
            else:
                marks = ("property",) if "get" in words else ()
                own = (
                    "__init__"
                    if name == "constructor"
                    else f"set {name}"
                    if "set" in words
                    else name
                )
                yield self.procedure(node, first="this", marks=marks, name=own)
        elif node.type == "field_definition":
            named, value = node.child_by_field_name("property"), node.child_by_field_name("value")
            if named is not None and value is not None and named.type != "computed_property_name":
                target = self.name(self.text(named), named)
                made = self.assign(target, self.expression(value), node, declares=True)
                yield self.make(ast.Expr(value=made), node)
        elif node.type == "class_static_block":
            inner = node.child_by_field_name("body")
            yield from self.block(parts_of(inner)) if inner is not None else []

    # --- what stands on the left ------------------------------------------------------------

    def target(self, node: Node) -> ast.expr:
        self.enter()
        try:
            handler = _TARGETS.get(node.type)
            return getattr(self, handler)(node) if handler is not None else self.expression(node)
        finally:
            self.leave()

    def _object_pattern(self, node: Node) -> ast.expr:
        keys: list[ast.expr] = []
        targets: list[ast.expr] = []
        rest: ast.expr | None = None
        for each in parts_of(node):
            if each.type == "pair_pattern":
                value = each.child_by_field_name("value")
                keys.append(self.key(each.child_by_field_name("key"), each))
                targets.append(self.target(value) if value is not None else self.nothing(each))
            elif each.type == "rest_pattern":
                rest = self.target(parts_of(each)[0])
            elif each.type != "comment":
                left = each.child_by_field_name("left") or each
                keys.append(self.make(ast.Constant(value=self.text(left)), each))
                self.identifiers.add(self.text(left))
                targets.append(self.target(each))
        return self.make(nodes.ObjectPattern(keys=keys, targets=targets, rest=rest), node)

    def _array_pattern(self, node: Node) -> ast.expr:
        parts = [self.target(each) for each in parts_of(node) if each.type != "comment"]
        return self.make(ast.List(elts=parts, ctx=ast.Store()), node)

    def _rest_pattern(self, node: Node) -> ast.expr:
        inner = self.target(parts_of(node)[0])
        return self.make(ast.Starred(value=inner, ctx=ast.Store()), node)

    def _default_pattern(self, node: Node) -> ast.expr:
        left = node.child_by_field_name("left")
        target = self.target(left) if left is not None else self.nothing(node)
        return self.make(nodes.Default(target=target, value=self.field(node, "right")), node)
