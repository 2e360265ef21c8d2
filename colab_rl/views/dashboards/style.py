"""One look for every figure: its template, its controls, and text in it."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from colab_rl.views.palette import BLUE, COLORS, GREY
from colab_rl.views.values import LARGEST, SMALLEST

PHONE = 40  # characters that a phone shows in a line

TEMPLATE = go.layout.Template(layout={
    "font": {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 12,
             "color": "#767d87"},  # legible on white and on near-black; a page sets its own
    "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "colorway": list(COLORS),
    "xaxis": {"gridcolor": "rgba(128,128,128,0.18)", "zeroline": False, "ticks": "", "automargin": False},
    "yaxis": {"gridcolor": "rgba(128,128,128,0.18)", "zerolinecolor": "rgba(128,128,128,0.45)", "nticks": 5,
              "automargin": False},
    "hovermode": "closest", "hoverlabel": {"align": "left", "namelength": -1},
    "margin": {"l": 58, "r": 14, "t": 10, "b": 44}, "showlegend": False,
})
BUTTONS: dict[str, Any] = {"type": "buttons", "direction": "right", "x": 0, "xanchor": "left", "y": 1, "yanchor": "top",
                           "showactive": True, "bgcolor": "rgba(128,128,128,0.12)",
                           "bordercolor": "rgba(128,128,128,0.35)", "font": {"size": 12}}
SLIDER: dict[str, Any] = {"x": 0, "len": 1, "xanchor": "left", "yanchor": "top", "ticklen": 0, "minorticklen": 0,
                          "pad": {"t": 0, "b": 0, "l": 0, "r": 0}, "font": {"size": 1, "color": "rgba(0,0,0,0)"},
                          "bgcolor": "rgba(128,128,128,0.25)", "bordercolor": "rgba(128,128,128,0.4)",
                          "activebgcolor": BLUE}
CURRENT_VALUE: dict[str, Any] = {"font": {"size": 12, "color": GREY}}  # of a slider, written over it


def checkpoint_slider(args: Mapping[str, list[Any]], shown: str, y: float) -> dict[str, Any]:
    """A slider between checkpoints by label. args: what each of its steps gives to Plotly's `update`."""
    return {**SLIDER, "y": y, "name": "checkpoint", "active": list(args).index(shown),
            "currentvalue": {**CURRENT_VALUE, "prefix": "checkpoint: "},
            "steps": [{"label": plain(label), "method": "update", "args": given} for label, given in args.items()]}


class _Figure(go.Figure):
    """Shows itself in a notebook that lacks nbformat, too: Plotly wants that package, and uses it for nothing else."""

    def show(self, *arguments: Any, **options: Any) -> None:
        """See Plotly's."""
        try:
            super().show(*arguments, **options)
        except ValueError as error:
            if "nbformat" not in str(error):
                raise
            from IPython.display import display

            display(self._repr_mimebundle_(), raw=True)

    def _ipython_display_(self) -> None:
        self.show()


def figure_of(**layout: Any) -> go.Figure:
    """An empty figure in our look."""
    return _Figure(layout={"template": TEMPLATE, **layout})


def text_at(text: str, y: float, **look: Any) -> dict[str, Any]:
    """An annotation: lines of text whose left lower corner is at the figure's left edge, `y` of its height up."""
    return {"text": text, "x": 0, "xref": "paper", "xanchor": "left", "align": "left", "y": y, "yref": "paper",
            "yanchor": "bottom", "showarrow": False, **look}


def empty(sentence: str) -> go.Figure:
    """A figure that says what is missing."""
    figure = figure_of(height=90, margin={"l": 10, "r": 10, "t": 10, "b": 10})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(text_at(plain(sentence), 0.5, yanchor="auto"))
    return figure


def plain(text: Any) -> str:
    """Any text as text: nothing in it is markup, in Plotly or in a page."""
    return html.escape(str(text)).replace("&quot;", "&#34;")  # of the two Plotly knows the number


def lines_of(text: str, width: int = 46) -> list[str]:
    """Text in lines that a phone shows, escaped; a run's name is not broken at its hyphens."""
    return [plain(line) for line in textwrap.wrap(text, width, break_on_hyphens=False)]


def legend(labels: Sequence[str]) -> list[str]:
    """Lines that say which run or episode has which colour."""
    return [f'<span style="color:{COLORS[i % len(COLORS)]}">{" " if number else "●"} {line}</span>'
            for i, label in enumerate(labels)
            for number, line in enumerate(lines_of(label, PHONE))]


def rounded(values: Any, digits: int = 4) -> list[float | None]:
    """Numbers as JSON has them, None if not finite: `digits` significant ones, and as many more as they differ in.

    What Plotly cannot draw is drawn as the nearest number that it can.
    """
    found = np.asarray(values, np.float64).ravel()
    known = found[np.isfinite(found)].clip(-LARGEST, LARGEST)
    spread, largest = (np.ptp(known), np.abs(known).max()) if len(known) else (0.0, 0.0)
    if 0 < spread < largest:
        digits = min(17, digits + int(np.log10(largest / spread)))
    return [None if not math.isfinite(value) else 0.0 if abs(value) < SMALLEST
            else float(f"{min(max(value, -LARGEST), LARGEST):.{digits}g}") for value in found.tolist()]
