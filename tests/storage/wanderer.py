"""An environment that changes its process's current folder, in a module that loads neither torch nor colab_rl."""

import os
import tempfile

import gymnasium
import numpy as np


class Wanderer(gymnasium.Env):
    """Changes the working folder, or removes it, as wrappers of simulators do."""

    observation_space = gymnasium.spaces.Box(-1, 1, (3,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    when = "made"

    def __init__(self):
        self.go("made")

    def go(self, when: str) -> None:
        if when == self.when and self.where:
            os.chdir(self.where)
        elif when == self.when:
            os.chdir(gone := tempfile.mkdtemp())
            os.rmdir(gone)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        self.go("reset")
        return self.np_random.normal(size=3).clip(-1, 1).astype(np.float32), {}

    def step(self, action):
        self.steps += 1
        self.go("stepped")
        return np.zeros(3, np.float32), 0.0, False, self.steps >= 10, {}
