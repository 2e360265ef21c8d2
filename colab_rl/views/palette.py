"""The colours of every figure, in notebooks, reports and the live plot.

Each has a contrast of 4.5 or more on white and on a light page's cards, so that words can have it (WCAG 2.2, 1.4.3).
A dark page takes the colour that `DARK` gives for it, which has that contrast there. The hues follow Paul Tol's
"bright" scheme (personal.sron.nl/~pault), which the colour-blind can tell apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

BLUE, RED, GREEN, YELLOW, CYAN, PURPLE, ORANGE, VIOLET, OLIVE, BROWN, GREY = (
    "#3B6EA8", "#C93A4E", "#1F7A33", "#84700F", "#0B7A93", "#A32C74", "#B4530A", "#5E4FA2", "#4D6B00", "#8C564B",
    "#6B717A")
COLORS = (BLUE, RED, GREEN, PURPLE, YELLOW, CYAN, ORANGE, VIOLET, OLIVE, BROWN)
DARK = {BLUE: "#7FB0E8", RED: "#FF8A97", GREEN: "#5CC47A", YELLOW: "#D9C24A", CYAN: "#62C8E0", PURPLE: "#E58BC0",
        ORANGE: "#F0A261", VIOLET: "#B4A5F0", OLIVE: "#A8C256", BROWN: "#C9A08F", GREY: "#A3ABB5"}
# What they lie on: a page and its cards, light and dark; and words that have no colour of their own.
LIGHT_BACKS, DARK_BACKS = ("#FFFFFF", "#F6F7F9"), ("#15181C", "#1D2126")
LIGHT_TEXTS, DARK_TEXTS = ("#24292F", "#565E68"), ("#E2E6EB", "#A3ABB5")
# Of lines that belong to the first and the second of two limbs, and of lines that belong to neither.
LIMBS = (RED, BLUE)
OTHERS = (PURPLE, GREEN, YELLOW, CYAN)


def limb(name: str) -> int | None:
    """Which of two limbs a channel belongs to, by the last number in its name: 0 or 1; None if it has no number."""
    numbers = re.findall(r"\d+", name)
    return (int(numbers[-1]) + 1) % 2 if numbers else None


def colors_of(names: Sequence[str]) -> list[str]:
    """A colour for each of the channels that one plot shows; of limbs only if their numbers are 1 and 2."""
    numbers = {re.findall(r"\d+", name)[-1] for name in names if limb(name) is not None}
    if not numbers <= {"1", "2"}:
        return [COLORS[i % len(COLORS)] for i in range(len(names))]
    return [OTHERS[i % len(OTHERS)] if (of_limb := limb(name)) is None else LIMBS[of_limb]
            for i, name in enumerate(names)]


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' relative luminances, 1 to 21 (WCAG 2.2)."""
    def luminance(color: str) -> float:
        parts = [int(color[i:i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def css_name(color: str) -> str:
    """The colour for the style of an element: a page's own for it, light or dark, else the colour itself."""
    return f"var(--c{color[1:]}, {color})"
