"""Episodes in EnvPool: they say nearly what gymnasium's do, in a third of the time. A score is never theirs."""

from __future__ import annotations

import numpy as np

from colab_rl.environments.envpool_vector import EnvPoolVectorEnvironment
from colab_rl.environments.spaces import Spaces
from colab_rl.evaluation.replay import LONGEST_EPISODE, Function, endless


class Pool:
    """An environment of EnvPool's, by its id."""

    def __init__(self, name: str, spaces: Spaces):
        self._name = name
        self._spaces = spaces

    def play(self, act: Function, episodes: int, seed: int) -> np.ndarray:
        """(E,) returns of episodes in a new pool: they depend on the policy, their number and the seed alone.

        act: gives (B, ...) actions for (B, *obs_shape) observations, each row by itself.
        """
        with EnvPoolVectorEnvironment(self._name, self._spaces, episodes, seed) as envs:
            envs.reset()
            returns, running = np.zeros(episodes), np.ones(episodes, bool)
            for _ in range(LONGEST_EPISODE):
                step = envs.step(act(envs.observations))
                returns[running] += step.rewards[running]
                running &= ~envs.ended
                if not running.any():
                    return returns
        raise endless()
