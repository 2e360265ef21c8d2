"""What a few runs say of a setting: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical
Precipice" (arXiv:2108.13264).

Scores are (R, M): R runs on each of M tasks. One environment is one task, (R, 1). Resamples are the same each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

RESAMPLES = 2000   # of a bootstrap, as many as in the paper's profiles
SHARE = 0.95       # of the intervals


class Interval(NamedTuple):
    """A number or an array, and the ends of its 95 % interval; NaN if there are too few runs for one."""

    value: np.ndarray | float
    low: np.ndarray | float
    high: np.ndarray | float


def iqm(scores: np.ndarray, axis: int | None = None) -> np.ndarray:
    """The interquartile mean: the mean of the middle half, over all scores or along an axis.

    A quarter of the scores, rounded down, is left out at each end.
    """
    ordered = np.sort(np.asarray(scores, np.float64), axis=axis)
    axis = 0 if axis is None else axis
    cut = ordered.shape[axis] // 4
    return np.take(ordered, np.arange(cut, ordered.shape[axis] - cut), axis).mean(axis)


def resampled(scores: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """(resamples, R, M): stratified, so that the runs of each task are drawn from that task's runs."""
    scores = np.asarray(scores, np.float64)
    generator = np.random.default_rng(seed)
    chosen = generator.integers(len(scores), size=(resamples, *scores.shape))
    return np.take_along_axis(scores[None], chosen, axis=1)


def interval(scores: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]) -> Interval:
    """A statistic of (R, M) scores with its percentile interval.

    statistic: of (..., R, M) scores, for each of the leading axes.
    """
    scores = np.asarray(scores, np.float64)
    value = statistic(scores)
    if len(scores) < 2:
        return Interval(value, np.full_like(value, np.nan), np.full_like(value, np.nan))
    return _between(value, statistic(resampled(scores)))


def iqm_interval(scores: np.ndarray) -> Interval:
    """The interquartile mean of (R, M) scores over all of them, with its interval."""
    return interval(scores, lambda found: iqm(found.reshape(*found.shape[:-2], -1), axis=-1))


def curve_interval(scores: np.ndarray) -> Interval:
    """(T,) interquartile means over runs of (R, T) curves, with their intervals: whole runs are drawn."""
    scores = np.asarray(scores, np.float64)
    value = iqm(scores, axis=0)
    if len(scores) < 2:
        return Interval(value, np.full_like(value, np.nan), np.full_like(value, np.nan))
    chosen = np.random.default_rng(0).integers(len(scores), size=(RESAMPLES, len(scores)))
    means = np.stack([iqm(scores[runs], axis=0) for runs in chosen])
    return _between(value, means)


def performance_profile(scores: np.ndarray, thresholds: np.ndarray) -> Interval:
    """(K,) shares of the (R, M) scores that are above each of K thresholds, with their intervals.

    The share of runs is taken in each task, and then the mean over tasks.
    """
    thresholds = np.asarray(thresholds, np.float64)

    def profile(found: np.ndarray) -> np.ndarray:
        return np.stack([(found > threshold).mean(axis=(-2, -1)) for threshold in thresholds], axis=-1)

    return interval(scores, profile)


def probability_of_improvement(scores: np.ndarray, others: np.ndarray) -> Interval:
    """How likely a run of the (R, M) scores is better than one of the (S, M) others; a tie counts a half.

    It is the Mann-Whitney U statistic over R * S, the mean over tasks. Both sides are resampled.
    """
    scores, others = np.asarray(scores, np.float64), np.asarray(others, np.float64)
    value = _better(scores, others)
    if min(len(scores), len(others)) < 2:
        return Interval(value, np.full_like(value, np.nan), np.full_like(value, np.nan))
    return _between(value, _better(resampled(scores), resampled(others, seed=1)))


def _better(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    pairs = scores[..., :, None, :] - others[..., None, :, :]
    return ((pairs > 0) + 0.5 * (pairs == 0)).mean(axis=(-3, -2, -1))


def _between(value: np.ndarray, found: np.ndarray) -> Interval:
    low, high = np.quantile(found, [(1 - SHARE) / 2, (1 + SHARE) / 2], axis=0)
    return Interval(value, low, high)
