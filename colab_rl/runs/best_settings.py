"""What a sweep found best, for a run that begins with it: `train NAME --from SWEEP`."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import Any

from colab_rl.errors import StorageError, UsageError
from colab_rl.runs.identity import PLAN_JSON, SWEEPS
from colab_rl.runs.places import Places
from colab_rl.storage import NotFound

BEST_JSON = "best.json"  # of each sweep


@dataclass(frozen=True, kw_only=True)
class BestSettings:
    """The settings of a sweep's best trial.

    score: the interquartile mean of its runs' scores. settings: those over the preset's, without the seed.
    env_path: where the function is that makes the environment, such as `module:name`; None if nobody knows.
    env_kwargs: keyword arguments for gymnasium.make, or for the function.
    ended_runs: how many runs had ended when this was written.
    """

    sweep: str
    trial: int
    score: float
    env_id: str
    env_is_function: bool
    algorithm: str
    settings: dict[str, Any]
    env_path: str | None = None
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    ended_runs: int = 0


def best_settings(places: Places, sweep: str) -> BestSettings | None:
    """Of a sweep, from here or the store: of two copies the one that more runs had ended for.

    None if there is no sweep of that name. Raises UsageError if no trial of it has finished.
    """
    found, exists = [], False
    for storage in filter(None, (places.local(f"{SWEEPS}/{sweep}"), places.remote(f"{SWEEPS}/{sweep}"))):
        with contextlib.suppress(NotFound, StorageError):
            exists = bool(storage.get(PLAN_JSON)) or exists
        with contextlib.suppress(NotFound, StorageError, ValueError, TypeError):
            found.append(BestSettings(**json.loads(storage.get(BEST_JSON))))
    if exists and not found:
        raise UsageError(f"no trial of sweep {sweep} has finished; nothing was started; train it first: "
                         f"python -m colab_rl sweep {sweep}{places.options}")
    return max(found, key=lambda best: best.ended_runs, default=None)
