"""What every vector environment does, by whatever backend."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np

from colab_rl.environments.spaces import Spaces

LARGEST_REWARD = float(np.finfo(np.float32).max)


def first_non_finite(observations: np.ndarray, rewards: np.ndarray) -> tuple[int, str] | None:
    """The first number of a step that no float32 holds, in (N, n) numbers of observations or (N,) rewards: its
    row, and words such as `nan in a reward`. None if there is none.
    """
    # One sum finds every NaN and infinity in a fraction of the time of isfinite().all().
    if math.isfinite(observations.sum(dtype=np.float64)) and np.abs(rewards).max() <= LARGEST_REWARD:
        return None
    numbers = np.column_stack([observations.reshape(len(rewards), -1), rewards])
    row, column = np.argwhere(~(np.abs(numbers) <= LARGEST_REWARD))[0]
    what = "an observation" if column < numbers.shape[1] - 1 else "a reward"
    beyond = f", beyond the {LARGEST_REWARD:.1e} of a float32" if np.isfinite(numbers[row, column]) else ""
    return int(row), f"{numbers[row, column]} in {what}{beyond}"


class StepResult(NamedTuple):
    """What one step of N environments gave. The arrays are reused by their next step."""

    observations: np.ndarray  # (N, *obs_shape)
    rewards: np.ndarray       # (N,) float64
    terminated: np.ndarray    # (N,) bool: the episode ended of itself
    truncated: np.ndarray     # (N,) bool: it was cut off, by a time limit say


class VectorEnvironment(ABC):
    """Several environments stepped together, with Gymnasium's NEXT_STEP autoreset.

    The step that ends an episode returns its final observation. The step after it ignores
    the action, begins the next episode and returns its first observation with reward 0:
    that row is no transition, and `ended` marks it beforehand.

    They are stepped in groups: while those of one group step, a policy can act for another's.

    backend: who steps them, as run.json names it.
    groups: the groups' slots, in ascending order.
    observations: (N, *obs_shape), what the next actions answer.
    ended: (N,) bool, True if the next step only resets.
    """

    backend: str
    spaces: Spaces
    num_envs: int
    groups: list[slice]
    observations: np.ndarray
    ended: np.ndarray

    @abstractmethod
    def reset(self) -> np.ndarray:
        """Begins the first episode everywhere; returns `observations`."""

    @abstractmethod
    def send(self, group: slice, actions: np.ndarray) -> None:
        """Begins a step of one group.

        actions: (n,) int64 choices, (n, K) of several, or (n, action_dim) float32 vectors within the bounds, for the
            group's slots.
        """

    @abstractmethod
    def receive(self, group: slice) -> StepResult:
        """Ends the step of a group that `send` began, and waits for it; rows of the group alone.

        Raises EnvironmentFault if an environment raises, returns what no float32 holds (NaN, say) or is gone.
        """

    def step(self, actions: np.ndarray) -> StepResult:
        """Steps all groups with (N, ...) actions; see `send` and `receive`."""
        for group in self.groups:
            self.send(group, actions[group])
        parts = [self.receive(group) for group in self.groups]
        return parts[0] if len(parts) == 1 else StepResult(*map(np.concatenate, zip(*parts, strict=True)))

    def renew(self, index: int) -> bool:
        """Called at regular checkpoints, with the iteration, before `snapshot`; whether episodes were cut off.

        What can save its environments in the middle of their episodes leaves them alone. What cannot begins others
        now and then, which depend on the run's seed and `index` alone.
        """
        return False

    def check_repeats(self) -> list[str]:
        """Why an episode depends on more than its seed and actions, as far as a try tells; an empty list if it does
        not. To be called before `reset` or `restore`.
        """
        return []

    @abstractmethod
    def snapshot(self) -> dict[str, Any]:
        """All that `restore` needs to continue exactly from here, in this process or another."""

    @abstractmethod
    def restore(self, snapshot: dict[str, Any]) -> list[str]:
        """Goes back to a snapshot. Returns why that is not exact, an empty list if it is.

        If it is not, other episodes have begun everywhere: those of the snapshot never end.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends what runs behind it. May be called twice."""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
