"""What is unhealthy about an optimizer, each in a sentence that says why.

Judged on the last fifth of a run's rows, by its metrics alone. The bounds are rules of thumb that trained runs of the
presets stay well within: updates over parameters of 1e-3 to 0.03, up to 12 % dead units, gradients up to 3.4 times the
run's median. Each sentence says the numbers that it judges by.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from colab_rl.views.dashboards.curves import Curves
from colab_rl.views.values import text_of

FEWEST_ROWS = 5
DEAD, BORN_DEAD = 0.25, 0.55  # share of hidden units; and that which may be from the start
CLIPPED = 0.5          # the clipped norm over the norm before
VANISHING = 1e-6       # gradient norm
EXPLODING = 30.0       # times the run's median
FAST, SLOW = 0.1, 1e-5  # an update's norm over the parameters'


class Symptom(NamedTuple):
    """Something unhealthy: of which network, in which column; in few words, and in a sentence that says why.

    alarm: whether it needs somebody to act. Else it is a note: runs that learn well have it too.
    """

    network: str
    column: str
    brief: str
    sentence: str
    alarm: bool = True


@np.errstate(all="ignore")
def diagnose(run: Curves) -> list[Symptom]:
    """What is unhealthy now; an empty list if nothing is, or if there are too few rows to tell."""
    networks = [network for number, network in enumerate(run.networks) if not any(
        _is_same(run, network, other) for other in run.networks[:number])]
    infinite = [name for name, values in run.table.items() if np.isinf(values).any()]
    return [symptom for network in networks for symptom in _of_network(run, network)] + [
        Symptom("", name, f"{name} has infinite values", f"{name} has infinite values: the run diverged there.")
        for name in infinite]


def _is_same(run: Curves, network: str, other: str) -> bool:
    """Whether a network is another one under a second name, as with a shared trunk: all its columns are the same."""
    columns = [name.rpartition("/")[2] for name in run.table if name.startswith(f"optimizer/{network}/")]
    return bool(columns) and all(run.has(f"optimizer/{other}/{kind}") and np.array_equal(
        run.column(f"optimizer/{network}/{kind}"), run.column(f"optimizer/{other}/{kind}"), equal_nan=True)
        for kind in columns)


def judged_rows(values: np.ndarray) -> np.ndarray:
    """Indices of the last fifth of the rows that have a number."""
    known = np.flatnonzero(np.isfinite(values))
    return known[-max(FEWEST_ROWS, len(known) // 5):]


def _of_network(run: Curves, network: str) -> Iterator[Symptom]:
    def column(kind: str) -> np.ndarray:
        return run.column(f"optimizer/{network}/{kind}")

    def recent(values: np.ndarray) -> np.ndarray:
        rows = judged_rows(values)
        return values[rows] if len(rows) >= FEWEST_ROWS else np.full(1, np.nan)

    def symptom(kind: str, brief: str, sentence: str, alarm: bool = True) -> Symptom:
        return Symptom(network, f"optimizer/{network}/{kind}", f"The {network} network{brief}", sentence, alarm)

    norms = column("gradient_norm")
    norm, clipped = recent(norms), recent(column("clipped_gradient_norm"))
    median = float(np.nanmedian(norms[np.isfinite(norms)])) if np.isfinite(norms).any() else np.nan
    if np.median(norm) < VANISHING:
        yield symptom("gradient_norm", "'s gradient vanishes",
                      f"The {network} network's gradient vanishes: its norm is {np.median(norm):.1g}, so that "
                      "it no longer learns. Saturated activations or a loss without slope are the usual reasons.")
    if norm.max() > EXPLODING * median:
        yield symptom("gradient_norm", "'s gradient explodes",
                      f"The {network} network's gradient explodes: its norm reached {norm.max():.3g}, "
                      f"{text_of(norm.max() / median, 0)} times the run's median. A smaller learning_rate helps.")
    if len(norm) == len(clipped) and np.mean(clipped < CLIPPED * norm) > 0.9:
        yield symptom("clipped_gradient_norm", "'s gradient is clipped always",
                      f"The {network} network's gradient is clipped always: its norm is "
                      f"{text_of(np.median(norm / clipped))} times max_grad_norm. The walker's preset has 4 times and "
                      "learns well: Adam divides by the gradient's size anyway.", alarm=False)
    if not run.has(f"optimizer/{network}/dead_units"):  # one number, as SAC's temperature: its norm may be 0
        return
    ratio, dead = recent(run.ratio(network)), recent(column("dead_units"))
    rates = run.column("optimizer/learning_rate")
    rates = rates[np.isfinite(rates)]
    annealed = len(rates) > 0 and rates[-len(ratio):].max() < 0.05 * rates.max()
    if np.median(ratio) > FAST:
        fewer = "a smaller replay_ratio helps" if run.has("replay/ratio") else "fewer update_epochs help"
        yield symptom("update_norm", " forgets as it learns",
                      f"An update changes the {network} network by {text_of(100 * np.median(ratio), 0)} % of its norm: "
                      f"it forgets as it learns. A smaller learning_rate or {fewer}.")
    if np.median(ratio) < SLOW and not annealed:
        yield symptom("update_norm", " stands still",
                      f"An update changes the {network} network by {100 * np.median(ratio):.1g} % of its norm: "
                      "it stands still. A larger learning_rate helps.")
    # Of the layer after CarRacing's convolutions 54 % are dead at first, and come alive while it learns.
    known = column("dead_units")
    born = min(np.median(known[np.isfinite(known)][:FEWEST_ROWS]), BORN_DEAD) if np.isfinite(known).any() else np.nan
    if np.median(dead) > max(DEAD, born):
        yield symptom("dead_units", " has dead units",
                      f"{text_of(100 * np.median(dead), 0)} % of the {network} network's hidden units are dead: they "
                      "say the same of every observation. A smaller learning_rate, or another activation than relu, "
                      "helps.")
