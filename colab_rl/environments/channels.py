"""Channels: what of an environment is recorded at every step, by name, in physical units.

An environment of your own describes itself with an attribute, and every recording, dashboard
and video shows these names and units:

    class Crane(gymnasium.Env):
        channels = Channels({"trolley_position": "m", "rope_angle": "rad"})          # its observation, in order

    class Arm(gymnasium.Env):
        channels = Channels({"elbow_torque": "N m"}, read=lambda arm, observation: [arm.elbow.torque])

For one that you did not write: `environment.unwrapped.channels = Channels(...)` in the function that makes it.
What we know of gymnasium's environments is in `known/`, one file each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import gymnasium
import numpy as np

from colab_rl.errors import UsageError, nearest

OUR_COLUMNS = ("reward", "value", "terrain", "first_pose", "other_poses")  # what a recording has beside the channels
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


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What dashboards and videos show of the channels, each named as in `Channels.units`. It travels with a recording.

    choices: what the choices of a discrete action are called, from the first on, such as `("left", "right")`.
    traces: what a video draws as lines: channels, or pairs of channels that share an axis. The first two that fit.
    plots: what the gait dashboard draws, `{title: {words: channel}}`, or `{title: channel}`.
    portraits: the phase portraits, `{title: {words: (x channel, y channel)}}`, or `{title: (x channel, y channel)}`.
    If one of them is empty, the views choose by names and units.
    picture_height: metres from the lower edge of a rendered picture, if that is always y = 0 of the `Drawing`, to the
        upper edge. A video then lays its panels over what no body reaches. 0 if unknown.
    Raises TypeError, ValueError or AttributeError for what is not of these forms.
    """

    choices: Sequence[str] = ()
    traces: Sequence[str | Sequence[str]] = ()
    plots: Mapping[str, Any] = field(default_factory=dict)
    portraits: Mapping[str, Any] = field(default_factory=dict)
    picture_height: float = 0.0

    def __post_init__(self) -> None:
        def by_words(curves: Any) -> dict[str, Any]:
            return dict(curves) if isinstance(curves, Mapping) else {"": curves}

        for name, value in {
            "choices": tuple(map(str, self.choices)),
            "traces": tuple((group,) if isinstance(group, str) else tuple(map(str, group)) for group in self.traces),
            "plots": {str(title): {str(words): str(name) for words, name in by_words(lines).items()}
                       for title, lines in self.plots.items()},
            "portraits": {str(title): {str(words): (str(x), str(y)) for words, (x, y) in by_words(curves).items()}
                          for title, curves in self.portraits.items()},
            "picture_height": float(self.picture_height),
        }.items():
            object.__setattr__(self, name, value)

    @property
    def names(self) -> set[str]:
        """The channels that are shown."""
        found = {name for group in self.traces for name in group}
        found |= {name for lines in self.plots.values() for name in lines.values()}
        return found | {name for curves in self.portraits.values() for pair in curves.values() for name in pair}


@dataclass(frozen=True)
class Channels(Shown):
    """What colab_rl records of an environment, and what views show of it.

    units: the unit of each channel, such as `{"hull_angle": "rad"}`. An empty string if it has none.
    read: a function of the unwrapped environment and its observation that gives the values. By default the observation.
    actions: the names of the action's numbers, or one name for a discrete action. By default `action_0`, ...
    step_seconds: simulated seconds of a step, None if there is no time.
    reward_parts: a function of an Episode's series that gives (T,) series by name. They sum to the reward.
    mishap: what an episode that went wrong is called, in the plural, such as `falls`: one that ended of itself with a
        last reward of at most `mishap_reward`. Empty if there is no telling.
    choices, traces, plots, portraits, picture_height: what views show, such as `choices=("left", "right")`,
        `traces=["rope_angle"]`, `plots={"Rope": {"angle": "rope_angle"}}`,
        `portraits={"Rope": ("rope_angle", "rope_speed")}`; see Shown.

    Raises UsageError for a channel with a name that recordings use themselves, for two actions of one name, and for a
    shown name that is no channel.
    """

    units: Mapping[str, str]
    read: Callable[[Any, np.ndarray], Sequence[float] | np.ndarray] = lambda environment, observation: observation
    actions: Sequence[str] = ()
    action_unit: str = ""
    step_seconds: float | None = None
    reward_parts: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]] = lambda series: {}
    drawing: Drawing | None = None
    mishap: str = ""
    mishap_reward: float = math.inf
    body_count: int = field(init=False)

    def __post_init__(self) -> None:
        try:
            super().__post_init__()
            names = [self.actions] if isinstance(self.actions, str) else [str(name) for name in self.actions]
            object.__setattr__(self, "units", {str(name): str(unit) for name, unit in self.units.items()})
            if self.step_seconds is not None and not self.step_seconds > 0:
                raise ValueError(f"step_seconds is {self.step_seconds}")
            if not callable(self.read) or not callable(self.reward_parts):
                raise TypeError("read and reward_parts are functions")
        except (TypeError, ValueError, AttributeError) as error:
            raise UsageError(f"channels are not of the form that help(Channels) gives ({error})") from error
        object.__setattr__(self, "actions", tuple(names))
        object.__setattr__(self, "body_count", len(self.drawing.outlines) if self.drawing else 0)
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UsageError(f"two actions are called {twice!r}: give each a name of its own")
        for name in self.units:
            if name in OUR_COLUMNS or name.startswith(OUR_BEGINNINGS):
                raise UsageError(f"no channel can be called {name!r}: recordings keep {', '.join(OUR_COLUMNS)} and "
                                 f"names that begin with {' or '.join(OUR_BEGINNINGS)} for themselves; give it another "
                                 "name")
        for name in sorted(self.names - set(self.units)):
            raise UsageError(f"what is to be shown names {name!r}, and no channel is called that"
                             f"{nearest(name, self.units)}")

    @property
    def shown(self) -> Shown:
        """What a recording takes along."""
        return Shown(**{part.name: getattr(self, part.name) for part in fields(Shown)})

    @property
    def width(self) -> int:
        """Numbers in a row of `row`."""
        return len(self.units) + 3 * self.body_count

    def row(self, environment: gymnasium.Env, observation: np.ndarray) -> np.ndarray:
        """(width,) float64: the channels' values, then x, y and angle of every body.

        Raises UsageError if `read` gives another number of values than there are units.
        """
        values = np.ravel(np.asarray(self.read(environment.unwrapped, observation), np.float64))
        if len(values) != len(self.units):
            raise UsageError(f"channels of {type(environment.unwrapped).__name__}: {len(self.units)} names "
                             f"({', '.join(list(self.units)[:4])}, ...) for {len(values)} values")
        if self.drawing is None:
            return values
        return np.concatenate([values, np.ravel(self.drawing.poses(environment.unwrapped))])
