"""Errors for people: one line that says what happened, what was kept and what to do.

Whatever a person can cause ends in one of these; the command line prints the line and
leaves with `exit_code`, without a traceback.
"""

from __future__ import annotations

import contextlib
import difflib
import warnings
from collections.abc import Iterable, Iterator


class ColabRLError(Exception):
    """Something failed outside the program: a disk, a store, an environment, a file."""

    exit_code = 1

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in place of a traceback."""
        return [f"error: {self}"]


class UsageError(ColabRLError):
    """What was asked for does not exist, is out of range, or contradicts the run."""

    exit_code = 2


class EnvironmentFault(ColabRLError):
    """An environment raised, returned NaN, or its worker process died."""


class OwnCodeFault(ColabRLError):
    """A person's own algorithm or network raised an error, or lacks what it must have."""


class UnfitNetwork(OwnCodeFault, UsageError):
    """A person's own network cannot be trained: its trial found what would spoil a run."""


class Divergence(ColabRLError):
    """A loss or a parameter is no longer a finite number."""


class StorageError(ColabRLError):
    """A storage could not do what was asked; trying again later may help."""


class StorageRefused(StorageError):
    """A storage will not do it until a person changes something: no space, no right, no login."""


@contextlib.contextmanager
def warnings_raise_nothing() -> Iterator[None]:
    """While entered, no warning is an exception, as `-W error` has it: importing Box2D crashes Python by one.

    What is no exception stays as it is. IPython makes one of a category of its own, and to show all others for that
    would put a red box into each notebook.
    """
    raised = [one[2] for one in warnings.filters if one[0] == "error"]
    if not raised:
        yield
        return
    with warnings.catch_warnings():
        for category in raised:
            warnings.simplefilter("default", category)
        yield


def near(word: str, candidates: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """Those of the candidates, at most three, that are spelt like the word, or of which it is a whole part or the
    beginning: `size` of `stack_size`, `gym` of `gymnasium`.
    """
    word, by_lower_case = str(word).lower(), {candidate.lower(): candidate for candidate in candidates}
    parts = [name for name in by_lower_case if len(word) > 2 and (name.startswith(word) or word in name.split("_"))]
    matches = [*difflib.get_close_matches(word, by_lower_case, 3, cutoff), *parts]
    return [by_lower_case[match] for match in dict.fromkeys(matches)][:3]


def nearest(word: str, candidates: Iterable[str]) -> str:
    """A hint such as `; did you mean 'gamma'?`, or the empty string if nothing is near."""
    matches = near(word, candidates)
    return "; did you mean " + " or ".join(map(repr, matches)) + "?" if matches else ""
