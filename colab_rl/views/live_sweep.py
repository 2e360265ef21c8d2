"""The progress of a sweep, in a notebook cell's output: its runs' scores and a table, updated in place."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Sequence

from colab_rl.sweeps.driver import Live, Picture
from colab_rl.sweeps.trials import Record, TrialResult
from colab_rl.views.live import FREQUENT, HEIGHT, LEFT, RAREST, RIGHT, TOP, WIDTH, in_place, short, ticks
from colab_rl.views.palette import COLORS, GREY
from colab_rl.views.values import duration, text_of, value_range

MOST_ENDED = 8    # trials of the table that have ended, the best ones
BOTTOM = 24
CELL = "padding:2px 12px 2px 0;text-align:left;white-space:nowrap"


class LiveSweep:
    """A driver.SweepWatcher that shows what it gets.

    show: takes a MIME bundle and replaces what was shown before; by default a cell's output. clock: seconds.
    """

    def __init__(self, show: Callable[[dict[str, str]], None] | None = None,
                 clock: Callable[[], float] = time.monotonic):
        self._show = show or in_place()
        self._clock = clock
        self._began = clock()
        self._next = 0.0
        self._ended: list[TrialResult] = []
        self._picture: Picture | None = None

    def show(self, picture: Picture) -> None:
        """See driver.SweepWatcher. The longer it lasts the rarer it draws: a tab that comes back replays it all."""
        self._picture = picture
        now = self._clock()
        if now >= self._next:
            self._draw()
            self._next = now + min(max(1.0, (now - self._began) / FREQUENT), RAREST)

    def ended(self, trial: int, record: Record) -> None:
        """See driver.SweepWatcher."""
        self._ended.append(record.trial(trial))
        self._ended.sort(key=lambda one: (one.iqm is None, -(one.iqm or 0.0), one.trial))

    def close(self) -> None:
        """See driver.SweepWatcher."""
        if self._picture:
            self._draw()

    def rows(self) -> list[Sequence[str]]:
        """The table: what, state, steps, score, time left, settings."""
        picture = self._picture
        assert picture is not None
        found: list[Sequence[str]] = []
        for live in picture.live:
            trial = picture.record.trial(live.trial)
            found.append((live.run, "running", live.share, "" if live.score is None else text_of(live.score),
                          "" if live.seconds_left is None else duration(live.seconds_left), trial.words()))
        for trial in self._ended[:MOST_ENDED]:
            score = "" if trial.iqm is None else text_of(trial.iqm)
            found.append((f"t{trial.trial:03d}", trial.state, "", score, "", trial.words()))
        return found

    def _draw(self) -> None:
        picture = self._picture
        assert picture is not None
        left = "" if picture.left is None else f", {duration(picture.left)} left"
        title = f"{picture.record.plan.sweep}: {picture.ended_trials} of {picture.record.plan.trials} trials{left}"
        heads = "".join(f'<th style="{CELL};font-weight:normal;opacity:.65">{name}</th>' for name in
                        ("trial", "state", "steps", "score", "time left", "settings"))
        body = "".join("<tr>" + "".join(f'<td style="{CELL}">{html.escape(cell)}</td>' for cell in row) + "</tr>"
                       for row in self.rows())
        self._show({"text/plain": title, "text/html": (
            f'<div style="font:13px/1.4 system-ui,sans-serif;max-width:960px"><b>{html.escape(title)}</b>'
            f'{svg(picture.live)}<table style="border-collapse:collapse"><thead><tr>{heads}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>")})


def svg(runs: Sequence[Live]) -> str:
    """The scores of the runs over their steps, a colour each; empty before there are any."""
    runs = [run for run in runs if run.curve]
    if not runs:
        return ""
    low, high = value_range([score for run in runs for _, _, score in run.curve])
    most = max(max(run.total_steps, run.step) for run in runs)

    def place(x: float, y: float) -> tuple[float, float]:
        return (LEFT + (WIDTH - LEFT - RIGHT) * x / most, TOP + (HEIGHT - TOP - BOTTOM) * (high - y) / (high - low))

    parts = []
    for value in ticks(low, high, 5):
        _, y = place(0, value)
        parts.append(f'<path d="M{LEFT} {y:.0f}H{WIDTH - RIGHT}" stroke="{GREY}" opacity=".3"/>'
                     f'<text x="{LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{value:,.6g}</text>')
    for value in ticks(0, most, 5):
        parts.append(f'<text x="{place(value, 0)[0]:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{short(value)}</text>')
    for number, run in enumerate(runs):
        color = COLORS[number % len(COLORS)]
        line = " ".join("{:.1f},{:.1f}".format(*place(step, score)) for step, _, score in run.curve)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="1.8"/>')
        x, y = place(run.curve[-1][0], run.curve[-1][2])
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>')
    return (f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" role="img" aria-label="scores over steps" '
            f'font-size="11" fill="currentColor">{"".join(parts)}</svg>')
