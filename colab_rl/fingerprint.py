"""Fingerprints of code: what a definition does, and not how it is written down."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable


def fingerprint(*definitions: Callable | type) -> str:
    """16 hexadecimal digits of the source of functions and classes, less comments, docstrings, annotations and layout.

    Empty if the source of one cannot be read.
    """
    try:
        sources = [textwrap.dedent(inspect.getsource(definition)) for definition in definitions]
    except (OSError, TypeError):
        return ""
    texts = [ast.unparse(Bare().visit(ast.parse(source))) for source in sources]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


class Bare(ast.NodeTransformer):
    """Leaves out docstrings and annotations."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drops a docstring; what it leaves empty is never run."""
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Drops annotations."""
        node.returns = None
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node
