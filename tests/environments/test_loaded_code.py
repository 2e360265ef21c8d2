"""What of an environment's code is compared between two processes."""

import gymnasium
import numpy as np

from colab_rl.environments.loaded_code import difference, loaded_code

TAKEN = 0


class Counted(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)
    episodes, length = 0, 5

    def reset(self, seed=None, options=None):
        Counted.episodes += 1
        return np.zeros(2, np.float32), {}

    def step(self, action):
        global TAKEN
        TAKEN += 1
        return np.zeros(2, np.float32), 1.0, False, TAKEN % self.length == 0, {}


def test_what_its_own_functions_set_is_state_and_what_somebody_else_sets_is_code(monkeypatch):
    environment = Counted()
    before = loaded_code(environment, Counted)
    environment.reset()
    environment.step(0)
    assert (Counted.episodes, TAKEN) != (0, 0)
    assert difference(loaded_code(environment, Counted), before) == ""
    monkeypatch.setattr(Counted, "length", 6)
    assert "Counted.length is not what a new process imports (6 here, 5 there)" in \
        difference(loaded_code(environment, Counted), before)
