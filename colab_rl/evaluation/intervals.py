"""The 95 % interval of a mean over episodes. sweeps/statistics.py has those over seeds."""

from __future__ import annotations

import numpy as np

RESAMPLES = 10_000
MOST_AT_ONCE = 10_000_000  # numbers of resamples held in memory


def bootstrap_interval(values: np.ndarray, share: float = 0.95) -> tuple[float, float]:
    """The percentile interval of the mean of (N,) values (Efron 1979, doi:10.1214/aos/1176344552).

    The resamples are the same each time, so the same numbers give the same interval. NaN if there are no values.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        return float("nan"), float("nan")
    generator = np.random.default_rng(0)
    rows = max(1, MOST_AT_ONCE // len(values))
    found = np.concatenate([generator.choice(values, (min(rows, RESAMPLES - done), len(values))).mean(1)
                            for done in range(0, RESAMPLES, rows)])
    low, high = np.quantile(found, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)
