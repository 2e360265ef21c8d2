"""The colours of every figure, in notebooks, reports and the live plot."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Paul Tol's "bright" scheme (personal.sron.nl/~pault): told apart by the colour-blind, legible on white and near-black.
BLUE, RED, GREEN, YELLOW, CYAN, PURPLE, GREY = (
    "#4477AA", "#EE6677", "#228833", "#BBA52B", "#45A9C9", "#AA3377", "#8A8F98")
COLORS = (BLUE, RED, GREEN, PURPLE, YELLOW, CYAN)
# Of lines that belong to the first and the second of two limbs, and of lines that belong to neither.
LIMBS = (RED, BLUE)
OTHERS = (PURPLE, GREEN, YELLOW, CYAN)


def limb(name: str) -> int | None:
    """Which of two limbs a channel belongs to, by the last number in its name: 0 or 1; None if it has no number."""
    numbers = re.findall(r"\d+", name)
    return (int(numbers[-1]) + 1) % 2 if numbers else None


def colors_of(names: Sequence[str]) -> list[str]:
    """A colour for each of the channels that one plot shows."""
    return [OTHERS[i % len(OTHERS)] if (of_limb := limb(name)) is None else LIMBS[of_limb]
            for i, name in enumerate(names)]
