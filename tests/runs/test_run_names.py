"""Names that the rule allows fit everywhere; others are refused with the rule."""

from __future__ import annotations

import json

import pytest
from helpers import TINY

from colab_rl.cli import main
from colab_rl.errors import UsageError
from colab_rl.runs.places import Places

CLEANRL = "CartPole-v1__ppo__lr0.0003__gamma0.99__gae0.95__clip0.2__ent0.01__n_envs16__2026-11-26__seed"

pytestmark = pytest.mark.usefixtures("one_core")


@pytest.mark.parametrize("name", [CLEANRL, "w" * 100, "run.json", "1..", "A-_.b"], ids=lambda name: name[:12])
def test_a_run_of_any_name_that_is_allowed_can_be_used(tmp_path, capsys, name):
    (tmp_path / "store").mkdir()
    places = ["--root", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    assert main(["train", name, "--env", "CartPole-v1", "--backend", "gymnasium", "--total-steps", "64", *places,
                 "--set", *TINY]) == 0
    assert main(["train", name[:99] + "2", "--from", name, "--total-steps", "192", *places]) == 0
    report = ["report", name, f"{name[:99]}2:best", "--episodes", "0", "--out", str(tmp_path / "page.html")]
    assert main([*report, *places]) == 0
    assert main(["verify", name, *places]) == main(["push", name, *places]) == 0
    assert main(["evaluate", name, "--episodes", "1", *places]) == 0
    capsys.readouterr()
    assert main(["status", "--json", *places]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {run["run"] for run in found} == {name, name[:99] + "2"}
    assert {row["store"] for run in found for row in run["checkpoints"]} == {"verified"}
    assert list((tmp_path / "runs" / "tensorboard" / name).iterdir())


@pytest.mark.parametrize("name", ["w" * 101, f"{CLEANRL}-and-the-date-2026-11-26", "w" * 3000, "-w", "é", "a b", "a:b"],
                         ids=lambda name: name[:12])
def test_what_is_no_name_is_refused_with_the_rule(tmp_path, capsys, name):
    assert main(["train", "--env", "CartPole-v1", "--root", str(tmp_path), "--store", "none", "--", name]) == 2
    assert "at most 100 letters, digits, '-', '_' and '.', a letter or digit first" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["sweeps", "tensorboard"])
def test_the_folders_beside_the_runs_name_no_run_and_are_not_deleted(tmp_path, capsys, name):
    (tmp_path / name / "walk").mkdir(parents=True)
    (tmp_path / name / "walk" / "plan.json").write_bytes(b"{}")
    for arguments in (["train", name, "--env", "CartPole-v1"], ["delete", name, "--yes"]):
        assert main([*arguments, "--root", str(tmp_path), "--store", "none"]) == 2
        assert f"'{name}' cannot name a run: colab_rl keeps its own files in a folder of that name" \
            in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == [name, "walk", "plan.json"]


@pytest.mark.parametrize(("runs", "said"), [
    ([], "five is a sweep that has no runs yet"),
    (["five-t000-s3"], "five is a sweep; its run is five-t000-s3"),
    (["five-t000-s0", "five-t001-s10", "five-t001-s9", "five-t1-s9-copy", "high-five-t002-s0"],
     "five is a sweep; its runs are five-t000-s0 to five-t001-s10: give one of them")])
def test_a_command_for_a_run_knows_a_sweeps_name(tmp_path, runs, said):
    for file in ("sweeps/five/plan.json", *(f"{run}/run.json" for run in runs)):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("{}")
    with pytest.raises(UsageError, match=f"^{said}$"):
        Places(tmp_path, "none").require("five")
    with pytest.raises(UsageError, match=r"^no run 'fife'"):
        Places(tmp_path, "none").require("fife")
