"""What the figures of learning are drawn from: a run's table of metrics, and its checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from colab_rl.views.dashboards.plots import Line, XAxis

# What x can be, in the order of `Curves.xs`.
X_AXES = {"Steps": XAxis("environment steps", "steps", "step %{x:,.0f}"),
          "Wall time": XAxis("minutes of training", "min", "%{x:.1f} minutes"),
          "Iterations": XAxis("iterations", "iterations", "iteration %{x:,.0f}")}


@dataclass(frozen=True)
class Mark:
    """A checkpoint on the curves; score: None if it was not evaluated."""

    generation: int
    iteration: int
    step: int
    seconds: float
    score: float | None = None


@dataclass(frozen=True)
class Curves:
    """A run's metrics, under the name that the figures give it.

    table: a (rows,) float64 array for each column (docs/reference/metrics.md), NaN if a cell is empty.
    goal: the return that counts as solved, drawn as a line. seed: of the run, None if nobody knows it.
    """

    label: str
    table: Mapping[str, np.ndarray]
    checkpoints: Sequence[Mark] = ()
    goal: float | None = None
    seed: int | None = None

    @property
    def whose(self) -> str:
        """`walker, seed 3`."""
        return self.label if self.seed is None else f"{self.label}, seed {self.seed}"

    def generations(self) -> np.ndarray:
        """(rows,) int64, by row the newest checkpoint's generation, -1 before the first."""
        marks = sorted(self.checkpoints, key=lambda mark: mark.iteration)
        newest = np.searchsorted([mark.iteration for mark in marks], self.column("iteration"), side="right")
        return np.array([-1, *(mark.generation for mark in marks)])[newest]

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return len(next(iter(self.table.values()), ()))

    def column(self, name: str) -> np.ndarray:
        """A column; NaN if the table has none of that name."""
        return np.asarray(self.table.get(name, np.full(self.rows, np.nan)), np.float64)

    def has(self, name: str) -> bool:
        """Whether a column has any number in it."""
        return bool(np.isfinite(self.column(name)).any())

    def names(self, prefix: str | tuple[str, ...]) -> list[str]:
        """Columns with numbers whose names begin so."""
        return [name for name in self.table if name.startswith(prefix) and self.has(name)]

    @property
    def networks(self) -> list[str]:
        """The networks that the table has columns of: `policy` of `optimizer/policy/gradient_norm`."""
        return list(dict.fromkeys(name.split("/")[1] for name in self.names("optimizer/") if name.count("/") == 2))

    def ratio(self, network: str) -> np.ndarray:
        """The update's norm over the parameters' norm of a network."""
        return self.column(f"optimizer/{network}/update_norm") / self.column(f"optimizer/{network}/parameter_norm")

    def xs(self, chosen: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, ...]:
        """The rows' steps, minutes and iterations."""
        columns = (self.column("step"), self.column("seconds") / 60, self.column("iteration"))
        return tuple(column[chosen] for column in columns)

    def line(self, name: str, y: np.ndarray | str, **look: object) -> Line:
        """A line over the rows; `y` is a column's name or (rows,) values."""
        values = self.column(y) if isinstance(y, str) else y
        chosen = np.flatnonzero(np.isfinite(values)) if look.get("kind") == "points" else slice(None)
        xs = self.xs(chosen)
        return Line(name, xs[0], values[chosen], other_x=xs, group=self.label, **look)  # type: ignore[arg-type]


def table_of(rows: Iterable[Mapping[str, float]]) -> dict[str, np.ndarray]:
    """The rows of metrics tables as columns."""
    rows = list(rows)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row.get(name, np.nan) for row in rows], np.float64) for name in names}
