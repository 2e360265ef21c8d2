"""The storage that docs/extending shows, `memory:NAME`, as a module."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

PATH = Path(__file__).parents[1] / "docs" / "extending" / "storage.py"

# Under this file's own name: an import of it gives the skeleton.
_spec = importlib.util.spec_from_file_location(__name__, PATH)
assert _spec and _spec.loader
sys.modules[__name__] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules[__name__])
