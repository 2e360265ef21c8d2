"""What the body does: an episode's curves over time, under the body itself, animated.

A slider moves a cursor through all curves and the body with it; another one goes through
the checkpoints. Everything of every episode is in the figure.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go

from colab_rl.evaluation.episode import Episode
from colab_rl.runs.places import Location
from colab_rl.views.dashboards.body import Stage
from colab_rl.views.dashboards.measures import contact_names, contact_sentence, gait_sentence
from colab_rl.views.dashboards.named import Episodes, episodes_of
from colab_rl.views.dashboards.plots import DASHES, Line, Plot, XAxis, stacked, suffix, title_of
from colab_rl.views.dashboards.style import BUTTONS, CURRENT_VALUE, SLIDER, checkpoint_slider, empty, rounded
from colab_rl.views.palette import BLUE, COLORS, CYAN, GREEN, GREY, PURPLE, RED, YELLOW, colors_of, limb
from colab_rl.views.values import text_of, value_range, words_of

LONGEST_FRAME = 60_000  # ms, while an animation plays
MOST_FRAMES = 300     # of an animation; a longer episode is shown in larger strides
MOST_ACTIONS = 6      # that one plot shows
MOST_CHANNELS = 32    # of an environment that is not described
PART_COLORS = (BLUE, YELLOW, RED, GREY, PURPLE, CYAN)  # the return's own is green
WINDOW = 3.0          # s that the curves show at a time
MOST_STEPS = 2000     # of an episode that are drawn one by one
SPEEDS = {"▶ play": 1.0, "half speed": 0.5, "double": 2.0}


@np.errstate(all="ignore")
def gait(episodes: Episodes, gamma: float = 0.99, overlay: bool = False, first: str | None = None, *,
         root: Location = None, store: Location = None) -> go.Figure:
    """Episodes by label: one at a time with a slider between them, or all over each other.

    episodes: one, several by label, or a run's name: one of each of its checkpoints. root, store: see Places.
    gamma: the discount of the return that is compared with the value estimate.
    first: the label of the episode that is shown before the slider is touched; the last one if not given.
    """
    episodes = episodes_of(episodes, root, store)
    if not episodes:
        return empty("There is no telemetry: it comes with a checkpoint that was evaluated.")
    found = {label: {plot.title: plot for plot in episode_plots(episode, gamma)} for label, episode in episodes.items()}
    # Plots that every episode has, in their order: episodes of other environments share what they can.
    titles = [title for title in next(iter(found.values())) if all(title in plots for plots in found.values())]
    if not titles:
        return empty("These episodes have no channel in common: compare runs of one environment.")
    plots = {label: [found[label][title] for title in titles] for label in episodes}
    return _Animation(episodes, plots, overlay and len(episodes) > 1, first).figure()


class _Animation:
    """Builds the figure: the stage above, the plots below, frames that move the bodies and the cursors.

    Every trace of an episode has its label as `legendgroup`. The cursors have none: they belong to all.
    """

    def __init__(self, episodes: Mapping[str, Episode], plots: Mapping[str, Sequence[Plot]], overlay: bool,
                 first: str | None):
        self.episodes = episodes
        self.overlay = overlay
        self.plots = plots
        self.shown: str = first if first in episodes else list(episodes)[-1]  # type: ignore[assignment]
        seconds = next(iter(episodes.values())).step_seconds
        self.timed, self.step = bool(seconds), seconds or 1
        self.longest = max(episode.length for episode in episodes.values())
        self.stride = -(-self.longest // MOST_FRAMES)
        self.times = [*range(0, self.longest, self.stride), self.longest]  # the last state always has a frame
        self.stages = [Stage(label, episode, COLORS[i % len(COLORS)] if overlay else None, not (overlay and i))
                       for i, (label, episode) in enumerate(episodes.items())]
        if not all(stage.has_body for stage in self.stages):
            self.stages = []

    def figure(self) -> go.Figure:
        """See `gait`."""
        merged = [self._merged(number) for number in range(len(self.plots[self.shown]))]
        stage = [self._stage_plot(self.shown)] if self.stages else []
        sliders = 58 if len(self.episodes) > 1 and not self.overlay else 0
        x_axis = (XAxis("seconds", "s", "%{x:.2f} s") if self.timed else XAxis("steps", "steps", "step %{x:.0f}"))
        figure = stacked([*stage, *merged], x_axis, top=100 + sliders, x_range=self._window(0),
                         keys=list(self.episodes) if self.overlay else [])
        figure.update_layout(self._ranges(self.shown))
        if stage:
            self._free_stage_axes(figure)
        moving = len(figure.data)
        figure.add_traces([trace for stage in self.stages for trace in stage.traces(0)])
        figure.add_traces([self._cursor(plot, number) for number, plot in enumerate(merged, 1 + len(stage))])
        for trace, visible in zip(figure.data, self._visible(figure, self.shown), strict=True):
            trace.visible = visible
        leading = f"xaxis{suffix(1 + len(stage))}"  # which the others match
        figure.frames = [go.Frame(name=str(t), data=self._moved(t), traces=list(range(moving, len(figure.data))),
                                  layout={leading: {"range": rounded(self._window(t))}}) for t in self.times]
        self._add_controls(figure, sliders)
        return figure

    def _window(self, t: int) -> tuple[float, float]:
        """The range of x at step t: the page of `WINDOW` seconds that the cursor is on, so that curves can be read.

        The last state has the page of the step before it, since no curve goes beyond that state.
        """
        width = min(WINDOW, self.longest * self.step) if self.timed else self.longest
        start = width * (min(t, self.longest - 1) * self.step // width) if width else 0.0
        return value_range((start, start + width), 0)

    def _merged(self, number: int) -> Plot:
        """One plot with the lines of all episodes; the title is that of the episode shown first."""
        columns = {label: plots[number] for label, plots in self.plots.items()}
        lines = []
        for i, (label, plot) in enumerate(columns.items()):
            dashes = dict(zip(dict.fromkeys(line.name for line in plot.lines), itertools.cycle(DASHES)))
            for line in plot.lines:
                if self.overlay:
                    line = replace(line, color=COLORS[i % len(COLORS)], dash=dashes[line.name],
                                   width=line.width if i == 0 else 0.8 * line.width, opacity=1.0 if i == 0 else 0.55,
                                   in_title=line.in_title and i == 0, kind="line" if line.kind == "area" else line.kind)
                    if line.kind == "steps":  # the runs' bars beside each other
                        line = replace(line, y=line.y + 0.36 * (0.5 - i / (len(columns) - 1)), width=10 / len(columns))
                lines.append(replace(line, group=label, stack=f"{line.stack}{i}", most=MOST_STEPS))
        shown = columns[self.shown]
        y_range = _extent(list(columns.values())) if shown.y_range else None
        return replace(shown, lines=lines, y_range=y_range, note="" if self.overlay else shown.note)

    def _stage_plot(self, label: str) -> Plot:
        """The place of the bodies, which are no lines of it."""
        title = "The bodies over their terrain" if self.overlay else label or "The body over its terrain"
        return Plot(title, "", [], height=240, note="" if self.overlay else gait_sentence(self.episodes[label]))

    @staticmethod
    def _free_stage_axes(figure: go.Figure) -> None:
        """The stage's axes are metres and no times, and keep a metre a metre on any screen."""
        figure.layout.xaxis2.matches = None
        for name in list(figure.layout):
            if name.startswith("xaxis") and name not in ("xaxis", "xaxis2"):
                figure.layout[name].matches = "x2"
        figure.update_layout(xaxis={"range": [-3.2, 3.2], "visible": False, "fixedrange": True},
                             yaxis={"range": [-2.9, 1.9], "visible": False, "fixedrange": True, "scaleanchor": "x"})

    @staticmethod
    def _cursor(plot: Plot, number: int) -> dict[str, Any]:
        return {"type": "scatter", "x": [0, 0], "y": rounded(_extent([plot])), "mode": "lines", "hoverinfo": "skip",
                "xaxis": f"x{suffix(number)}", "yaxis": f"y{suffix(number)}", "showlegend": False,
                "line": {"color": GREY, "width": 1}}

    def _moved(self, t: int) -> list[dict[str, Any]]:
        """What a frame changes: the bodies' outlines, and where the cursors stand."""
        moved = [trace for stage in self.stages for trace in stage.moved(t)]
        return moved + [{"x": rounded([t * self.step] * 2)} for _ in self.plots[self.shown]]

    def _add_controls(self, figure: go.Figure, sliders: int) -> None:
        """Play, pause and speeds; the slider of time; and that of the checkpoints. sliders: pixels of the latter."""
        inner = figure.layout.height - figure.layout.margin.t - figure.layout.margin.b
        raised = figure.layout.margin.t - 110 - sliders  # over the legend, if there is one

        def above(pixels: float) -> float:
            return 1 + (pixels + raised) / inner

        duration = min(1000 * (self.step if self.timed else 0.05) * self.stride, LONGEST_FRAME)
        buttons = [_control(label, None, duration / speed) for label, speed in SPEEDS.items()]
        figure.update_layout(updatemenus=[{**BUTTONS, "y": above(96 + sliders), "showactive": False,
                                           "buttons": [*buttons, _control("❚❚", [None])]}])
        time = {**SLIDER, "y": above(58 + sliders), "name": "time",
                "steps": [_control(text_of(t * self.step, 2) if self.timed else f"{t:,}", [str(t)]) | {"value": str(t)}
                          for t in self.times],
                "currentvalue": {**CURRENT_VALUE, "prefix": "time ", "suffix": " s" if self.timed else ""}}
        checkpoints = checkpoint_slider({label: [{"visible": self._visible(figure, label)}, self._titles(label)]
                                         for label in self.episodes}, self.shown, above(58))
        figure.update_layout(sliders=[time, checkpoints] if sliders else [time])

    def _visible(self, figure: go.Figure, label: str) -> list[bool]:
        """Which traces are seen while an episode is shown."""
        return [self.overlay or trace.legendgroup in (None, label) for trace in figure.data]

    def _ranges(self, label: str) -> dict[str, Any]:
        """The y axes' ranges for one episode, or for all if all are shown: the cursors are taller."""
        ranges = {}
        for number, plots in enumerate(zip(*self.plots.values(), strict=True), 1 + bool(self.stages)):
            shown = plots if self.overlay else [dict(zip(self.plots, plots, strict=True))[label]]
            margin = 0 if shown[0].y_range else 0.06
            ranges[f"yaxis{suffix(number)}.range"] = rounded(_extent(shown, margin))
        return ranges

    def _titles(self, label: str) -> dict[str, Any]:
        """What the layout says of one episode: its numbers in the titles, and its ranges."""
        plots = [*([self._stage_plot(label)] if self.stages else []), *self.plots[label]]
        titles = {f"annotations[{i}].text": title_of(plot) for i, plot in enumerate(plots) if plot.note}
        return titles | self._ranges(label)


def episode_plots(episode: Episode, gamma: float) -> list[Plot]:
    """The plots of one episode over its time."""
    time, steps = episode.time, episode.time[:-1]
    plots = [_contacts(episode)] if contact_names(episode) else []
    plots += _described(episode) or _generic(episode)
    plots += [_actions(episode, steps), _rewards(episode, steps)]
    if np.isfinite(episode["value"]).any():
        plots.append(Plot("Value", "reward", [
            Line("the estimate", time, episode["value"].astype(float), color=PURPLE),
            Line(f"what followed, discounted by {gamma:g}", steps, episode.discounted_return(gamma), color=GREEN)]))
    return plots


def _described(episode: Episode) -> list[Plot]:
    """The plots that its environment's channels choose."""
    plots = []
    for title, lines in episode.shown.plots.items():
        known = {words: name for words, name in lines.items() if name in episode.series}
        if known:
            plots.append(_channels(episode, title, known, colors_of(list(known.values()))))
    return plots


def _channels(episode: Episode, title: str, names: Mapping[str, str], colors: Sequence[str], **look: Any) -> Plot:
    """A plot of channels, by the words for their lines."""
    return Plot(title, episode.units[next(iter(names.values()))], [
        Line(words, episode.time, episode[name].astype(float), color=color)
        for (words, name), color in zip(names.items(), colors, strict=False)], **look)


def _generic(episode: Episode) -> list[Plot]:
    """The channels by unit and stem, at most four in a plot."""
    names = [name for name in episode.units if name in episode.series and len(episode[name]) == episode.length + 1
             and name != "value" and name not in contact_names(episode)]
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names[:MOST_CHANNELS]:
        stem = name.rstrip("0123456789").rstrip("_")
        groups.setdefault((stem if stem != name else name, episode.units[name]), []).append(name)
    plots = []
    for (stem, _), members in groups.items():
        for start in range(0, len(members), 4):
            part = members[start:start + 4]
            title = stem if len(members) == 1 else part[0]
            if len(part) > 1:
                title += f" {'and' if len(part) == 2 else 'to'} {part[-1].rpartition('_')[2]}"
            title = words_of(title[:1].upper() + title[1:])
            known = {words_of(name) if len(part) > 1 else "": name for name in part}
            plots.append(_channels(episode, title, known, colors_of(part), height=110))
    if len(names) > MOST_CHANNELS and plots:
        plots[-1] = replace(plots[-1], note=f"({len(names) - MOST_CHANNELS} more channels recorded)")
    return plots


def _contacts(episode: Episode) -> Plot:
    """The gait diagram: a bar while a foot is on the ground."""
    names = contact_names(episode)
    heights = range(len(names), 0, -1)
    lines = [Line(words_of(name), episode.time, np.where(episode[name] > 0.5, float(height), np.nan),
                  color=(RED, BLUE)[i % 2], width=12, kind="steps", in_title=False)
             for i, (name, height) in enumerate(zip(names, heights, strict=True))]
    return Plot("Legs on the ground", "", lines, height=64, y_range=(0.4, len(names) + 0.6),
                y_ticks=(heights, [name.replace("contact_", "leg ") for name in names]), note=contact_sentence(episode))


def _actions(episode: Episode, steps: np.ndarray) -> Plot:
    """What was done: numbers as lines, choices as stairs between their names."""
    names = episode.action_names
    title = "Actions" if len(names) <= MOST_ACTIONS else f"Actions, the first {MOST_ACTIONS} of {len(names)}"
    discrete = all(np.issubdtype(episode[name].dtype, np.integer) for name in names)
    colors, dashes = colors_of(names), _dashes_of(names)
    lines = [Line(words_of(name.removeprefix("action_")), steps, episode[name].astype(float), color=color, dash=dash,
                  width=1.4, kind="stairs" if discrete else "line")
             for name, color, dash in zip(names[:MOST_ACTIONS], colors, dashes, strict=False)]
    if not discrete:
        return Plot(title, episode.units.get(names[0], ""), lines, height=120)
    words, first = episode.shown.choices, episode.first_action
    return Plot(title, "", lines, height=90, y_range=(first - 0.4, first + len(words) - 0.6) if words else None,
                y_ticks=(range(first, first + len(words)), words) if words else None)


def _dashes_of(names: Sequence[str]) -> list[str]:
    """A dash for each kind of joint: `hip` of both legs has one, since the colour tells the legs apart."""
    kinds = list(dict.fromkeys(name.rstrip("0123456789_") for name in names))
    several = any(limb(name) is not None for name in names)
    return [DASHES[kinds.index(name.rstrip("0123456789_")) % len(DASHES)] if several else "solid" for name in names]


def _rewards(episode: Episode, steps: np.ndarray) -> Plot:
    """The return so far: what it is made of, if that is known."""
    parts = [name for name in episode.series if name.startswith("reward_")]
    lines = []
    for name, color in zip(parts, itertools.cycle(PART_COLORS)):
        so_far = np.cumsum(episode[name].astype(float))
        # Above and below zero are stacked apart: Plotly would subtract one from the other.
        for sign, stack in ((1, "up"), (-1, "down")):
            side = np.clip(so_far * sign, 0, None) * sign
            if np.abs(side).max() > 0:
                lines.append(Line(words_of(name.removeprefix("reward_")), steps, side, color=color, kind="area",
                                  stack=stack))
    total = Line("return so far", steps, episode.return_so_far, color=GREEN, width=2)
    return Plot("Reward so far", "reward", [*lines, total], height=160)


def _extent(plots: Sequence[Plot], margin: float = 0.0) -> tuple[float, float]:
    """Lowest and highest value in plots that share their axis, `margin` of their distance apart."""
    values = [np.array(plot.y_range or (), float) for plot in plots]
    stacks: dict[tuple[int, str, str], np.ndarray] = {}  # two episodes' are apart, whatever their lengths
    for number, plot in enumerate(plots):
        for line in plot.lines if not plot.y_range else ():
            values.append(line.y)
            if line.kind == "area":
                key = number, line.stack, line.group
                stacks[key] = stacks.get(key, np.zeros(len(line.y))) + line.y
    return value_range(np.concatenate([*values, *stacks.values()]), margin)


def _control(label: str, frames: list[str | None] | None, duration: float = 0) -> dict[str, Any]:
    """A button or a slider's step that plays frames, all of them for None, each for `duration` ms."""
    return {"label": label, "method": "animate", "args": [frames, {
        "frame": {"duration": duration, "redraw": False}, "transition": {"duration": 0}, "mode": "immediate",
        "fromcurrent": True}]}


