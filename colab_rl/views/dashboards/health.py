"""What is unhealthy about an optimizer, each in a sentence that says why.

Judged on the last fifth of a run's rows, by its metrics alone. The bounds are rules of
thumb; each sentence says the numbers that it judges by.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from colab_rl.views.dashboards.tables import Curves

FEWEST_ROWS = 5
DEAD = 0.25            # share of hidden units
CLIPPED = 0.5          # the clipped norm over the norm before
VANISHING = 1e-6       # gradient norm
EXPLODING = 30.0       # times the run's median
FAST, SLOW = 0.1, 1e-5  # an update's norm over the parameters'
TEMPERATURE = "temperature"  # SAC's one number, the log of a weight: that it is near 0 says nothing of its steps


class Finding(NamedTuple):
    """Something unhealthy: of which network, in which column; in few words, and in a sentence that says why."""

    network: str
    column: str
    brief: str
    sentence: str


def networks(run: Curves) -> list[str]:
    """The networks that a table has optimizer columns of."""
    found = [name.split("/")[1] for name in run.names("optimizer/") if name.count("/") == 2]
    return list(dict.fromkeys(found))


def diagnose(run: Curves) -> list[Finding]:
    """What is unhealthy now; an empty list where nothing is, or where there are too few rows to tell."""
    findings = [finding for network in networks(run) for finding in _of_network(run, network)]
    broken = [name for name, values in run.table.items() if np.isinf(values).any()]
    return findings + [Finding("", name, f"{name} has infinite values", f"{name} has infinite values: the run diverged "
                               "there.") for name in broken]


def _of_network(run: Curves, network: str) -> list[Finding]:
    def recent(kind: str) -> np.ndarray:
        values = run.column(f"optimizer/{network}/{kind}")
        values = values[np.isfinite(values)]
        return values[-max(FEWEST_ROWS, len(values) // 5):] if len(values) >= FEWEST_ROWS else np.full(1, np.nan)

    def found(kind: str, brief: str, sentence: str) -> None:
        findings.append(Finding(network, f"optimizer/{network}/{kind}", f"The {network} network{brief}", sentence))

    findings: list[Finding] = []
    norm, clipped = recent("gradient_norm"), recent("clipped_gradient_norm")
    overall = run.column(f"optimizer/{network}/gradient_norm")
    median = float(np.nanmedian(overall)) if np.isfinite(overall).any() else np.nan
    if np.median(norm) < VANISHING:
        found("gradient_norm", "'s gradient vanishes",
              f"The {network} network's gradient vanishes: its norm is {np.median(norm):.1g}, so that "
              "it no longer learns. Saturated activations or a loss without slope are the usual reasons.")
    if norm.max() > EXPLODING * median:
        found("gradient_norm", "'s gradient explodes",
              f"The {network} network's gradient explodes: its norm reached {norm.max():.3g}, "
              f"{norm.max() / median:.0f} times the run's median. A smaller learning_rate helps.")
    if len(norm) == len(clipped) and np.mean(clipped < CLIPPED * norm) > 0.9:
        found("clipped_gradient_norm", "'s gradient is clipped always",
              f"The {network} network's gradient is clipped always: its norm is "
              f"{np.median(norm / clipped):.1f} times max_grad_norm, so that the clip, and not the gradient, sets "
              "the size of each step. A larger max_grad_norm would leave that to the gradient.")
    ratio = recent("update_norm") / recent("parameter_norm")
    rate = run.column("optimizer/learning_rate")
    known = rate[np.isfinite(rate)]
    annealed = len(known) > 0 and known[-len(ratio):].max() < 0.05 * known.max()
    if network == TEMPERATURE:
        return findings
    if np.median(ratio) > FAST:
        fewer = "a smaller replay_ratio helps" if run.has("replay/ratio") else "fewer update_epochs help"
        found("update_norm", " forgets as it learns",
              f"An update changes the {network} network by {100 * np.median(ratio):.0f} % of its norm: "
              f"it forgets as it learns. A smaller learning_rate or {fewer}.")
    if np.median(ratio) < SLOW and not annealed:
        found("update_norm", " stands still",
              f"An update changes the {network} network by {100 * np.median(ratio):.1g} % of its norm: "
              "it stands still. A larger learning_rate helps.")
    dead = recent("dead_units")
    if np.median(dead) > DEAD:
        found("dead_units", " has dead units",
              f"{100 * np.median(dead):.0f} % of the {network} network's hidden units are dead: they say "
              "the same of every observation. A smaller learning_rate, or another activation than relu, helps.")
    return findings
