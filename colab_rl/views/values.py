"""Any number as text that fits, and any numbers as the range of an axis: huge, tiny, equal, NaN, or none at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

LARGEST = 1e250    # beyond it a plotting program computes infinities
SMALLEST = 1e-200  # below it they divide by zero


def text_of(value: float, decimals: int = 1, most: int = 11, flags: str = "") -> str:
    """A number with so many decimals, with none, or with an exponent: the first of these that has `most` characters.

    flags: of Python's formats, such as `+` or `,`.
    """
    forms = [f"{value:{flags}.{decimals}f}", f"{value:{flags}.0f}", f"{value:{flags}.1e}"]
    return next((form for form in forms if len(form) <= most), forms[-1])


def duration(seconds: float) -> str:
    """Seconds for people: 42 s, 7 min, 3 h 05 min."""
    if not 90 <= seconds < 1e9:
        return f"{text_of(seconds, 0)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def words_of(name: str) -> str:
    """A series' name for people: `hip_1` is `hip 1`."""
    return name.replace("_", " ")


def value_range(values: ArrayLike, margin: float = 0.05) -> tuple[float, float]:
    """The least and the greatest finite value, `margin` of their distance apart from them; never an empty range."""
    found = np.asarray(values, np.float64).ravel()
    found = found[np.isfinite(found)].clip(-LARGEST, LARGEST)
    if not len(found):
        return 0.0, 1.0
    low, high = float(found.min()), float(found.max())
    apart = margin * (high - low)
    if high - low <= max(SMALLEST, 1e-12 * abs(high), 1e-12 * abs(low)):
        apart = max(0.5, 1e-3 * abs(high))
    return low - apart, high + apart
