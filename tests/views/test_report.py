"""The report, from real runs: alone, compared, while they train, and where something is missing."""

from __future__ import annotations

import dataclasses
import html
import itertools
import json
import os
import re
import resource
import shutil
import threading
from pathlib import Path

import gymnasium
import pytest
from helpers import NAMES, TINY, WatchedStorage, flip
from plotly.offline import get_plotlyjs

import colab_rl
from colab_rl.checkpoints import Tier
from colab_rl.checkpoints.recovery import load, load_generation
from colab_rl.cli import main
from colab_rl.errors import StorageError, UsageError
from colab_rl.runs.places import Places
from colab_rl.views.history import History
from colab_rl.views.report import build_page, report

pytestmark = pytest.mark.usefixtures("one_core")
SETTINGS = dict(setting.split("=") for setting in TINY)


def missing_in(page):
    return re.sub("<[^>]*>", " ", (re.search(r'<ul class="missing".*?</ul>', page) or [""])[0])


def figures_in(page):
    return [json.loads(text) for text in
            re.findall(r'<script type="application/json" id="figure\d+-data">(.*?)</script>', page, re.DOTALL)]


def table_in(page):
    """Name and cells of the comparison's table."""
    return {html.unescape(name): re.findall("<td>(.*?)</td>", cells) for name, cells in
            re.findall('<tr><th scope="row">(.*?)</th>(.*?)</tr>', page)}


def test_a_report_is_one_file_with_a_copy_in_the_store_and_the_numbers_of_evaluate(places, tmp_path):
    path = report("first", out=tmp_path / "out" / "report.html", episodes=10, **places)
    page = path.read_text()
    assert (places["store"] / "first" / "reports" / "report.html").read_bytes() == path.read_bytes()
    assert not re.search(r"(src|href)=.?(https?:)?//", page.replace(get_plotlyjs(), ""))
    assert missing_in(page) == ""
    result = colab_rl.evaluate("first", episodes=10, **places)
    table = table_in(page)
    assert table["Score ± deviation"] == [f"{result.returns.mean():.1f} ± {result.returns.std():.1f}"]
    assert table["Lowest to highest"] == [f"{result.returns.min():.1f} to {result.returns.max():.1f}"]
    assert len(figures_in(page)) == 5
    report("first", out=path, episodes=0, **places)  # a report is replaced by a newer one


def test_a_bare_machine_with_only_the_store_gives_the_same(places, tmp_path):
    here = figures_in(build_page(["first"], episodes=5, **places))
    bare = figures_in(build_page(["first"], episodes=5, root=tmp_path / "nothing", store=places["store"]))
    assert here == bare


def test_runs_and_checkpoints_are_compared(places):
    page = build_page(["first:3", "second:latest"], episodes=3, **places)
    assert len(table_in(page)["Score ± deviation"]) == 2
    assert "second:" in page and missing_in(page) == ""
    colab_rl.train("given", env="CartPole-v1", env_kwargs={"sutton_barto_reward": True}, algo="ppo", total_steps=500,
                   settings=SETTINGS, backend="gymnasium", **places)
    given = build_page(["first", "given"], episodes=0, **places)
    assert "different environments (CartPole-v1, CartPole-v1 sutton_barto_reward=true)" in missing_in(given)
    other = build_page(["first", "pendulum"], episodes=0, **places)
    assert "different environments (CartPole-v1, Pendulum-v1)" in missing_in(other)
    assert len(table_in(other)["Trained for, steps"]) == 2


def test_one_checkpoint_by_several_names_is_shown_once(places):
    generation = build_page(["first:latest"], episodes=0, **places).partition("<dd>generation ")[2].partition("<")[0]
    page = build_page([f"first:{generation}", "first:latest", "second"], episodes=0, **places)
    assert len(table_in(page)["Trained for, steps"]) == 2 and f"<h1>first:{generation} and second</h1>" in page
    alone = build_page(["first:latest", f"first:{generation}"], episodes=0, **places)
    assert "<h1>first</h1>" in alone and "of each checkpoint" in alone


def test_what_a_value_estimate_of_sac_is_of_is_said_beside_the_return(places):
    colab_rl.train("soft", env="Pendulum-v1", algo="sac", total_steps=300, backend="gymnasium", settings={
        "num_envs": 2, "num_steps": 16, "minibatch_size": 8, "learning_starts": 100, "hidden_sizes": (8,),
        "buffer_size": 500, "reward_clip": 2.5, "checkpoint_every": 9, "eval_every": 9,
        "eval_episodes": 1, "score_episodes": 2}, **places)
    note = "soft's value estimate is of rewards clipped to ±2.5 and of the bonus for entropy; the return beside it"
    assert note in html.unescape(build_page(["soft"], episodes=0, **places))
    beside = html.unescape(build_page(["pendulum", "soft"], episodes=0, **places))
    assert note in beside and "pendulum's value" not in beside


class Slow(WatchedStorage):
    """A place of which many files are read at a time: its first table comes when the second is asked for too."""

    def __init__(self, root):
        super().__init__(root)
        self.concurrency = 2
        self.two, self.number = threading.Barrier(2, timeout=20), itertools.count()

    def before(self, call, name):
        if call == "get" and name.startswith("metrics/") and next(self.number) < 2:
            self.two.wait()


class SlowStore(Places):
    def tiers(self, identity):
        return Tier(Slow(super().tiers(identity)[1].storage.root), identity.run_id), None


def test_a_stores_tables_are_read_many_at_a_time(places):
    slow, quick = SlowStore(**places), Places(**places)
    history, same = (History(found.require("first"), found) for found in (slow, quick))
    assert history.missing == [] and history.curves.rows == same.curves.rows > 3


def test_terrain_and_gait_are_said_of_what_walks(places):
    page = build_page(["pendulum"], episodes=0, **places)
    assert ">Episode</h2>" in page and "from the same seed" in page
    assert "terrain" not in page.partition("<script")[0] and ">Gait<" not in page


def test_checkpoints_without_telemetry_are_recorded_as_training_would_have(places):
    root = Places(**places)
    history = History(root.require("first"), root)
    evaluated = next(manifest for manifest in history.checkpoints
                     if any(name.startswith("telemetry/") for name in manifest.files))
    stored = history.episodes([evaluated], None)
    assert len(stored) == 1 and history.missing == []
    for place in places.values():
        shutil.rmtree(place / "first" / "telemetry")
    # The file counts among what a checkpoint needs: another that never had one is recorded here.
    plain = next(manifest for manifest in history.checkpoints if not any(
        name.startswith("telemetry/") for name in manifest.files))
    assert len(history.episodes([plain], "CartPole-v1")) == 1
    assert history.episodes([plain], None) == {} and "no telemetry" in history.missing[-1]
    assert history.episodes([evaluated], "CartPole-v1") == {}
    assert any("telemetry of generation" in sentence for sentence in history.missing)


def test_what_is_damaged_or_missing_is_said_and_the_rest_is_shown(places):
    for place in places.values():
        for kind in ("telemetry", "metrics"):
            for path in sorted((place / "first" / kind).iterdir())[:2]:
                flip(path, 5)
    page = build_page(["first"], checkpoint="latest", episodes=0, **places)
    assert "telemetry of generation" in missing_in(page) and "the curves have a gap" in missing_in(page)
    assert len(figures_in(page)) == 4


def best_of(run):
    """Paths of a run's checkpoints in a place, the best first."""
    found = {path: json.loads(path.read_text()) for path in (run / "checkpoints").glob("*.json")}
    [chosen] = [one["confirmed"]["state_sha256"] for one in found.values() if one.get("confirmed")]
    return sorted((path for path, one in found.items() if one["score"] is not None), reverse=True,
                  key=lambda path: (found[path]["state_sha256"] == chosen, found[path]["score"], path.name))


def test_a_report_shows_the_best_that_is_whole_as_evaluate_scores_it(places, capsys):
    best, second = best_of(places["store"] / "first")[:2]
    for place in places.values():
        flip(place / "first" / "checkpoints" / best.with_suffix(".safetensors").name)
    result = colab_rl.evaluate("first", episodes=4, **places)
    assert "skipping a checkpoint" in capsys.readouterr().err
    page = build_page(["first"], episodes=4, **places)
    assert f"This is generation {int(second.name[:8])}, " in page
    assert table_in(page)["Score ± deviation"] == [f"{result.returns.mean():.1f} ± {result.returns.std():.1f}"]
    assert "could not be evaluated" not in page
    assert f"skipping a checkpoint: checkpoints/{best.stem}" in missing_in(page)
    named = build_page([f"first:{int(best.name[:8])}"], episodes=4, **places)
    assert f"first:{int(best.name[:8])} cannot be shown: " in missing_in(named) and len(figures_in(named)) >= 3


def test_a_line_says_whether_episodes_are_played_for_the_score_or_to_be_looked_at(places, capsys):
    build_page(["first"], episodes=1, **places)
    assert "recording 1 episode of first:" in capsys.readouterr().err  # the run ended with its score
    build_page(["first"], episodes=4, **places)
    assert "evaluating 4 episodes of first:" in capsys.readouterr().err


def test_a_report_of_a_run_begins_with_its_verdict_and_its_curve(places):
    page = build_page(["first"], episodes=4, **places)
    opening = page[page.index('<div class="glance">'):page.index("<nav>")]
    assert "4 episodes)" in opening and "<polyline" in opening and "solved at 475" in opening
    assert re.search('nowrap"><span [^>]*>- -</span> solved at 475</span>', opening)  # a key stays on one line
    assert not re.search('="#[0-9A-F]{6}"', opening)  # each colour is one of the page's, for light and for dark
    both = build_page(["first", "second"], episodes=4, **places)
    assert '<div class="glance">' not in both and "differ in their seed alone" not in both
    for name, seed, changed in (("third", 2, {}), ("fourth", 3, {"gamma": 0.5})):
        colab_rl.train(name, env="CartPole-v1", seed=seed, total_steps=500, settings={**SETTINGS, **changed},
                       backend="gymnasium", **places)
    for name, alone in (("third", True), ("fourth", False)):
        page = build_page(["first", "second", name], episodes=0, **places)
        assert ("differ in their seed alone" in page) is alone


def test_of_an_environment_that_names_nothing_there_is_no_empty_panel_and_a_hint(tmp_path):
    places = {"root": tmp_path, "store": "none"}
    colab_rl.train("lake", env="FrozenLake-v1", total_steps=100, settings=SETTINGS, backend="gymnasium", **places)
    page = build_page(["lake"], episodes=2, **places)
    assert "give its class an attribute `channels`" in page and "no angles and speeds" not in page
    assert "Observation 0" in page


def test_of_two_lines_of_a_run_a_generation_is_the_one_that_evaluate_takes(places):
    found = Places(**places)
    identity = found.require("first")
    local, remote = found.tiers(identity)
    mine = load(local, best_of(places["root"] / "first")[0].relative_to(places["root"] / "first").as_posix()).manifest
    generation = mine.generation
    manifest, contents = load_generation(*found.tiers(found.require("second")), generation)
    remote.commit(dataclasses.replace(manifest, run_id=mine.run_id, created="2199-01-01T00:00:00+00:00"), contents)
    page = build_page([f"first:{generation}"], episodes=4, **places)
    result = colab_rl.evaluate("first", checkpoint=generation, episodes=4, **places)
    assert table_in(page)["Score ± deviation"] == [f"{result.returns.mean():.1f} ± {result.returns.std():.1f}"]
    history = History(identity, found)
    assert f"generation {generation} ({mine.state_sha256[:8]}), step {mine.step:,}" == history.label(mine) in page
    assert len({history.label(other) for other in history.checkpoints}) == len(history.checkpoints)


def test_a_run_without_evaluation_or_iteration_shows_what_there_is(tmp_path):
    def make_cart():  # one that no worker process has to import this file for
        return gymnasium.make("CartPole-v1")

    places = {"root": tmp_path / "runs", "store": "none"}
    colab_rl.train("new", env=make_cart, total_steps=64, settings={**SETTINGS, "eval_every": 100, "num_steps": 64},
                   backend="gymnasium", **places)
    page = build_page(["new"], episodes=5, **places)
    said = missing_in(page)
    assert "a function" in said and ("telemetry" in said or "was not evaluated yet" in said)
    assert len(figures_in(page)) == 4
    page = build_page(["new"], episodes=3, env=make_cart, **places)
    assert table_in(page)["Episodes"] == ["3"]


@pytest.mark.parametrize(("call", "error", "words"), [
    ({"runs": "frist"}, UsageError, "did you mean 'first'"),
    ({"runs": "first:99"}, UsageError, "generation 99 not found; available: 1"),
    ({"runs": "first", "checkpoint": "good"}, UsageError, "best, latest"),
    ({"runs": ["first", "first"]}, UsageError, "different"),
    ({"runs": "first", "episodes": -1}, UsageError, "episodes"),
    ({"runs": "first", "out": "."}, UsageError, "is a folder"),
    ({"runs": "first", "out": "notes.txt"}, UsageError, "no report"),
    ({"runs": "first", "episodes": 0, "out": "notes.txt/r.html"}, StorageError, "notes.txt"),
])
def test_bad_input_is_one_line(places, tmp_path, monkeypatch, call, error, words):
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("precious")
    with pytest.raises(error, match=words):
        report(**call, **places)
    assert Path("notes.txt").read_text() == "precious"


@pytest.mark.parametrize("name", [*NAMES, "loud.HTML", "tab\there", os.fsdecode(b"\xff"), ".tmp-", "no suffix "])
def test_a_report_and_its_copy_have_the_name_that_a_person_gave(places, tmp_path, name):
    name = name if "." in name[1:-4] else f"{name}.html"
    path = report("first", out=tmp_path / "out" / name, episodes=0, **places)
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == [name] and path.name == name
    copy, = (places["store"] / "first" / "reports").iterdir()
    assert copy.read_bytes() == path.read_bytes()
    assert copy.name == name.replace("\t", "_").replace("\udcff", "_")


def test_a_name_that_is_too_long_is_told_its_limit_and_that_of_many_runs_is_cut(places, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("x" * 251 + ".html", "é" * 126 + ".html", "x" * 256 + "/report.html"):
        with pytest.raises(UsageError, match=r"has \d\d\d bytes, and a file's name has 255 at most"):
            report("first", out=name, episodes=0, **places)
    with pytest.raises(UsageError, match="holds a zero byte"):
        report("first", out="a\0b.html", episodes=0, **places)
    names = [letter * 100 for letter in "abc"]
    for name in names:
        shutil.copytree(places["root"] / "first", places["root"] / name)
    path = report(names, episodes=0, root=places["root"], store="none")
    assert path.name.startswith("a" * 100 + "-" + "b" * 100) and path.name.endswith("-report.html")
    assert len(path.name) == 255 and path.is_file()
    assert report(names[::-1], episodes=0, root=places["root"], store="none").name != path.name


def test_a_report_that_is_cut_off_leaves_the_one_before(places, tmp_path):
    path = report("first", out=tmp_path / "r.html", episodes=0, **places)
    before, limit = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limit[1]))  # as a disk that is full
    try:
        with pytest.raises(StorageError, match="cannot be written: File too large"):
            report("first", out=path, episodes=0, **places)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_bytes() == before and {entry.name for entry in tmp_path.iterdir()} == {"copy", "r.html"}
    assert report("first", out=path, episodes=0, **places) == path


def test_a_file_that_cannot_be_written_is_told_before_the_work(places, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("precious")
    with pytest.raises(StorageError, match=r"r\.html cannot be written: Not a directory; give another file"):
        report("first", out=tmp_path / "notes.txt" / "new" / "r.html", episodes=4, **places)
    assert "episodes of first" not in capsys.readouterr().err
    with pytest.raises(UsageError, match="did you mean"):
        report("frist", out=tmp_path / "new" / "r.html", **places)
    assert {entry.name for entry in tmp_path.iterdir()} == {"copy", "notes.txt"}


def test_a_store_that_cannot_be_written_leaves_the_report(places, tmp_path):
    (places["store"] / "first" / "reports").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="the report is in"):
        report("first", out=tmp_path / "r.html", episodes=0, **places)
    assert (tmp_path / "r.html").exists()


def test_the_command_line_writes_it(places, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    where = ["--root", str(places["root"]), "--store", str(places["store"])]
    assert main(["report", "first", "second", *where, "--episodes", "0"]) == 0
    assert capsys.readouterr().out.strip() == "first-second-report.html"
    assert Path("first-second-report.html").stat().st_size < 10e6
    assert main(["report", "frist", *where]) == 2
    assert "did you mean 'first'" in capsys.readouterr().err


def test_the_home_folder_is_meant_where_no_shell_says_so(places, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert report("first", out="~/r.html", episodes=0, **places) == tmp_path / "r.html"
    assert (tmp_path / "r.html").is_file() and not (tmp_path / "~").exists()


def test_a_run_that_never_came_to_the_store_is_found_after_its_report_did(places, tmp_path):
    shutil.rmtree(places["store"] / "first")
    path = report("first", out=tmp_path / "r.html", episodes=0, **places)
    assert (places["store"] / "first" / "reports" / "r.html").read_bytes() == path.read_bytes()
    bare = Places(tmp_path / "bare", places["store"])
    assert bare.require("first") == Places(**places).require("first")
    assert "first" in bare.names()
    assert colab_rl.status("first", **places)[0]["checkpoints"][0]["store"] == "absent"
    missing = build_page(["first"], episodes=0, root=tmp_path / "bare", store=places["store"])
    assert "no checkpoint yet" in missing_in(missing)
