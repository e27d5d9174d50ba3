"""Expressions of JavaScript, written as the tree that the engine walks."""

import ast
from collections.abc import Iterable
from typing import Any, Final

from tree_sitter import Node

from heimnetz_audit.scripting import literals, nodes
from heimnetz_audit.scripting.functions import Functions
from heimnetz_audit.scripting.writing import parts_of

_BINARY: Final[dict[str, type[ast.operator]]] = {
    "+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div, "%": ast.Mod, "**": ast.Pow,
    "&": ast.BitAnd, "|": ast.BitOr, "^": ast.BitXor, "<<": ast.LShift, ">>": ast.RShift,
    ">>>": ast.RShift,
}  # fmt: skip
_COMPARED: Final[dict[str, type[ast.cmpop]]] = {
    "==": ast.Eq, "===": ast.Eq, "!=": ast.NotEq, "!==": ast.NotEq, "<": ast.Lt, "<=": ast.LtE,
    ">": ast.Gt, ">=": ast.GtE, "in": ast.In,
}  # fmt: skip
_LOGICAL: Final[dict[str, type[ast.boolop]]] = {"&&": ast.And, "||": ast.Or, "??": ast.Or}
_EXPRESSIONS: Final = {
    "identifier": "identifier",
    "this": "identifier",
    "super": "identifier",
    "undefined": "_constant",
    "null": "_constant",
    "true": "_constant",
    "false": "_constant",
    "string": "string",
    "number": "_number",
    "regex": "_regex",
    "template_string": "_template",
    "array": "_array",
    "object": "_object",
    "spread_element": "_spread",
    "function_expression": "function",
    "generator_function": "function",
    "arrow_function": "function",
    "class": "_class",
    "parenthesized_expression": "_inner",
    "await_expression": "_inner",
    "call_expression": "_call",
    "new_expression": "_new",
    "import": "_import",
    "member_expression": "_member",
    "subscript_expression": "_subscript",
    "binary_expression": "_binary",
    "unary_expression": "_unary",
    "update_expression": "_update",
    "ternary_expression": "_ternary",
    "assignment_expression": "_assignment",
    "augmented_assignment_expression": "_augmented",
    "sequence_expression": "_sequence",
    "yield_expression": "_yield",
}


class Expressions(Functions):
    """What a value is made of; statements are written by the class below this one."""

    def expression(self, node: Node) -> ast.expr:
        handler = _EXPRESSIONS.get(node.type)
        self.enter()
        try:
            if handler is not None:
                made: ast.expr = getattr(self, handler)(node)
                return made
            parts = [self.expression(each) for each in parts_of(node)]
            return self.make(nodes.Mixture(elts=parts), node)
        finally:
            self.leave()

    def required(self, source: Node) -> ast.expr:
        """`require("...")` for an import of the same module."""
        argument = self.expression(source)
        call = nodes.Call(func=self.name("require", source), args=[argument], keywords=[])
        self._note_require(argument, source)
        return self.make(call, source)

    def _note_require(self, argument: ast.expr, node: Node) -> None:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            self.requires.append((argument.value, node.start_point[0] + 1))

    # --- plain values -----------------------------------------------------------------------

    def identifier(self, node: Node) -> ast.expr:
        name = self.text(node)
        self.identifiers.add(name)
        return self.name(name, node)

    def string(self, node: Node) -> ast.expr:
        raw = self.source[node.start_byte + 1 : node.end_byte - 1].decode("utf-8", "replace")
        return self.make(ast.Constant(value=literals.text(raw)), node)

    def _number(self, node: Node) -> ast.expr:
        return self.make(ast.Constant(value=literals.number(self.text(node))), node)

    def _constant(self, node: Node) -> ast.expr:
        known: dict[str, Any] = {"true": True, "false": False}
        return self.make(ast.Constant(value=known.get(node.type)), node)

    def _regex(self, node: Node) -> ast.expr:
        pattern, flags = node.child_by_field_name("pattern"), node.child_by_field_name("flags")
        text = self.text(pattern) if pattern is not None else ""
        marks = self.text(flags) if flags is not None else ""
        return self.make(nodes.Regex(pattern=literals.pattern(text), flags=marks), node)

    def _template(self, node: Node) -> ast.expr:
        parts: list[ast.expr] = []
        for each in parts_of(node):
            if each.type == "template_substitution":
                inner = [self.expression(part) for part in parts_of(each)]
                if inner:
                    made = ast.FormattedValue(value=inner[0], conversion=-1, format_spec=None)
                    parts.append(self.make(made, each))
            elif each.type in ("string_fragment", "escape_sequence"):
                text = literals.text(self.text(each))
                parts.append(self.make(ast.Constant(value=text), each))
        if not parts:
            return self.make(ast.Constant(value=""), node)
        if len(parts) == 1 and isinstance(parts[0], ast.Constant):
            return parts[0]
        return self.make(ast.JoinedStr(values=parts), node)

    def _array(self, node: Node) -> ast.expr:
        return self.make(ast.List(elts=list(self._all(node)), ctx=ast.Load()), node)

    def _all(self, node: Node) -> Iterable[ast.expr]:
        for each in parts_of(node):
            if each.type != "comment":
                yield self.expression(each)

    def _spread(self, node: Node) -> ast.expr:
        inner = self.expression(parts_of(node)[0])
        return self.make(ast.Starred(value=inner, ctx=ast.Load()), node)

    def _object(self, node: Node) -> ast.expr:
        keys: list[ast.expr | None] = []
        values: list[ast.expr] = []
        for each in parts_of(node):
            if each.type == "pair":
                keys.append(self.key(each.child_by_field_name("key"), each))
                values.append(self.field(each, "value"))
            elif each.type == "spread_element":
                keys.append(None)
                values.append(self.expression(parts_of(each)[0]))
            elif each.type == "method_definition":
                keys.append(self.key(each.child_by_field_name("name"), each))
                values.append(self.function(each))
            elif each.type == "shorthand_property_identifier":
                keys.append(self.make(ast.Constant(value=self.text(each)), each))
                values.append(self.identifier(each))
        return self.make(ast.Dict(keys=keys, values=values), node)

    def key(self, node: Node | None, outer: Node) -> ast.expr:
        if node is None:
            return self.nothing(outer)
        if node.type == "computed_property_name":
            return self.expression(parts_of(node)[0])
        if node.type == "string":
            return self.string(node)
        name = self.text(node)
        self.identifiers.add(name)
        return self.make(ast.Constant(value=name), node)

    # --- operations -------------------------------------------------------------------------

    def _member(self, node: Node) -> ast.expr:
        named = node.child_by_field_name("property")
        owner = self.field(node, "object")
        return self.member(owner, self.text(named) if named is not None else "", node)

    def _subscript(self, node: Node) -> ast.expr:
        owner, key = self.field(node, "object"), self.field(node, "index")
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            return self.member(owner, key.value, node)
        return self.make(nodes.Index(value=owner, slice=key, ctx=ast.Load()), node)

    def _call(self, node: Node) -> ast.expr:
        function = node.child_by_field_name("function")
        given = node.child_by_field_name("arguments")
        called = self.expression(function) if function is not None else self.nothing(node)
        if isinstance(called, nodes.Sequence) and called.elts:
            # `(0, f)()` only keeps `f` from seeing an owner.
            called = called.elts[-1]
        args = self._arguments(given)
        made = self.make(nodes.Call(func=called, args=args, keywords=[]), node)
        made.is_tagged = given is not None and given.type == "template_string"
        if isinstance(called, nodes.Name) and called.id == "require" and args:
            self._note_require(args[0], node)
        return made

    def _arguments(self, given: Node | None) -> list[ast.expr]:
        if given is None:
            return []
        if given.type == "template_string":
            return [self._template(given)]
        return list(self._all(given))

    def _new(self, node: Node) -> ast.expr:
        made = nodes.New(
            func=self.field(node, "constructor"),
            args=self._arguments(node.child_by_field_name("arguments")),
            keywords=[],
        )
        return self.make(made, node)

    def _import(self, node: Node) -> ast.expr:
        return self.name("require", node)

    def _binary(self, node: Node) -> ast.expr:
        # A long sum nests to the left, and is walked without recursion.
        chain = [node]
        left = node.child_by_field_name("left")
        while left is not None and left.type == "binary_expression":
            chain.append(left)
            left = left.child_by_field_name("left")
        value = self.expression(left) if left is not None else self.nothing(node)
        for link in reversed(chain):
            value = self._operated(link, value)
        return value

    def _operated(self, node: Node, left: ast.expr) -> ast.expr:
        operator = node.child_by_field_name("operator")
        word = operator.type if operator is not None else ""
        right = self.field(node, "right")
        if word in _BINARY:
            return self.make(ast.BinOp(left=left, op=_BINARY[word](), right=right), node)
        if word in _LOGICAL:
            kind = _LOGICAL[word]
            if isinstance(left, ast.BoolOp) and isinstance(left.op, kind):
                left.values.append(right)
                return left
            return self.make(ast.BoolOp(op=kind(), values=[left, right]), node)
        if word in _COMPARED:
            made = nodes.Compare(left=left, ops=[_COMPARED[word]()], comparators=[right])
            return self.make(made, node)
        return self.make(nodes.Mixture(elts=[left, right]), node)

    def _unary(self, node: Node) -> ast.expr:
        operator = node.child_by_field_name("operator")
        word = operator.type if operator is not None else ""
        value = self.field(node, "argument")
        if word == "typeof":
            return self.make(nodes.TypeOf(value=value), node)
        kinds: dict[str, type[ast.unaryop]] = {
            "!": ast.Not, "-": ast.USub, "+": ast.UAdd, "~": ast.Invert
        }  # fmt: skip
        if word in kinds:
            return self.make(ast.UnaryOp(op=kinds[word](), operand=value), node)
        if word == "void":
            return self.make(nodes.Sequence(elts=[value, self.nothing(node)]), node)
        return self.make(nodes.Mixture(elts=[value]), node)

    def _assignment(self, node: Node) -> ast.expr:
        target = node.child_by_field_name("left")
        value = self.field(node, "right")
        if target is None:
            return value
        return self.assign(self.target(target), value, node)

    def _augmented(self, node: Node) -> ast.expr:
        operator = node.child_by_field_name("operator")
        word = operator.type.removesuffix("=") if operator is not None else ""
        target, right = node.child_by_field_name("left"), self.field(node, "right")
        if target is None:
            return right
        left = self.expression(target)
        value: ast.expr
        if word in _LOGICAL:
            value = self.make(ast.BoolOp(op=_LOGICAL[word](), values=[left, right]), node)
        else:
            operation = _BINARY.get(word, ast.BitOr)
            value = self.make(ast.BinOp(left=left, op=operation(), right=right), node)
        return self.assign(self.target(target), value, node)

    def _update(self, node: Node) -> ast.expr:
        target = node.child_by_field_name("argument")
        if target is None:
            return self.nothing(node)
        one = self.make(ast.Constant(value=1), node)
        value = self.make(ast.BinOp(left=self.expression(target), op=ast.Add(), right=one), node)
        return self.assign(self.target(target), value, node)

    def _ternary(self, node: Node) -> ast.expr:
        made = ast.IfExp(
            test=self.field(node, "condition"),
            body=self.field(node, "consequence"),
            orelse=self.field(node, "alternative"),
        )
        return self.make(made, node)

    def _sequence(self, node: Node) -> ast.expr:
        return self.make(nodes.Sequence(elts=list(self._all(node))), node)

    def _inner(self, node: Node) -> ast.expr:
        inner = [each for each in parts_of(node) if each.type != "comment"]
        return self.expression(inner[0]) if inner else self.nothing(node)

    def _yield(self, node: Node) -> ast.expr:
        return self.make(ast.Yield(value=self._inner(node)), node)
