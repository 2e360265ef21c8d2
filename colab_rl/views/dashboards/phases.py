"""Phase portraits: joints against their speeds, and against each other; a steady gait is a closed loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from colab_rl.evaluation.episode import Episode
from colab_rl.views.dashboards.plots import suffix
from colab_rl.views.dashboards.style import (
    CURRENT_VALUE,
    SLIDER,
    empty,
    figure_of,
    plain,
    rounded,
    text_at,
    wrapped,
)
from colab_rl.views.palette import BLUE, COLORS, PURPLE, RED

MOST = 500       # points of a portrait
HALF_PHONE = 17  # characters of a title, two of which stand beside each other

Portrait = tuple[str, list[tuple[str, str, str, str]]]  # title; (x channel, y channel, words, colour)
WALKER: list[Portrait] = [
    ("Hip: speed over angle", [("hip_1_angle", "hip_1_speed", "leg 1", RED),
                               ("hip_2_angle", "hip_2_speed", "leg 2", BLUE)]),
    ("Knee: speed over angle", [("knee_1_angle", "knee_1_speed", "leg 1", RED),
                                ("knee_2_angle", "knee_2_speed", "leg 2", BLUE)]),
    ("Knee over hip", [("hip_1_angle", "knee_1_angle", "leg 1", RED), ("hip_2_angle", "knee_2_angle", "leg 2", BLUE)]),
    ("Hull: speed over angle", [("hull_angle", "hull_angular_velocity", "hull", PURPLE)]),
]
# Pairs that other environments have: an angle or a place, and its rate.
PAIRS = [("angle", "angular_velocity"), ("pole_angle", "pole_speed"), ("cart_position", "cart_velocity"),
         ("position_x", "velocity_x"), ("position_y", "velocity_y"), ("position", "velocity"),
         ("sin_angle", "speed"), ("sin_angle_1", "speed_1"), ("sin_angle_2", "speed_2")]


@np.errstate(all="ignore")
def phase_portraits(episodes: Episode | Mapping[str, Episode], overlay: bool = False,
                    first: str | None = None) -> go.Figure:
    """Up to four portraits of episodes by label: one at a time with a slider, or all over each other.

    first: the label of the episode shown before the slider is touched, the last one where not given.
    """
    shown = {"": episodes} if isinstance(episodes, Episode) else dict(episodes)
    portraits = _portraits(list(shown.values())) if shown else []
    if not portraits:
        return empty("These episodes have no angles and speeds to hold against each other.")
    active = list(shown).index(first) if first in shown else len(shown) - 1
    units = next(iter(shown.values())).units
    rows = -(-len(portraits) // 2)
    high = 1 / rows - (0.13 if rows > 1 else 0)
    top = 64 + (44 if len(shown) > 1 else 0)
    figure = figure_of(height=330 * rows + top, margin={"t": top, "b": 40, "l": 58, "r": 14})
    owners: list[int] = []
    for number, (title, curves) in enumerate(portraits):
        axis, left, edge = suffix(number + 1), 0.58 * (number % 2), 1 - (number // 2) / rows
        words = ", ".join(f'<span style="color:{color}">{plain(word)}</span>' for _, _, word, color in curves if word)
        figure.add_annotation(text_at("<br>".join(f"<b>{line}</b>" for line in wrapped(title, HALF_PHONE))
                                      + (f"<br>{words}" if words and not overlay else ""), edge - 0.03, x=left))
        figure.update_layout({
            f"xaxis{axis}": {"domain": [left, left + 0.42] if len(portraits) > 1 else [0, 1], "anchor": f"y{axis}",
                             "nticks": 4, "title": _axis_title(curves[0][0], units, 4)},
            f"yaxis{axis}": {"domain": [edge - high + 0.03, edge - 0.03], "anchor": f"x{axis}",
                             "title": _axis_title(curves[0][1], units, 2)}})
        for owner, (label, episode) in enumerate(shown.items()):
            chosen = np.linspace(0, episode.length, min(MOST, episode.length + 1)).astype(int)
            for x, y, word, color in curves:
                figure.add_trace({
                    "type": "scatter", "mode": "lines", "x": rounded(episode[x][chosen]), "showlegend": False,
                    "y": rounded(episode[y][chosen]), "xaxis": f"x{axis}", "yaxis": f"y{axis}", "opacity": 0.7,
                    "line": {"color": COLORS[owner % len(COLORS)] if overlay else color, "width": 1},
                    "name": plain(f"{label} {word}"), "visible": overlay or owner == active})
                owners.append(owner)
    if len(shown) > 1 and not overlay:
        steps = [{"label": plain(label), "method": "restyle",
                  "args": [{"visible": [owner == number for owner in owners]}]} for number, label in enumerate(shown)]
        figure.update_layout(sliders=[{**SLIDER, "active": active, "steps": steps, "name": "checkpoint",
                                       "y": 1 + (top - 4) / (330 * rows - 40),
                                       "currentvalue": {**CURRENT_VALUE, "prefix": "checkpoint: "}}])
    return figure


def _portraits(episodes: list[Episode]) -> list[Portrait]:
    def everywhere(*names: str) -> bool:
        return all(name in episode.series for episode in episodes for name in names)

    walker = [(title, [curve for curve in curves if everywhere(*curve[:2])]) for title, curves in WALKER]
    found = [portrait for portrait in walker if portrait[1]]
    if not found:
        found = [(f"{y} over {x}".replace("_", " "), [(x, y, "", BLUE)]) for x, y in PAIRS if everywhere(x, y)]
    return found[:4]


def _axis_title(channel: str, units: Mapping[str, str], standoff: int) -> dict[str, Any]:
    words = channel.replace("_1_", " ").replace("_", " ") + (f" ({units[channel]})" if units.get(channel) else "")
    return {"text": plain(words), "standoff": standoff, "font": {"size": 11}}
