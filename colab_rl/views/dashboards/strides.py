"""The stride cycle: what joints do between two landings of a foot, averaged over strides, as gait laboratories draw it.

A stride of a leg goes from one landing of its foot, at 0 %, to the next, at 100 % (Winter 1991, The Biomechanics and
Motor Control of Human Gait). Curves of runs that walk at different speeds lie over each other there.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from colab_rl.evaluation.episode import Episode
from colab_rl.runs.places import Location
from colab_rl.views.dashboards.measures import contact_names, distance, touchdowns
from colab_rl.views.dashboards.named import Episodes, episodes_of
from colab_rl.views.dashboards.plots import DASH_WORDS, Line, Plot, XAxis, stacked
from colab_rl.views.palette import COLORS, colors_of, limb
from colab_rl.views.values import words_of

PERCENT = np.linspace(0, 100, 101)
FEWEST = 3  # strides, without the first, that a mean says something of


def strides_of(episode: Episode, channel: str) -> np.ndarray:
    """(strides, 101) a channel over the strides of its own leg, or of the first leg if it belongs to none.

    The first stride, which comes from standing, is left out. Empty without contacts, times or landings enough.
    """
    feet, values = contact_names(episode), episode[channel].astype(float)
    if not feet or not episode.step_seconds:
        return np.zeros((0, len(PERCENT)))
    foot = feet[(limb(channel) or 0) % len(feet)]
    landings = touchdowns(episode[foot], episode.step_seconds)[1:]
    landings = landings[landings < len(values)]
    cycles = [np.interp(np.linspace(start, end, len(PERCENT)), np.arange(len(values)), values)
              for start, end in itertools.pairwise(landings)]
    return np.array(cycles) if len(cycles) >= FEWEST else np.zeros((0, len(PERCENT)))


@np.errstate(all="ignore")
def stride_cycle(episodes: Episodes, *, root: Location = None, store: Location = None) -> go.Figure | None:
    """The mean over strides of joints and actions, with its deviation as a band; None if nobody strides.

    One episode: a colour for each leg. Several, by label: a colour for each, the second leg dotted.
    episodes, root, store: as in `gait`.
    """
    shown = episodes_of(episodes, root, store)
    walking = {label: episode for label, episode in shown.items() if _strides(episode)}
    if not walking:
        return None
    first = next(iter(walking.values()))
    titles = {**first.shown.plots, **_actions_by_joint(first)}
    plots = []
    for title, channels in titles.items():
        lines = [line for number, (label, episode) in enumerate(shown.items()) if label in walking
                 for line in _lines(episode, channels, label, number if len(shown) > 1 else None)]
        if lines:
            name = next(iter(channels.values()))
            unit = first.units.get(name, "")
            legs = [f"{DASH_WORDS['dot' if i else 'solid']} {words}" for i, words in enumerate(channels)]
            plots.append(Plot(title, unit, lines, height=110,
                              note=", ".join(legs) if len(shown) > 1 and len(legs) > 1 else ""))
    counts = ", ".join(f"{label} {_strides(episode)}".strip() for label, episode in walking.items())
    return stacked(plots, XAxis("% of a stride, from landing to landing", "%", "%{x:.0f} % of the stride"),
                   x_range=(0, 100), above=[[f"strides averaged: {counts}"]] if len(walking) < 4 else [],
                   keys=list(shown) if len(shown) > 1 else [])


def _strides(episode: Episode) -> int:
    """Strides of the first leg that are averaged."""
    feet = contact_names(episode)
    return len(strides_of(episode, feet[0])) if feet and np.isfinite(distance(episode)) else 0


def _actions_by_joint(episode: Episode) -> dict[str, dict[str, str]]:
    """The actions of both legs at each joint, `{"Action: hip": {"leg 1": "action_hip_1", ...}}`."""
    found: dict[str, dict[str, str]] = {}
    for name in episode.action_names:
        joint, _, leg = name.removeprefix("action_").rpartition("_")
        if leg.isdigit():
            found.setdefault(f"Action: {words_of(joint)}", {})[f"leg {leg}"] = name
    return found


def _lines(episode: Episode, channels: Mapping[str, str], label: str, number: int | None) -> list[Line]:
    """Mean and band of each channel; number: of several episodes, which has its own colour."""
    lines = []
    for i, ((words, name), color) in enumerate(zip(channels.items(), colors_of(list(channels.values())), strict=True)):
        cycles = strides_of(episode, name) if name in episode.series else np.zeros((0, 1))
        if not len(cycles):
            continue
        color = color if number is None else COLORS[number % len(COLORS)]
        mean, deviation = cycles.mean(0), cycles.std(0)
        shown_name = words if number is None else f"{label} {words}".strip()
        lines.append(Line(shown_name, PERCENT, mean, color=color, dash="dot" if i and number is not None else "solid",
                          width=2.0 if not number else 1.4, group=label, in_title=number is None))
        if number is None or not i:
            lines.append(Line("", PERCENT, mean, color=color, kind="band", error=deviation, group=label,
                              in_title=False))
    return lines
