"""Runs the code that the documentation shows: a block whose first line is the name of its file."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


def documented_code(name: str) -> str:
    """The block of docs/extending.md that begins with `# NAME.py`."""
    return re.search(rf"^```python\n(# {name}\.py\n.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)[1]


def documented_module(name: str) -> types.ModuleType:
    """That block as a module, which others can import from now on."""
    if name not in sys.modules:
        module = types.ModuleType(name)
        exec(compile(documented_code(name), f"{name}.py", "exec"), vars(module))
        sys.modules[name] = module
    return sys.modules[name]
