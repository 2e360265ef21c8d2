"""Phase portraits: joints against their speeds, and against each other; a steady gait is a closed loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from colab_rl.evaluation.episode import Episode
from colab_rl.runs.places import Location
from colab_rl.views.dashboards.named import Episodes, episodes_of
from colab_rl.views.dashboards.plots import DASH_WORDS, suffix
from colab_rl.views.dashboards.strides import strides_of
from colab_rl.views.dashboards.style import checkpoint_slider, empty, figure_of, lines_of, plain, rounded, text_at
from colab_rl.views.palette import COLORS, colors_of

MOST = 500       # points of a portrait
HALF_PHONE = 17  # characters of a title, two of which stand beside each other

MOST_PORTRAITS = 4
# An angle or a place, and what its rate is called.
PHASE_PAIRS = (("angle", "angular_velocity"), ("angle", "speed"), ("position", "velocity"))
Portrait = tuple[str, list[tuple[str, str, str, str]]]  # title; (x channel, y channel, words, colour)


@np.errstate(all="ignore")
def phase_portraits(episodes: Episodes, overlay: bool = False, first: str | None = None, *,
                    root: Location = None, store: Location = None) -> go.Figure:
    """Up to four portraits of episodes by label: one at a time with a slider, or all over each other.

    episodes, root, store: as in `gait`.
    first: the label of the episode shown before the slider is touched, the last one if not given.
    """
    shown = episodes_of(episodes, root, store)
    portraits = _portraits(list(shown.values())) if shown else []
    if not portraits:
        return empty("These episodes have no angles and speeds to hold against each other.")
    first = first if first in shown else list(shown)[-1]
    units = next(iter(shown.values())).units
    rows = -(-len(portraits) // 2)
    high = 1 / rows - (0.13 if rows > 1 else 0)
    top = 64 + (44 if len(shown) > 1 else 0)
    figure = figure_of(height=330 * rows + top, margin={"t": top, "b": 40, "l": 58, "r": 14})
    for number, (title, curves) in enumerate(portraits):
        axis, left, edge = suffix(number + 1), 0.58 * (number % 2), 1 - (number // 2) / rows
        if overlay:
            words = ", ".join(f"{DASH_WORDS['dot' if place else 'solid']} {plain(word)}"
                              for place, (_, _, word, _) in enumerate(curves) if len(curves) > 1)
        else:
            words = ", ".join(f'<span style="color:{color}">{plain(word)}</span>'
                              for _, _, word, color in curves if word)
        figure.add_annotation(text_at(f"<b>{'<br>'.join(lines_of(title, HALF_PHONE))}</b>"
                                      + (f"<br>{words}" if words else ""), edge - 0.03, x=left,
                                      name=f"title{number + 1}"))
        figure.update_layout({
            f"xaxis{axis}": {"domain": [left, left + 0.42] if len(portraits) > 1 else [0, 1], "anchor": f"y{axis}",
                             "nticks": 4, "title": _axis_title(curves[0][0], units, 4)},
            f"yaxis{axis}": {"domain": [edge - high + 0.03, edge - 0.03], "anchor": f"x{axis}",
                             "title": _axis_title(curves[0][1], units, 2)}})
        for owner, (label, episode) in enumerate(shown.items()):
            chosen = np.linspace(0, episode.length, min(MOST, episode.length + 1)).astype(int)
            for place, (x, y, word, color) in enumerate(curves):
                look = {"type": "scatter", "mode": "lines", "showlegend": False, "xaxis": f"x{axis}",
                        "yaxis": f"y{axis}", "name": plain(f"{label} {word}"), "legendgroup": label,
                        "visible": overlay or label == first, "meta": label if overlay else word}
                color = COLORS[owner % len(COLORS)] if overlay else color
                loop = _mean_loop(episode, x, y)
                if loop:
                    figure.add_trace({**look, "x": rounded(loop[0]), "y": rounded(loop[1]),
                                      "line": {"color": color, "width": 2.4 if owner == 0 or not overlay else 1.4,
                                               "dash": "dot" if overlay and place else "solid"}})
                if not loop or not overlay:  # of several episodes all their strides would be a tangle
                    figure.add_trace({**look, "x": rounded(episode[x][chosen]), "y": rounded(episode[y][chosen]),
                                      "opacity": 0.3 if loop else 0.7, "line": {"color": color, "width": 1}})
    keys = ([{"name": label, "color": COLORS[i % len(COLORS)], "sign": "●"} for i, label in enumerate(shown)]
            if overlay else [])
    figure.update_layout(meta={"keys": keys, "legend_pixels": 0})
    if len(shown) > 1 and not overlay:
        args = {label: [{"visible": [trace.legendgroup == label for trace in figure.data]}] for label in shown}
        figure.update_layout(sliders=[checkpoint_slider(args, first, 1 + (top - 4) / (330 * rows - 40))])
    return figure


def _mean_loop(episode: Episode, x: str, y: str) -> tuple[np.ndarray, np.ndarray] | None:
    """The mean of both channels over the strides of the first one's leg, closed; None if the body does not stride."""
    across, up = strides_of(episode, x), strides_of(episode, y)
    if not len(across) or len(across) != len(up):
        return None
    return tuple(np.append(cycles.mean(0), cycles.mean(0)[0]) for cycles in (across, up))  # type: ignore[return-value]


def _portraits(episodes: list[Episode]) -> list[Portrait]:
    """Those that the first one's environment chooses, or every channel against its rate, of channels that all have."""
    series = set(episodes[0].series).intersection(*(episode.series for episode in episodes))
    chosen = episodes[0].shown.portraits or {
        f"{rate} over {name}".replace("_", " "): {"": (name, rate)} for name in episodes[0].units
        for place, speed in PHASE_PAIRS if place in name for rate in [name.replace(place, speed)] if rate in series}
    found: list[Portrait] = []
    for title, curves in chosen.items():
        known = {words: pair for words, pair in curves.items() if set(pair) <= series}
        colors = colors_of([x for x, _ in known.values()])
        if known:
            found.append((title, [(x, y, words, color)
                                  for (words, (x, y)), color in zip(known.items(), colors, strict=True)]))
    return found[:MOST_PORTRAITS]


def _axis_title(channel: str, units: Mapping[str, str], standoff: int) -> dict[str, Any]:
    words = channel.replace("_1_", " ").replace("_", " ") + (f" ({units[channel]})" if units.get(channel) else "")
    return {"text": plain(words), "standoff": standoff, "font": {"size": 11}}
