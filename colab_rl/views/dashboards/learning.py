"""Is it learning? Returns, losses and the machine's budget, over steps, wall time or iterations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from colab_rl.views.dashboards.style import DASHES, Line, Panel, empty, legend, others_of, smoothed, stacked
from colab_rl.views.dashboards.tables import X_AXES, Curves
from colab_rl.views.palette import BLUE, COLORS, CYAN, GREEN, GREY, RED, YELLOW

# Panel's title, unit, and its columns with what they are called there; SAC's stand beside PPO's.
PANELS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("Episode length", "steps", {"episode/length": "training", "evaluation/length": "evaluation"}),
    ("Policy loss", "loss", {"loss/policy": "", "loss/actor": ""}),
    ("Value loss", "loss", {"loss/value": "", "loss/critic": ""}),
    ("Entropy of the policy", "nats", {"policy/entropy": ""}),
    ("Standard deviation of actions", "half ranges", {"policy/std": ""}),
    ("How far an update moves the policy", "nats", {"policy/approx_kl": "KL divergence"}),
    ("Share of probability ratios clipped", "share", {"policy/clip_fraction": ""}),
    ("Return explained by the value estimate", "share", {"value/explained_variance": ""}),
    ("Q of sampled transitions", "reward", {"q/mean": "Q", "q/target": "target", "q/policy": "of the policy's actions",
                                            "q/max": "largest"}),
    ("Spread of Q", "reward", {"q/std": "over transitions", "q/target_std": "of the targets",
                               "q/spread": "between both networks"}),
    ("Temperature", "weight of the entropy", {"entropy/temperature": ""}),
    ("Replay buffer", "transitions", {"replay/transitions": ""}),
    ("Gradient steps for each environment step", "ratio", {"replay/ratio": ""}),
    ("Learning rate", "step size", {"optimizer/learning_rate": ""}),
)
BUDGET = {"time/collect": ("collecting", BLUE), "time/update": ("updating", RED),
          "time/evaluate": ("evaluating", GREEN), "time/checkpoint": ("checkpointing", YELLOW)}
TITLED = {column for _, _, columns in PANELS for column in columns}


def learning(runs: Curves | Sequence[Curves]) -> go.Figure:
    """How a run learned, or several, overlaid in a colour each; buttons switch the x axis.

    Columns that a table lacks leave their panel out.
    """
    runs = [runs] if isinstance(runs, Curves) else list(runs)
    runs = [run for run in runs if run.rows]
    if not runs:
        return empty("There are no metrics yet: the first row comes with the first checkpoint after an iteration.")
    panels = [_returns(runs)]
    for title, unit, columns in (*PANELS, *_further(runs)):
        lines = _lines(runs, columns)
        if lines:
            small = {"tickformat": "~e"} if unit in ("step size", "nats") and max_of(lines) < 0.01 else {}
            panels.append(Panel(title, unit, lines, extra={"y": small}))
    panels += _budget(runs)
    above = legend([run.label for run in runs]) if len(runs) > 1 else []
    figure = stacked(panels, X_AXES["Steps"], top=44, above=above)
    add_x_buttons(figure, panels)
    return figure


def add_x_buttons(figure: go.Figure, panels: Sequence[Panel]) -> None:
    """Buttons above the panels that switch every line, made by `Curves.line`, to another unit of x."""
    every = [others_of(line) for panel in panels for line in panel.lines]
    last = "" if len(panels) == 1 else str(len(panels))
    buttons = [{"label": label, "method": "update",
                "args": [{"x": [xs[i] for xs in every]},
                         {f"xaxis{last}.title.text": title, "xaxis.autorange": True}]}
               for i, (label, title) in enumerate(X_AXES.items())]
    figure.update_layout(updatemenus=[{"type": "buttons", "direction": "right", "buttons": buttons, **BUTTONS,
                                       "pad": {"t": 4, "l": 0}}])
    inner = figure.layout.height - figure.layout.margin.t - figure.layout.margin.b
    figure.layout.updatemenus[0].y = 1 + (figure.layout.margin.t - 4) / inner


BUTTONS: dict[str, Any] = {"x": 0, "xanchor": "left", "y": 1, "yanchor": "top", "showactive": True,
                           "bgcolor": "rgba(128,128,128,0.12)", "bordercolor": "rgba(128,128,128,0.35)",
                           "font": {"size": 12}}


def _returns(runs: Sequence[Curves]) -> Panel:
    lines: list[Line] = []
    for number, run in enumerate(runs):
        alone = len(runs) == 1
        color = BLUE if alone else COLORS[number % len(COLORS)]
        if run.has("episode/return"):
            returns = run.column("episode/return")
            lines.append(run.line("training episodes" if alone else "training", "episode/return", color=color,
                                  width=1, opacity=0.45, in_title=alone))
            lines.append(run.line("smoothed", smoothed(returns, max(3, run.rows // 30)), color=color, width=2.4,
                                  in_title=False))
        if run.has("evaluation/score"):
            known = np.isfinite(run.column("evaluation/score"))
            spread = run.column("evaluation/std")[known]
            scores = run.column("evaluation/score")[known]
            lines.append(run.line("evaluation ± its deviation", "evaluation/score", kind="points", error=spread,
                                  color=RED if alone else color, in_title=alone, hover=[
                                      f"{run.label}: score {score:.1f} ± {std:.1f}"
                                      for score, std in zip(scores, spread, strict=True)]))
        lines += _marks(run, color if not alone else GREEN, alone)
        lines += _resumes(run, lines)
    return Panel("Return", "reward", lines, height=260,
                 note="" if len(runs) == 1 else "line: training, dots: evaluation, diamonds: checkpoints")


def _marks(run: Curves, color: str, alone: bool) -> list[Line]:
    """The checkpoints, at their score, or on the training curve where they have none."""
    known = np.isfinite(run.column("episode/return"))
    if not run.checkpoints:
        return []
    steps, returns = run.column("step")[known], run.column("episode/return")[known]
    heights = [mark.score if mark.score is not None
               else float(np.interp(mark.step, steps, returns)) if len(steps) else 0.0 for mark in run.checkpoints]
    texts = [f"{run.label}: generation {mark.generation}, step {mark.step:,}"
             + (f", score {mark.score:.1f}" if mark.score is not None else ", not evaluated")
             for mark in run.checkpoints]
    xs = (np.array([mark.step for mark in run.checkpoints], float),
          np.array([mark.seconds / 60 for mark in run.checkpoints]),
          np.array([mark.iteration for mark in run.checkpoints], float))
    return [Line("checkpoints", xs[0], np.array(heights), color=color, kind="points", symbol="diamond-open",
                 hover=texts, also_x=xs, group=run.label, in_title=alone)]


def _resumes(run: Curves, lines: Sequence[Line]) -> list[Line]:
    """A dotted upright line wherever a later session went on."""
    rows = np.flatnonzero(np.nan_to_num(run.column("session/resumed")) > 0)
    if not len(rows):
        return []
    heights = np.concatenate([line.y for line in lines] or [np.zeros(1)])
    low, high = (np.nanmin(heights), np.nanmax(heights)) if np.isfinite(heights).any() else (0.0, 1.0)
    xs = tuple(np.repeat(x, 3) for x in run.xs(rows))
    y = np.tile([low, high, np.nan], len(rows))
    return [Line("resumed", xs[0], y, color=GREY, dash="dot", width=1.2, kind="steps", also_x=xs, group=run.label,
                 hover=[f"{run.label} went on in a new session here"] * len(y))]


def _lines(runs: Sequence[Curves], columns: dict[str, str]) -> list[Line]:
    lines = []
    for number, run in enumerate(runs):
        there = [column for column in columns if run.has(column)]
        for i, column in enumerate(there):
            name = columns[column] or (column.rpartition("/")[2] if len(there) > 1 else "")
            alone = len(runs) == 1
            color = COLORS[(i if alone else number) % len(COLORS)]
            dash = "solid" if alone else DASHES[i % len(DASHES)]
            points = column.startswith("evaluation/")
            lines.append(run.line(name or run.label, column, color=color, dash=dash,
                                  kind="points" if points else "line", in_title=alone and bool(name)))
    return lines


def _further(runs: Sequence[Curves]) -> list[tuple[str, str, dict[str, str]]]:
    """Panels for the columns of other algorithms: every loss, policy and value column that has none above."""
    columns = dict.fromkeys(name for run in runs for prefix in ("loss/", "policy/", "value/", "q/", "entropy/")
                            for name in run.names(prefix))
    skipped = {"policy/epochs"}
    return [(column.replace("/", ": ").replace("_", " "), column.rpartition("/")[2], {column: ""})
            for column in columns if column not in TITLED | skipped]


def _budget(runs: Sequence[Curves]) -> list[Panel]:
    """Where the machine's time goes, and how fast it is."""
    panels = []
    if len(runs) == 1:
        run = runs[0]
        there = [column for column in BUDGET if run.has(column)]
        totals = {column: float(np.nansum(run.column(column))) for column in there}
        everything = sum(totals.values())
        if everything > 0:
            window = max(1, run.rows // 100)
            panels.append(Panel("Seconds of an iteration", "s", [
                run.line(f"{BUDGET[column][0]} {100 * totals[column] / everything:.0f} %",
                         smoothed(np.nan_to_num(run.column(column)), window), color=BUDGET[column][1], kind="area")
                for column in there]))
    lines = [run.line(run.label, "time/steps_per_second", width=1.4, in_title=False,
                      color=CYAN if len(runs) == 1 else COLORS[i % len(COLORS)])
             for i, run in enumerate(runs) if run.has("time/steps_per_second")]
    if lines:
        panels.append(Panel("Speed", "steps/s", lines, extra={"y": {"rangemode": "tozero"}}))
    return panels


def max_of(lines: Sequence[Line]) -> float:
    """The largest number in some lines, 0 where there is none."""
    values = np.concatenate([line.y for line in lines])
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
