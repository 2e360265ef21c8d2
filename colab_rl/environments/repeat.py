"""Each action for several steps, as gymnasium's RepeatAction (from 1.3 on) does, without drawings that nobody sees."""

from __future__ import annotations

from typing import Any

import gymnasium

from colab_rl.environments.known.car_racing import Undrawn
from colab_rl.environments.own_reward import OwnReward

# What may be between, and no subclass of it: it does not look at observations, or at those of the first step alone.
BLIND = (OwnReward, gymnasium.wrappers.TimeLimit, gymnasium.wrappers.OrderEnforcing,
         gymnasium.wrappers.PassiveEnvChecker)


class RepeatAction(gymnasium.Wrapper):
    """Takes each action `num_repeats` times, or until the episode ends; gives the last observation and all rewards.

    CarRacing draws an observation at each step, which takes 99 % of its time. So this leaves out all but the last.
    """

    def __init__(self, env: gymnasium.Env, num_repeats: int):
        super().__init__(env)
        if isinstance(num_repeats, bool) or not isinstance(num_repeats, int) or num_repeats < 1:
            raise ValueError(f"num_repeats is a whole number from 1 on, not {num_repeats!r}")
        self.num_repeats = num_repeats
        while type(env) in BLIND:
            env = env.env  # type: ignore[attr-defined]
        self._undrawn = Undrawn(env) if Undrawn.fits(env) else None

    def step(self, action: Any) -> Any:
        """See gymnasium.Env."""
        total = 0.0
        for repeat in range(self.num_repeats):
            if self._undrawn is None or repeat == self.num_repeats - 1:
                observation, reward, terminated, truncated, info = self.env.step(action)
            else:
                with self._undrawn:
                    observation, reward, terminated, truncated, info = self.env.step(action)
                if terminated or truncated:
                    observation = self._undrawn.draw()
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info
