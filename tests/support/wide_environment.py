"""An environment whose actions are of float64."""

import gymnasium


class Wide(gymnasium.Wrapper):
    def __init__(self):
        super().__init__(gymnasium.make("Pendulum-v1"))
        self.action_space = gymnasium.spaces.Box(-2.0, 2.0, (1,), "float64")


gymnasium.register("Wide-v0", entry_point=Wide)
