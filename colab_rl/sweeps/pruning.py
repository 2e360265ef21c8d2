"""Stopping a trial that falls behind: the median rule of Google Vizier (Golovin et al. 2017).

At each of some shares of all steps a trial's score is compared with those of earlier trials at the same step. It is
pruned if it is below their median. The score is the mean over its first `judges` seeds, of each the newest evaluation
up to that step.

Only trials that are at least `at_once` before it are looked at, and only when all of these have ended. So the decision
depends on scores alone, and not on which run is the fastest: a sweep that was killed prunes what the undisturbed one
would have pruned.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of all steps, at which a trial is judged
FEWEST = 5                                         # earlier trials that say what is usual

Curve = Sequence[Sequence[float]]  # (step, seconds, score) of each evaluation, oldest first


class Pruned(NamedTuple):
    """A trial is pruned at a step, with the score that it had there."""

    step: int
    score: float


def rung_steps(total_steps: int) -> list[int]:
    """The steps at which a trial is judged."""
    return [int(share * total_steps) for share in SHARES]


def score_at(curve: Curve, step: int) -> float | None:
    """Of the newest evaluation up to a step, None before the first."""
    return next((point[2] for point in reversed(curve) if point[0] <= step), None)


def mean_at(curves: Sequence[Curve], step: int) -> float | None:
    """The mean over a trial's judging runs, None if one of them had no evaluation by then."""
    scores = [score_at(curve, step) for curve in curves]
    known = [score for score in scores if score is not None]
    return statistics.fmean(known) if known and len(known) == len(scores) else None


def judge(curves: Sequence[Curve], reached: int, earlier: Sequence[Sequence[Curve]], total_steps: int
          ) -> Pruned | None:
    """Whether a trial is pruned at the first rung at which it is behind.

    curves: of its judging runs, all of which have reached the step `reached`. earlier: of the finished trials
        that it is compared with.
    """
    for step in rung_steps(total_steps):
        if step > reached:
            break
        score = mean_at(curves, step)
        others = [other for trial in earlier if (other := mean_at(trial, step)) is not None]
        if score is not None and len(others) >= FEWEST and score < statistics.median(others):
            return Pruned(step, score)
    return None
