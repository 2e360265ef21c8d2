"""Telling a person what goes on: lines and bars on standard error, at most once a second."""

from __future__ import annotations

import sys
from typing import Any

from tqdm.auto import tqdm


def say(line: str) -> None:
    """Prints a line above whatever bar is shown. Standard output is left to results."""
    tqdm.write(line, file=sys.stderr)


def progress_bar(total: int, description: str, unit: str, **options: Any) -> tqdm:
    """A bar that appears after two seconds and moves at most once a second."""
    return tqdm(**{"total": total, "desc": description, "unit": unit, "delay": 2, "mininterval": 1,
                   "maxinterval": 2, "dynamic_ncols": True, **options})
