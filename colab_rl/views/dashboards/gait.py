"""What the body does: an episode's curves over time, under the body itself, animated.

A slider moves a cursor through all curves and the body with it; another one goes through
the checkpoints. Everything of every episode is in the figure.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from colab_rl.evaluation.episode import Episode
from colab_rl.views.dashboards.body import Stage
from colab_rl.views.dashboards.measures import contact_names, contact_sentence, gait_sentence
from colab_rl.views.dashboards.plots import DASHES, Line, Plot, stacked, title_of
from colab_rl.views.dashboards.style import BUTTONS, CURRENT_VALUE, SLIDER, empty, legend, plain, rounded
from colab_rl.views.palette import BLUE, COLORS, CYAN, GREEN, GREY, PURPLE, RED, YELLOW, colors_of
from colab_rl.views.values import value_range

LONGEST_FRAME = 60_000  # ms, while an animation plays
MOST_FRAMES = 300     # of an animation; a longer episode is shown in larger strides
MOST_CHANNELS = 32    # of an environment that is not described
PART_COLORS = (BLUE, YELLOW, RED, GREY, PURPLE, CYAN)  # the return's own is green
SPEEDS = {"▶ play": 1.0, "half speed": 0.5, "double": 2.0}


@np.errstate(all="ignore")
def gait(episodes: Episode | Mapping[str, Episode], gamma: float = 0.99, overlay: bool = False,
         first: str | None = None) -> go.Figure:
    """Episodes by label: one at a time with a slider between them, or all over each other.

    gamma: the discount of the return that is held against the value estimate.
    first: the label of the episode that is shown before the slider is touched, the last one where not given.
    """
    shown = {"": episodes} if isinstance(episodes, Episode) else dict(episodes)
    if not shown:
        return empty("There is no telemetry: it comes with a checkpoint that was evaluated.")
    panels = {label: episode_plots(episode, gamma) for label, episode in shown.items()}
    # Panels that every episode has, in their order: episodes of other environments share what they can.
    titles = [panel.title for panel in next(iter(panels.values()))]
    titles = [title for title in titles if all(title in [p.title for p in found] for found in panels.values())]
    chosen = {label: [next(p for p in found if p.title == title) for title in titles]
              for label, found in panels.items()}
    if not titles:
        return empty("These episodes have no channel in common: compare runs of one environment.")
    return _Film(shown, chosen, overlay and len(shown) > 1, first).figure()


class _Film:
    """Builds the figure: the stage above, the panels below, frames that move the bodies and the cursors."""

    def __init__(self, episodes: Mapping[str, Episode], panels: Mapping[str, Sequence[Plot]], overlay: bool,
                 first_label: str | None):
        self.episodes = episodes
        self.overlay = overlay
        self.panels = panels
        self.shown: str = first_label if first_label in episodes else list(episodes)[-1]  # type: ignore[assignment]
        first = next(iter(episodes.values()))
        self.seconds = first.step_seconds
        self.longest = max(episode.length for episode in episodes.values())
        self.stride = -(-self.longest // MOST_FRAMES)
        self.stages = [Stage(episode, COLORS[i % len(COLORS)] if overlay else None)
                       for i, episode in enumerate(episodes.values())]
        self.has_stage = all(stage.there for stage in self.stages)

    def figure(self) -> go.Figure:
        """See `gait`."""
        labels = list(self.episodes)
        merged = [self._merged(i) for i in range(len(next(iter(self.panels.values()))))]
        if self.has_stage:
            title, note = self._stage_title(self.shown)
            merged.insert(0, Plot(title, "", [], height=240, note=note))
        unit = "seconds" if self.seconds else "steps"
        end = self.longest * (self.seconds or 1)
        slider_space = 58 if len(labels) > 1 and not self.overlay else 0
        figure = stacked(merged, unit, top=100 + slider_space, x_range=value_range([0, end], 0),
                         above=legend(labels) if self.overlay else [])
        figure.update_layout({name: value for name, value in self._ranges(self.shown).items()})
        owners = [number for panel in merged for number in self._owners(panel)]
        self._free_stage_axes(figure)
        moving = self._add_moving(figure, merged, owners)
        visible = [owner in (None, labels.index(self.shown)) or self.overlay for owner in owners]
        for trace, shown in zip(figure.data, visible, strict=True):
            trace.visible = shown
        figure.frames = [go.Frame(name=str(t), data=self._moved(t), traces=moving)
                         for t in range(0, self.longest + 1, self.stride)]
        self._add_controls(figure, slider_space, owners, labels)
        return figure

    def _merged(self, index: int) -> Plot:
        """One panel with the lines of all episodes; the title is that of the episode shown first."""
        columns = [found[index] for found in self.panels.values()]
        lines: list[Line] = []
        for number, (label, panel) in enumerate(zip(self.episodes, columns, strict=True)):
            dashes = dict(zip(dict.fromkeys(line.name for line in panel.lines), itertools.cycle(DASHES)))
            for line in panel.lines:
                look = dict(line.__dict__)
                if self.overlay:
                    look |= {"color": COLORS[number % len(COLORS)], "dash": dashes[line.name],
                             "in_title": line.in_title and number == 0,
                             "kind": "line" if line.kind == "area" else line.kind}
                    if line.kind == "steps":  # the runs' bars beside each other
                        look |= {"y": line.y + 0.36 * (0.5 - number / (len(columns) - 1)), "width": 10 / len(columns)}
                lines.append(Line(**{**look, "group": label, "stack": f"{line.stack}{number}"}))
        last = columns[list(self.episodes).index(self.shown)]
        ranges = [panel.y_range for panel in columns if panel.y_range]
        return Plot(last.title, last.unit, lines, last.height, last.log,
                     (min(r[0] for r in ranges), max(r[1] for r in ranges)) if ranges else None, last.y_ticks,
                     "" if self.overlay else last.note, last.axes)

    def _owners(self, panel: Plot) -> list[int | None]:
        labels = list(self.episodes)
        return [labels.index(line.group) for line in panel.lines]

    def _stage_title(self, label: str) -> tuple[str, str]:
        if self.overlay:
            return "The bodies over their terrain", ""
        return label or "The body over its terrain", gait_sentence(self.episodes[label])

    def _free_stage_axes(self, figure: go.Figure) -> None:
        """The stage's axes are metres and no times, and keep a metre a metre on any screen."""
        if not self.has_stage:
            return
        figure.layout.xaxis2.matches = None
        for name in list(figure.layout):
            if name.startswith("xaxis") and name not in ("xaxis", "xaxis2"):
                figure.layout[name].matches = "x2"
        figure.update_layout(xaxis={"range": [-3.2, 3.2], "visible": False, "fixedrange": True},
                             yaxis={"range": [-2.9, 1.9], "visible": False, "fixedrange": True, "scaleanchor": "x"})

    def _add_moving(self, figure: go.Figure, panels: Sequence[Plot], owners: list[int | None]) -> list[int]:
        """Adds the bodies and the cursors; returns their traces' numbers, in the order of `_moved`."""
        start = len(figure.data)
        if self.has_stage:
            for number, stage in enumerate(self.stages):
                traces = stage.traces(0)
                figure.add_traces(traces)
                owners += [number] * len(traces)
        for number in range(1 + self.has_stage, len(panels) + 1):
            suffix = "" if number == 1 else str(number)
            panel = panels[number - 1]
            figure.add_trace({"type": "scatter", "x": [0, 0], "y": rounded(_extent([panel])), "mode": "lines",
                              "xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "hoverinfo": "skip", "showlegend": False,
                              "line": {"color": GREY, "width": 1}})
            owners.append(None)
        return list(range(start, len(figure.data)))

    def _moved(self, t: int) -> list[dict[str, Any]]:
        """What a frame changes: the bodies' outlines, and where the cursors stand."""
        moved = [trace for stage in self.stages for trace in stage.moved(t)] if self.has_stage else []
        time = rounded([t * (self.seconds or 1)])[0]
        count = len(next(iter(self.panels.values())))
        return moved + [{"x": [time, time]} for _ in range(count)]

    def _add_controls(self, figure: go.Figure, slider_space: int, owners: Sequence[int | None],
                      labels: Sequence[str]) -> None:
        """Play, pause and speeds; the slider of time; and that of the checkpoints."""
        inner = figure.layout.height - figure.layout.margin.t - figure.layout.margin.b
        raised = figure.layout.margin.t - 110 - slider_space  # over the legend, where there is one

        def above(pixels: float) -> float:
            return 1 + (pixels + raised) / inner

        duration = min(1000 * (self.seconds or 0.05) * self.stride, LONGEST_FRAME)
        buttons: list[dict[str, Any]] = [
            {"label": label, "method": "animate", "args": [None, _animation(duration / speed)]}
            for label, speed in SPEEDS.items()]
        buttons.append({"label": "❚❚", "method": "animate", "args": [[None], _animation(0)]})
        figure.update_layout(updatemenus=[{**BUTTONS, "buttons": buttons, "y": above(96 + slider_space),
                                           "showactive": False}])
        unit = " s" if self.seconds else ""
        sliders = [{**SLIDER, "y": above(58 + slider_space), "name": "time",
                    "currentvalue": {**CURRENT_VALUE, "prefix": "time ", "suffix": unit},
                    "steps": [{"label": f"{t * (self.seconds or 1):.4g}", "method": "animate", "value": str(t),
                               "args": [[str(t)], _animation(0)]}
                              for t in range(0, self.longest + 1, self.stride)]}]
        if slider_space:
            sliders.append({**SLIDER, "y": above(58), "name": "checkpoint", "active": labels.index(self.shown),
                            "currentvalue": {**CURRENT_VALUE, "prefix": "checkpoint: "},
                            "steps": [self._step_to(number, label, owners) for number, label in enumerate(labels)]})
        figure.update_layout(sliders=sliders)

    def _ranges(self, label: str) -> dict[str, Any]:
        """The y axes' ranges for one episode, or for all where all are shown: the cursors are taller."""
        ranges = {}
        for i, panels in enumerate(zip(*self.panels.values(), strict=True), 1 + self.has_stage):
            shown = panels if self.overlay else [panels[list(self.episodes).index(label)]]
            ranges[f"yaxis{i if i > 1 else ''}_range"] = rounded(_extent(shown, 0 if shown[0].y_range else 0.06))
        return ranges

    def _step_to(self, number: int, label: str, owners: Sequence[int | None]) -> dict[str, Any]:
        """The slider's step that shows one episode: its traces, and its numbers in the titles."""
        titles: dict[str, Any] = {}
        if self.has_stage:
            title, note = self._stage_title(label)
            titles["annotations[0].text"] = title_of(Plot(title, "", [], note=note))
        for i, panel in enumerate(self.panels[label], int(self.has_stage)):
            if panel.note:
                titles[f"annotations[{i}].text"] = title_of(
                    Plot(panel.title, "", [line for line in panel.lines if line.in_title], note=panel.note))
        titles |= {name.replace("_", "."): value for name, value in self._ranges(label).items()}
        return {"label": plain(label), "method": "update",
                "args": [{"visible": [owner in (None, number) for owner in owners]}, titles]}


def episode_plots(episode: Episode, gamma: float) -> list[Plot]:
    """The panels of one episode over its time."""
    time, steps = episode.time, episode.time[:-1]
    panels = [_contacts(episode)] if contact_names(episode) else []
    panels += _described(episode) or _generic(episode)
    panels.append(_actions(episode, steps))
    panels.append(_rewards(episode, steps))
    value = episode["value"]
    if np.isfinite(value).any():
        panels.append(Plot("Value", "reward", [
            Line("the estimate", time, value.astype(float), color=PURPLE),
            Line(f"what followed, discounted by {gamma:g}", steps,
                 episode.discounted_return(gamma), color=GREEN)], height=130))
    return panels


def _described(episode: Episode) -> list[Plot]:
    """The panels that its environment's channels choose."""
    panels = []
    for title, lines in episode.shown.panels.items():
        known = {words: name for words, name in lines.items() if name in episode.series}
        colors = colors_of(list(known.values()))
        if known:
            panels.append(Plot(title, episode.units[next(iter(known.values()))], [
                Line(words, episode.time, episode[name].astype(float), color=color)
                for (words, name), color in zip(known.items(), colors, strict=True)]))
    return panels


def _generic(episode: Episode) -> list[Plot]:
    """The channels by unit and stem, at most four in a panel."""
    names = [name for name in episode.units if name in episode.series and len(episode[name]) == episode.length + 1
             and name != "value" and name not in contact_names(episode)]
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names[:MOST_CHANNELS]:
        stem = name.rstrip("0123456789").rstrip("_")
        groups.setdefault((stem if stem != name else name, episode.units[name]), []).append(name)
    panels = []
    for (stem, unit), members in groups.items():
        for start in range(0, len(members), 4):
            part = members[start:start + 4]
            title = _words(stem if len(members) == 1 else f"{part[0]} to {part[-1].rpartition('_')[2]}")
            panels.append(Plot(title, unit, [
                Line(_words(name) if len(part) > 1 else "", episode.time, episode[name].astype(float),
                     color=COLORS[i]) for i, name in enumerate(part)], height=110))
    if len(names) > MOST_CHANNELS and panels:
        panels[-1] = Plot(**{**panels[-1].__dict__, "note": f"({len(names) - MOST_CHANNELS} more channels recorded)"})
    return panels


def _contacts(episode: Episode) -> Plot:
    """The gait diagram: a bar while a foot is on the ground."""
    names = contact_names(episode)
    lines = []
    for i, name in enumerate(names):
        on = episode[name] > 0.5
        lines.append(Line(_words(name), episode.time, np.where(on, float(len(names) - i), np.nan),
                          color=(RED, BLUE)[i % 2], width=12, kind="steps", in_title=False))
    return Plot("Feet on the ground", "", lines, height=64, y_range=(0.4, len(names) + 0.6),
                 y_ticks=([len(names) - i for i in range(len(names))],
                          [name.replace("contact_", "leg ") for name in names]),
                 note=contact_sentence(episode))


def _actions(episode: Episode, steps: np.ndarray) -> Plot:
    """What was done: numbers as lines, choices as stairs between their names."""
    names = episode.action_names
    title = "Actions" if len(names) <= len(COLORS) else f"Actions, the first {len(COLORS)} of {len(names)}"
    discrete = all(np.issubdtype(episode[name].dtype, np.integer) for name in names)
    lines = [Line(_words(name.removeprefix("action_")), steps, episode[name].astype(float), color=color, width=1.1,
                  kind="stairs" if discrete else "line") for name, color in zip(names, COLORS, strict=False)]
    if not discrete:
        return Plot(title, episode.units.get(names[0], ""), lines, height=120)
    words = episode.shown.choices
    return Plot(title, "", lines, height=90, y_range=(-0.4, len(words) - 0.6) if words else None,
                 y_ticks=(range(len(words)), words) if words else None)


def _rewards(episode: Episode, steps: np.ndarray) -> Plot:
    """The return so far: what it is made of, where that is known."""
    parts = [name for name in episode.series if name.startswith("reward_")]
    total = Line("return so far", steps, episode.return_so_far, color=GREEN, width=2)
    lines = []
    for i, name in enumerate(parts):
        so_far = np.cumsum(episode[name].astype(float))
        if not np.abs(so_far).max() > 0:
            continue
        word = name.removeprefix("reward_")
        color = PART_COLORS[i % len(PART_COLORS)]
        # Above and below zero are stacked apart: Plotly would subtract one from the other.
        for sign, stack in ((1, "up"), (-1, "down")):
            side = np.clip(so_far * sign, 0, None) * sign
            if np.abs(side).max() > 0:
                lines.append(Line(_words(word), steps, side, color=color, kind="area", stack=stack))
    return Plot("Reward so far", "reward", [*lines, total], height=160)


def _extent(plots: Sequence[Plot], margin: float = 0.0) -> tuple[float, float]:
    """Lowest and highest value in plots that share their axis, `margin` of their distance apart."""
    values = [np.array(plot.y_range or (), float) for plot in plots]
    stacks: dict[str, np.ndarray] = {}
    for line in itertools.chain.from_iterable(plot.lines for plot in plots if not plot.y_range):
        values.append(line.y)
        if line.kind == "area":
            key = f"{line.stack}{line.group}"
            stacks[key] = stacks.get(key, np.zeros(len(line.y))) + line.y
    return value_range(np.concatenate([*values, *stacks.values()]), margin)


def _animation(duration: float) -> dict[str, Any]:
    return {"frame": {"duration": duration, "redraw": False}, "transition": {"duration": 0}, "mode": "immediate",
            "fromcurrent": True}


def _words(name: str) -> str:
    return name.replace("_", " ")
