"""The colours of every figure, in notebooks, reports and the live plot."""

from __future__ import annotations

# Paul Tol's "bright" scheme (personal.sron.nl/~pault): told apart by the colour-blind, legible on white and near-black.
BLUE, RED, GREEN, YELLOW, CYAN, PURPLE, GREY = (
    "#4477AA", "#EE6677", "#228833", "#BBA52B", "#45A9C9", "#AA3377", "#8A8F98")
COLORS = (BLUE, RED, GREEN, PURPLE, YELLOW, CYAN)
