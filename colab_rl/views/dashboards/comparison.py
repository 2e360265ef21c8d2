"""Runs and checkpoints beside each other: a table of numbers, and the scores behind its first row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go

from colab_rl.evaluation.episode import Episode
from colab_rl.evaluation.intervals import bootstrap_interval
from colab_rl.views.dashboards import measures
from colab_rl.views.dashboards.curves import Curves
from colab_rl.views.dashboards.style import PHONE, empty, figure_of, lines_of, plain, rounded, text_at
from colab_rl.views.palette import COLORS, css_name
from colab_rl.views.values import duration, text_of

NONE = "-"
ENOUGH = 20  # episodes that say whether a score is reached
TABLE_STYLE = """
.contenders { overflow-x: auto; margin-bottom: 18px; }
.contenders table { border-collapse: collapse; color: inherit; font-variant-numeric: tabular-nums; }
.contenders th, .contenders td { padding: 4px 10px; text-align: right; white-space: nowrap;
  border-bottom: 1px solid rgba(128,128,128,0.3); }
.contenders thead th { min-width: 9em; vertical-align: bottom; }
.contenders tr > :first-child { text-align: left; font-weight: normal; padding-left: 0; position: sticky; left: 0;
  background: var(--back, transparent); }
@media (max-width: 700px) {
  .contenders tr > :first-child { white-space: normal; min-width: 8em; } }
"""


@dataclass(frozen=True)
class Contender:
    """One checkpoint of one run, as it is compared.

    returns: (E,) of evaluation episodes. episodes: their recordings, as many as there are.
    curves: of its run; step: where the checkpoint lies on them. solved_at: the score that counts as solved.
    is_branch: whether its run began with a checkpoint of another run, whose steps it counts, but not their time.
    """

    label: str
    returns: np.ndarray
    episodes: Sequence[Episode] = ()
    curves: Curves = field(default_factory=lambda: Curves("", {}))
    step: int = 0
    solved_at: float | None = None
    is_branch: bool = False


@dataclass(frozen=True)
class Table:
    """Names of columns, and rows of a name and a cell for each column; shown as HTML in a report or a notebook's cell.

    On a narrow screen it scrolls sideways under the rows' names: no number is ever cut.
    """

    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]

    def html(self) -> str:
        """As an element of a page."""
        if not self.columns:
            return "<p>There is nothing to compare.</p>"
        heads = "".join(f'<th scope="col" style="color:{css_name(COLORS[i % len(COLORS)])}">{plain(name)}</th>'
                        for i, name in enumerate(self.columns))
        body = "".join(f'<tr><th scope="row">{plain(name)}</th>'
                       + "".join(f"<td>{plain(cell)}</td>" for cell in cells) + "</tr>" for name, cells in self.rows)
        return (f'<div class="contenders"><style>{TABLE_STYLE}</style>'
                f"<table><thead><tr><td></td>{heads}</tr></thead><tbody>{body}</tbody></table></div>")

    def _repr_html_(self) -> str:
        """For a notebook's cell."""
        return self.html()


def solved(contender: Contender) -> tuple[float, float]:
    """Steps and seconds until evaluations first reached `solved_at`. Later ones may be lower.

    An evaluation counts together with as many after it as make ENOUGH episodes: the lower end of the 95 % interval of
    their mean has to be there. That takes the episodes as independent, though a run's evaluations share their seeds.
    NaN if none did up to the checkpoint, or if the checkpoint's own episodes say that it is not there. An evaluation
    that does not say its episodes counts as a single episode.
    """
    curves, goal, never = contender.curves, contender.solved_at, (float("nan"), float("nan"))
    if goal is None or (len(contender.returns) > 1 and bootstrap_interval(contender.returns)[0] < goal):
        return never
    scores = curves.column("evaluation/score")
    rows = np.flatnonzero(np.isfinite(scores) & (curves.column("step") <= contender.step))
    counts = np.nan_to_num(curves.column("evaluation/episodes"), nan=1.0)[rows]
    scores, squares = scores[rows], np.square(curves.column("evaluation/std")[rows])
    for first, row in enumerate(rows):
        last = first + int(np.searchsorted(np.cumsum(counts[first:]), ENOUGH)) + 1
        weights = counts[first:last] / counts[first:last].sum()
        mean = float(weights @ scores[first:last])
        variance = float(weights @ (squares[first:last] + np.square(scores[first:last] - mean)))
        episodes = counts[first:last].sum()
        if episodes >= ENOUGH and mean - 1.96 * np.sqrt(variance / episodes) >= goal:
            return float(curves.column("step")[row]), float(curves.column("seconds")[row])
    return never


def rows_of(contenders: Sequence[Contender]) -> list[tuple[str, list[str]]]:
    """The table as text: a name and a cell for each contender; rows that nobody has a number for are left out."""
    goals = {contender.solved_at for contender in contenders} - {None}
    goal = f"{goals.pop():g}" if len(goals) == 1 else "solved"

    def each(words: str, measure: Callable[[Contender], float], decimals: int = 0,
             text: Callable[[float], str] | None = None) -> tuple[str, list[str]]:
        values = [measure(contender) for contender in contenders]
        return words, [NONE if not np.isfinite(value) else text(value) if text else text_of(value, decimals, 14, ",")
                       for value in values]

    def gait(words: str, measure: Callable[[Episode], float], decimals: int) -> tuple[str, list[str]]:
        return each(words, lambda contender: measures.mean_of(measure, contender.episodes), decimals)

    def returns(words: str, text: Callable[[np.ndarray], str], fewest: int = 1) -> tuple[str, list[str]]:
        found = [contender.returns for contender in contenders]
        return words, [text(numbers) if len(numbers) >= fewest else NONE for numbers in found]

    rows = [returns("Score ± deviation", lambda found: f"{text_of(found.mean())} ± {text_of(found.std())}"),
            returns("95 % interval of the mean", lambda found: " to ".join(map(text_of, bootstrap_interval(found))), 2),
            returns("Lowest to highest", lambda found: f"{text_of(found.min())} to {text_of(found.max())}"),
            each("Episodes", lambda contender: len(contender.returns) or float("nan")),
            each("Trained for, steps", lambda contender: float(contender.step)),
            each(f"Steps to {goal}", lambda contender: solved(contender)[0]),
            each(f"Time to {goal}{', not of a branch' if any(one.is_branch for one in contenders) else ''}",
                 lambda contender: float("nan") if contender.is_branch else solved(contender)[1], text=duration),
            gait("Speed, m/s", measures.speed, 2),
            gait("Energy per metre, J/m", measures.energy_per_metre, 0),
            gait("Stride frequency, Hz", measures.stride_frequency, 2)]
    return [(words, cells) for words, cells in rows if any(cell != NONE for cell in cells)]


@np.errstate(all="ignore")
def comparison(contenders: Sequence[Contender]) -> Table:
    """The table, a column for each contender."""
    return Table([contender.label for contender in contenders], rows_of(contenders))


@np.errstate(all="ignore")
def scores(contenders: Sequence[Contender]) -> go.Figure:
    """Every episode's return as a point, and the mean with its 95 % interval over them."""
    shown = [(contender, COLORS[number % len(COLORS)])  # as in the table, which has those without episodes too
             for number, contender in enumerate(contenders) if len(contender.returns)]
    if not shown:
        return empty("No episodes were evaluated.")
    figure = figure_of(height=88 + 84 * len(shown))
    generator = np.random.default_rng(0)
    for number, (contender, color) in enumerate(shown):
        row = len(shown) - 1 - number  # the first one on top
        returns = contender.returns
        jitter = row + 0.12 + generator.uniform(0, 0.3, len(returns))
        figure.add_trace({"type": "scatter", "mode": "markers", "x": rounded(returns, 6), "y": rounded(jitter),
                          "marker": {"color": color, "size": 5, "opacity": 0.5}, "showlegend": False,
                          "hovertemplate": "return %{x:.1f}<extra></extra>"})
        mean = float(returns.mean())
        low, high = bootstrap_interval(returns) if len(returns) > 1 else (mean, mean)
        figure.add_trace({"type": "scatter", "mode": "markers", "x": rounded(mean, 6), "y": [row - 0.12],
                          "error_x": {"symmetric": False, "array": rounded(high - mean), "color": color,
                                      "arrayminus": rounded(mean - low), "thickness": 2},
                          "marker": {"color": color, "size": 10}, "showlegend": False,
                          "hovertemplate": f"mean {text_of(mean, 2)}, 95 % interval {text_of(low, 2)} to "
                                       f"{text_of(high, 2)}<extra></extra>"})
        figure.add_annotation(text_at(f"<b>{'<br>'.join(lines_of(contender.label, PHONE))}</b>", row + 0.52, yref="y",
                                      yshift=-2, font={"color": color}))
    figure.update_yaxes(visible=False, range=[-0.4, len(shown)])
    figure.update_xaxes(title={"text": "return of an episode<br>(dot: mean, bar: its 95 % interval)"})
    figure.update_layout(margin={"t": 12, "b": 62, "l": 14, "r": 14})
    return figure
