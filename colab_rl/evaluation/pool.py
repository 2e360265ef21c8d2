"""Episodes in EnvPool: they say nearly what gymnasium's do, in a third of the time. A score is never theirs."""

from __future__ import annotations

import numpy as np

from colab_rl.algorithms.base import Algorithm
from colab_rl.environments import EnvironmentSource
from colab_rl.environments.envpool_vector import EnvPoolVectorEnvironment
from colab_rl.environments.spaces import Spaces
from colab_rl.evaluation.replay import LONGEST_EPISODE, endless


class Pool:
    """An environment that EnvPool has."""

    def __init__(self, source: EnvironmentSource, spaces: Spaces):
        self._source = source
        self._spaces = spaces

    def play(self, algorithm: Algorithm, episodes: int, seed: int) -> np.ndarray:
        """(E,) returns of episodes in a new pool: they depend on the policy, their number and the seed alone."""
        act = algorithm.acting()
        memory = {"memory": np.zeros((episodes, algorithm.memory), np.float32)} if algorithm.memory else {}
        with EnvPoolVectorEnvironment(self._source, self._spaces, episodes, seed) as envs:
            envs.reset()
            returns, running = np.zeros(episodes), np.ones(episodes, bool)
            for _ in range(LONGEST_EPISODE):
                step = envs.step(act(envs.observations, **memory))
                returns[running] += step.rewards[running]
                running &= ~envs.ended
                if not running.any():
                    return returns
        raise endless()
