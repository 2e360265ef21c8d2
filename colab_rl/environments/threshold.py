"""When an environment counts as solved."""

from __future__ import annotations

import contextlib

import gymnasium

from colab_rl.environments.make import EnvironmentSource


def score_threshold(source: EnvironmentSource) -> float | None:
    """The mean return from which gymnasium calls an id solved; None for a function, and if gymnasium names none."""
    with contextlib.suppress(gymnasium.error.Error, ImportError):
        return gymnasium.spec(source.rpartition(":")[2]).reward_threshold if isinstance(source, str) else None
    return None
