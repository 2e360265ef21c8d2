"""Hashes of code: of what a definition does, and not of how it is written down.

What changes no number does not count: comments, docstrings, formatting, type annotations, imports, help texts and the
texts of errors. A hash depends neither on the file that holds the definition nor on the version of Python.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

# Fields of a syntax tree that are annotations, or that say how something was written and not what it does.
IGNORED = {"annotation", "returns", "type_comment", "type_params", "ctx", "kind", "msg"}
FUNCTION_NODES = (ast.FunctionDef, ast.AsyncFunctionDef)


def fingerprint(*definitions: Callable | type) -> str:
    """16 hexadecimal digits of the source of functions and classes. Empty if the source of one cannot be read."""
    try:
        sources = [textwrap.dedent(inspect.getsource(definition)) for definition in definitions]
    except (OSError, TypeError):
        return ""
    return _hash("\n".join(_text(ast.parse(source).body) for source in sources))[:16]


def hashes_of(tree: ast.Module) -> list[str]:
    """A hash of each definition in a module: of each statement, be it a function, a class or a constant."""
    return [_hash(text) for text in map(_text, tree.body) if text]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _text(node: Any) -> str:
    """A piece of a syntax tree as one line, empty if it changes no number."""
    if isinstance(node, list):
        return ",".join(filter(None, map(_text, node)))
    if not isinstance(node, ast.AST):
        return repr(node)
    if not isinstance(node, ast.expr) or isinstance(node, ast.Call):
        node = _essence(node)
        if node is None:
            return ""
    parts = [type(node).__name__]
    for name in node._fields:
        if name not in IGNORED and (value := getattr(node, name, None)) is not None and (text := _text(value)):
            parts.append(f"{name}=[{text}]")
    return f"({' '.join(parts)})"


def _essence(node: ast.AST) -> ast.AST | None:
    """What a node does, None if it changes no number."""
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Expr(ast.Constant(str())) | ast.AnnAssign(_, _, None) \
                | ast.Assign([ast.Name("__all__")]) | ast.If(ast.Name("TYPE_CHECKING"), _, []):
            return None
        case ast.AnnAssign(target, _, ast.expr() as value):
            return ast.Assign([target], value)
        case ast.Raise(ast.Call(kind)):
            return ast.Raise(kind)
        case ast.Call(ast.Name("setting"), [default, _]):  # of settings.py: a default and a help text
            return ast.Call(node.func, [default], node.keywords)
        case ast.ClassDef():  # its methods in any order; fields of a dataclass in theirs, those without a default too
            fields = [ast.Expr(one.target) if isinstance(one, ast.AnnAssign) and not one.value else one
                      for one in node.body if not isinstance(one, FUNCTION_NODES)]
            methods = sorted((one for one in node.body if isinstance(one, FUNCTION_NODES)), key=lambda one: one.name)
            return ast.ClassDef(node.name, node.bases, node.keywords, [*fields, *methods], node.decorator_list)
    return node
