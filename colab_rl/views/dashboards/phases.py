"""Phase portraits: joints against their speeds, and against each other; a steady gait is a closed loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from colab_rl.evaluation.episode import Episode
from colab_rl.views.dashboards.style import TEMPLATE, empty, plain, rounded, wrapped
from colab_rl.views.palette import BLUE, COLORS, GREY, colors_of

MOST = 500       # points of a portrait
HALF_PHONE = 17  # characters of a title, two of which stand beside each other

MOST_PORTRAITS = 4
# An angle or a place, and what its rate is called.
RATES = (("angle", "angular_velocity"), ("angle", "speed"), ("position", "velocity"))
Portrait = tuple[str, list[tuple[str, str, str, str]]]  # title; (x channel, y channel, words, colour)


def phase_portraits(episodes: Episode | Mapping[str, Episode], overlay: bool = False,
                    first: str | None = None) -> go.Figure:
    """Up to four portraits of episodes by label: one at a time with a slider, or all over each other.

    first: the label of the episode shown before the slider is touched, the last one where not given.
    """
    shown = {"": episodes} if isinstance(episodes, Episode) else dict(episodes)
    portraits = _portraits(list(shown.values())) if shown else []
    if not portraits:
        return empty("These episodes have no angles and speeds to hold against each other.")
    figure = go.Figure(layout={"template": TEMPLATE})
    active = list(shown).index(first) if first in shown else len(shown) - 1
    owners: list[int] = []
    layout: dict[str, Any] = {}
    annotations = []
    rows = -(-len(portraits) // 2)
    high = 1 / rows - (0.13 if rows > 1 else 0)
    units = next(iter(shown.values())).units
    for number, (title, curves) in enumerate(portraits):
        suffix = "" if number == 0 else str(number + 1)
        left, top = 0.58 * (number % 2), 1 - (number // 2) / rows
        domain = [left, left + 0.42] if len(portraits) > 1 else [0, 1]
        layout |= {
            f"xaxis{suffix}": {"domain": domain, "anchor": f"y{suffix}", "nticks": 4, "title": {
                "text": plain(_words(curves[0][0], units)), "standoff": 4, "font": {"size": 11}}},
            f"yaxis{suffix}": {"domain": [top - high + 0.03, top - 0.03], "anchor": f"x{suffix}", "title": {
                "text": plain(_words(curves[0][1], units)), "standoff": 2, "font": {"size": 11}}}}
        keys = ", ".join(f'<span style="color:{color}">{plain(words)}</span>' for _, _, words, color in curves if words)
        words = "<br>".join(f"<b>{line}</b>" for line in wrapped(title, HALF_PHONE))
        annotations.append({"text": words + (f"<br>{keys}" if keys and not overlay else ""),
                            "x": domain[0], "xref": "paper",
                            "xanchor": "left", "y": top - 0.03, "yref": "paper", "yanchor": "bottom",
                            "showarrow": False, "align": "left", "font": {"size": 12}})
        for owner, (label, episode) in enumerate(shown.items()):
            for x, y, words, color in curves:
                chosen = np.linspace(0, episode.length, min(MOST, episode.length + 1)).astype(int)
                look = COLORS[owner % len(COLORS)] if overlay else color
                figure.add_trace({
                    "type": "scatter", "mode": "lines", "x": rounded(episode[x][chosen]), "showlegend": False,
                    "y": rounded(episode[y][chosen]), "xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "opacity": 0.7,
                    "line": {"color": look, "width": 1}, "name": plain(f"{label} {words}"),
                    "visible": overlay or owner == active})
                owners.append(owner)
    top_margin = 64 + (44 if len(shown) > 1 else 0)
    figure.update_layout(**layout, annotations=annotations, height=330 * rows + top_margin,
                         margin={"t": top_margin, "b": 40, "l": 58, "r": 14})
    inner = 330 * rows - 40
    if len(shown) > 1 and not overlay:
        steps = [{"label": plain(label), "method": "restyle",
                  "args": [{"visible": [owner == number for owner in owners]}]} for number, label in enumerate(shown)]
        figure.update_layout(sliders=[{
            "active": active, "steps": steps, "x": 0, "len": 1, "xanchor": "left", "yanchor": "top",
            "y": 1 + (top_margin - 4) / inner, "pad": {"t": 0, "b": 0}, "ticklen": 0, "name": "checkpoint",
            "font": {"size": 1, "color": "rgba(0,0,0,0)"}, "bgcolor": "rgba(128,128,128,0.25)",
            "bordercolor": "rgba(128,128,128,0.4)", "activebgcolor": BLUE,
            "currentvalue": {"prefix": "checkpoint: ", "font": {"size": 12, "color": GREY}}}])
    return figure


def _portraits(episodes: list[Episode]) -> list[Portrait]:
    """Those that the first one's environment chooses, or every channel against its rate, of channels that all have."""
    series = set(episodes[0].series).intersection(*(episode.series for episode in episodes))
    chosen = episodes[0].shown.portraits or {
        f"{rate} over {name}".replace("_", " "): {"": (name, rate)} for name in episodes[0].units
        for place, speed in RATES if place in name for rate in [name.replace(place, speed)] if rate in series}
    found: list[Portrait] = []
    for title, curves in chosen.items():
        known = {words: pair for words, pair in curves.items() if set(pair) <= series}
        colors = colors_of([x for x, _ in known.values()])
        if known:
            found.append((title, [(x, y, words, color)
                                  for (words, (x, y)), color in zip(known.items(), colors, strict=True)]))
    return found[:MOST_PORTRAITS]


def _words(name: str, units: Mapping[str, str]) -> str:
    word = name.replace("_1_", " ").replace("_", " ")
    return f"{word} ({units[name]})" if units.get(name) else word
