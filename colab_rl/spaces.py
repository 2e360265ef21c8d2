"""What an environment looks like from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Spaces:
    """Flat observations and the action space of one environment.

    obs_dim: length of an observation (float32).
    discrete: whether an action is one of `action_dim` choices, counted from `first_action`,
        or a vector of `action_dim` numbers.
    action_low, action_high: (action_dim,) float32 bounds of continuous actions, empty otherwise.
    """

    obs_dim: int
    discrete: bool
    action_dim: int
    first_action: int
    action_low: np.ndarray
    action_high: np.ndarray

    @property
    def action_shape(self) -> tuple[int, ...]:
        """Shape of one action: () where discrete, (action_dim,) otherwise."""
        return () if self.discrete else (self.action_dim,)

    @property
    def action_dtype(self) -> type:
        """int64 where discrete, float32 otherwise."""
        return np.int64 if self.discrete else np.float32

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint must agree with."""
        return {"obs_dim": self.obs_dim, "discrete": self.discrete, "action_dim": self.action_dim}
