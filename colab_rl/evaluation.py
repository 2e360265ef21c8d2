"""The score: deterministic episodes on stock gymnasium, one fresh environment seed an episode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from colab_rl.environments import EnvironmentSource
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.errors import EnvironmentFault
from colab_rl.progress import progress_bar
from colab_rl.spaces import Spaces

LONGEST_EPISODE = 100_000  # steps


@dataclass(frozen=True)
class EvaluationResult:
    """Returns (E,) float64 and lengths (E,) int64 of the episodes with seeds seed, seed + 1, ..."""

    returns: np.ndarray
    lengths: np.ndarray

    def and_then(self, more: EvaluationResult) -> EvaluationResult:
        """These episodes and those that follow them."""
        return EvaluationResult(np.concatenate([self.returns, more.returns]),
                                np.concatenate([self.lengths, more.lengths]))

    def summary(self) -> dict[str, float | int]:
        """What `evaluate --json` prints."""
        return {"mean": float(self.returns.mean()), "std": float(self.returns.std()),
                "min": float(self.returns.min()), "max": float(self.returns.max()),
                "mean_length": float(self.lengths.mean()), "episodes": len(self.returns)}

    def criterion(self, best_by: str) -> float:
        """The number that makes a checkpoint the best: mean, median or min of the returns."""
        statistics: dict[str, Callable] = {"mean": np.mean, "median": np.median, "min": np.min}
        return float(statistics[best_by](self.returns))


class Evaluator:
    """Worker processes for evaluation episodes, started by the first evaluation and kept for the next."""

    def __init__(self, source: EnvironmentSource, spaces: Spaces, slots: int = 20):
        self._queue: list[tuple[int, int]] = []  # (episode, seed) still to begin, the next one last
        self._running = np.full(slots, -1)
        self._envs: GymnasiumVectorEnvironment | None = None
        self._make = lambda: GymnasiumVectorEnvironment(source, spaces, slots, seeds=self._next_seed)

    def evaluate(self, act: Callable[[np.ndarray], np.ndarray], episodes: int, seed: int,
                 progress: bool = False) -> EvaluationResult:
        """Runs the episodes, several at a time.

        act: gives (B, ...) actions for (B, obs_dim) observations, each row by itself.
        """
        if self._envs is None:
            self._envs = self._make()
        envs, running = self._envs, self._running
        self._queue = [(episode, seed + episode) for episode in reversed(range(episodes))]
        running[:] = -1
        returns, lengths = np.zeros(episodes), np.zeros(episodes, np.int64)
        actions: np.ndarray = np.zeros((envs.num_envs, *envs.spaces.action_shape), envs.spaces.action_dtype)
        envs.reset()
        with progress_bar(episodes, "evaluating", "episode", disable=not progress) as bar:
            while True:
                live = np.flatnonzero(~envs.ended)
                if not len(live) and not self._queue:
                    return EvaluationResult(returns, lengths)
                if len(live):
                    actions[live] = act(envs.observations[live])
                step = envs.step(actions)
                returns[running[live]] += step.rewards[live]
                lengths[running[live]] += 1
                if lengths[running[live]].max(initial=0) > LONGEST_EPISODE:
                    raise EnvironmentFault(f"an evaluation episode has not ended after {LONGEST_EPISODE:,} steps: give "
                                           "the environment a time limit (gymnasium.wrappers.TimeLimit)")
                bar.update(int(envs.ended[live].sum()))

    def close(self) -> None:
        """Ends the worker processes."""
        if self._envs is not None:
            self._envs.close()

    def _next_seed(self, slot: int, _episode: int) -> int:
        if not self._queue:
            return -1
        self._running[slot], seed = self._queue.pop()
        return seed
