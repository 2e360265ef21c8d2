"""The dashboards of a sweep's best trials, which its report holds: a click on a trial opens them."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from colab_rl.errors import ColabRLError
from colab_rl.progress import progress_bar
from colab_rl.runs.places import Places
from colab_rl.views import dashboards
from colab_rl.views.dashboards.curves import Curves
from colab_rl.views.dashboards.trials import TrialCurves
from colab_rl.views.history import History
from colab_rl.views.palette import COLORS

MOST_RUNS = 20            # whose metrics are read and kept in the page, at some 0.3 MB each
MOST_SEEDS = len(COLORS)  # of a trial


def dashboards_of(ranked: Sequence[TrialCurves], places: Places, missing: list[str]) -> dict[int, dict[str, go.Figure]]:
    """By trial its dashboards, by title: its runs beside each other. ranked: the best trial first.

    missing: takes a sentence for each run that cannot be read.
    """
    chosen: list[TrialCurves] = []
    for trial in ranked:
        if sum(len(one.runs[:MOST_SEEDS]) for one in (*chosen, trial)) > MOST_RUNS and chosen:
            break
        chosen.append(trial)
    found: dict[int, dict[str, go.Figure]] = {}
    for trial in progress_bar(len(chosen), "reading the best trials", "trial", iterable=chosen):
        runs = [curves for name in trial.runs[:MOST_SEEDS] if (curves := _curves_of(name, places, missing))]
        if runs:
            found[trial.trial] = {"Learning": dashboards.learning(runs), "Optimizer": dashboards.optimizer(runs)}
    return found


def _curves_of(run: str, places: Places, missing: list[str]) -> Curves | None:
    """A run's metrics, None if it has none here: it may have been removed since the sweep ended."""
    try:
        identity = places.find(run)
        curves = History(identity, places).curves if identity else None
    except ColabRLError as error:
        missing.append(f"{run} cannot be read: {error}")
        return None
    return curves if curves and curves.rows else None
