"""What shows runs in Python and in the notebook: lists, pickers, figures and tables by a run's name."""

from __future__ import annotations

import html
import re
import shutil
import sys
import types
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest
from browser import CHROMIUM, TEXTS, low_contrasts, visit
from helpers import TINY

import colab_rl
from colab_rl.checkpoints.retention import best
from colab_rl.colab.cells import show_dashboards, show_runs
from colab_rl.errors import UsageError
from colab_rl.runs.places import Places
from colab_rl.views import history as history_module
from colab_rl.views.history import History

pytestmark = pytest.mark.usefixtures("one_core")

FRAME = "document.querySelector('iframe').contentDocument"
VIEW = "document.querySelector('iframe').contentWindow"
SETTINGS = dict(setting.split("=") for setting in TINY)
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "02_analyze.ipynb"


def test_the_list_of_runs(places, capsys):
    assert set(show_runs(**places)) == {"first", "second", "pendulum"}
    score = r"score -[\d.]+ \(-[\d.]+ to -[\d.]+\)"
    assert re.search(rf"pendulum: Pendulum-v1, ppo, {score}, finished: 5\d\d steps, saved .*, in the store",
                     capsys.readouterr().out)
    offers = history_module.checkpoint_names("first", Places(**places))
    assert offers[0] == ("best", "best") and any("score" in words for words, _ in offers)


class Output:
    """What a cell displays, in place of a notebook's front end."""

    def __init__(self):
        self.shown = []

    def display(self, shown, raw=False, display_id=False):
        self.shown.append(shown)
        return self if display_id else None

    def update(self, shown, raw=False):
        self.shown[-1] = shown

    @property
    def title(self):
        """Of the page in the frame."""
        return re.search("<h1>(.*?)</h1>", html.unescape(self.shown[-1]["text/html"]))[1]

    @property
    def facts(self):
        """Of the page in the frame, by name."""
        return dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", html.unescape(self.shown[-1]["text/html"])))


@pytest.fixture
def output(monkeypatch):
    made = Output()
    monkeypatch.setattr("IPython.display.display", made.display)
    return made


def test_the_pickers_show_another_run_and_another_checkpoint(places, output):
    show_dashboards("first", **places)
    pickers, _ = output.shown
    runs, checkpoints, button = pickers.children
    assert runs.options == ("first", "pendulum", "second") and runs.value == output.title == "first"
    offered = checkpoints.options
    runs.value = "pendulum"
    assert checkpoints.options != offered and checkpoints.value == "best"
    assert checkpoints.options == tuple(history_module.checkpoint_names("pendulum", Places(**places)))
    assert output.title == "first"  # until the button is pressed
    button.click()
    assert output.title == "pendulum" and len(output.shown) == 2
    assert (button.disabled, button.description) == (False, "Show")
    best = output.shown[-1]
    checkpoints.value = checkpoints.options[-1][1]
    button.click()
    assert output.title == "pendulum" and output.shown[-1] != best


def test_the_pickers_say_what_is_wrong_with_a_choice(places, output):
    show_dashboards("first", **places)
    runs, checkpoints, button = output.shown[0].children
    checkpoints.value = checkpoints.options[-1][1]
    for place in places.values():
        shutil.rmtree(place / "first" / "checkpoints")
        (place / "first" / "run.json").write_text("{}")
    button.click()
    assert "damaged run.json" in output.shown[-1]["text/html"] and not button.disabled
    runs.value = "second"
    button.click()
    assert output.title == "second"
    runs.value = "first"
    assert "damaged run.json" in output.shown[-1]["text/html"]
    assert checkpoints.options == () and button.disabled  # there is nothing to choose
    runs.value = "second"
    assert len(checkpoints.options) > 2 and not button.disabled
    with pytest.raises(UsageError, match="did you mean 'second'"):
        show_dashboards("secnd", **places)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_the_notebook_runs_twice_and_its_dashboards_draw(places, tmp_path):
    book = nbformat.read(NOTEBOOK, as_version=4)
    cell = next(cell for cell in book.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source = (f"RUN_NAME = 'first'\nSTORE = {str(places['store'])!r}\nCHECKPOINT = 'best'\n"
                   "COMPARE = 'second'")
    client = nbclient.NotebookClient(book, timeout=240, kernel_name="python3",
                                     resources={"metadata": {"path": tmp_path}})
    with client.setup_kernel():
        for _ in range(2):  # Run all, and Run all again
            for index, cell in enumerate(book.cells):
                client.execute_cell(cell, index)
    shown = "".join(output["data"]["text/html"] for cell in client.nb.cells if cell.cell_type == "code"
                   for output in cell.outputs if "text/html" in output.get("data", {}))
    assert shown.count("<iframe") == 1
    (tmp_path / "book.html").write_text(f"<body data-drawn='x'>{shown}</body>")
    answers, errors = visit(tmp_path / "book.html", [
        "new Promise(done => { const look = setInterval(() => { const frame = document.querySelector("
        "'iframe'); const page = frame && frame.contentDocument; "
        "if (page && page.body && page.body.dataset.drawn) { clearInterval(look); done([..."
        "page.querySelectorAll('.figure')].map(f => f.querySelectorAll('.js-line[d], .point, .column-cell').length)); }"
        "}, 50); })"], tmp_path / "profile")
    assert errors == []
    assert len(answers[0]) >= 4 and sum(count > 0 for count in answers[0]) >= 3
    assert (tmp_path / "first-second-report.html").exists()
    for width, dark in ((1280, False), (400, True)):
        (texts, wide, off), errors = visit(tmp_path / "book.html", [
            "new Promise(done => { const ask = () => document.querySelector('iframe')?.contentDocument.body"
            "?.dataset.drawn ? done(1) : setTimeout(ask, 50); ask(); })"
            f".then(() => {TEXTS.replace('document', FRAME).replace('SVGElement', f'{VIEW}.SVGElement')})",
            f"{FRAME}.documentElement.scrollWidth - {FRAME}.documentElement.clientWidth",
            f"{FRAME}.querySelector('.keys button').click(); [...{FRAME}.querySelectorAll('.figure')].some(figure => "
            "(figure.data || []).some(trace => trace.visible === 'legendonly'))",
        ], tmp_path / f"profile-{width}-{dark}", width=width, dark=dark)
        assert not errors and len(texts) > 50 and not low_contrasts(texts) and wide == 0 and off is True


def test_figures_and_tables_take_a_runs_name(places, monkeypatch):
    monkeypatch.setenv("COLAB_RL_ROOT", str(places["root"]))
    monkeypatch.setenv("COLAB_RL_STORE", "none")
    figure = colab_rl.dashboards.learning("first")
    assert figure.data and "solved at 475" in " ".join(note.text for note in figure.layout.annotations)
    assert {trace.meta for trace in colab_rl.dashboards.optimizer(["first", "second"]).data} == {"first", "second"}
    gait = colab_rl.dashboards.gait("first")
    assert len({trace.legendgroup for trace in gait.data if trace.legendgroup}) > 1
    with pytest.raises(UsageError, match="did you mean 'first'"):
        colab_rl.dashboards.learning("frist")


def test_the_history_is_a_table(places, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(colab_rl.ColabRLError, match="pip install pandas"):
        colab_rl.history("first", **places)
    fake = types.ModuleType("pandas")  # it is none of what colab_rl needs; Colab has it
    fake.DataFrame = dict
    monkeypatch.setitem(sys.modules, "pandas", fake)
    table = colab_rl.history("first", **places)
    assert len(table["step"]) == len(table["loss/policy"]) > 2 and (np.diff(table["step"]) > 0).all()


@pytest.mark.parametrize(("target", "goal"), [(0.0, 0.0), (None, 475.0)])
def test_the_goal_is_the_target_even_if_it_is_zero(tmp_path, target, goal):
    colab_rl.train("zero", env="CartPole-v1", total_steps=64, settings={**SETTINGS, "target_score": target},
                   root=tmp_path, store="none")
    places = Places(tmp_path, "none")
    assert History(places.require("zero"), places).curves.goal == goal


def test_of_many_checkpoints_the_first_the_best_the_newest_and_the_shown_are_among_the_few(tmp_path):
    settings = {**SETTINGS, "checkpoint_every": 1, "eval_every": 1, "eval_episodes": 1, "keep_last": 12}
    colab_rl.train("many", env="CartPole-v1", total_steps=700, settings=settings, root=tmp_path, store="none")
    places = Places(tmp_path, "none")
    history = History(places.require("many"), places)
    assert len(history.checkpoints) > 6
    for shown in history.checkpoints:
        picked = history.spread(4, shown)
        assert len(picked) == 4 and picked == sorted(picked, key=lambda one: one.generation)
        assert all(one in picked for one in (history.checkpoints[0], best(history.checkpoints), history.newest, shown))
