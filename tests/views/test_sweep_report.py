"""The report of a sweep, and the plot of one that trains: right numbers, nothing fetched, a click shows a trial."""

import json
import math
import re
import shutil

import numpy as np
import plotly.graph_objects as go
import pytest
from browser import CHROMIUM, visit
from helpers import TINY
from plotly.offline import get_plotlyjs

import colab_rl
from colab_rl.cli import main
from colab_rl.runs.places import Places
from colab_rl.sweeps.driver import Live, Picture
from colab_rl.sweeps.folder import SweepFolder
from colab_rl.sweeps.plan import Plan
from colab_rl.sweeps.trials import Record, RunRecord
from colab_rl.views.dashboards import trials as figures
from colab_rl.views.dashboards.trials import TrialCurves
from colab_rl.views.live_sweep import LiveSweep
from colab_rl.views.report import report

SETTINGS = dict(setting.split("=") for setting in TINY)
RATES = [1e-4, 1e-3, 1e-2]


def write_sweep(root, seeds=(0, 1, 2), left_out=()):
    """A sweep with made-up runs: the second rate is the best, gamma does nothing."""
    plan = Plan(sweep="walk", env_id="CartPole-v1", env_is_function=False, algorithms=("ppo",), seeds=seeds, trials=6,
                grid={"learning_rate": RATES, "gamma": [0.9, 0.99]}, settings={"target_score": 180.0})
    lines = []
    for trial in range(plan.trials):
        rate = plan.settings_of(trial)["learning_rate"]
        for seed, run in zip(seeds, plan.runs_of(trial), strict=True):
            best = 200 - 40 * abs(math.log10(rate) + 3) + seed
            curve = [[1000 * i, 10.0 * i, best * i / 10] for i in range(1, 11)]
            if run not in left_out:
                lines.append(RunRecord(run=run, state="finished", score=best, step=10_000, curve=curve).to_line())
    folder = SweepFolder(Places(root, "none"), "walk")
    folder.write_plan(plan)
    folder.begin_journal(lines)
    return plan, lines


def curves(trial, score, reach=10, runs=3):
    made = [np.array([[100.0 * i, 60.0 * i, score * min(i / reach, 1) + run] for i in range(1, 11)])
            for run in range(runs)]
    return TrialCurves(trial, f"t{trial:03d}", made, [curve[-1, 2] for curve in made], score, {"gamma": trial})


def test_a_report_is_one_file_whose_numbers_are_the_journals(tmp_path, capsys):
    write_sweep(tmp_path / "runs")
    out = tmp_path / "walk.html"
    assert main(["report", "walk", "--root", str(tmp_path / "runs"), "--store", "none", "--out", str(out)]) == 0
    page = out.read_text()
    assert not re.search(r"(src|href)=.?(https?:)?//", page.replace(get_plotlyjs(), ""))
    rows = re.findall(r'<tr data-trial="(\d+)">(.*?)</tr>', page)
    assert [int(number) for number, _ in rows] == list(range(6))
    assert re.findall(r">([^<]+)</td>", rows[2][1]) == ["t002", "finished", "201.0", "200.0 to 202.0", "0.001", "0.9"]
    for words in ("Learning", "Performance profile", "Probability of improvement", "Time to the target", "Settings"):
        assert f">{words}</h2>" in page
    assert "There are 3 seeds" in page and "score of 180.0 or more" in page
    assert "python -m colab_rl report walk-t003-s0 walk-t003-s1 walk-t003-s2" in page


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_in_a_browser_the_table_sorts_and_a_click_shows_a_trial(tmp_path):
    write_sweep(tmp_path / "runs")
    path = report("walk", root=tmp_path / "runs", store="none", out=tmp_path / "walk.html")
    first = "document.querySelector('.trials tbody tr').dataset.trial"
    found, errors = visit(path, [
        "new Promise(done => { const ask = () => document.body.dataset.drawn ? done(1) : setTimeout(ask, 50); "
        "ask(); })",
        "document.querySelectorAll('.trials th')[2].click(); " + first,
        "document.querySelectorAll('.trials th')[2].click(); " + first,
        "document.querySelectorAll('.trials tbody tr')[0].click(); document.querySelector('#trial h3').textContent",
        "document.querySelectorAll('#trial-plot .scatterlayer .trace').length",
        "document.querySelector('#figure0').emit('plotly_click', {points: [{customdata: 2}]}); "
        "document.querySelector('#trial code').textContent",
    ], tmp_path / "profile")
    assert not errors
    assert found[1] in ("2", "3") and found[2] in ("0", "1", "4", "5")  # the best first, then the worst
    assert found[3].startswith(f"Trial {found[2]}: learning_rate=")
    assert found[4] == 3 and "walk-t002-s0" in found[5]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_a_click_opens_the_dashboards_of_the_trials_runs_and_another_click_those_of_another(tmp_path, one_core):
    plan, _ = write_sweep(tmp_path / "runs", seeds=(0, 1))
    for trial in (2, 3):
        for seed, run in enumerate(plan.runs_of(trial)):
            colab_rl.train(run, env="CartPole-v1", seed=seed, total_steps=200, settings=SETTINGS, backend="gymnasium",
                           root=tmp_path / "runs", store="none")
    shutil.rmtree(tmp_path / "runs" / "walk-t003-s1")
    path = report("walk", root=tmp_path / "runs", store="none", out=tmp_path / "walk.html")
    panels = "[...document.querySelectorAll('#trial .figure')].map(one => one.id)"
    drawn = (f"new Promise(done => {{ const ask = () => document.querySelectorAll('#trial .figure .main-svg').length "
             f"? done({panels}) : setTimeout(ask, 50); ask(); }})")
    keys = "document.querySelectorAll('#trial .keys')[0].textContent"
    found, errors = visit(path, [
        "document.querySelector('.trials tr[data-trial=\"2\"]').click(); 1", drawn, keys,
        "document.querySelector('.trials tr[data-trial=\"3\"]').click(); 1", drawn, keys,
        "document.querySelector('.trials tr[data-trial=\"0\"]').click(); " + panels,
        "document.querySelector('#trial > button').click(); document.querySelector('#trial').hidden",
    ], tmp_path / "profile")
    assert not errors
    assert found[1] == ["trial-2-0", "trial-2-1"] and "walk-t002-s0" in found[2] and "walk-t002-s1" in found[2]
    assert found[4] == ["trial-3-0", "trial-3-1"] and "walk-t002" not in found[5]  # of one run, that needs no legend
    assert found[6] == [] and found[7] is True  # its runs are not here: the curve of the journal stays


def test_an_unfinished_sweep_and_one_without_runs_can_be_looked_at(tmp_path):
    plan, _ = write_sweep(tmp_path / "one", left_out=[f"walk-t005-s{seed}" for seed in range(3)])
    page = report("walk", root=tmp_path / "one", store="none", out=tmp_path / "one.html").read_text()
    assert "5 finished, 1 open" in page
    SweepFolder(Places(tmp_path / "none", "none"), "walk").write_plan(plan)
    page = report("walk", root=tmp_path / "none", store="none", out=tmp_path / "none.html").read_text()
    assert "No run has been evaluated yet." in page and "6 open" in page


def test_half_of_all_runs_is_the_middle_and_those_that_never_got_there_count():
    slow = curves(0, 100, runs=3)
    assert figures.reached_words(slow, 100.5) == "2 of 3 runs, half of them by 1,000 steps"
    assert figures.reached_words(slow, 101.5) == "1 of 3 runs"
    shares = figures.reaching([slow], 101.5).data[0]
    assert list(shares.y) == pytest.approx([0, 1 / 3, 1 / 3], abs=1e-3) and list(shares.x)[-1] == 1000


def test_a_run_that_stopped_early_counts_with_its_last_score():
    whole = np.array([[100.0, 1, 10], [200, 2, 20], [300, 3, 30]])
    figure = figures.learning_with_intervals([TrialCurves(0, "t000", [whole, whole[:2]], [30, 20], 25.0)])
    line = figure.data[1]
    assert (line.x[0], line.y[0]) == (100, 10) and (line.x[-1], line.y[-1]) == (300, 25)


def test_a_trial_whose_runs_have_one_evaluation_is_drawn_as_a_point():
    once, curve = np.array([[100.0, 1, 10]]), np.array([[100.0, 1, 10], [200, 2, 20]])
    made = [TrialCurves(0, "t000", [once, once + 1], [10, 11], 10.5), TrialCurves(1, "t001", [curve], [20], 20.0)]
    _, point, _, line = figures.learning_with_intervals(made).data
    assert (point.mode, len(point.x)) == ("lines+markers", 1) and line.mode == "lines"


def test_the_setting_that_matters_explains_the_variance():
    made = [TrialCurves(trial, "", score=100.0 * (trial % 2), values={"matters": trial % 2, "not": trial // 2})
            for trial in range(8)]
    bars = figures.importance(made).data[0]
    assert dict(zip(bars.y, bars.x, strict=True)) == {"matters": 1.0, "not": 0.0}


def test_every_figure_bears_odd_numbers_and_one_of_a_kind():
    odd = [TrialCurves(trial, "<b>", [np.array([[1.0, 0, value], [2, 0, value]])], [value], value,
                       {"a": value, "b": "x" * trial}) for trial, value in enumerate([0.0, 1e300, -1e300, 1e-300])]
    for made in ([], odd[:1], odd):
        for figure in (figures.learning_with_intervals(made), figures.profiles(made), figures.improvement(made),
                       figures.reaching(made, 1.0), figures.settings_scatter(made), figures.parallel(made),
                       figures.importance(made)):
            assert isinstance(figure, go.Figure)
            json.loads(figure.to_json())


def test_the_live_plot_shows_runs_and_ended_trials_and_is_redrawn_at_most_once_a_second(tmp_path):
    plan, lines = write_sweep(tmp_path)
    record, shown, now = Record(plan, lines), [], [0.0]
    live = LiveSweep(shown.append, lambda: now[0])
    live.ended(2, record)
    run = Live("walk-t005-s0", 5, 500, 1000, 42.0, 10.0, [(100, 1.0, 30.0), (500, 5.0, 42.0)])
    for now[0] in (0.0, 0.5, 0.9):
        live.show(Picture(record, [run], 1, 90.0))
    assert len(shown) == 1 and "walk: 1 of 6 trials" in shown[0]["text/plain"]
    page = shown[0]["text/html"]
    assert "<polyline" in page and "walk-t005-s0" in page and "50 %" in page and "t002" in page and "201.0" in page
    live.close()
    assert len(shown) == 2
