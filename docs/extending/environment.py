"""An environment of your own, with named channels. `python docs/extending/environment.py`"""

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from colab_rl import Channels, train


class Corridor(gymnasium.Env):
    """Walk to the right end of a corridor, in at most 100 steps."""

    observation_space, action_space = Box(-1, 1, (1,), np.float32), Discrete(2)
    channels = Channels({"place": "m", "steps": ""}, read=lambda corridor, obs: [corridor.place, corridor.steps],
                        actions=("walk",), choices=("left", "right"), step_seconds=0.1, traces=["place"])

    def reset(self, *, seed=None, options=None):
        """See gymnasium.Env. Everything is set here, and random numbers come from `np_random`."""
        super().reset(seed=seed)
        self.place, self.steps = self.np_random.uniform(-0.5, 0.5), 0
        return np.array([self.place], np.float32), {}

    def step(self, action):
        """See gymnasium.Env."""
        self.place, self.steps = max(-1.0, self.place + (0.1 if action == 1 else -0.1)), self.steps + 1
        at_end = self.place >= 1
        obs = np.array([min(self.place, 1)], np.float32)
        return obs, 10.0 if at_end else -0.1, bool(at_end), self.steps >= 100, {}


def main(run="corridor", **options):
    """Starts the run, or continues it. A class of your own is given again each time."""
    return train(run, env=Corridor, **options)


if __name__ == "__main__":
    print(main(total_steps=20_000).state_sha256)
