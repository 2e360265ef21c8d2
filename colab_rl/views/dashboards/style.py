"""One look for every figure: colours, template, and panels that stand under each other.

Panels fill the width they are given, from a phone's to a desk's. A panel's title is also its
key: the words are in the colours of the lines they name, so that no legend covers anything.
"""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plotly.graph_objects as go

from colab_rl.views.palette import BLUE, COLORS

DASHES = ("solid", "dot", "dash", "dashdot")
DASH_WORDS = {"solid": "—", "dot": "···", "dash": "- -", "dashdot": "-·-"}
MOST_POINTS = 600   # of a line; no screen shows more
LINE, GAP = 17, 26  # pixels of a line of text above a panel, and of the room below it for its ticks
PHONE = 40          # characters that a phone shows in a line

TEMPLATE = go.layout.Template(layout={
    "font": {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 12,
             "color": "#767d87"},  # legible on white and on near-black; a page sets its own
    "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "colorway": list(COLORS),
    "xaxis": {"gridcolor": "rgba(128,128,128,0.18)", "zeroline": False, "ticks": "", "automargin": False},
    "yaxis": {"gridcolor": "rgba(128,128,128,0.18)", "zerolinecolor": "rgba(128,128,128,0.45)", "nticks": 5,
              "automargin": False},
    "hovermode": "closest", "hoverlabel": {"align": "left", "namelength": -1},
    "margin": {"l": 58, "r": 14, "t": 10, "b": 44}, "showlegend": False,
})


@dataclass(frozen=True)
class Line:
    """One series of a panel. kind: line, points, area (stacked), steps (with gaps), stairs; hover: a text a point."""

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
    also_x: Sequence[np.ndarray] = ()  # other units of x that a button may switch to


@dataclass(frozen=True)
class Panel:
    """One plot: what is seen, its unit, its lines. height in pixels, without its title."""

    title: str
    unit: str
    lines: Sequence[Line]
    height: int = 130
    log: bool = False
    y_range: tuple[float, float] | None = None
    y_ticks: tuple[Sequence[float], Sequence[str]] | None = None
    note: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


def plain(text: Any) -> str:
    """Any text as text: nothing in it is markup, in Plotly or in a page."""
    return html.escape(str(text)).replace("&quot;", "&#34;")  # of the two Plotly knows the number


def rounded(values: Any, digits: int = 4) -> list[float | None]:
    """Numbers with so many significant digits, as JSON has them; None where not finite."""
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None
            for value in np.asarray(values, np.float64).ravel()]


def thinned(y: np.ndarray, most: int = MOST_POINTS) -> np.ndarray:
    """Indices of at most about `most` points that show the same curve: of each stretch its lowest and highest."""
    count = len(y)
    if count <= most:
        return np.arange(count)
    starts = np.linspace(0, count, most // 2, endpoint=False).astype(int)
    known = np.isfinite(y)
    chosen = [np.array([0, count - 1]), starts[~np.logical_or.reduceat(known, starts)]]
    for filled, extreme in ((np.where(known, y, np.inf), np.minimum), (np.where(known, y, -np.inf), np.maximum)):
        # The first place in each stretch that has the stretch's extreme.
        extremes = np.repeat(extreme.reduceat(filled, starts), np.diff([*starts, count]))
        places = np.flatnonzero((filled == extremes) & known)
        stretches = np.searchsorted(starts, places, side="right")
        chosen.append(places[np.flatnonzero(np.diff(stretches, prepend=0))])
    return np.unique(np.concatenate(chosen))


def smoothed(y: np.ndarray, window: int) -> np.ndarray:
    """The mean of up to `window` values up to each; NaN are left out."""
    known = np.isfinite(y)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, y, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    ends = np.arange(1, len(y) + 1)
    starts = np.maximum(ends - window, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (sums[ends] - sums[starts]) / (counts[ends] - counts[starts])


def title_of(panel: Panel) -> str:
    """The panel's title, with the name of each line in its colour."""
    names: dict[str, Line] = {}
    for line in panel.lines:
        if line.name and line.in_title:
            names.setdefault(line.name, line)
    keys = [f'<span style="color:{line.color}">{DASH_WORDS[line.dash] + " " if line.dash != "solid" else ""}'
            f"{plain(name)}</span>" for name, line in names.items()]
    if list(names) == [panel.title]:
        keys = []
    lines, width = [f"<b>{plain(panel.title)}</b>"], len(panel.title)
    notes = textwrap.wrap(panel.note, PHONE)
    for i, (name, key) in enumerate(zip([*(names if keys else ()), *notes], [*keys, *map(plain, notes)], strict=True)):
        if width + len(name) + 2 > PHONE:
            lines, width = [*lines, key], len(name)
        else:
            lines[-1] += ("  " if i == 0 or name in notes else ", ") + key
            width += len(name) + 2
    return "<br>".join(lines)


def shown(line: Line) -> np.ndarray:
    """Indices of the points that are drawn."""
    if line.kind == "area":  # those that are stacked need the same places
        return np.linspace(0, len(line.y) - 1, min(len(line.y), MOST_POINTS)).round().astype(int)
    return thinned(line.y)


def trace_of(line: Line, axis: int, unit: str) -> dict[str, Any]:
    """A Plotly scatter trace for the panel number `axis`."""
    chosen = shown(line)
    suffix = "" if axis == 1 else str(axis)
    trace: dict[str, Any] = {
        "type": "scatter", "x": rounded(line.x[chosen], 7), "y": rounded(line.y[chosen]), "name": plain(line.name),
        "xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "opacity": line.opacity, "showlegend": False,
        "mode": "markers" if line.kind == "points" else "lines", "connectgaps": line.kind == "line",
        "line": {"color": line.color, "width": line.width, "dash": line.dash},
        "hovertemplate": f"{plain(line.name)}: %{{y:.4g}} {plain(unit)}<extra></extra>",
    }
    if line.group:
        trace["legendgroup"] = line.group
    if line.kind == "points":
        trace["marker"] = {"color": line.color, "size": 11 if line.symbol != "circle" else 7, "symbol": line.symbol}
    if line.kind == "steps":
        trace |= {"connectgaps": False, "line": {"color": line.color, "width": line.width}}
    if line.kind == "stairs":
        trace["line"]["shape"] = "hv"
    if line.kind == "area":
        trace |= {"stackgroup": line.stack or "all", "line": {"color": line.color, "width": 0.5}}
    if line.error is not None:
        trace["error_y"] = {"array": rounded(line.error[chosen]), "color": line.color, "thickness": 1.2, "width": 3}
    if line.hover is not None:
        trace |= {"text": [plain(line.hover[i]) for i in chosen], "hovertemplate": "%{text}<extra></extra>"}
    return trace


def others_of(line: Line) -> list[list[float | None]]:
    """The line's x in its other units, thinned as its trace is."""
    return [rounded(x[shown(line)], 7) for x in line.also_x]


def stacked(panels: Sequence[Panel], x_title: str, *, top: int = 0, x_range: tuple[float, float] | None = None,
            above: Sequence[str] = ()) -> go.Figure:
    """Panels one under the other with one x axis.

    top: pixels kept free above them, for buttons; above: lines of text that stand there.
    """
    top += 18 * len(above) + (8 if above else 0)
    figure = go.Figure(layout={"template": TEMPLATE})
    titles = [title_of(panel) for panel in panels]
    rooms = [7 + LINE * (title.count("<br>") + 1) for title in titles]
    inner = sum(rooms) + sum(panel.height + GAP for panel in panels)
    bottom = 48
    traces: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    layout: dict[str, Any] = {}
    offset = 0
    for number, (panel, title, room) in enumerate(zip(panels, titles, rooms, strict=True), 1):
        suffix = "" if number == 1 else str(number)
        high = 1 - (offset + room) / inner
        low = max(0.0, high - panel.height / inner)
        offset += room + panel.height + GAP
        traces += [trace_of(line, number, panel.unit) for line in panel.lines]
        last = number == len(panels)
        x_axis: dict[str, Any] = {"anchor": f"y{suffix}", "domain": [0, 1],
                                  "title": {"text": x_title if last else "", "standoff": 6}}
        if number > 1:
            x_axis["matches"] = "x"
        if x_range:
            x_axis["range"] = list(x_range)
        y_axis: dict[str, Any] = {"anchor": f"x{suffix}", "domain": [low, high],
                                  "title": {"text": plain(panel.unit), "standoff": 2, "font": {"size": 11}}}
        if panel.log:
            y_axis |= {"type": "log", **_log_ticks(panel)}
        if panel.y_range:
            y_axis["range"] = list(panel.y_range)
        if panel.y_ticks:
            y_axis |= {"tickvals": list(panel.y_ticks[0]), "ticktext": [plain(text) for text in panel.y_ticks[1]]}
        layout |= {f"xaxis{suffix}": {**x_axis, **panel.extra.get("x", {})},
                   f"yaxis{suffix}": {**y_axis, **panel.extra.get("y", {})}}
        annotations.append({"text": title, "x": 0, "xref": "paper", "xanchor": "left", "align": "left",
                            "y": high, "yref": "paper", "yanchor": "bottom", "yshift": 2, "showarrow": False,
                            "font": {"size": 12.5}, "name": f"title{number}"})
    for i, text in enumerate(above):
        annotations.append({"text": text, "x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yref": "paper",
                            "yanchor": "bottom", "yshift": 18 * (len(above) - 1 - i) + 6, "showarrow": False,
                            "align": "left"})
    figure.add_traces(traces)
    figure.update_layout(height=inner + top + 10 + bottom, annotations=annotations,
                         margin={"l": 58, "r": 14, "t": top + 10, "b": bottom - GAP}, **layout)
    return figure


def empty(sentence: str) -> go.Figure:
    """A figure that says what is missing."""
    figure = go.Figure(layout={"template": TEMPLATE, "height": 90, "margin": {"l": 10, "r": 10, "t": 10, "b": 10}})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(text=plain(sentence), x=0, xanchor="left", xref="paper", y=0.5, yref="paper",
                          showarrow=False, align="left")
    return figure


def legend(labels: Sequence[str]) -> list[str]:
    """Lines that say which run or episode has which colour."""
    return [f'<span style="color:{COLORS[i % len(COLORS)]}">{" " if number else "●"} {line}</span>'
            for i, label in enumerate(labels)
            for number, line in enumerate(wrapped(label, PHONE))]


def wrapped(text: str, width: int = 46) -> list[str]:
    """Text in lines that a phone shows, escaped; a run's name is not broken at its hyphens."""
    return [plain(line) for line in textwrap.wrap(text, width, break_on_hyphens=False)]


def _log_ticks(panel: Panel) -> dict[str, Any]:
    """Ticks of a logarithmic axis: powers of ten, and numbers between them where there would be fewer than two."""
    values = np.concatenate([line.y for line in panel.lines] or [np.ones(1)])
    values = values[np.isfinite(values) & (values > 0)]
    decades = float(np.log10(values.max() / values.min())) if len(values) else 0.0
    if decades > 1.5:
        return {"exponentformat": "power", "dtick": 1 if decades < 6 else 2}
    plain_numbers = {"tickformat": "~g" if len(values) and values.max() > 0.01 else "~e"}
    return plain_numbers | ({"dtick": "D2"} if decades > 0.7 else {})
