"""What every vector environment does, whoever steps it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np

from colab_rl.spaces import Spaces


class StepResult(NamedTuple):
    """What one step of `num_envs` environments gave. The arrays are reused by the next step."""

    observations: np.ndarray  # (N, obs_dim) float32
    rewards: np.ndarray       # (N,) float64
    terminated: np.ndarray    # (N,) bool: the episode ended of itself
    truncated: np.ndarray     # (N,) bool: it was cut off, by a time limit say


class VectorEnvironment(ABC):
    """Several environments stepped together, with Gymnasium's NEXT_STEP autoreset.

    The step that ends an episode returns its final observation. The step after it ignores
    the action, begins the next episode and returns its first observation with reward 0:
    that row is no transition, and `ended` marks it beforehand.

    backend: who steps them, as run.json names it.
    observations: (N, obs_dim) float32, what the next actions answer.
    ended: (N,) bool, True where the next step only resets.
    """

    backend: str
    spaces: Spaces
    num_envs: int
    observations: np.ndarray
    ended: np.ndarray

    @abstractmethod
    def reset(self) -> np.ndarray:
        """Begins the first episode everywhere; returns `observations`."""

    @abstractmethod
    def step(self, actions: np.ndarray) -> StepResult:
        """Takes (N,) int64 choices or (N, action_dim) float32 vectors within the bounds.

        Raises EnvironmentFault where an environment raises, returns NaN or is gone.
        """

    def renew(self, index: int) -> bool:
        """Called at regular checkpoints, with the iteration, before `snapshot`; whether episodes were cut off.

        What can save its environments in the middle of their episodes leaves them alone. What cannot
        begins others from here, which depend on the run's seed and `index` alone.
        """
        return False

    @abstractmethod
    def snapshot(self) -> dict[str, Any]:
        """All that `restore` needs to go on exactly from here, in this process or another."""

    @abstractmethod
    def restore(self, snapshot: dict[str, Any]) -> list[str]:
        """Goes back to a snapshot. Returns why that is not exact, an empty list where it is."""

    @abstractmethod
    def close(self) -> None:
        """Ends what runs behind it. May be called twice."""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
