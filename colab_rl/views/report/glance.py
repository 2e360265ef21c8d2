"""What a report of one run shows first: the verdict, and beside it the curve of its returns."""

from __future__ import annotations

import re
from dataclasses import dataclass

from colab_rl.views.dashboards.curves import Curves
from colab_rl.views.live import LivePlot
from colab_rl.views.palette import DARK, css_name
from colab_rl.views.report.verdict import Verdict

STYLE = """
.glance { display: flex; flex-wrap: wrap; gap: 14px; }
.glance .verdict { flex: 3 1 420px; } .glance .curve { flex: 2 1 320px; align-self: center; }
"""

SIZE = 470, 230  # of the curve
COLUMNS = ("step", "episode/return", "evaluation/score", "evaluation/std", "evaluation/episodes")


@dataclass(frozen=True)
class Glance:
    """A verdict beside the returns and scores of a run over its steps, as the live plot draws them."""

    verdict: Verdict
    curves: Curves

    def html(self) -> str:
        """As an element of a page."""
        plot = LivePlot(self.curves.label, show=lambda _: None, goal=self.curves.goal)
        for row in zip(*(self.curves.column(name).tolist() for name in COLUMNS), strict=True):
            plot.past(dict(zip(COLUMNS, row, strict=True)))
        # A page has each colour for light and for dark screens.
        drawn = re.sub("|".join(DARK), lambda color: css_name(color[0]), plot.svg(*SIZE))
        return (f'<style>{STYLE}</style><div class="glance">{self.verdict.html()}<div class="curve">{drawn}</div>'
                "</div>")
