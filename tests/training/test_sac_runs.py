"""Runs of SAC are killed, moved and damaged; their experience comes back, or a line says that it is lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from helpers import flip, snapshot
from sabotage import Meanwhile, Sabotaged, newest_generation, session, wait_for

from colab_rl import TrainingResult, UsageError, evaluate, status, train, verify
from colab_rl.checkpoints import segments
from colab_rl.errors import EnvironmentFault
from colab_rl.settings import parse_settings

# A buffer that wraps, and a checkpoint at every second iteration.
OPTIONS = ["num_envs=2", "num_steps=16", "learning_starts=64", "minibatch_size=16", "replay_ratio=0.1",
           "hidden_sizes=8", "buffer_size=400", "checkpoint_every=2", "eval_every=8", "eval_episodes=1", "keep_last=2",
           "keep_every=5"]
STEPS = 900


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several of them in a small run; one worker each for training and evaluation."""
    monkeypatch.setattr(segments, "SMALLEST_SEGMENT", 1000)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})


def run(folder: Path, steps: int = STEPS, name: str = "swing", store: Path | str = "none",
        **options: Any) -> TrainingResult:
    if "source" not in options:
        options = {"env": "Pendulum-v1", "algo": "sac", "settings": parse_settings(OPTIONS), **options}
    return train(name, total_steps=steps, backend="gymnasium", root=folder, store=store, **options)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    """How a run ends that nothing happened to."""
    return run(tmp_path_factory.mktemp("undisturbed")).state_sha256


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run and its store, half-way."""
    folder = tmp_path_factory.mktemp("half")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "SMALLEST_SEGMENT", 1000)
        (folder / "store").mkdir()
        run(folder / "runs", 600, store=folder / "store")
    yield folder


def copied(half: Path, folder: Path) -> tuple[Path, Path]:
    shutil.copytree(half, folder / "copy")
    return folder / "copy" / "runs", folder / "copy" / "store"


def newest_manifest(run_folder: Path) -> dict[str, Any]:
    return json.loads(max(run_folder.glob("checkpoints/*.json")).read_text())


def newest_segment(run_folder: Path) -> Path:
    return run_folder / max(name for name in newest_manifest(run_folder)["files"] if name.startswith("replay/"))


def check_nothing_is_left_over(*run_folders: Path) -> None:
    """Every segment is named by a manifest, and the other way round."""
    for folder in run_folders:
        named = {name for path in folder.glob("checkpoints/*.json") for name in json.loads(path.read_text())["files"]
                 if name.startswith("replay/")}
        assert {f"replay/{path.name}" for path in folder.glob("replay/*.safetensors")} == named and named


@pytest.mark.parametrize("algo", ["sac", "tqc"])
def test_a_run_that_is_killed_twice_and_loses_its_machine_ends_like_one_never_killed(tmp_path, run_cli, expected, algo):
    if algo != "sac":
        expected = run(tmp_path / "undisturbed", algo=algo).state_sha256
    options = ["--env", "Pendulum-v1", "--algo", algo, "--backend", "gymnasium", "--total-steps", str(STEPS),
               "--store", str(tmp_path / "store"), "--set", *OPTIONS]
    (tmp_path / "store").mkdir()
    chance = random.Random(0)
    for generation, lost in ((chance.randint(3, 5), False), (chance.randint(7, 9), True)):
        with session(tmp_path, "swing", *options) as process:
            wait_for(lambda least=generation: newest_generation(tmp_path / "store" / "swing") >= least, process)
            process.kill()
            assert process.wait() == -signal.SIGKILL
        if lost:
            shutil.rmtree(tmp_path / "runs")
    last = run_cli("train", "swing", *options)
    assert last.returncode == 0, last.stderr
    assert last.stdout.splitlines()[-1] == f"state_sha256={expected}"
    places = {"root": tmp_path / "runs", "store": tmp_path / "store"}
    assert status("swing", **places)[0]["exact"] is True
    assert verify("swing", **places)["bad"] == []
    check_nothing_is_left_over(tmp_path / "runs" / "swing", tmp_path / "store" / "swing")


def test_checkpoints_share_segments_and_old_ones_go_with_the_last_that_names_them(tmp_path, half):
    root, store = copied(half, tmp_path)
    run(root, store=store)
    check_nothing_is_left_over(root / "swing", store / "swing")
    manifest = newest_manifest(root / "swing")
    held = [name for name in manifest["files"] if name.startswith("replay/")]
    assert len(held) > 5 and "replay/0000000000" not in min(held)
    assert {row["store"] for row in status("swing", root=root, store=store)[0]["checkpoints"]} == {"verified"}


@pytest.mark.parametrize("damage", [flip, Path.unlink], ids=["corrupt", "missing"])
def test_a_lost_segment_costs_the_checkpoints_that_need_it_and_that_is_said(tmp_path, half, expected, capsys, damage):
    root, _ = copied(half, tmp_path)
    newest = newest_generation(root / "swing")
    lost = newest_segment(root / "swing")
    damage(lost)
    assert [lost.name in line for line in verify("swing", root=root, store="none")["bad"]] == [True]
    assert run(root).state_sha256 == expected
    said = capsys.readouterr().err
    assert f"skipping a checkpoint: generation {newest} needs replay/" in said
    assert "missing, cut or changed" in said and f"continuing from generation {newest - 1} " in said
    assert verify("swing", root=root, store="none")["bad"] == []


def test_a_segment_that_is_lost_here_comes_from_the_store_and_no_work_is_lost(tmp_path, half, expected, capsys):
    root, store = copied(half, tmp_path)
    flip(newest_segment(root / "swing"))
    assert run(root, store=store).state_sha256 == expected
    said = capsys.readouterr().err
    assert "skipping" not in said
    assert f"continuing from generation {newest_generation(half / 'runs' / 'swing')} " in said
    assert list((root / "swing").glob("replay/*.bad"))


def test_a_policy_is_evaluated_without_its_experience(tmp_path, half):
    root, _ = copied(half, tmp_path)
    before = evaluate("swing", episodes=2, root=root, store="none").returns
    shutil.rmtree(root / "swing" / "replay")
    assert (evaluate("swing", episodes=2, root=root, store="none").returns == before).all()


def test_a_branch_takes_the_experience_with_it(tmp_path, half, expected, capsys):
    root, _ = copied(half, tmp_path)
    untouched = snapshot(root / "swing")
    assert run(root, name="branch", origin="swing").state_sha256 == expected
    assert snapshot(root / "swing") == untouched
    check_nothing_is_left_over(root / "branch")
    with pytest.raises(UsageError, match="keeps its buffer_size"):
        run(root, name="other", origin="swing", settings={"buffer_size": 500})
    newest = newest_generation(root / "swing")
    flip(newest_segment(root / "swing"))
    run(root, name="third", origin="swing")
    assert f"generation {newest} needs replay/" in capsys.readouterr().err


def test_a_reward_that_the_buffer_cannot_hold_stops_the_run_and_gets_into_no_checkpoint(tmp_path):
    plot = tmp_path / "plot"

    def env() -> gymnasium.Env:
        return Sabotaged(gymnasium.make("Pendulum-v1"), plot)

    expected = run(tmp_path / "undisturbed", env=env).state_sha256
    # In an environment's step 20: in the second iteration, before anything is learned.
    second = Meanwhile(1, lambda: plot.write_text("20 vast"))
    words = r"^after iteration 1: .*1e\+39 in a reward, .*; no checkpoint was due yet; no trained state was saved, so "
    with pytest.raises(EnvironmentFault, match=words + "colab_rl removed "):
        run(tmp_path / "runs", env=env, watcher=second)
    assert run(tmp_path / "runs", env=env).state_sha256 == expected


def test_what_sac_cannot_train_leaves_nothing_behind(run_cli, tmp_path):
    refused = run_cli("train", "cart", "--env", "CartPole-v1", "--algo", "sac")
    assert refused.returncode == 2 and "use --algo ppo" in refused.stderr and refused.stderr.count("error") == 1
    huge = run_cli("train", "swing", "--env", "Pendulum-v1", "--algo", "sac", "--set", "buffer_size=900000000000")
    assert huge.returncode == 2 and "GB of memory" in huge.stderr
    assert not (tmp_path / "runs").exists()
