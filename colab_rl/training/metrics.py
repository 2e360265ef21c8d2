"""Metrics: rows that travel with the checkpoints, as text and back.

A row is an iteration. `metrics/*.csv` in the run folder are the truth; tensorboard.py makes a view of them.
docs/reference/metrics.md says what each column means.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

Row = dict[str, float]
LEADING = ("iteration", "step", "seconds")  # columns of every row, first in the table


def to_csv(rows: Iterable[Row]) -> bytes:
    """A table of the rows; a cell is empty if a row lacks the column."""
    rows = list(rows)
    columns = dict.fromkeys(LEADING) | dict.fromkeys(sorted({name for row in rows for name in row}))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode()


def from_csv(data: bytes) -> list[Row]:
    """The rows of a table. Raises ValueError if it is none."""
    reader = csv.DictReader(io.StringIO(data.decode()))
    try:
        if not reader.fieldnames or not set(LEADING) <= set(reader.fieldnames):
            raise ValueError("not a metrics table")
        return [{name: float(cell) for name, cell in row.items() if cell} for row in reader]
    except (csv.Error, TypeError) as error:
        raise ValueError(f"not a metrics table: {error}") from error


def _cell(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))
