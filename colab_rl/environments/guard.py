"""An environment's own code in this process: what it raises is told in one line, and what it prints is no result."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np

from colab_rl.errors import ColabRLError, EnvironmentFault


@contextlib.contextmanager
def prints_aside() -> Iterator[None]:
    """While entered, what is printed goes to standard error: standard output is left to results, `--json` above all."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def guarded(name: str) -> Iterator[None]:
    """While entered, what an environment raises becomes an EnvironmentFault, as where a worker process steps it, and
    what it prints goes to standard error.

    name: the environment's.
    """
    try:
        with prints_aside():
            yield
    except ColabRLError:
        raise
    except (Exception, SystemExit) as error:  # an environment may leave; this process is not its own
        raise EnvironmentFault(f"{name} failed: {in_one_line(error)}") from error


def in_one_line(error: Exception | SystemExit) -> str:
    """What was raised, and where."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    what = " ".join("".join(traceback.format_exception_only(error)).split())
    return f"{what} ({frame.filename}, line {frame.lineno})"


def wrong_shape(observation: Any, shape: tuple[int, ...]) -> ValueError:
    """That an observation is not as its space has it."""
    return ValueError(f"an observation of shape {np.shape(observation)}, where the observation space has {shape}")
