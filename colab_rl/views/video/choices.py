"""What of an episode's telemetry a video shows: which series stand together, under which words.

Nothing here is drawn. An environment that nobody described still has a return, a reward, a value and actions, and the
first numbers of its observation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from colab_rl.environments.spaces import Spaces
from colab_rl.evaluation.episode import Episode
from colab_rl.views.values import value_range, words_of

MOST_TRACES = 3
MOST_ACTIONS = 8
# If not all can be shown: what the picture shows least comes first.
UNITS_FIRST = ("rad", "m/s", "rad/s", "m")
_NOT_TRACED = re.compile(r"action_|reward|value$|contact|lidar|.*torque")


class Group(NamedTuple):
    """Series drawn as lines of one panel: a title, their unit, and their names."""

    title: str
    unit: str
    series: tuple[str, ...]

    def range(self, episodes: Sequence[Episode]) -> tuple[float, float]:
        """The least and greatest value in any of the episodes, a little apart."""
        return value_range(np.concatenate([np.asarray(episode[name], np.float64) for episode in episodes
                                           for name in self.series if name in episode.series]), 0.04)


class Action(NamedTuple):
    """One number of a continuous action, with the ends of its bar; or one of the choices of a discrete one."""

    label: str
    series: str
    low: float
    high: float
    choice: int | None
    unit: str = ""


def traces(episode: Episode) -> list[Group]:
    """At most three groups: what its environment's channels choose, or `_by_name`; and the value estimate."""
    known = [[name for name in names if name in episode.series] for names in episode.shown.traces]
    chosen = [_group(episode, names) for names in known if names] or _by_name(episode)
    value = [Group("value estimate", "", ("value",))] if np.isfinite(episode["value"]).any() else []
    return [*chosen[:MOST_TRACES - len(value)], *value]


def _group(episode: Episode, names: Sequence[str]) -> Group:
    """The first two of these channels: there are two colours."""
    title = ", ".join(dict.fromkeys(_title(name) for name in names[:2]))
    return Group(title, episode.units[names[0]], tuple(names[:2]))


def _by_name(episode: Episode) -> list[Group]:
    """The angles of its joints, if it has joints, else what the picture shows least comes first.

    Channels that differ in a number, or in x and y, stand together, if they have one unit.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for name in episode.series:
        if not _NOT_TRACED.match(name) and name not in episode.action_names:
            found.setdefault((_title(name), episode.units[name]), []).append(name)
    groups = [_group(episode, names) for names in found.values()]
    joints = [group for group in groups if len(group.series) > 1 and group.title.endswith("angle") and group.unit]
    order = {unit: place for place, unit in enumerate(UNITS_FIRST)}
    return joints or sorted(groups, key=lambda group: order.get(group.unit, len(order)))


def speed_channel(episode: Episode) -> tuple[str, str] | None:
    """The series that says how fast it goes, and its unit: the first in m/s, else the first in rad/s."""
    for unit in ("m/s", "rad/s"):
        for name in episode.series:
            if episode.units[name] == unit:
                return name, unit
    return None


def contacts(episode: Episode) -> list[str]:
    """The series that are 1 if something touches the ground."""
    return [name for name in episode.series if name.startswith("contact")]


def actions(episode: Episode, spaces: Spaces) -> list[Action]:
    """The action's numbers, or its choices, at most eight."""
    names = episode.action_names
    if spaces.choices:
        ends = zip(names, spaces.first_choices, spaces.choices, strict=True)
        return [Action(words_of(name.removeprefix("action_")), name, float(first), float(first + count - 1), None, "")
                for name, first, count in list(ends)[:MOST_ACTIONS]]
    if spaces.discrete:
        words = tuple(episode.shown.choices)
        if len(words) != spaces.action_dim:
            words = tuple(str(spaces.first_action + i) for i in range(spaces.action_dim))
        return [Action(word, names[0], 0.0, 1.0, spaces.first_action + i)
                for i, word in enumerate(words[:MOST_ACTIONS])]
    found = []
    for name, low, high in list(zip(names, spaces.action_low, spaces.action_high, strict=True))[:MOST_ACTIONS]:
        if not np.isfinite([low, high]).all():
            high = np.abs(np.nan_to_num(episode[name], posinf=0, neginf=0)).max(initial=0)
            low = -high
        found.append(Action(words_of(name.removeprefix("action_")), name, *value_range([low, high], 0), None,
                            episode.units[name]))
    return found


def _title(name: str) -> str:
    """What channels that stand together have in common: `hip_1_angle` is `hip angle`, `velocity_x` is `velocity`."""
    parts = name.split("_")
    place = next((part for part in reversed(parts) if part.isdigit() or part in ("x", "y")), None)
    return " ".join(part for part in parts if part is not place or len(parts) == 1)
