"""Is the optimizer healthy? Gradients, steps and Adam's moments of each network."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from colab_rl.views.dashboards.health import FEWEST_ROWS, diagnose, networks
from colab_rl.views.dashboards.learning import add_x_buttons
from colab_rl.views.dashboards.style import DASH_WORDS, DASHES, Line, Panel, empty, legend, stacked, wrapped
from colab_rl.views.dashboards.tables import X_AXES, Curves
from colab_rl.views.palette import COLORS, GREEN, GREY, RED, YELLOW

# Panel's title, its columns' kinds with what they are called there, and whether its axis is logarithmic.
PANELS: tuple[tuple[str, dict[str, str], bool], ...] = (
    ("Gradient norm", {"gradient_norm": "", "clipped_gradient_norm": "after clipping"}, True),
    ("Parameter norm", {"parameter_norm": ""}, False),
    ("Update norm", {"update_norm": ""}, True),
    ("Update over parameters", {"ratio": ""}, True),
    ("Norm of Adam's first moment", {"adam_first_moment_norm": ""}, True),
    ("Norm of Adam's second moment", {"adam_second_moment_norm": ""}, True),
    ("Dead hidden units", {"dead_units": ""}, False),
)

HEALTHY, FEW = "Nothing unhealthy in the last fifth of the run", "Too few rows yet to judge the optimizer's health"


def optimizer(runs: Curves | Sequence[Curves]) -> go.Figure:
    """The optimizer of a run, or of several, by network; what is unhealthy is said above and marked broadly."""
    runs = [runs] if isinstance(runs, Curves) else list(runs)
    runs = [run for run in runs if networks(run)]
    if not runs:
        return empty("There are no optimizer metrics yet: they come with the first iteration.")
    panels = []
    for title, kinds, log in PANELS:
        lines = _lines(runs, kinds)
        if lines:
            panels.append(Panel(title, "share" if title.startswith(("Dead", "Update over")) else "norm", lines, log=log,
                                note=_dashes(runs), extra={"y": {"rangemode": "tozero"}} if not log else {}))
    above = legend([run.label for run in runs]) if len(runs) > 1 else []
    figure = stacked(panels, X_AXES["Steps"], top=44, above=[*above, *_sentences(runs)])
    add_x_buttons(figure, panels)
    return figure


def _lines(runs: Sequence[Curves], kinds: dict[str, str]) -> list[Line]:
    """A colour each network where one run is shown, otherwise a colour each run and a dash each network.

    Of several runs only the first kind is shown, since more lines could not be told apart.
    """
    lines = []
    alone = len(runs) == 1
    dashes = dict(zip(_all_networks(runs), itertools.cycle(DASHES)))
    if not alone:
        kinds = dict(list(kinds.items())[:1])
    for number, run in enumerate(runs):
        unhealthy = {finding.column for finding in diagnose(run)}
        for i, network in enumerate(networks(run)):
            color = COLORS[(i if alone else number) % len(COLORS)]
            for kind, words in kinds.items():
                column = f"optimizer/{network}/{kind}"
                values = _values(run, network, kind)
                if not np.isfinite(values).any():
                    continue
                name = " ".join(filter(None, ("" if alone else run.label, network, words)))
                dash = "dot" if words else "solid" if alone else dashes[network]
                bad = column in unhealthy or (kind == "ratio" and f"optimizer/{network}/update_norm" in unhealthy)
                lines.append(run.line(name, values, color=color, dash=dash, opacity=0.8 if words else 1.0,
                                      in_title=alone))
                if bad:
                    lines.append(_marked(run, name, values))
    return lines


def _all_networks(runs: Sequence[Curves]) -> list[str]:
    return list(dict.fromkeys(network for run in runs for network in networks(run)))


def _dashes(runs: Sequence[Curves]) -> str:
    """Which network has which dash, where several runs are shown."""
    keys = (f"{DASH_WORDS[dash]} {network}" for network, dash in zip(_all_networks(runs), itertools.cycle(DASHES)))
    return ", ".join(keys) if len(runs) > 1 else ""


def _values(run: Curves, network: str, kind: str) -> np.ndarray:
    if kind != "ratio":
        return run.column(f"optimizer/{network}/{kind}")
    with np.errstate(divide="ignore", invalid="ignore"):
        return run.column(f"optimizer/{network}/update_norm") / run.column(f"optimizer/{network}/parameter_norm")


def _marked(run: Curves, name: str, values: np.ndarray) -> Line:
    """A broad stroke over the rows that were judged."""
    tail = np.full(len(values), np.nan)
    known = np.flatnonzero(np.isfinite(values))
    judged = known[-max(FEWEST_ROWS, len(known) // 5):]
    tail[judged] = values[judged]
    return run.line(f"{name}, unhealthy", tail, color=YELLOW, width=8, opacity=0.5, in_title=False)


def _sentences(runs: Sequence[Curves]) -> list[str]:
    """What is said above the panels, in lines: of one run each finding with its reason, of several who has which."""
    if len(runs) == 1:
        findings = [finding.sentence for finding in diagnose(runs[0])]
        if runs[0].rows < FEWEST_ROWS:
            return wrapped(FEW + ".")
        lines = [_signed(RED, "<b>!</b>", sentence) for sentence in findings] or [_signed(GREEN, "✓", HEALTHY + ".")]
        return [line for signed in lines for line in signed]
    groups: dict[str, list[str]] = {HEALTHY: [], FEW: []}
    for run in runs:
        briefs = [finding.brief for finding in diagnose(run)]
        for words in [FEW] if run.rows < FEWEST_ROWS else dict.fromkeys(briefs) or [HEALTHY]:
            groups.setdefault(words, []).append(run.label)
    signs = {HEALTHY: (GREEN, "✓"), FEW: (GREY, "·")}
    return [line for words, labels in groups.items() if labels
            for line in _signed(*signs.get(words, (RED, "<b>!</b>")), f"{words}: {', '.join(labels)}")]


def _signed(color: str, sign: str, sentence: str) -> list[str]:
    """A sentence in lines, with a coloured sign before the first."""
    first, *rest = wrapped(sentence)
    return [f'<span style="color:{color}">{sign}</span> {first}', *(f"   {line}" for line in rest)]
