"""What an iteration collects, in preallocated arrays, and its advantages."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from colab_rl.environments.spaces import Spaces
from colab_rl.networks.base import Sequences


class Rollout:
    """T steps of N environments.

    obs: (T + 1, N, *obs_shape); obs[t + 1] follows obs[t], and is the final
        observation where the episode ended at t.
    actions: (T, N) or, of several choices, (T, N, K) int64; or (T, N, A) float32, in the policy's unit.
    rewards: (T, N) float64.
    terminated, truncated: (T, N) bool.
    valid: (T, N) bool, False in rows that only reset (the step after an episode's end).
    """

    def __init__(self, num_steps: int, num_envs: int, spaces: Spaces):
        steps = (num_steps, num_envs)
        self.obs = spaces.observation.zeros(num_steps + 1, num_envs)
        self.actions: np.ndarray = np.empty((*steps, *spaces.action_shape), spaces.action_dtype)
        self.rewards = np.empty(steps)
        self.terminated = np.empty(steps, bool)
        self.truncated = np.empty(steps, bool)
        self.valid = np.empty(steps, bool)

    @staticmethod
    def bytes_of(num_steps: int, num_envs: int, spaces: Spaces) -> int:
        """Bytes of its arrays: rewards and three flags beside observations and actions."""
        numbers = [spaces.observation.zeros(), np.zeros(spaces.action_shape, spaces.action_dtype)]
        return (num_steps + 1) * num_envs * (sum(array.nbytes for array in numbers) + 8 + 3)

    @property
    def done(self) -> np.ndarray:
        """(T, N) bool: the episode ended, either way."""
        return self.terminated | self.truncated


class Transitions(NamedTuple):
    """B transitions, under the policy that took them: of a rollout, less the rows that only reset, or a minibatch."""

    obs: Any            # (B, *obs_shape), normalised; with memory the Sequences whose valid rows these are
    actions: Tensor     # (B,) or, of several choices, (B, K) int64; or (B, A) float32, in the policy's unit
    log_probs: Tensor   # (B,) of the actions
    advantages: Tensor  # (B,)
    targets: Tensor     # (B,) for the values: advantages plus the values of the rollout
    value_state: Tensor | None = None  # (n, state_size) before the first step, if the value network has its own memory

    @property
    def value_obs(self) -> Any:
        """`obs` for the value network."""
        return self.obs if self.value_state is None else self.obs._replace(state=self.value_state)

    @property
    def rows(self) -> Tensor:
        """(rows, *obs_shape) observations, one by one."""
        return self.obs.obs.flatten(0, 1) if isinstance(self.obs, Sequences) else self.obs


def generalized_advantages(rewards: np.ndarray, values: np.ndarray, terminated: np.ndarray, done: np.ndarray,
                           gamma: float, gae_lambda: float) -> np.ndarray:
    """(T, N) float32 advantages (Schulman et al. 2016, arXiv:1506.02438, equation 16).

    rewards: (T, N); values: (T + 1, N), of `Rollout.obs`.
    An episode that terminated is worth nothing afterwards; one that was cut off is worth
    the value of its final observation. Advantages do not flow back over an episode's end,
    and so none flows from a row that only resets.
    """
    deltas = rewards + gamma * values[1:] * ~terminated - values[:-1]
    carry = (gamma * gae_lambda * ~done).astype(np.float32)
    advantages = np.empty_like(rewards, dtype=np.float32)
    advantage = np.zeros(rewards.shape[1], np.float32)
    for t in reversed(range(len(rewards))):
        advantage = deltas[t] + carry[t] * advantage
        advantages[t] = advantage
    return advantages
