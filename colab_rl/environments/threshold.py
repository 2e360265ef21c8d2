"""When an environment counts as solved."""

from __future__ import annotations

import contextlib

import gymnasium

from colab_rl.environments.make import EnvironmentSource


def goal_of(source: EnvironmentSource, target_score: float | None) -> float | None:
    """The score that a run is after: its target, or else the one from which the environment counts as solved."""
    return score_threshold(source) if target_score is None else target_score


def score_threshold(source: EnvironmentSource) -> float | None:
    """The mean return from which gymnasium calls an id solved; None for a function, and if gymnasium names none."""
    with contextlib.suppress(gymnasium.error.Error, ImportError):
        return gymnasium.spec(source.rpartition(":")[2]).reward_threshold if isinstance(source, str) else None
    return None
