"""An environment whose actions are of float64, within bounds that float32 has not."""

import gymnasium


class Wide(gymnasium.Wrapper):
    def __init__(self):
        super().__init__(gymnasium.make("Pendulum-v1"))
        self.action_space = gymnasium.spaces.Box(-0.1, 0.1, (1,), "float64")


gymnasium.register("Wide-v0", entry_point=Wide)
