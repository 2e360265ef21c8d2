"""What an environment looks like from outside."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ObservationSpec:
    """How one observation is kept, from the environment to the minibatch: float32 numbers, or uint8 for images."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    def zeros(self, *leading: int) -> np.ndarray:
        """(*leading, *shape) zeros, for so many observations."""
        return np.zeros((*leading, *self.shape), self.dtype)

    def to_json(self) -> dict[str, Any]:
        """What run.json keeps of it."""
        return {"shape": list(self.shape), "dtype": self.dtype}


@dataclass(frozen=True)
class Spaces:
    """The observations and the action space of one environment.

    observation: how an observation is kept.
    discrete: whether an action is one of `action_dim` choices, counted from `first_action`,
        or a vector of `action_dim` numbers.
    action_low, action_high: (action_dim,) float32 bounds of continuous actions, empty otherwise.
    sample_dtype: of what the environment's action space samples; empty for `action_dtype`.
    sample_low, sample_high: its bounds of continuous actions, if float32 does not hold them; else empty.
    code: what the environment is made of in this process, see loaded_code.
    """

    observation: ObservationSpec
    discrete: bool
    action_dim: int
    first_action: int
    action_low: np.ndarray
    action_high: np.ndarray
    code: Mapping[str, str] = field(default_factory=dict, repr=False)
    sample_dtype: str = ""
    sample_low: tuple[float, ...] = ()
    sample_high: tuple[float, ...] = ()

    @property
    def action_shape(self) -> tuple[int, ...]:
        """Shape of one action: () where discrete, (action_dim,) otherwise."""
        return () if self.discrete else (self.action_dim,)

    @property
    def action_dtype(self) -> type:
        """int64 where discrete, float32 otherwise."""
        return np.int64 if self.discrete else np.float32

    def to_json(self) -> dict[str, Any]:
        """What run.json keeps of them. A bound is None where there is none."""
        low, high = ([number if math.isfinite(number) else None for number in bounds.tolist()]
                     for bounds in (self.action_low, self.action_high))
        return {"observation": self.observation.to_json(), "discrete": self.discrete, "action_dim": self.action_dim,
                "first_action": self.first_action, "action_low": low, "action_high": high,
                "sample_dtype": self.sample_dtype, "sample_low": list(self.sample_low),
                "sample_high": list(self.sample_high)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Spaces | None:
        """Those that run.json has kept, None if it lacks some of them, as the first runs of 0.1.0 do."""
        if not {"first_action", "action_low", "action_high"} <= set(saved):
            return None
        low, high = ([sign * math.inf if number is None else number for number in saved[name]]
                     for name, sign in (("action_low", -1), ("action_high", 1)))
        observation = saved.get("observation") or {"shape": [saved["obs_dim"]]}
        return cls(ObservationSpec(tuple(observation["shape"]), observation.get("dtype", "float32")),
                   saved["discrete"], saved["action_dim"], saved["first_action"], np.array(low, np.float32),
                   np.array(high, np.float32), sample_dtype=saved.get("sample_dtype", ""),
                   sample_low=tuple(saved.get("sample_low", ())), sample_high=tuple(saved.get("sample_high", ())))

    def same_as(self, saved: Mapping[str, Any]) -> bool:
        """Whether they are those that run.json has kept.

        Version 0.1.0 kept the length of a flat observation, and its first runs no bounds.
        """
        if "obs_dim" in saved:
            saved = {**saved, "observation": ObservationSpec((saved["obs_dim"],)).to_json()}
        return all(saved.get(name, value) == value for name, value in self.to_json().items())
