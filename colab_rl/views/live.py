"""The progress of training, in a notebook cell's output: numbers and a plot, updated in place.

A tab that comes back replays every update since it left, so that they are few and small: one is
some 6 kB of HTML and SVG, and the longer training lasts the rarer they come (about 20 MB in 12 hours).
"""

from __future__ import annotations

import html
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from colab_rl.views.palette import BLUE, GREEN, GREY, RED
from colab_rl.views.values import LARGEST, duration, text_of, value_range

FREQUENT = 600.0          # seconds for which an update may come each second
RAREST = 15.0             # seconds between two updates in the end
MOST_POINTS = 200         # of the line; neighbours are averaged beyond it
MOST_BARS = 60            # intervals of the newest scores
SPEED_OVER = 300.0        # seconds of training that the speed is a mean of, with the evaluations in them
SPEED_ROWS = 20           # and at least so many rows: an evaluation may take longer
WIDTH, HEIGHT = 720, 190  # of the drawing, in its own units: it fills the width it is given
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 8, 24


class Series:
    """Points (x, y), of which at most `most` are kept: if there are more, each two become their mean."""

    def __init__(self, most: int):
        self._most = most
        self._stride = 1
        self._kept: list[tuple[float, float]] = []
        self._waiting: list[tuple[float, float]] = []  # fewer than a stride

    @property
    def points(self) -> list[tuple[float, float]]:
        """What is kept, and the newest point as it is."""
        return self._kept + self._waiting[-1:]

    def add(self, x: float, y: float) -> None:
        """Adds a point; x never falls."""
        self._waiting.append((x, y))
        if len(self._waiting) == self._stride:
            self._kept.append(_mean(self._waiting))
            self._waiting = []
        if len(self._kept) > self._most:
            self._kept = [_mean(self._kept[i:i + 2]) for i in range(0, len(self._kept), 2)]
            self._stride *= 2


class LivePlot:
    """A progress.Watcher that shows what it gets.

    show: takes a MIME bundle and replaces what was shown before; by default a cell's output.
    clock: seconds. goal: the return that counts as solved, drawn as a line.
    beside: another run's name and its (step, return), drawn as a second line.
    """

    def __init__(self, run: str, show: Callable[[dict[str, str]], None] | None = None,
                 clock: Callable[[], float] = time.monotonic, goal: float | None = None,
                 beside: tuple[str, Iterable[tuple[float, float]]] = ("", ())):
        self.run = run
        self._goal_score = goal
        self._other, other_points = beside
        self._others = Series(MOST_POINTS)
        for point in other_points:
            self._others.add(*point)
        self._show = show or in_place()
        self._clock = clock
        self._began = clock()
        self._next = 0.0
        self._where = ""
        self._row: Mapping[str, float] = {}
        self._total = 0
        self._returns, self._scores = Series(MOST_POINTS), Series(MOST_POINTS)
        self._intervals: deque[tuple[float, float, float]] = deque(maxlen=MOST_BARS)  # (step, low, high) of scores
        self._best = -math.inf
        self._score = ""
        self._recent: deque[tuple[float, float]] = deque()  # (seconds, step) of the newest rows

    def past(self, row: Mapping[str, float]) -> None:
        """See progress.Watcher."""
        self._row = row
        step = row["step"]
        for name, series in (("episode/return", self._returns), ("evaluation/score", self._scores)):
            if math.isfinite(row.get(name, math.nan)):
                series.add(step, min(max(row[name], -LARGEST), LARGEST))  # whose means are no infinities
                if series is self._scores:
                    self._best = max(row[name], self._best)
                    self._intervals += [(step, *ends) for ends in _interval(row)]

    def goal(self, total_steps: int) -> None:
        """See progress.Watcher."""
        self._total = total_steps
        self._draw()

    def row(self, row: Mapping[str, float], where: str) -> None:
        """See progress.Watcher."""
        self.past(row)
        self._where = where
        self._recent.append((row["seconds"], row["step"]))
        while self._recent[-1][0] - self._recent[0][0] > SPEED_OVER and len(self._recent) > SPEED_ROWS:
            self._recent.popleft()
        now = self._clock()
        if now >= self._next:
            self._draw()
            self._next = now + min(max(1.0, (now - self._began) / FREQUENT), RAREST)

    def close(self, where: str | None = None, score: str = "") -> None:
        """Shows how it stands, whenever that was last shown; nothing if training never began.

        where: as in `row`, once what was under way has ended. score: the one that the run ended with, in words.
        """
        self._where = self._where if where is None else where
        self._score = score
        if self._total:
            self._draw()

    @property
    def speed(self) -> float | None:
        """Steps a second of this session's newest rows, None before there are two."""
        if len(self._recent) < 2:
            return None
        (began, first), (ended, last) = self._recent[0], self._recent[-1]
        return (last - first) / (ended - began) if ended > began else None

    def facts(self) -> list[tuple[str, str]]:
        """What is shown in words: names and values."""
        row, step = self._row, self._row.get("step", 0)
        share = f" ({100 * min(step / self._total, 1):.0f} %)" if self._total else ""
        facts = [("step", f"{step:,.0f} of {self._total:,}{share}")]
        if self.speed:
            left = max(self._total - step, 0) / self.speed
            facts += [("speed", f"{self.speed:,.0f} steps/s"), ("time left", duration(left))]
        if "seconds" in row:
            facts.append(("trained for", duration(row["seconds"])))
        if "episode/return" in row:
            facts.append(("return", text_of(row["episode/return"])))
        if self._score:
            facts.append(("score", self._score))
        elif self._best > -math.inf:
            facts.append(("best evaluation", text_of(self._best)))
        if self._where:
            facts.append(("saved", self._where))
        return facts

    def _draw(self) -> None:
        facts = self.facts()
        words = ", ".join(f"{name} {value}" for name, value in facts)
        cards = "".join(f'<div style="margin:0 22px 6px 0"><div style="font-size:11px;opacity:.65">{name}</div>'
                        f'<b>{html.escape(value)}</b></div>' for name, value in facts)
        self._show({"text/plain": f"{self.run}: {words}", "text/html": (
            '<div style="font:13px/1.4 system-ui,sans-serif;max-width:960px">'
            f'<div style="display:flex;flex-wrap:wrap">{cards}</div>{self.svg()}</div>')})

    def svg(self, width: int = WIDTH, height: int = HEIGHT) -> str:
        """Return and scores over the steps, from 0 to all of them. width, height: in units of which a letter has 11."""
        lines = [self._returns.points, self._scores.points, self._others.points]
        goal = [] if self._goal_score is None else [self._goal_score]
        drawn = [*goal, *(y for points in lines for _, y in points), *(y for _, *ends in self._intervals for y in ends)]
        low, high = value_range(drawn or [0.0])
        most = max(self._total, *(x for points in lines for x, _ in points), 1)

        heights = ticks(low, high, 5)
        digits = next(count for count in range(6, 18) if len({f"{y:.{count}g}" for y in heights}) == len(heights))
        labels = [f"{y:,.{digits}g}" for y in heights]
        left = max(LEFT, 8 + 7 * max(map(len, labels)))

        def place(x: float, y: float) -> tuple[float, float]:
            return (left + (width - left - RIGHT) * x / most,
                    TOP + (height - TOP - BOTTOM) * (high - min(max(y, low), high)) / (high - low))

        parts = []
        for value, label in zip(heights, labels, strict=True):
            _, y = place(0, value)
            parts.append(f'<path d="M{left} {y:.0f}H{width - RIGHT}" stroke="currentColor" opacity=".15"/>'
                         f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{label}</text>')
        for value in ticks(0, most, 5):
            x, _ = place(value, 0)
            parts.append(f'<text x="{x:.0f}" y="{height - 6}" text-anchor="middle">{short(value)}</text>')
        for goal_score in goal:
            _, y = place(0, goal_score)
            parts.append(f'<path d="M{left} {y:.1f}H{width - RIGHT}" stroke="{GREEN}" stroke-width="1.5" '
                         f'stroke-dasharray="6 4"/>')
        for points, color in ((self._others.points, GREY), (self._returns.points, BLUE)):
            line = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in points)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="1.8"/>' if line else "")
        bars = [(*place(step, least), place(step, greatest)[1]) for step, least, greatest in self._intervals]
        marks = "".join(f"M{x:.1f} {bottom:.0f}V{top:.0f}" for x, bottom, top in bars)
        parts.append(f'<path d="{marks}" stroke="{RED}" stroke-width="1.5" opacity=".6"/>' if marks else "")
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{RED}"/>'
                  for x, y in (place(*point) for point in self._scores.points)]
        words = [(BLUE, "—", "return of training episodes"), (RED, "●", "score of evaluations, with its 95 % interval")]
        words += [(GREY, "—", f"return of {self._other}")] if self._other else []
        words += [(GREEN, "- -", f"solved at {text_of(goal_score, 0)}") for goal_score in goal]
        key = " &nbsp; ".join(f'<span style="white-space:nowrap"><span style="color:{color}">{sign}</span> '
                              f"{html.escape(name)}</span>" for color, sign, name in words) + " &nbsp; over steps"
        return (f'<svg viewBox="0 0 {width} {height}" width="100%" role="img" aria-label="return over steps" '
                f'font-size="11" fill="currentColor">{"".join(parts)}</svg><div style="font-size:11px">{key}</div>')


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two others, at most so many: 1, 2 or 5 times a power of ten apart."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    apart = next(power * factor for factor in (1, 2, 5, 10) if (high - low) / (power * factor) <= most)
    digits = min(17, 6 + max(0, round(math.log10(max(abs(low), abs(high)) / apart))))
    return [float(f"{number * apart:.{digits}g}")
            for number in range(math.ceil(low / apart), math.floor(high / apart) + 1)]


def short(number: float) -> str:
    """1500000 as 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"


def _interval(row: Mapping[str, float]) -> list[tuple[float, float]]:
    """The 95 % interval of an evaluation's score; none if its row does not say the deviation and the episodes."""
    score, episodes = row["evaluation/score"], row.get("evaluation/episodes", math.nan)
    half = 1.96 * row.get("evaluation/std", math.nan) / math.sqrt(episodes) if episodes > 0 else math.nan
    return [(score - half, score + half)] if math.isfinite(half) else []


def _mean(points: list[tuple[float, float]]) -> tuple[float, float]:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def in_place() -> Callable[[dict[str, str]], None]:
    """Shows a bundle in the cell's output, and each later one in the place of the first."""
    from IPython.display import display

    handle: Any = None

    def show(bundle: dict[str, str]) -> None:
        nonlocal handle
        if handle is None:
            handle = display(bundle, raw=True, display_id=True)
        else:
            handle.update(bundle, raw=True)

    return show
