"""What JavaScript has and Python's syntax tree has not.

Where a class extends one of Python's, the rules of the engine for that one hold unless the walk of
this one says otherwise.
"""

import ast
from typing import Any


class _Expression(ast.expr):
    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)


class Name(ast.Name):
    """A variable, which may belong to a function around this one."""


class Member(ast.Attribute):
    """`owner.name`, and `owner["name"]`, which is the same."""


class Index(ast.Subscript):
    """`owner[key]`."""


class Call(ast.Call):
    """`function(...)`; a template with a tag is one too."""

    is_tagged: bool = False


class New(ast.Call):
    """`new Class(...)`."""


class Compare(ast.Compare):
    """One comparison."""


class Procedure(ast.FunctionDef):
    """A function with its body; `marks` says what Python says by decorators."""

    marks: tuple[str, ...] = ()
    #: Which parameter is a request; None when nobody asked yet, -1 when none is.
    handles: int | None = None


class Function(_Expression):
    """A function as a value."""

    _fields = ("function",)
    function: Procedure


class Class(_Expression):
    """A class as a value."""

    _fields = ("definition",)
    definition: ast.ClassDef


class Assign(_Expression):
    """`target = value`, or its declaration."""

    _fields = ("target", "value")
    target: ast.expr
    value: ast.expr
    declares: bool = False


class ObjectPattern(_Expression):
    """`{key: target, ...rest}` on the left of an assignment."""

    _fields = ("keys", "targets", "rest")
    keys: list[ast.expr]
    targets: list[ast.expr]
    rest: ast.expr | None


class Default(_Expression):
    """`target = value` within a pattern."""

    _fields = ("target", "value")
    target: ast.expr
    value: ast.expr


class Regex(_Expression):
    """`/pattern/flags`."""

    _fields = ("pattern", "flags")
    pattern: str
    flags: str


class Sequence(_Expression):
    """`(a, b)`, which is worth what its last part is."""

    _fields = ("elts",)
    elts: list[ast.expr]


class Mixture(_Expression):
    """Parts that are evaluated for something that is not known."""

    _fields = ("elts",)
    elts: list[ast.expr]


class TypeOf(_Expression):
    """`typeof value`."""

    _fields = ("value",)
    value: ast.expr


class Keys(_Expression):
    """What `for (key in value)` goes through."""

    _fields = ("value",)
    value: ast.expr


class Prelude(ast.stmt):
    """The beginning of a module: `module` and `exports`."""
