"""Telling a person what happens: lines and bars, at most once a second.

They go to standard error, which leaves standard output to results. A notebook shows standard error in red, as an error:
there they go to standard output.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from tqdm.auto import tqdm  # a worker process needs none, and it takes a sixth of its start


class _Aside:
    """The stream as it is by now. What it does not take is dropped: a closed terminal must not end a training."""

    def write(self, text: str) -> None:
        with contextlib.suppress(AttributeError, OSError, ValueError):
            aside().write(text)

    def flush(self) -> None:
        with contextlib.suppress(AttributeError, OSError, ValueError):
            aside().flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(aside(), name)


def aside() -> Any:
    """Where lines for people go: standard output in a notebook's cell, standard error elsewhere."""
    return sys.stdout if type(sys.stdout).__module__.startswith("ipykernel") else sys.stderr


ASIDE = _Aside()


def say(line: str) -> None:
    """Prints a line above whatever bar is shown."""
    from tqdm.auto import tqdm

    tqdm.write(line, file=ASIDE)


def how_far(step: int, total_steps: int, finished: bool) -> str:
    """How far a training has come, in words."""
    if finished:
        early = "target reached, " if step < total_steps else ""
        return f"finished: {early}{step:,} steps"
    return f"step {step:,} of {total_steps:,} ({100 * step / total_steps:.0f} %)"


def progress_bar(total: int, description: str, unit: str, **options: Any) -> tqdm:
    """A bar that appears after two seconds and moves at most once a second."""
    from tqdm.auto import tqdm

    return tqdm(**{"total": total, "desc": description, "unit": unit, "delay": 2, "mininterval": 1,
                   "maxinterval": 2, "dynamic_ncols": True, "file": ASIDE, **options})


@runtime_checkable
class Watcher(Protocol):
    """What shows the progress of training instead of a progress bar: a notebook's live plot.

    A row is one iteration's metrics (docs/reference/metrics.md). What these calls take is taken from training.
    """

    def past(self, row: Mapping[str, float]) -> None:
        """A row of an earlier session; all of them come first, oldest first."""

    def goal(self, total_steps: int) -> None:
        """Training to this many steps begins, or is found finished."""

    def row(self, row: Mapping[str, float], where: str) -> None:
        """A new row; `where` says the newest checkpoint and its place."""


class Dispensable:
    """Something that shows a training and must not end it, such as a watcher: its methods, and none of their errors.

    A line tells the first error, and no more calls come through. A stop (KeyboardInterrupt) always does.
    """

    def __init__(self, shower: Any, name: str):
        self._shower, self._name, self._works = shower, name, True
        for method in dir(shower):
            if not method.startswith("_"):
                # As an attribute: from Python 3.12 on, isinstance with a Protocol does not ask __getattr__.
                setattr(self, method, partial(self._call, method))

    def _call(self, method: str, *arguments: Any) -> None:
        try:
            if self._works:
                getattr(self._shower, method)(*arguments)
        except Exception as error:
            self._works = False
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            say(f"{self._name} shows nothing more of this session ({reason}); training continues without it")

    if TYPE_CHECKING:
        def __getattr__(self, method: str) -> Any:
            """For the type checker: a method of what it guards."""
