"""Plots that stand under each other, with one axis of x.

They fill the width they are given, from a phone's to a desk's. A plot's title is also its key:
the words are in the colours of the lines they name, so that no legend covers anything.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plotly.graph_objects as go

from colab_rl.views.dashboards.style import PHONE, figure_of, legend, plain, rounded, text_at
from colab_rl.views.palette import BLUE, COLORS
from colab_rl.views.values import SMALLEST

DASHES = ("solid", "dot", "dash", "dashdot")
DASH_WORDS = {"solid": "—", "dot": "···", "dash": "- -", "dashdot": "-·-"}
HOVER_HAS_TITLE = hasattr(go.layout.XAxis, "unifiedhovertitle")  # Plotly 6; Colab has 5, which shows x alone there
MOST_DRAWN = 600           # of a line; no screen shows more
LINE, GAP = 17, 26          # pixels of a line of text above a plot, and of the room below it for its ticks
LEFT, RIGHT, BOTTOM = 58, 14, 48  # pixels around all of them
LEGEND_LINE, LEGEND_GAP = 18, 8    # pixels of a line of text over them, and under the last


@dataclass(frozen=True)
class Line:
    """One series of a plot. hover: a text a point.

    kind: line, points, area (stacked), steps (with gaps), stairs, or band (from `y - error` to `y + error`).
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    color: str = BLUE
    dash: str = "solid"
    kind: str = "line"
    width: float = 1.8
    opacity: float = 1.0
    error: np.ndarray | None = None
    hover: Sequence[str] | None = None
    symbol: str = "circle"
    stack: str = ""
    group: str = ""         # of lines that are shown and hidden together
    in_title: bool = True
    other_x: Sequence[np.ndarray] = ()  # in the units of x that buttons switch between
    most: int = MOST_DRAWN  # points that are drawn

    @property
    def key(self) -> str:
        """What it is shown and hidden by in a page's legend, if the figure has no groups."""
        return self.name if self.in_title else ""


@dataclass(frozen=True)
class Plot:
    """What is seen, its unit, its lines. height in pixels, without its title; axes: more of `x` and of `y`."""

    title: str
    unit: str
    lines: Sequence[Line]
    height: int = 130
    log: bool = False
    y_range: tuple[float, float] | None = None
    y_ticks: tuple[Sequence[float], Sequence[str]] | None = None
    note: str = ""
    axes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class XAxis:
    """What x is called under the plots, behind the first tick of each plot, and in front of a hovered place."""

    title: str
    unit: str
    hover: str


def stacked(plots: Sequence[Plot], x_axis: XAxis, *, top: int = 0, x_range: tuple[float, float] | None = None,
            above: Sequence[Sequence[str]] = (), keys: Sequence[str] = ()) -> go.Figure:
    """Plots one under the other with one x axis.

    top: pixels kept free above them, for buttons; above: sentences that stand there, each in lines for a phone, which
        a wide page joins.
    keys: the groups of lines, if the lines differ by them; they are named above the plots. A page shows them, or the
        names of the lines, as buttons that hide and show; it finds them in the layout's `meta`.
    """
    named = legend(keys) if keys else []
    lines = {**{f"legend{i}": line for i, line in enumerate(named)},
             **{f"above{i}-{j}": line for i, sentence in enumerate(above) for j, line in enumerate(sentence)}}
    top += LEGEND_LINE * len(lines) + (LEGEND_GAP if lines else 0)
    titles = [title_of(plot) for plot in plots]
    rooms = [7 + LINE * (title.count("<br>") + 1) for title in titles]
    inner = sum(rooms) + sum(plot.height + GAP for plot in plots)
    figure = figure_of(height=inner + top + 10 + BOTTOM,
                       margin={"l": LEFT, "r": RIGHT, "t": top + 10, "b": BOTTOM - GAP})
    traces, annotations = [], []
    axes: dict[str, Any] = {}
    offset = 0
    for number, (plot, title, room) in enumerate(zip(plots, titles, rooms, strict=True), 1):
        high = 1 - (offset + room) / inner
        low = max(0.0, high - plot.height / inner)
        offset += room + plot.height + GAP
        traces += [{**trace_of(line, number, plot.unit, line.group if keys else ""),
                    "meta": line.group if keys else line.key} for line in plot.lines]
        axes |= _axes_of(plot, number, [low, high], x_axis, number == len(plots), x_range)
        annotations.append(text_at(title, high, yshift=2, font={"size": 12.5}, name=f"title{number}"))
    annotations += [text_at(text, 1, yshift=LEGEND_LINE * (len(lines) - 1 - i) + 6, name=name)
                    for i, (name, text) in enumerate(lines.items())]
    figure.add_traces(traces)
    room = LEGEND_LINE * len(named) + (LEGEND_GAP if named and not above else 0)
    figure.update_layout(annotations=annotations, hovermode="x unified", **axes,
                         meta={"keys": _keys(plots, keys), "legend_pixels": room})
    return figure


def _keys(plots: Sequence[Plot], groups: Sequence[str]) -> list[dict[str, str]]:
    """What a page's legend shows: a name, its colour, and the sign of its dash."""
    if groups:
        return [{"name": group, "color": COLORS[i % len(COLORS)], "sign": "●"} for i, group in enumerate(groups)]
    found = {line.key: {"name": line.key, "color": line.color, "sign": sign_of(line)}
             for plot in plots for line in reversed(plot.lines) if line.key}
    return [found[key] for key in dict.fromkeys(line.key for plot in plots for line in plot.lines if line.key)]


def sign_of(line: Line) -> str:
    """How a line is drawn, in a character."""
    return {"points": "◆" if line.symbol != "circle" else "●", "area": "■"}.get(line.kind, DASH_WORDS[line.dash])


def suffix(number: int) -> str:
    """What Plotly calls the axes of plot 1, 2, ... behind `x` and `y`."""
    return "" if number == 1 else str(number)


def title_of(plot: Plot) -> str:
    """The plot's title, with the name of each line in its colour."""
    names: dict[str, Line] = {}
    for line in plot.lines:
        if line.name and line.in_title:
            names.setdefault(line.name, line)
    if list(names) == [plot.title]:
        names = {}
    parts = [(name, ", " if i else "  ",
              f'<span style="color:{line.color}">{DASH_WORDS[line.dash] + " " if line.dash != "solid" else ""}'
              f"{plain(name)}</span>") for i, (name, line) in enumerate(names.items())]
    parts += [(note, "  ", plain(note)) for note in textwrap.wrap(plot.note, PHONE)]
    lines, width = [f"<b>{plain(plot.title)}</b>"], len(plot.title)
    for words, between, text in parts:
        if width + len(words) + 2 > PHONE:
            lines, width = [*lines, text], len(words)
        else:
            lines[-1] += between + text
            width += len(words) + 2
    return "<br>".join(lines)


def trace_of(line: Line, number: int, unit: str, whose: str = "") -> dict[str, Any]:
    """A Plotly scatter trace for plot `number`. whose: what a hovered place says before the line's name."""
    if line.kind == "band" and line.error is not None:
        edges = np.concatenate([line.y - line.error, (line.y + line.error)[::-1]])
        return {"type": "scatter", "x": rounded(np.concatenate([line.x, line.x[::-1]])), "y": rounded(edges),
                "xaxis": f"x{suffix(number)}", "yaxis": f"y{suffix(number)}", "mode": "lines", "line": {"width": 0},
                "fill": "toself", "fillcolor": line.color, "opacity": 0.18, "hoverinfo": "skip", "showlegend": False,
                "legendgroup": line.group}
    chosen = drawn_points(line)
    even = len(chosen) == len(line.x) > 2 and np.allclose(np.diff(line.x), line.x[1] - line.x[0])
    place: dict[str, Any] = ({"x0": rounded(line.x[0], 7)[0], "dx": rounded(line.x[1] - line.x[0], 7)[0]}
                             if even and not line.other_x else {"x": rounded(line.x[chosen], 7)})
    hovered = ", ".join(dict.fromkeys(filter(None, (whose, line.name))))
    digits = 3 if line.most > MOST_DRAWN else 4  # so many numbers would fill the page
    trace: dict[str, Any] = {
        "type": "scatter", **place, "y": rounded(line.y[chosen], digits), "name": plain(line.name),
        "xaxis": f"x{suffix(number)}", "yaxis": f"y{suffix(number)}", "opacity": line.opacity, "showlegend": False,
        "legendgroup": line.group,
        "mode": "markers" if line.kind == "points" else "lines", "connectgaps": line.kind == "line",
        "line": {"color": line.color, "width": line.width, "dash": line.dash},
        "hovertemplate": f"{plain(hovered)}: %{{y:.4g}} {plain(unit)}<extra></extra>",
    }
    if line.kind != "points" and np.isfinite(line.y).sum() == 1:  # a line of one point is nothing to be seen
        trace |= {"mode": "lines+markers", "marker": {"color": line.color, "size": 6}}
    if line.kind == "points":
        trace["marker"] = {"color": line.color, "size": 11 if line.symbol != "circle" else 7, "symbol": line.symbol}
    elif line.kind == "steps":
        trace["line"] = {"color": line.color, "width": line.width}
    elif line.kind == "stairs":
        trace["line"]["shape"] = "hv"
    elif line.kind == "area":
        trace |= {"stackgroup": line.stack or "all", "line": {"color": line.color, "width": 0.5}}
    if line.error is not None:
        trace["error_y"] = {"array": rounded(line.error[chosen]), "color": line.color, "thickness": 1.2, "width": 3}
    if line.hover is not None:
        trace |= {"text": [plain(line.hover[i]) for i in chosen], "hovertemplate": "%{text}<extra></extra>"}
    return trace


def drawn_points(line: Line) -> np.ndarray:
    """Indices of the points that are drawn."""
    if line.kind == "area":  # those that are stacked need the same places
        return np.linspace(0, len(line.y) - 1, min(len(line.y), MOST_DRAWN)).round().astype(int)
    return thinned(line.y, line.most)


def thinned(y: np.ndarray, most: int = MOST_DRAWN) -> np.ndarray:
    """Indices of at most about `most` points that show the same curve: of each stretch its lowest and highest."""
    if len(y) <= most:
        return np.arange(len(y))
    starts = np.linspace(0, len(y), most // 2, endpoint=False).astype(int)
    chosen = [0, len(y) - 1]
    for stretch in np.split(np.arange(len(y)), starts[1:]):
        known = stretch[np.isfinite(y[stretch])]
        chosen += [known[y[known].argmin()], known[y[known].argmax()]] if len(known) else [stretch[0]]
    return np.unique(chosen)


def _axes_of(plot: Plot, number: int, domain: Sequence[float], x_axis: XAxis, last: bool,
             x_range: tuple[float, float] | None) -> dict[str, Any]:
    """The axes of plot `number` in the layout."""
    x: dict[str, Any] = {"anchor": f"y{suffix(number)}", "domain": [0, 1],
                         "title": {"text": x_axis.title if last else "", "standoff": 6},
                         "ticksuffix": f" {x_axis.unit}", "showticksuffix": "first", "showexponent": "all",
                         **({"unifiedhovertitle": {"text": x_axis.hover}} if HOVER_HAS_TITLE else {})}
    y: dict[str, Any] = {"anchor": f"x{suffix(number)}", "domain": list(domain),
                         "title": {"text": plain(plot.unit), "standoff": 2, "font": {"size": 11}}}
    if number > 1:
        x["matches"] = "x"
    if x_range:
        x["range"] = list(x_range)
    if plot.log:
        y |= {"type": "log", **_log_ticks(plot)}
    if plot.y_range:
        y["range"] = list(plot.y_range)
    if plot.y_ticks:
        y |= {"tickvals": list(plot.y_ticks[0]), "ticktext": [plain(text) for text in plot.y_ticks[1]]}
    return {f"xaxis{suffix(number)}": x | plot.axes.get("x", {}), f"yaxis{suffix(number)}": y | plot.axes.get("y", {})}


def _log_ticks(plot: Plot) -> dict[str, Any]:
    """Ticks of a logarithmic axis: powers of ten, and numbers between them if there would be fewer than two."""
    values = np.concatenate([line.y for line in plot.lines])
    values = values[np.isfinite(values) & (values > SMALLEST)]
    decades = float(np.ptp(np.log10(values))) if len(values) else 0.0
    if decades > 1.5:
        return {"exponentformat": "e", "dtick": 1 + decades // 6}
    plain_numbers = {"tickformat": "~g" if len(values) and 0.01 < values.max() < 1e6 else "~e"}
    return plain_numbers | ({"dtick": "D2"} if decades > 0.7 else {})
