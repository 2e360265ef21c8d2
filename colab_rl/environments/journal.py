"""The actions of every unfinished episode: with its seed, all that replaying one needs."""

from __future__ import annotations

import numpy as np


class Journal:
    """Actions since each of `num_envs` episodes began.

    episodes: (N,) int64, which episode of its slot runs, from 0.
    lengths: (N,) int64, actions taken in it.
    """

    def __init__(self, num_envs: int, action_shape: tuple[int, ...], dtype: type):
        self.episodes = np.zeros(num_envs, np.int64)
        self.lengths = np.zeros(num_envs, np.int64)
        self._actions: np.ndarray = np.empty((1024, num_envs, *action_shape), dtype)
        self._slots = np.arange(num_envs)

    def append(self, slots: slice, actions: np.ndarray, ended: np.ndarray) -> None:
        """Notes (n, ...) actions of some slots; if `ended` (n,) bool, the next episode begins instead."""
        lengths = self.lengths[slots]
        if lengths.max() == len(self._actions):
            self._actions = np.concatenate([self._actions, np.empty_like(self._actions)])
        self._actions[lengths, self._slots[slots]] = actions
        lengths += 1
        if ended.any():
            lengths[ended] = 0
            self.episodes[slots][ended] += 1

    def actions(self, slot: int) -> np.ndarray:
        """(lengths[slot], ...) the actions of one episode."""
        return self._actions[:self.lengths[slot], slot]

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies; the actions of all slots one after the other."""
        actions = np.concatenate([self.actions(slot) for slot in range(len(self.lengths))])
        return {"episodes": self.episodes.copy(), "lengths": self.lengths.copy(), "actions": actions}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Takes over what `state_dict` gave."""
        self.episodes[:] = state["episodes"]
        self.lengths[:] = state["lengths"]
        longest = int(self.lengths.max())
        if longest > len(self._actions):
            self._actions = np.empty((longest + 1, *self._actions.shape[1:]), self._actions.dtype)
        start = 0
        for slot, length in enumerate(self.lengths.tolist()):
            self._actions[:length, slot] = state["actions"][start:start + length]
            start += length
