"""The generated pages of docs/reference are those that the code gives; the page of metrics has every column."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from colab_rl.views.dashboards import metric_plots
from tools import reference

HOME = Path(__file__).parents[1]
REFERENCE = HOME / "docs" / "reference"

@pytest.mark.parametrize("name", ["settings.md", "cli.md", "python.md"])
def test_a_generated_page_is_what_the_code_gives(name):
    assert (REFERENCE / name).read_text() == reference.pages()[name], "run python tools/reference.py"


def columns():
    """Every column that a plot shows, and every one that a run of the tests' data has."""
    plots = [metric_plots.RETURN, *metric_plots.LEARNING, metric_plots.TIMES, metric_plots.SPEED,
             *metric_plots.NETWORKS]
    shown = {column for plot in plots for column in plot.columns} - {metric_plots.RATIO}
    for path in (HOME / "tests" / "data").rglob("metrics/*.csv"):
        with path.open() as file:
            shown |= set(next(csv.reader(file)))
    return sorted({re.sub("^optimizer/[a-z0-9_*]+/", "optimizer/<network>/", column) for column in shown})


def test_the_page_of_metrics_has_every_column():
    text = (REFERENCE / "metrics.md").read_text()
    missing = [column for column in columns() if f"`{column}`" not in text]
    assert not missing
