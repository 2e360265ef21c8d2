"""Returns and lengths of training episodes, counted while they run."""

from __future__ import annotations

from typing import Any

import numpy as np


class EpisodeTracker:
    """The running sums of every environment and the newest `window` episodes that ended.

    recent_returns, recent_lengths: (at most window,) float64, oldest first.
    """

    window = 100

    def __init__(self, num_envs: int):
        self.returns = np.zeros(num_envs)
        self.lengths = np.zeros(num_envs)
        self.recent_returns = np.zeros(0)
        self.recent_lengths = np.zeros(0)

    def update(self, rewards: np.ndarray, valid: np.ndarray, done: np.ndarray) -> None:
        """Adds (T, N) rewards, validity and episode ends."""
        for t in range(len(rewards)):
            self.returns += rewards[t]
            self.lengths += valid[t]
            ended = np.flatnonzero(done[t])
            if len(ended):
                self.recent_returns = np.append(self.recent_returns, self.returns[ended])[-self.window:]
                self.recent_lengths = np.append(self.recent_lengths, self.lengths[ended])[-self.window:]
                self.returns[ended] = 0
                self.lengths[ended] = 0

    def cut(self) -> None:
        """Forgets the episodes that run."""
        self.returns[:] = 0
        self.lengths[:] = 0

    def metrics(self) -> dict[str, float]:
        """Mean return and length of the newest episodes; empty before the first has ended."""
        if not len(self.recent_returns):
            return {}
        return {"episode/return": float(self.recent_returns.mean()),
                "episode/length": float(self.recent_lengths.mean())}

    def state_dict(self) -> dict[str, Any]:
        """All four arrays."""
        return {"returns": self.returns, "lengths": self.lengths,
                "recent_returns": self.recent_returns, "recent_lengths": self.recent_lengths}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave."""
        self.returns, self.lengths = state["returns"], state["lengths"]
        self.recent_returns, self.recent_lengths = state["recent_returns"], state["recent_lengths"]
