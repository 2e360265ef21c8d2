"""Figures of a sweep: how its trials learned, how sure that is, and which settings matter.

They are plain functions from `TrialCurves`. Intervals are those of Agarwal et al. 2021 (arXiv:2108.13264).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plotly.graph_objects as go

from colab_rl.sweeps import statistics
from colab_rl.views.dashboards.style import BUTTONS, empty, figure_of, legend, plain, rounded
from colab_rl.views.palette import BLUE, COLORS, GREY, RED
from colab_rl.views.values import value_range

UNITS = (("Steps", "environment steps"), ("Wall time", "minutes of training"))
POINTS = 100         # of a curve with its interval
MOST_LINES = 400     # of parallel coordinates
SHADES = (GREY, "#6F93C6", BLUE, "#AA5577", RED)  # from the worst fifth of the scores to the best
BANDS = 5            # groups that a setting with many values is cut into, to say how much it matters


@dataclass(frozen=True)
class TrialCurves:
    """A trial, as the figures draw it.

    curves: (E, 3) step, seconds and score of each evaluation, for each run. score: of the trial. final: of each run
    that ended. values: of its settings. runs: the names of those that `curves` are of.
    """

    trial: int
    label: str
    curves: Sequence[np.ndarray] = ()
    final: Sequence[float] = ()
    score: float | None = None
    values: dict[str, Any] = field(default_factory=dict)
    runs: Sequence[str] = ()


def learning_with_intervals(trials: Sequence[TrialCurves]) -> go.Figure:
    """The interquartile mean of the runs' scores over steps or minutes, with its 95 % interval.

    A run that stopped early, at its target, counts with its last score from there on.
    """
    trials = [trial for trial in trials if any(len(curve) for curve in trial.curves)]
    if not trials:
        return empty("No run has been evaluated yet.")
    traces: list[go.Scatter] = []
    over: list[list[Any]] = [[], []]  # by unit of x: x, y of every trace
    for number, trial in enumerate(trials):
        color = COLORS[number % len(COLORS)]
        shown = _band(trial.curves, 0, 1.0), _band(trial.curves, 1, 1 / 60)
        for unit, (x, found) in enumerate(shown):
            edge = np.concatenate([found.low, np.asarray(found.high)[::-1]])
            over[unit] += [(rounded(np.concatenate([x, x[::-1]]), 6), rounded(edge)), (rounded(x, 6),
                                                                                   rounded(found.value))]
        traces += [go.Scatter(x=over[0][-2][0], y=over[0][-2][1], fill="toself", fillcolor=color, opacity=0.2,
                              line={"width": 0}, hoverinfo="skip", mode="lines"),
                   go.Scatter(x=over[0][-1][0], y=over[0][-1][1], line={"color": color, "width": 2},
                              mode="lines" if len(over[0][-1][0]) > 1 else "lines+markers",
                              name=plain(trial.label), customdata=[trial.trial] * len(over[0][-1][0]))]
    figure = _with_legend(trials, 360, top=44)
    figure.add_traces(traces)
    figure.update_layout(yaxis={"title": {"text": "score"}})
    return _with_buttons(figure, over)


def profiles(trials: Sequence[TrialCurves]) -> go.Figure:
    """The share of a trial's runs that score more than each value, with its interval."""
    trials = [trial for trial in trials if len(trial.final)]
    if not trials:
        return empty("No run has finished yet.")
    low, high = value_range([score for trial in trials for score in trial.final], 0.1)
    thresholds = np.linspace(low, high, POINTS)
    figure = _with_legend(trials, 320)
    for number, trial in enumerate(trials):
        found = statistics.performance_profile(np.array(trial.final)[:, None], thresholds)
        color, x = COLORS[number % len(COLORS)], rounded(np.concatenate([thresholds, thresholds[::-1]]))
        figure.add_scatter(x=x, y=rounded(np.concatenate([found.low, np.asarray(found.high)[::-1]])), fill="toself",
                           fillcolor=color, opacity=0.15, line={"width": 0}, hoverinfo="skip", mode="lines")
        figure.add_scatter(x=rounded(thresholds), y=rounded(found.value), mode="lines", name=plain(trial.label),
                           line={"color": color, "width": 2, "shape": "hv"})
    figure.update_layout(xaxis={"title": {"text": "score"}},
                         yaxis={"title": {"text": "share of runs above"}, "range": [-0.03, 1.03]})
    return figure


def improvement(trials: Sequence[TrialCurves]) -> go.Figure:
    """How likely a run of the trial of a row scores more than one of the trial of a column."""
    trials = [trial for trial in trials if len(trial.final)]
    if len(trials) < 2:
        return empty("Two finished trials are needed to compare them.")
    names = [f"t{trial.trial:03d}" for trial in trials]
    cells, words = [], []
    for one in trials:
        found = [statistics.probability_of_improvement(np.array(one.final)[:, None], np.array(other.final)[:, None])
                 for other in trials]
        cells.append([None if one is other else float(chance.value)
                      for other, chance in zip(trials, found, strict=True)])
        words.append(["" if one is other else f"{chance.value:.2f}" + (
            "" if np.isnan(chance.low) else f"<br>{chance.low:.2f} to {chance.high:.2f}")
            for other, chance in zip(trials, found, strict=True)])
    figure = figure_of(height=110 + 52 * len(trials), margin={"l": 62, "r": 14, "t": 40, "b": 20})
    figure.add_heatmap(z=cells, x=names, y=names, text=words, texttemplate="%{text}", zmin=0, zmax=1, showscale=False,
                       colorscale=[[0, "#e9c9cf"], [0.5, "#d9dde3"], [1, "#b9cfe8"]], textfont={"color": "#24292f"},
                       hovertemplate="%{y} better than %{x}: %{text}<extra></extra>")
    figure.update_layout(yaxis={"autorange": "reversed"}, xaxis={"side": "top"})
    return figure


def reaching(trials: Sequence[TrialCurves], target: float) -> go.Figure:
    """The share of a trial's runs that have reached the target, over steps or minutes. Those that never do count."""
    trials = [trial for trial in trials if len(trial.curves)]
    if not trials:
        return empty("No run has been evaluated yet.")
    over: list[list[Any]] = [[], []]
    figure = _with_legend([TrialCurves(trial.trial, f"{trial.label}: {reached_words(trial, target)}")
                           for trial in trials], 300, top=44)
    for number, trial in enumerate(trials):
        for unit, scale in enumerate((1.0, 1 / 60)):
            firsts = [first_at(curve, target, unit) for curve in trial.curves]
            times = sorted(first * scale for first in firsts if first is not None)
            end = max((float(curve[-1, unit]) * scale for curve in trial.curves if len(curve)), default=1.0)
            shares = [i / len(trial.curves) for i in range(len(times) + 1)]
            over[unit].append((rounded([0, *times, max(end, *times) if times else end], 6),
                               rounded([*shares, shares[-1]])))
        figure.add_scatter(x=over[0][-1][0], y=over[0][-1][1], mode="lines", name=plain(trial.label),
                           line={"color": COLORS[number % len(COLORS)], "width": 2, "shape": "hv"})
    figure.update_layout(yaxis={"title": {"text": "share of runs"}, "range": [-0.03, 1.03]})
    return _with_buttons(figure, over)


def first_at(curve: np.ndarray, target: float, unit: int) -> float | None:
    """The step (unit 0) or second (1) of the first evaluation that reached the target; None if none did."""
    there = np.flatnonzero(curve[:, 2] >= target)
    return float(curve[there[0], unit]) if len(there) else None


def reached_words(trial: TrialCurves, target: float) -> str:
    """`3 of 5 runs, half of them by 120,000 steps`."""
    steps = [first_at(curve, target, 0) for curve in trial.curves]
    known = sorted(step for step in steps if step is not None)
    words = f"{len(known)} of {len(steps)} run{'s' if len(steps) > 1 else ''}"
    position = (len(steps) - 1) // 2  # of all runs, so that those that never got there are slower than any
    return words + (f", half of them by {known[position]:,.0f} steps" if position < len(known) else "")


def settings_scatter(trials: Sequence[TrialCurves]) -> go.Figure:
    """The score of each trial over each setting."""
    scored, names = _scored(trials)
    if not names:
        return empty("No setting varies between finished trials.")
    rows = len(names)
    figure = figure_of(height=60 + 190 * rows, margin={"l": 58, "r": 14, "t": 10, "b": 10})
    axes: dict[str, Any] = {}
    for number, name in enumerate(names, 1):
        values = [trial.values[name] for trial in scored]
        numeric = _is_number(values)
        suffix = "" if number == 1 else str(number)
        high = 1 - (number - 1) / rows
        axes[f"yaxis{suffix}"] = {"domain": [high - 0.72 / rows, high], "title": {"text": "score"},
                                  "anchor": f"x{suffix}"}
        axes[f"xaxis{suffix}"] = {"anchor": f"y{suffix}", "title": {"text": plain(name), "standoff": 4},
                                  **({"type": "log"} if numeric and _is_log(values) else {}),
                                  **({} if numeric else {"type": "category"})}
        figure.add_scatter(x=rounded(values, 6) if numeric else [plain(value) for value in values],
                           y=rounded([trial.score for trial in scored]), mode="markers", xaxis=f"x{suffix}",
                           yaxis=f"y{suffix}", marker={"color": BLUE, "size": 7, "opacity": 0.7},
                           customdata=[trial.trial for trial in scored],
                           hovertext=[plain(trial.label) for trial in scored], hoverinfo="text+y")
    figure.update_layout(**axes)
    return figure


def parallel(trials: Sequence[TrialCurves]) -> go.Figure:
    """Each trial as a line through its settings to its score; the best fifth in red."""
    scored, names = _scored(trials)
    if len(names) < 2:
        return empty("Parallel coordinates need two settings that vary.")
    scored = sorted(scored, key=lambda trial: trial.score or 0.0)
    if len(scored) > MOST_LINES:
        picked = np.linspace(0, len(scored) - 1, MOST_LINES).round().astype(int)
        scored = [scored[i] for i in picked]
    heights, ticks = [], []
    for name in [*names, "score"]:
        values = [trial.score if name == "score" else trial.values[name] for trial in scored]
        found, words = _heights(values)
        heights.append(found)
        ticks.append(words)
    figure = figure_of(height=380, margin={"l": 40, "r": 60, "t": 20, "b": 44})
    for shade, color in enumerate(SHADES):
        chosen = [i for i in range(len(scored)) if i * len(SHADES) // len(scored) == shade]
        x: list[float | None] = []
        y: list[float | None] = []
        for i in chosen:
            x += [*range(len(heights)), None]
            y += [*(round(float(height[i]), 4) for height in heights), None]
        figure.add_scatter(x=x, y=y, mode="lines", line={"color": color, "width": 1.2}, opacity=0.7, hoverinfo="skip")
    marks = [(axis, height, words) for axis, found in enumerate(ticks) for height, words in found]
    figure.add_scatter(x=[one[0] for one in marks], y=[one[1] for one in marks], text=[plain(one[2]) for one in marks],
                       mode="markers+text", textposition="middle right", marker={"color": GREY, "size": 4},
                       hoverinfo="skip")
    figure.update_layout(xaxis={"tickvals": list(range(len(heights))), "ticktext": [*map(plain, names), "score"],
                                "range": [-0.2, len(heights) - 0.4]}, yaxis={"visible": False})
    return figure


def importance(trials: Sequence[TrialCurves]) -> go.Figure:
    """The share of the scores' variance that lies between the values of each setting, on their own (eta squared)."""
    scored, names = _scored(trials)
    if not names or len(scored) < 3:
        return empty("Three finished trials with different settings are needed.")
    shares = sorted((_explained(scored, name), name) for name in names)
    figure = figure_of(height=60 + 30 * len(names), margin={"l": 190, "r": 14, "t": 10, "b": 44})
    figure.add_bar(x=rounded([share for share, _ in shares]), y=[plain(name) for _, name in shares], orientation="h",
                   marker={"color": BLUE}, hovertemplate="%{y}: %{x:.0%}<extra></extra>")
    figure.update_layout(xaxis={"range": [0, 1], "tickformat": ".0%", "title": {"text": "of the variance of scores"}})
    return figure


def _with_buttons(figure: go.Figure, over: Sequence[Sequence[tuple[Any, Any]]]) -> go.Figure:
    """The figure with buttons that switch the unit of x. over: x and y of every trace, by unit."""
    buttons = [{"label": label, "method": "update", "args": [
        {"x": [x for x, _ in over[unit]], "y": [y for _, y in over[unit]]},
        {"xaxis.title.text": title, "xaxis.autorange": True}]} for unit, (label, title) in enumerate(UNITS)]
    margin = figure.layout.margin
    high = 1 + (margin.t - 4) / (figure.layout.height - margin.t - margin.b)
    figure.update_layout(updatemenus=[{**BUTTONS, "buttons": buttons, "pad": {"t": 4, "l": 0}, "y": high}],
                         xaxis={"title": {"text": UNITS[0][1]}})
    return figure


def _with_legend(trials: Sequence[TrialCurves], height: int, top: int = 10) -> go.Figure:
    lines = legend([trial.label for trial in trials])
    above = 18 * len(lines) + 8
    figure = figure_of(height=height + above + top, margin={"l": 58, "r": 14, "t": top + above, "b": 50})
    for i, line in enumerate(lines):
        figure.add_annotation(text=line, x=0, xref="paper", xanchor="left", align="left", yref="paper",
                              y=1, yanchor="bottom", yshift=18 * (len(lines) - 1 - i) + 6, showarrow=False)
    return figure


def _band(curves: Sequence[np.ndarray], unit: int, scale: float) -> tuple[np.ndarray, statistics.Interval]:
    """x, and the interval over runs of what each had scored by then."""
    known = [curve for curve in curves if len(curve)]
    start = max(curve[0, unit] for curve in known)
    end = max(curve[-1, unit] for curve in known)
    x = np.linspace(start, end, POINTS if end > start else 1)
    scores = np.stack([curve[np.searchsorted(curve[:, unit], x, side="right") - 1, 2] for curve in known])
    return x * scale, statistics.curve_interval(scores)


def _scored(trials: Sequence[TrialCurves]) -> tuple[list[TrialCurves], list[str]]:
    """The trials with a score, and the settings that differ between them."""
    scored = [trial for trial in trials if trial.score is not None]
    names = list(dict.fromkeys(name for trial in scored for name in trial.values))
    return scored, [name for name in names if all(name in trial.values for trial in scored)
                    and len({str(trial.values[name]) for trial in scored}) > 1]


def _is_number(values: Sequence[Any]) -> bool:
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def _is_log(values: Sequence[float]) -> bool:
    """Whether positive numbers spread over more than a decade."""
    return min(values) > 0 and max(values) / min(values) > 10


def _heights(values: Sequence[Any]) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Values as heights from 0 to 1, and some of these with words."""
    if not _is_number(values):
        kinds = sorted({str(value) for value in values})
        places = {kind: i / max(len(kinds) - 1, 1) for i, kind in enumerate(kinds)}
        return np.array([places[str(value)] for value in values]), [(places[kind], kind) for kind in kinds[:12]]
    change: Callable[[Any], Any] = np.log if _is_log(values) else np.asarray
    found = change(np.array(values, np.float64))
    low, high = float(found.min()), float(found.max())
    apart = high - low or 1.0
    return (found - low) / apart, [((float(change(np.float64(value))) - low) / apart, f"{value:.4g}")
                                   for value in (min(values), max(values))]


def _explained(trials: Sequence[TrialCurves], name: str) -> float:
    """Eta squared: the variance of the groups' means over that of all scores."""
    values, scores = [trial.values[name] for trial in trials], np.array([trial.score for trial in trials])
    if _is_number(values) and len(set(values)) > BANDS:
        edges = np.quantile(values, np.linspace(0, 1, BANDS + 1)[1:-1])
        groups = np.searchsorted(edges, values)
    else:
        kinds = sorted({str(value) for value in values})
        groups = np.array([kinds.index(str(value)) for value in values])
    scores = scores / (np.abs(scores).max() or 1.0)  # so that no square overflows
    total = scores.var()
    means = np.array([scores[groups == group].mean() for group in groups])
    return float(means.var() / total) if total else 0.0
