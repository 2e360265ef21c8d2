"""Each action for several steps, as gymnasium's RepeatAction (from 1.3 on) does, without drawings that nobody sees."""

from __future__ import annotations

from typing import Any

import gymnasium

from colab_rl.environments.known.registry import skipped_drawing
from colab_rl.environments.own_reward import OwnReward, as_float

# What may be between, and no subclass of it: it does not look at observations, or at those of the first step alone.
IGNORES_OBSERVATIONS = (OwnReward, gymnasium.wrappers.TimeLimit, gymnasium.wrappers.OrderEnforcing,
                        gymnasium.wrappers.PassiveEnvChecker)


class RepeatAction(gymnasium.Wrapper):
    """Takes each action `num_repeats` times, or until the episode ends; gives the last observation and all rewards.

    If the environment draws an observation at each step, this leaves out all but the last. Raises ValueError.
    """

    def __init__(self, env: gymnasium.Env, num_repeats: int):
        super().__init__(env)
        if isinstance(num_repeats, bool) or not isinstance(num_repeats, int) or num_repeats < 1:
            raise ValueError(f"num_repeats is a whole number from 1 on, not {num_repeats!r}")
        self.num_repeats = num_repeats
        while type(env) in IGNORES_OBSERVATIONS:
            env = env.env  # type: ignore[attr-defined]
        self._skipped = None if isinstance(env, gymnasium.Wrapper) else skipped_drawing(env)

    def step(self, action: Any) -> Any:
        """See gymnasium.Env."""
        total = 0.0
        for repeat in range(self.num_repeats):
            if self._skipped is None or repeat == self.num_repeats - 1:
                observation, reward, terminated, truncated, info = self.env.step(action)
            else:
                with self._skipped:
                    observation, reward, terminated, truncated, info = self.env.step(action)
                if terminated or truncated:
                    observation = self._skipped.draw()
            total += as_float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info
