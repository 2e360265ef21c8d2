"""Channels: what of an environment is recorded at every step, by name, in physical units.

An environment of your own describes itself with an attribute, and every recording, dashboard
and video shows these names and units:

    class Crane(gymnasium.Env):
        channels = Channels({"trolley_position": "m", "rope_angle": "rad"})          # its observation, in order

    class Arm(gymnasium.Env):
        channels = Channels({"elbow_torque": "N m"}, read=lambda arm, observation: [arm.elbow.torque])

For one that you did not write: `environment.unwrapped.channels = Channels(...)` in the function that makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np

from colab_rl.errors import UsageError

OURS = ("reward", "value", "terrain", "first_pose", "other_poses")  # what a recording has beside the channels
OUR_BEGINNINGS = ("action_", "reward_")


@dataclass(frozen=True)
class Drawing:
    """Rigid bodies over a terrain, enough to redraw an episode.

    outlines: by body's name its (K, 2) polygon in its own frame, in m.
    poses: gives (bodies, 3) for the unwrapped environment: x and y in m, angle in rad.
    terrain: gives for it the (K, 2) lines and closed polygons of an episode's ground, in m.
    """

    outlines: Mapping[str, np.ndarray]
    poses: Callable[[Any], Sequence[Sequence[float]]]
    terrain: Callable[[Any], list[np.ndarray]] = lambda environment: []


@dataclass(frozen=True)
class Channels:
    """What is recorded of an environment.

    units: by channel's name its unit, such as `{"hull_angle": "rad"}`; the empty string where it has none.
    read: gives their values for the unwrapped environment and its observation; the observation where not given.
    actions: the names of the action's numbers, or one name for a discrete action; `action_0`, ... where not given.
    step_seconds: simulated time of a step, None where a step is no time.
    reward_parts: gives (T,) series that sum to the reward, by name, from those of a telemetry.Episode.
    Raises UsageError for a channel of a name that recordings need themselves.
    """

    units: Mapping[str, str]
    read: Callable[[Any, np.ndarray], Sequence[float] | np.ndarray] = lambda environment, observation: observation
    actions: Sequence[str] = ()
    action_unit: str = ""
    step_seconds: float | None = None
    reward_parts: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]] = lambda series: {}
    drawing: Drawing | None = None
    body_count: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "body_count", len(self.drawing.outlines) if self.drawing else 0)
        names = [self.actions] if isinstance(self.actions, str) else self.actions
        object.__setattr__(self, "actions", tuple(names))
        for name in self.units:
            if name in OURS or name.startswith(OUR_BEGINNINGS):
                raise UsageError(f"no channel can be called {name!r}: recordings keep {', '.join(OURS)} and names that "
                                 f"begin with {' or '.join(OUR_BEGINNINGS)} for themselves; give it another name")

    @property
    def width(self) -> int:
        """Numbers in a row of `row`."""
        return len(self.units) + 3 * self.body_count

    def row(self, environment: gymnasium.Env, observation: np.ndarray) -> np.ndarray:
        """(width,) float64: the channels' values, then x, y and angle of every body.

        Raises UsageError where `read` gives another number of values than there are units.
        """
        values = np.ravel(np.asarray(self.read(environment.unwrapped, observation), np.float64))
        if len(values) != len(self.units):
            raise UsageError(f"channels of {type(environment.unwrapped).__name__}: {len(self.units)} names "
                             f"({', '.join(list(self.units)[:4])}, ...) for {len(values)} values")
        if self.drawing is None:
            return values
        return np.concatenate([values, np.ravel(self.drawing.poses(environment.unwrapped))])
