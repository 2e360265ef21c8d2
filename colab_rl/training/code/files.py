"""The definitions in the source files that a training reaches by its imports, and a hash of each.

A definition is a statement of a module: a function, a class, a constant. Its hash is that of its syntax tree, without
what changes no number: comments, docstrings, formatting, type annotations, imports, help texts, the texts of errors.
It depends neither on the file that holds the definition nor on the version of Python.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import sys
import sysconfig
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NamedTuple

# An edit of colab_rl elsewhere cannot change a training state.
FOLLOWED = {"algorithms", "environments", "evaluation", "networks", "settings", "training"}
# What in there changes no state either: it lists what there is, or tells, names, draws and writes.
ASIDE = {"registry", "presets", "channels", "descriptions", "guard", "episode", "metrics", "stopping", "tensorboard"}
# Fields of a syntax tree that are annotations, or that say how something was written and not what it does.
IGNORED = {"annotation", "returns", "type_comment", "type_params", "ctx", "kind", "msg"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class FileCode(NamedTuple):
    """What a source file holds.

    definitions: a hash of each.
    imports: of each the module, the name in it (empty for `import module`), and the name that it has here.
    """

    definitions: list[str]
    imports: list[tuple[str, str, str]]


def reached(roots: Iterable[str]) -> dict[str, list[str]]:
    """The hashes of the definitions in the root modules and in all that they import, directly or not, by module.

    Of colab_rl only FOLLOWED is reached, and of other packages only what is not installed: a user's own files.
    Raises OSError, SyntaxError, ValueError or RecursionError if a file cannot be read.
    """
    found: dict[str, list[str]] = {}
    waiting = [(root, "") for root in roots]
    seen = set(waiting)
    while waiting:
        module, name = waiting.pop()
        if name and source_file(f"{module}.{name}"):
            module, name = f"{module}.{name}", ""
        path = source_file(module)
        if path is None:
            if is_followed(module):
                raise FileNotFoundError(f"{module} has no source file")
            continue
        code = read_file(path, path.stat().st_mtime_ns, module)
        imports = {(base, what) for base, what, here in code.imports}
        if is_ours(module) and path.name == "__init__.py":  # it only hands on names, of which one is asked for
            imports = {(base, what) for base, what, here in code.imports if here == name}
        else:
            found[module] = code.definitions
        if not is_ours(module) and "." in module:  # Python runs a package's file before those in it
            imports.add((module.rpartition(".")[0], ""))
        waiting += imports - seen
        seen |= imports
    return found


def source_file(module: str) -> Path | None:
    """The file of a module if it is one of ours that is followed, or a user's own. Nothing is imported to find it."""
    top, *inner = module.split(".")
    if is_ours(module) and not is_followed(module):
        return None
    spec = getattr(sys.modules.get(top), "__spec__", None) or PathFinder.find_spec(top)
    if spec is None:
        return None
    folders = spec.submodule_search_locations
    if folders is None:
        candidates = [Path(spec.origin or "")] if not inner else []
    else:
        candidates = [Path(folder, *inner, "__init__.py") for folder in folders]
        candidates += [Path(folder, *inner[:-1], f"{inner[-1]}.py") for folder in folders if inner]
    return next((path for path in candidates if path.suffix == ".py" and path.is_file()
                 and (is_ours(module) or not is_installed(path))), None)


def is_ours(module: str) -> bool:
    """Whether a module is one of colab_rl."""
    return module.partition(".")[0] == "colab_rl"


def is_followed(module: str) -> bool:
    """Whether a module is one of colab_rl that can change a training state."""
    top, *inner = module.split(".")
    return is_ours(top) and bool(inner) and inner[0] in FOLLOWED and ASIDE.isdisjoint(inner)


def is_installed(path: Path) -> bool:
    """Whether a file belongs to Python or to an installed package: `versions` compares those."""
    return not {"site-packages", "dist-packages"}.isdisjoint(path.parts) \
        or path.is_relative_to(sysconfig.get_path("stdlib"))


@functools.cache
def read_file(path: Path, changed: int, module: str) -> FileCode:
    """What a module's source file holds. `changed` is when it did, in ns: then it is read again."""
    tree = ast.parse(path.read_bytes())
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    imports = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(alias.name, "", alias.asname or alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[:len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            imports += [(base, alias.name, alias.asname or alias.name) for alias in node.names]
    texts = filter(None, map(_text, tree.body))
    return FileCode([hashlib.sha256(text.encode()).hexdigest() for text in texts], imports)


def _text(node: Any) -> str:
    """A piece of a syntax tree as one line, empty if it changes no number."""
    if isinstance(node, list):
        return ",".join(filter(None, map(_text, node)))
    if not isinstance(node, ast.AST):
        return repr(node)
    node = _essence(node)
    if node is None:
        return ""
    fields = [(name, getattr(node, name, None)) for name in node._fields if name not in IGNORED]
    parts = [f"{name}=[{text}]" for name, value in fields if value is not None and (text := _text(value))]
    return f"{type(node).__name__}({' '.join(parts)})"


def _essence(node: ast.AST) -> ast.AST | None:
    """What a node does, None if it changes no number."""
    match node:
        case ast.Name() | ast.Attribute() | ast.Constant() | ast.arg():  # most of them: looked at first
            return node
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
                      for one in node.body if not isinstance(one, FUNCTIONS)]
            methods = sorted((one for one in node.body if isinstance(one, FUNCTIONS)), key=lambda one: one.name)
            return ast.ClassDef(node.name, node.bases, node.keywords, [*fields, *methods], node.decorator_list)
    return node
