"""What an environment itself gives, beneath a run's wrappers: the score is counted of that."""

from __future__ import annotations

from typing import Any

import gymnasium


def as_float(reward: Any) -> float:
    """A reward as a number: some environments give an array with one. Raises TypeError or ValueError for others."""
    return float(reward.item() if getattr(reward, "ndim", 0) else reward)


class OwnReward(gymnasium.Wrapper):
    """Beneath a run's wrappers: what the environment itself has given since it was last asked.

    reward: the sum of its rewards. A wrapper that skips frames takes several steps in one.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self._sum = 0.0

    def reset(self, **options: Any) -> Any:
        """See gymnasium.Env."""
        self._sum = 0.0
        return self.env.reset(**options)

    def step(self, action: Any) -> Any:
        """See gymnasium.Env."""
        result = self.env.step(action)
        self._sum += as_float(result[1])
        return result

    def take(self) -> float:
        """The sum, which begins anew."""
        taken, self._sum = self._sum, 0.0
        return taken


def own_reward_of(environment: gymnasium.Env) -> OwnReward | None:
    """The layer that counts an environment's own rewards, if a run's wrappers are around it."""
    while isinstance(environment, gymnasium.Wrapper):
        if isinstance(environment, OwnReward):
            return environment
        environment = environment.env
    return None
