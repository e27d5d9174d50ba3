"""Statements of JavaScript, written as the tree that the engine walks."""

import ast
from collections.abc import Iterable, Sequence
from typing import Final

from tree_sitter import Node

from heimnetz_audit.scripting import nodes
from heimnetz_audit.scripting.expressions import Expressions
from heimnetz_audit.scripting.writing import TooDeep, TooLarge, parts_of

__all__ = ["Lowering", "TooDeep", "TooLarge"]

_FUNCTIONS: Final = frozenset({"function_declaration", "generator_function_declaration"})
_LEAVES: Final = frozenset(
    {"break_statement", "return_statement", "throw_statement", "continue_statement"}
)
_STATEMENTS: Final = {
    "expression_statement": "_expression_statement",
    "variable_declaration": "_declaration",
    "lexical_declaration": "_declaration",
    "function_declaration": "_function_statement",
    "generator_function_declaration": "_function_statement",
    "class_declaration": "_class_statement",
    "statement_block": "_block",
    "if_statement": "_if",
    "for_statement": "_for",
    "for_in_statement": "_for_in",
    "while_statement": "_while",
    "do_statement": "_while",
    "switch_statement": "_switch",
    "try_statement": "_try",
    "return_statement": "_return",
    "throw_statement": "_throw",
    "break_statement": "_break",
    "continue_statement": "_continue",
    "labeled_statement": "_labelled",
    "with_statement": "_labelled",
    "import_statement": "_import_statement",
    "export_statement": "_export",
    "empty_statement": "_ignored",
    "debugger_statement": "_ignored",
    "comment": "_ignored",
    "html_comment": "_ignored",
    "hash_bang_line": "_ignored",
}


class Lowering(Expressions):
    """One walk over the syntax tree of one script."""

    def module(self, root: Node) -> list[ast.stmt]:
        """Raises: TooDeep."""
        return [self.make(nodes.Prelude(), root), *self.block(parts_of(root))]

    def block(self, statements: Sequence[Node]) -> list[ast.stmt]:
        """Functions are there before the first statement runs."""
        first = [each for each in statements if _declares_function(each)]
        rest = (
            [each for each in statements if not _declares_function(each)] if first else statements
        )
        return [made for each in (*first, *rest) for made in self.statement(each)]

    def statement(self, node: Node) -> list[ast.stmt]:
        handler = _STATEMENTS.get(node.type)
        if handler is None:
            return [self.plain(self.expression(node), node)]
        self.enter()
        try:
            made: list[ast.stmt] = getattr(self, handler)(node)
            return made
        finally:
            self.leave()

    def plain(self, value: ast.expr, node: Node) -> ast.stmt:
        return self.make(ast.Expr(value=value), node)

    def body_of(self, node: Node | None) -> list[ast.stmt]:
        if node is None:
            return []
        if node.type == "statement_block":
            return self.block(parts_of(node))
        return self.statement(node)

    def _expression_statement(self, node: Node) -> list[ast.stmt]:
        inner = parts_of(node)
        if len(inner) == 1 and inner[0].type == "sequence_expression":
            return [self.plain(self.expression(each), each) for each in _parts(inner[0])]
        return [self.plain(self.expression(each), node) for each in inner]

    def _declaration(self, node: Node) -> list[ast.stmt]:
        made: list[ast.stmt] = []
        for each in parts_of(node):
            if each.type != "variable_declarator":
                continue
            name, value = each.child_by_field_name("name"), each.child_by_field_name("value")
            if name is None:
                continue
            if value is None and node.type == "variable_declaration":
                # `var` may stand behind the first assignment, and changes nothing there.
                continue
            worth = self.expression(value) if value is not None else self.nothing(each)
            made.append(
                self.plain(self.assign(self.target(name), worth, each, declares=True), each)
            )
        return made

    def _function_statement(self, node: Node) -> list[ast.stmt]:
        return [self.procedure(node)]

    def _class_statement(self, node: Node) -> list[ast.stmt]:
        return [self.class_of(node)]

    def _block(self, node: Node) -> list[ast.stmt]:
        return self.block(parts_of(node))

    def _if(self, node: Node) -> list[ast.stmt]:
        test = self.field(node, "condition")
        body = self.body_of(node.child_by_field_name("consequence"))
        alternative = node.child_by_field_name("alternative")
        orelse = self.block(parts_of(alternative)) if alternative is not None else []
        return [self.make(ast.If(test=test, body=body or self._pass(node), orelse=orelse), node)]

    def _pass(self, node: Node) -> list[ast.stmt]:
        return [self.make(ast.Pass(), node)]

    def _for(self, node: Node) -> list[ast.stmt]:
        start = node.child_by_field_name("initializer")
        condition = node.child_by_field_name("condition")
        step = node.child_by_field_name("increment")
        made = self.statement(start) if start is not None else []
        test = self._condition(condition, node)
        body = self.body_of(node.child_by_field_name("body"))
        if step is not None:
            body.append(self.plain(self.expression(step), step))
        return [*made, self.make(ast.While(test=test, body=body, orelse=[]), node)]

    def _condition(self, node: Node | None, outer: Node) -> ast.expr:
        """Never constant: that a loop has no end says nothing about the ways out of it."""
        if node is None or node.type == "empty_statement":
            return self.make(nodes.Mixture(elts=[]), outer)
        if node.type == "expression_statement":
            node = parts_of(node)[0]
        found = self.expression(node)
        if isinstance(found, ast.Constant):
            return self.make(nodes.Mixture(elts=[]), node)
        return found

    def _for_in(self, node: Node) -> list[ast.stmt]:
        left, right = node.child_by_field_name("left"), self.field(node, "right")
        operator = node.child_by_field_name("operator")
        if operator is not None and operator.type == "in":
            right = self.make(nodes.Keys(value=right), node)
        item = self.name("$item", node)
        target = self.target(left) if left is not None else item
        first = self.plain(self.assign(target, self.name("$item", node), node, declares=True), node)
        body = [first, *self.body_of(node.child_by_field_name("body"))]
        return [self.make(ast.For(target=item, iter=right, body=body, orelse=[]), node)]

    def _while(self, node: Node) -> list[ast.stmt]:
        test = self._condition(node.child_by_field_name("condition"), node)
        body = self.body_of(node.child_by_field_name("body"))
        return [self.make(ast.While(test=test, body=body or self._pass(node), orelse=[]), node)]

    def _switch(self, node: Node) -> list[ast.stmt]:
        """A chain of comparisons in a loop that runs once, which `break` leaves."""
        subject = self.field(node, "value")
        holder = self.name("$switch", node)
        made = [self.plain(self.assign(holder, subject, node, declares=True), node)]
        body = node.child_by_field_name("body")
        cases = [each for each in parts_of(body) if each.type.startswith("switch_")] if body else []
        chain: list[ast.stmt] = []
        default: list[ast.stmt] = []
        for position, case in enumerate(cases):
            inside = self._case(cases[position:])
            if case.type == "switch_default":
                default = inside
                continue
            value = self.field(case, "value")
            test = self.make(
                nodes.Compare(left=self.name("$switch", case), ops=[ast.Eq()], comparators=[value]),
                case,
            )
            chain.append(self.make(ast.If(test=test, body=inside, orelse=[]), case))
        once = self.make(ast.Tuple(elts=[self.nothing(node)], ctx=ast.Load()), node)
        whole = [*chain, *default] or self._pass(node)
        loop = ast.For(target=self.name("$once", node), iter=once, body=whole, orelse=[])
        return [*made, self.make(loop, node)]

    def _case(self, cases: Sequence[Node]) -> list[ast.stmt]:
        """The statements of a case, and of those that it falls through to."""
        made: list[ast.stmt] = []
        for case in cases[:3]:
            inside = case.children_by_field_name("body")
            if len(inside) == 1 and inside[0].type == "statement_block":
                inside = parts_of(inside[0])
            made.extend(self.block(inside))
            if inside and inside[-1].type in _LEAVES:
                return made
            if inside and case is not cases[0]:
                break
        return [*made, self.make(ast.Break(), cases[0])]

    def _try(self, node: Node) -> list[ast.stmt]:
        body = self.body_of(node.child_by_field_name("body"))
        handler = node.child_by_field_name("handler")
        final = node.child_by_field_name("finalizer")
        handlers = []
        if handler is not None:
            caught = self.body_of(handler.child_by_field_name("body"))
            parameter = handler.child_by_field_name("parameter")
            name = self.text(parameter) if parameter and parameter.type == "identifier" else None
            made = ast.ExceptHandler(type=None, name=name, body=caught or self._pass(handler))
            handlers.append(self.make(made, handler))
        last = self.body_of(final.child_by_field_name("body")) if final is not None else []
        body = body or self._pass(node)
        return [self.make(ast.Try(body=body, handlers=handlers, orelse=[], finalbody=last), node)]

    def _return(self, node: Node) -> list[ast.stmt]:
        inner = parts_of(node)
        value = self.expression(inner[0]) if inner else None
        return [self.make(ast.Return(value=value), node)]

    def _throw(self, node: Node) -> list[ast.stmt]:
        inner = parts_of(node)
        value = self.expression(inner[0]) if inner else None
        return [self.make(ast.Raise(exc=value, cause=None), node)]

    def _break(self, node: Node) -> list[ast.stmt]:
        return [self.make(ast.Break(), node)]

    def _continue(self, node: Node) -> list[ast.stmt]:
        return [self.make(ast.Continue(), node)]

    def _labelled(self, node: Node) -> list[ast.stmt]:
        return self.body_of(node.child_by_field_name("body"))

    def _ignored(self, _node: Node) -> list[ast.stmt]:
        return []

    def _import_statement(self, node: Node) -> list[ast.stmt]:
        source = node.child_by_field_name("source")
        clause = next((each for each in parts_of(node) if each.type == "import_clause"), None)
        if source is None:
            return []
        loaded = self.required(source)
        if clause is None:
            return [self.plain(loaded, node)]
        holder = self.name("$import", node)
        made = [self.plain(self.assign(holder, loaded, node, declares=True), node)]
        for each in parts_of(clause):
            if each.type == "identifier":
                made.append(self._bound(each, self._part_of("$import", "default", node), node))
            elif each.type == "namespace_import":
                made.append(self._bound(parts_of(each)[0], self.name("$import", node), node))
            elif each.type == "named_imports":
                made.extend(self._specifiers(each, node))
        return made

    def _specifiers(self, named: Node, node: Node) -> Iterable[ast.stmt]:
        for each in parts_of(named):
            name = each.child_by_field_name("name")
            alias = each.child_by_field_name("alias") or name
            if name is not None and alias is not None:
                value = self._part_of("$import", self.text(name), node)
                yield self._bound(alias, value, node)

    def _bound(self, name: Node, value: ast.expr, node: Node) -> ast.stmt:
        return self.plain(
            self.assign(self.name(self.text(name), name), value, node, declares=True), node
        )

    def _part_of(self, owner: str, name: str, node: Node) -> ast.expr:
        return self.member(self.name(owner, node), name, node)

    def _export(self, node: Node) -> list[ast.stmt]:
        declaration = node.child_by_field_name("declaration")
        value = node.child_by_field_name("value")
        source = node.child_by_field_name("source")
        is_default = any(each.type == "default" for each in node.children)
        if declaration is not None:
            made = self.statement(declaration)
            names = list(_declared(declaration))
            for name in names:
                exported = "default" if is_default else self.text(name)
                made.append(self._exported(exported, self.name(self.text(name), name), node))
            return made
        if value is not None:
            return [self._exported("default", self.expression(value), node)]
        made = []
        owner: str | None = None
        if source is not None:
            owner = "$import"
            holder = self.name(owner, node)
            made.append(
                self.plain(self.assign(holder, self.required(source), node, declares=True), node)
            )
            if any(each.type == "*" for each in node.children):
                spread = ast.Dict(keys=[None], values=[self.name(owner, node)])
                target = self.member(self.name("module", node), "exports", node)
                made.append(self.plain(self.assign(target, self.make(spread, node), node), node))
        for clause in parts_of(node):
            if clause.type == "export_clause":
                made.extend(self._export_specifiers(clause, owner, node))
        return made

    def _export_specifiers(self, clause: Node, owner: str | None, node: Node) -> Iterable[ast.stmt]:
        for each in parts_of(clause):
            name = each.child_by_field_name("name")
            if name is None:
                continue
            alias = each.child_by_field_name("alias") or name
            own = self.text(name)
            value = self._part_of(owner, own, node) if owner else self.name(own, name)
            yield self._exported(self.text(alias), value, node)

    def _exported(self, name: str, value: ast.expr, node: Node) -> ast.stmt:
        target = self.member(self.name("exports", node), name, node)
        return self.plain(self.assign(target, value, node), node)


def _parts(sequence: Node) -> Iterable[Node]:
    """Of `a, b, c`, which nests to either side."""
    waiting = [sequence]
    while waiting:
        node = waiting.pop()
        if node.type == "sequence_expression":
            waiting.extend(reversed(parts_of(node)))
        else:
            yield node


def _declares_function(node: Node) -> bool:
    if node.type in _FUNCTIONS:
        return True
    if node.type != "export_statement":
        return False
    inner = node.child_by_field_name("declaration")
    return inner is not None and inner.type in _FUNCTIONS


def _declared(node: Node) -> Iterable[Node]:
    """The plain names that a declaration binds."""
    name = node.child_by_field_name("name")
    if name is not None:
        yield name
    for each in parts_of(node):
        if each.type == "variable_declarator":
            bound = each.child_by_field_name("name")
            if bound is None:
                continue
            if bound.type == "identifier":
                yield bound
            else:
                yield from (
                    inner for inner in parts_of(bound)
                    if inner.type == "shorthand_property_identifier_pattern"
                )  # fmt: skip
