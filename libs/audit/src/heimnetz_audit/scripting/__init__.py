"""JavaScript: read by tree-sitter, and written as the syntax tree that the engine walks.

The engine walks Python's syntax tree. What JavaScript has in common with Python becomes the same
node; what it has not becomes one of the nodes of `nodes`, which the engine knows how to walk too.
So there is one engine, and a check asks about both languages.
"""

from heimnetz_audit.scripting.parsing import Unreadable, is_script, parse, resolve

__all__ = ["Unreadable", "is_script", "parse", "resolve"]
