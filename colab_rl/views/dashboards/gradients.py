"""Is the optimizer healthy? Gradients, steps and Adam's moments of each network."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from colab_rl.runs.places import Location
from colab_rl.views.dashboards.curves import Curves
from colab_rl.views.dashboards.health import FEWEST_ROWS, diagnose, judged_rows
from colab_rl.views.dashboards.learning import with_x_buttons
from colab_rl.views.dashboards.metric_plots import NETWORKS, RATIO, UPDATE
from colab_rl.views.dashboards.named import Runs, curves_of
from colab_rl.views.dashboards.plots import DASH_WORDS, DASHES, Line, Plot
from colab_rl.views.dashboards.style import empty, lines_of
from colab_rl.views.palette import COLORS, GREEN, GREY, RED, YELLOW

HEALTHY, FEW = "Nothing unhealthy in the last fifth of the run", "Too few rows yet to judge the optimizer's health"


@np.errstate(all="ignore")
def optimizer(runs: Runs, *, root: Location = None, store: Location = None) -> go.Figure:
    """The optimizer of a run, or of several, by network; text above names what is unhealthy, and the curves mark it.

    Arguments are those of `learning`.
    """
    found = [run for run in curves_of(runs, root, store) if run.networks]
    if not found:
        return empty("There are no optimizer metrics yet: they come with the first iteration.")
    dashes = dict(zip(dict.fromkeys(network for run in found for network in run.networks), itertools.cycle(DASHES)))
    key = ", ".join(f"{DASH_WORDS[dash]} {network}" for network, dash in dashes.items()) if len(found) > 1 else ""
    plots = []
    for about in NETWORKS:
        lines = _lines(found, about.columns, dashes)
        if lines:
            plots.append(Plot(about.title, about.unit, lines, log=about.log, note=key,
                              axes={} if about.log else {"y": {"rangemode": "tozero"}}))
    return with_x_buttons(plots, found, _sentences(found))


def _lines(runs: Sequence[Curves], columns: dict[str, str], dashes: dict[str, str]) -> list[Line]:
    """A colour each network if it shows one run, otherwise a colour each run and a dash each network.

    Of several runs only the first column is shown, since more lines could not be told apart.
    """
    lines = []
    alone = len(runs) == 1
    for number, run in enumerate(runs):
        unhealthy = {symptom.column for symptom in diagnose(run) if symptom.alarm}
        for i, network in enumerate(run.networks):
            for column, words in list(columns.items())[:None if alone else 1]:
                judged = (UPDATE if column == RATIO else column).replace("*", network)
                values = run.ratio(network) if column == RATIO else run.column(judged)
                if not np.isfinite(values).any() or (words and np.array_equal(
                        values, run.column(f"optimizer/{network}/gradient_norm"), equal_nan=True)):
                    continue  # if nothing is clipped, the norm after clipping says nothing more
                name = " ".join(filter(None, ("" if alone else run.label, network, words)))
                dash = "dot" if words else "solid" if alone else dashes[network]
                lines.append(run.line(name, values, color=COLORS[(i if alone else number) % len(COLORS)], dash=dash,
                                      opacity=0.8 if words else 1.0, in_title=alone))
                if judged in unhealthy:
                    newest = np.full(len(values), np.nan)
                    newest[judged_rows(values)] = values[judged_rows(values)]
                    lines.append(run.line(f"{name}, unhealthy", newest, color=YELLOW, width=8, opacity=0.5,
                                          in_title=False))
    return lines


def _sentences(runs: Sequence[Curves]) -> list[list[str]]:
    """What stands above the plots: of one run each symptom with its reason, of several which run has which symptom."""
    if len(runs) == 1:
        found = diagnose(runs[0])
        said = [_signed(RED, "<b>!</b>", symptom.sentence) for symptom in found if symptom.alarm]
        said = said or [_signed(GREEN, "✓", HEALTHY + ".") if _is_judged(runs[0]) else lines_of(FEW + ".")]
        return said + [_signed(GREY, "·", symptom.sentence) for symptom in found if not symptom.alarm]
    groups: dict[str, list[str]] = {HEALTHY: [], FEW: []}
    for run in runs:  # notes are for the report of a run alone
        briefs = [symptom.brief for symptom in diagnose(run) if symptom.alarm]
        for words in dict.fromkeys(briefs) or [HEALTHY if _is_judged(run) else FEW]:
            groups.setdefault(words, []).append(run.label)
    signs = {HEALTHY: (GREEN, "✓"), FEW: (GREY, "·")}
    return [_signed(*signs.get(words, (RED, "<b>!</b>")), f"{words}: {', '.join(labels)}")
            for words, labels in groups.items() if labels]


def _is_judged(run: Curves) -> bool:
    """Whether a network has enough rows with numbers: SAC has none before learning_starts."""
    return any(np.isfinite(run.column(name)).sum() >= FEWEST_ROWS for name in run.names("optimizer/")
               if name.count("/") == 2)


def _signed(color: str, sign: str, sentence: str) -> list[str]:
    """A sentence in lines, with a coloured sign before the first."""
    first, *rest = lines_of(sentence)
    return [f'<span style="color:{color}">{sign}</span> {first}', *(f"   {line}" for line in rest)]
