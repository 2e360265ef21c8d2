"""The unit of continuous actions."""

from __future__ import annotations

import numpy as np

from colab_rl.environments.spaces import Spaces
from colab_rl.errors import UsageError


def check_bounded_actions(name: str, spaces: Spaces) -> None:
    """Raises UsageError if the actions are choices, or have no bounds. name: of the algorithm."""
    if spaces.discrete:
        raise UsageError(f"{name} learns continuous actions, and this environment's are discrete: use --algo ppo")
    if not np.isfinite([spaces.action_low, spaces.action_high]).all():
        raise UsageError(f"{name} needs bounded actions, and this environment's are not bounded on both sides: use "
                         "--algo ppo")


class ActionRange:
    """The unit of a continuous policy: an action of -1 and 1 is a finite bound of the environment.

    limit: (A,) float32, 1, and inf if there are no bounds.
    """

    def __init__(self, spaces: Spaces):
        self._low, self._high = spaces.action_low, spaces.action_high
        bounded = np.isfinite(spaces.action_low) & np.isfinite(spaces.action_high)
        # Half of each bound, so that the range of the widest finite box does not overflow.
        low, high = np.where(bounded, spaces.action_low, 0) / 2, np.where(bounded, spaces.action_high, 0) / 2
        self.limit = np.where(bounded, 1, np.inf).astype(np.float32)
        self._middle = (high + low).astype(np.float32)
        self._half_range = np.where(bounded, high - low, 1).astype(np.float32)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """(B, A) float32 actions clipped to the bounds, in the environment's unit."""
        # Not np.clip: it takes four times as long for a few numbers.
        within = np.minimum(np.maximum(actions, -self.limit), self.limit)
        return np.minimum(np.maximum(within * self._half_range + self._middle, self._low), self._high)
