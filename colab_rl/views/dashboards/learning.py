"""Is it learning? Returns, losses and the machine's time, over steps, wall time or iterations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go

from colab_rl.runs.places import Location
from colab_rl.views.dashboards.curves import X_AXES, Curves
from colab_rl.views.dashboards.metric_plots import FURTHER, LEARNING, NOT_SHOWN, RETURN, SPEED, TIMES, MetricPlot
from colab_rl.views.dashboards.named import Runs, curves_of
from colab_rl.views.dashboards.plots import DASHES, HOVER_HAS_TITLE, Line, Plot, drawn_points, sign_of, stacked, suffix
from colab_rl.views.dashboards.style import BUTTONS, empty, rounded
from colab_rl.views.palette import BLUE, COLORS, CYAN, GREEN, GREY, RED, YELLOW
from colab_rl.views.values import LARGEST, SMALLEST, text_of, value_range

FEW_RUNS, COARSE = 4, 250  # runs whose lines are drawn in full, and points of a line of more runs
TIME_COLORS = (BLUE, RED, GREEN, YELLOW)  # in the order of TIMES


@np.errstate(all="ignore")
def learning(runs: Runs, *, root: Location = None, store: Location = None) -> go.Figure:
    """How a run learned, or several, overlaid in a colour each; buttons switch the x axis.

    runs: a run's name or its metrics, or several of them. root, store: see Places.
    Columns that a table lacks leave their plot out.
    """
    found = [run for run in curves_of(runs, root, store) if run.rows]
    if not found:
        return empty("There are no metrics yet: the first row comes with the first checkpoint after an iteration.")
    plots = [_returns(found)]
    for about in (*LEARNING, *_further_plots(found)):
        lines = _lines(found, about.columns)
        if lines:
            small = {"tickformat": "~e"} if 0 < _largest_in(lines) < 0.01 else {}
            positive = all((line.y[np.isfinite(line.y)] > 0).all() for line in lines)
            plots.append(Plot(about.title, about.unit, lines, log=about.log and positive,
                              note=_key(found, about.columns, lines),
                              y_range=None if about.log else _around_a_constant(lines), axes={"y": small}))
    plots += _times(found) + _speeds(found)
    return with_x_buttons(plots, found)


def with_x_buttons(plots: Sequence[Plot], runs: Sequence[Curves], above: Sequence[Sequence[str]] = ()) -> go.Figure:
    """The plots, whose lines `Curves.line` made, under buttons that switch all of them to another unit of x.

    x goes from 0 to the end of the longest run, in every figure of these runs. above: see `stacked`.
    """
    # value_range, since a damaged table may hold any number.
    ranges = [(0.0, 1.01 * value_range(np.concatenate([[0.0], *(run.xs()[i] for run in runs)]), 0)[1] or 1.0)
              for i in range(len(X_AXES))]
    if len(runs) > FEW_RUNS:  # the page holds each line's x in three units
        plots = [replace(plot, lines=[replace(line, most=COARSE) for line in plot.lines]) for plot in plots]
    figure = stacked(plots, X_AXES["Steps"], top=44, above=above, x_range=ranges[0],
                     keys=[run.label for run in runs] if len(runs) > 1 else [])
    lines = [line for plot in plots for line in plot.lines]
    every = [[rounded(x[drawn_points(line)], 7) for x in line.other_x] for line in lines]
    axes = [f"xaxis{suffix(number)}" for number in range(1, len(plots) + 1)]
    buttons = [{"label": label, "method": "update",
                "args": [{"x": [xs[i] for xs in every]},
                         {f"{axes[-1]}.title.text": x_axis.title, "xaxis.range": rounded(x_range),
                          **{f"{axis}.ticksuffix": f" {x_axis.unit}" for axis in axes},
                          **{f"{axis}.unifiedhovertitle.text": x_axis.hover for axis in axes if HOVER_HAS_TITLE}}]}
               for i, ((label, x_axis), x_range) in enumerate(zip(X_AXES.items(), ranges, strict=True))]
    margin = figure.layout.margin
    figure.update_layout(updatemenus=[{**BUTTONS, "buttons": buttons, "pad": {"t": 4, "l": 0}, "y": 1 + (
        margin.t - 4) / (figure.layout.height - margin.t - margin.b)}])
    return figure


def smoothed(y: np.ndarray, window: int) -> np.ndarray:
    """The mean of up to `window` values up to each; NaN are left out."""
    known = np.isfinite(y)
    sums, counts = (np.convolve(values, np.ones(window))[:len(y)] for values in (np.where(known, y, 0.0), known))
    return np.divide(sums, counts, out=np.full(len(y), np.nan), where=counts > 0.5)


def _returns(runs: Sequence[Curves]) -> Plot:
    alone = len(runs) == 1
    lines: list[Line] = []
    (returned, training), (scored, evaluation) = RETURN.columns.items()
    for number, run in enumerate(runs):
        color, score_color, mark_color = (BLUE, RED, GREEN) if alone else (COLORS[number % len(COLORS)],) * 3
        if run.has(returned):
            lines.append(run.line(training if alone else "training", returned, color=color, width=1, opacity=0.45,
                                  in_title=alone))
            smooth = smoothed(run.column(returned), max(3, run.rows // 30))
            lines.append(run.line("smoothed", smooth, color=color, width=2.4, in_title=False,
                                  hover=_smoothed_words(run, smooth)))
        if run.has(scored):
            known = np.isfinite(run.column(scored))
            scores, spreads = run.column(scored)[known], run.column("evaluation/std")[known]
            lines.append(run.line(evaluation, scored, kind="points", error=spreads, color=score_color, in_title=alone,
                                  hover=[f"{run.whose}: score {text_of(score)} ± {text_of(spread)}"
                                         for score, spread in zip(scores, spreads, strict=True)]))
        lines += _checkpoint_marks(run, mark_color, alone)
        lines += _resume_marks(run, lines)
    lines += _goals(runs)
    return Plot(RETURN.title, RETURN.unit, lines, height=260,
                note="" if alone else "line: training, dots: evaluation, diamonds: checkpoints")


def _smoothed_words(run: Curves, smooth: np.ndarray) -> list[str]:
    """What each place of the smoothed line says: whose it is, how much, and the newest checkpoint by then."""
    return [f"{run.whose}: smoothed {text_of(value)}" + (f", generation {generation}" if generation >= 0 else "")
            for value, generation in zip(smooth.tolist(), run.generations().tolist(), strict=True)]


def _goals(runs: Sequence[Curves]) -> list[Line]:
    """A line at each return that counts as solved."""
    found = []
    for goal in dict.fromkeys(run.goal for run in runs if run.goal is not None):
        longest = max(runs, key=lambda run: run.xs()[0].max(initial=0.0))
        ends = tuple(np.array([0.0, x.max(initial=0.0)]) for x in longest.xs())
        found.append(Line(f"solved at {text_of(goal, 0)}", ends[0], np.full(2, goal), color=GREY, dash="dash",
                          width=1.4, other_x=ends))
    return found


def _checkpoint_marks(run: Curves, color: str, alone: bool) -> list[Line]:
    """The checkpoints, at their score, or on the training curve if they have none."""
    known = np.isfinite(run.column("episode/return"))
    if not run.checkpoints:
        return []
    steps, returns = run.column("step")[known], run.column("episode/return")[known]
    heights = [mark.score if mark.score is not None
               else float(np.interp(mark.step, steps, returns)) if len(steps) else 0.0 for mark in run.checkpoints]
    texts = [f"{run.whose}: generation {mark.generation}, step {mark.step:,}"
             + (f", score {text_of(mark.score)}" if mark.score is not None else ", not evaluated")
             for mark in run.checkpoints]
    xs = (np.array([mark.step for mark in run.checkpoints], float),
          np.array([mark.seconds / 60 for mark in run.checkpoints]),
          np.array([mark.iteration for mark in run.checkpoints], float))
    return [Line("checkpoints", xs[0], np.array(heights), color=color, kind="points", symbol="diamond-open",
                 hover=texts, other_x=xs, group=run.label, in_title=alone)]


def _resume_marks(run: Curves, lines: Sequence[Line]) -> list[Line]:
    """A dotted upright line at each resume in a later session."""
    rows = np.flatnonzero(np.nan_to_num(run.column("session/resumed")) > 0)
    if not len(rows):
        return []
    heights = np.concatenate([line.y for line in lines] or [np.zeros(1)])
    low, high = value_range(heights, 0)
    xs = tuple(np.repeat(x, 3) for x in run.xs(rows))
    y = np.tile([low, high, np.nan], len(rows))
    return [Line("resumed", xs[0], y, color=GREY, dash="dot", width=1.2, kind="steps", other_x=xs, group=run.label,
                 hover=[f"{run.label} continued in a new session here"] * len(y))]


def _lines(runs: Sequence[Curves], columns: dict[str, str]) -> list[Line]:
    lines = []
    alone, there = len(runs) == 1, _columns_with_numbers(runs, columns)
    for number, run in enumerate(runs):
        for i, column in enumerate(there):
            if not run.has(column):
                continue
            name = columns[column] or (column.rpartition("/")[2] if len(there) > 1 else "")
            lines.append(run.line(name or run.label, column, color=COLORS[(i if alone else number) % len(COLORS)],
                                  dash="solid" if alone else DASHES[i % len(DASHES)],
                                  width=1.8 + 1.4 * (len(there) - 1 - i) if alone else 1.8,  # equal lines are seen
                                  kind="points" if column.startswith("evaluation/") else "line",
                                  in_title=alone and bool(name)))
    return lines


def _columns_with_numbers(runs: Sequence[Curves], columns: Iterable[str]) -> list[str]:
    return [column for column in columns if any(run.has(column) for run in runs)]


def _key(runs: Sequence[Curves], columns: Iterable[str], lines: Sequence[Line]) -> str:
    """What each dash means, if several runs have several columns in one plot: their colours tell the runs apart."""
    if len(runs) == 1 or len(_columns_with_numbers(runs, columns)) < 2:
        return ""
    return ", ".join(f"{sign} {name}" for name, sign in {line.name: sign_of(line) for line in lines}.items())


def _further_plots(runs: Sequence[Curves]) -> list[MetricPlot]:
    """Plots for the columns of other algorithms that stand nowhere in the table."""
    listed = NOT_SHOWN.union(*(about.columns for about in LEARNING))
    columns = dict.fromkeys(name for run in runs for name in run.names(FURTHER) if name not in listed)
    return [MetricPlot(column.replace("/", ": ").replace("_", " "), column.rpartition("/")[2], {column: ""})
            for column in columns]


def _times(runs: Sequence[Curves]) -> list[Plot]:
    """Where the machine's time goes, of one run."""
    run = runs[0]
    times = {column: np.nan_to_num(run.column(column), posinf=0.0, neginf=0.0) for column in TIMES.columns}
    everything = sum(float(values.sum()) for values in times.values())
    if len(runs) > 1 or not 0 < everything < LARGEST:
        return []
    return [Plot(TIMES.title, TIMES.unit, [
        run.line(f"{words} {100 * times[column].sum() / everything:.0f} %",
                 smoothed(times[column], max(1, run.rows // 100)), color=color, kind="area")
        for (column, words), color in zip(TIMES.columns.items(), TIME_COLORS, strict=True) if run.has(column)])]


def _speeds(runs: Sequence[Curves]) -> list[Plot]:
    column, = SPEED.columns
    lines = [run.line(run.label, column, width=1.4, in_title=False,
                      color=CYAN if len(runs) == 1 else COLORS[i % len(COLORS)])
             for i, run in enumerate(runs) if run.has(column)]
    return [Plot(SPEED.title, SPEED.unit, lines, axes={"y": {"rangemode": "tozero"}})] if lines else []


def _around_a_constant(lines: Sequence[Line]) -> tuple[float, float] | None:
    """From 0 to beyond the only value that the lines have, around which Plotly would draw from -1 to 1."""
    values = np.concatenate([line.y[np.isfinite(line.y)] for line in lines])
    if not len(values) or values.min() < values.max() or abs(values[0]) < SMALLEST:
        return None
    low, high = sorted((0.0, float(np.clip(1.2 * values[0], -LARGEST, LARGEST))))
    return low, high


def _largest_in(lines: Sequence[Line]) -> float:
    """The largest number in some lines, 0 if there is none."""
    values = np.concatenate([line.y for line in lines])
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
