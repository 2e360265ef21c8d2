"""The source files that a training reaches by its imports, and a hash of each definition in them (fingerprint.py)."""

from __future__ import annotations

import ast
import functools
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NamedTuple

from colab_rl.fingerprint import hashes_of

# An edit of colab_rl elsewhere cannot change a training state.
FOLLOWED = {"algorithms", "arithmetic", "environments", "evaluation", "fingerprint", "networks", "settings", "training"}
# Files and folders in there that change no state either: they list what there is, or choose, tell, name and write.
STATELESS = {"algorithms.own", "algorithms.registry", "algorithms.unsaved", "environments.backends",
         "environments.channels", "environments.guard", "environments.loaded_code", "environments.threshold",
         "environments.trial", "evaluation.episode", "presets", "training.code", "training.metrics",
         "training.request", "training.result", "training.session", "training.stopping", "training.tensorboard"}


class FileCode(NamedTuple):
    """What a source file holds.

    definitions: a hash of each.
    imports: of each the module and the name in it, empty for `import module`.
    """

    definitions: list[str]
    imports: set[tuple[str, str]]


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
            module = f"{module}.{name}"
        path = source_file(module)
        if path is None:
            if is_followed(module):
                raise FileNotFoundError(f"{module} has no source file")
            continue
        found[module], imports = read_code(path, path.stat().st_mtime_ns, module)
        package = module.rpartition(".")[0]
        new = (imports | {(package, "")} if package else imports) - seen  # Python runs a package's own file too
        waiting += new
        seen |= new
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
    folder = module.removeprefix("colab_rl.").partition(".")[0]
    return is_ours(module) and folder in FOLLOWED and not any(f".{name}." in f"{module}." for name in STATELESS)


def is_installed(path: Path) -> bool:
    """Whether a file belongs to Python or to an installed package: `versions` compares those."""
    return not {"site-packages", "dist-packages"}.isdisjoint(path.parts) \
        or path.is_relative_to(sysconfig.get_path("stdlib"))


@functools.cache
def read_code(path: Path, changed: int, module: str) -> FileCode:
    """What a module's source file holds. `changed` is when it did, in ns: then it is read again."""
    tree = ast.parse(path.read_bytes())
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    imports = set()
    for node in _statements(tree.body):
        if isinstance(node, ast.Import):
            imports |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[:len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            imports |= {(base, alias.name) for alias in node.names}
    return FileCode(hashes_of(tree), imports)


def _statements(body: list[Any]) -> Iterator[Any]:
    """All statements, those within others too."""
    for node in body:
        yield node
        for inner in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from _statements(getattr(node, inner, []))
