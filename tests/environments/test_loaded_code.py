"""What of an environment's code is compared between two processes."""

import gymnasium
import numpy as np

from colab_rl.environments.loaded_code import code_difference, loaded_code

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
    assert code_difference(loaded_code(environment, Counted), before) == ""
    monkeypatch.setattr(Counted, "length", 6)
    assert "Counted.length is not what a new process imports (6 here, 5 there)" in \
        code_difference(loaded_code(environment, Counted), before)


class Physics:
    gravity = 9.8


class Set(Counted):
    """Assigns in many ways."""

    made = resets = begun = 0
    gravity, mass, friction = 9.8, 1.0, 0.5

    def __init__(self, gravity=None):
        self.world = Physics()
        type(self).made += 1
        self.__class__.begun = self.begun + 1
        if gravity is not None:
            self.gravity = self.world.gravity = gravity

    def reset(self, seed=None, options=None):
        Set.resets += 1
        self.mass += 1.0
        return super().reset(seed, options)

    @classmethod
    def configure(cls, friction):
        cls.friction = friction


def test_what_is_set_on_an_instance_or_called_by_somebody_else_is_no_state_of_the_class(monkeypatch):
    environment = Set()
    before = loaded_code(environment, Set)
    for gravity in (None, 1.6):
        environment = Set(gravity)
        environment.reset()
    assert (Set.made, Set.resets) == (3, 2) and Set.begun and environment.gravity == 1.6 and environment.mass == 2.0
    assert code_difference(loaded_code(environment, Set), before) == ""
    for name in ("gravity", "mass", "friction"):
        monkeypatch.setattr(Set, name, 3.0)
        assert f"Set.{name} is not what a new process imports (3.0 here, " in \
            code_difference(loaded_code(environment, Set), before)
        monkeypatch.undo()
    Set.configure(0.1)
    assert "Set.friction is not what" in code_difference(loaded_code(environment, Set), before)
    Set.configure(0.5)
