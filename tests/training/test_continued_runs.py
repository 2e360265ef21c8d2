"""A run is continued, extended and branched; what contradicts it is refused and changes nothing."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import signal
import sys
from collections.abc import Callable
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
import torch
from helpers import snapshot
from sabotage import SETTINGS, STEPS, Machine, check_history

from colab_rl import UsageError, evaluate, status, train
from colab_rl.cli import main
from colab_rl.runs.identity import Identity
from colab_rl.runs.lock import locked
from colab_rl.sealed import checksum
from colab_rl.storage import FolderStorage

pytestmark = pytest.mark.usefixtures("one_core", "outlives_sigterm")

# The environments defined below reach the workers by value, as those of a notebook's cell do.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def test_a_finished_run_says_so_and_changes_nothing(undisturbed, capsys):
    machine, result = undisturbed("CartPole-v1")
    before = snapshot(machine.root / "walker")
    again = machine.train()
    assert again == result
    assert snapshot(machine.root / "walker") == before


def test_a_larger_number_of_steps_extends_a_run_and_a_stop_in_the_extension_changes_nothing(tmp_path, undisturbed):
    machine, result = undisturbed("CartPole-v1")
    whole, parts = machine.copy(tmp_path / "whole"), machine.copy(tmp_path / "parts")
    parts.env = Machine(tmp_path / "parts").env  # with a plot of its own
    parts.plot = tmp_path / "parts" / "plot"

    extended = whole.train(total_steps=1500)
    assert extended.finished and extended.total_steps == 1500 and extended.step >= 1500 > result.step
    assert extended.generation > result.generation
    check_history(whole, extended)

    assert parts.train(total_steps=1500, deed="120 stop trainer").signal_number == signal.SIGTERM
    last = parts.train()  # the command that began the run; the extension is remembered
    assert last.total_steps == 1500 and last.state_sha256 == extended.state_sha256
    check_history(parts, last)


@pytest.mark.parametrize("deed", [shutil.copytree, shutil.move], ids=["copied", "renamed"])
def test_a_run_that_was_copied_or_renamed_is_trained_under_the_name_of_its_folder(tmp_path, undisturbed, deed):
    machine, _ = undisturbed("CartPole-v1")
    here, straight = machine.copy(tmp_path / "here"), machine.copy(tmp_path / "straight")
    here.store = tmp_path / "store"
    deed(here.root / "walker", here.root / "backup")
    before = snapshot(here.root / "walker")
    with locked(FolderStorage(here.root / "walker")):  # a session that trains the first one
        extended = here.train("backup", total_steps=1200)
    assert (extended.run, extended.state_sha256) == ("backup", straight.train(total_steps=1200).state_sha256)
    assert snapshot(here.root / "walker") == {**before, ".lock": b""}
    check_history(here, extended, "backup")
    assert [path.name for path in here.store.iterdir()] == ["backup"]


def test_a_branch_goes_on_as_the_run_it_left(tmp_path, undisturbed):
    machine, result = undisturbed("CartPole-v1")
    here = machine.copy(tmp_path)
    before = snapshot(here.root / "walker")
    branch = here.train("branch", origin="walker:6", total_steps=STEPS)
    assert branch.state_sha256 == result.state_sha256
    assert snapshot(here.root / "walker") == before
    [began], [left] = ([manifest for path in here.files("checkpoints/*.json", run)
                        if (manifest := json.loads(path.read_text()))["generation"] == generation]
                       for run, generation in (("branch", 1), ("walker", 6)))
    assert (began["generation"], left["generation"]) == (1, 6)
    assert began["state_sha256"] == left["state_sha256"]
    identity = json.loads((here.root / "branch" / "run.json").read_text())
    assert identity["origin"]["run"] == "walker" and identity["origin"]["generation"] == 6
    for words in ("walker:6", "walker:006", "walker", "walker:best", "walker:latest"):  # the run is finished
        assert here.train("branch", origin=words, total_steps=STEPS).state_sha256 == branch.state_sha256
    for words in ("walker:7", "walkers:6", "branch:best"):
        with pytest.raises(UsageError, match=f"from is walker:6, not {words}"):
            here.train("branch", origin=words, total_steps=STEPS)


@pytest.mark.parametrize("which", ["best", "latest"])
def test_a_branch_from_the_best_or_the_latest_checkpoint(tmp_path, undisturbed, which):
    machine, _ = undisturbed("CartPole-v1")
    here = machine.copy(tmp_path)
    here.files("checkpoints/*.json")[-1].unlink()  # the newest is the best
    rows = status("walker", root=here.root, store="none")[0]["checkpoints"]
    best = max((row["score"] or 0, row["generation"]) for row in rows)[1]
    expected = {"best": best, "latest": rows[0]["generation"]}
    here.train("branch", origin=f"walker:{which}", total_steps=STEPS)
    origin = json.loads((here.root / "branch" / "run.json").read_text())["origin"]
    assert origin["generation"] == expected[which] and expected["best"] < expected["latest"]


def test_a_branch_of_0_1_0_is_the_run_that_it_was(tmp_path, undisturbed):
    machine, _ = undisturbed("CartPole-v1")
    here = machine.copy(tmp_path)
    branch = here.train("branch", origin="walker:6", total_steps=STEPS)
    path = here.root / "branch" / "run.json"
    content = json.loads(path.read_text())
    del content["identity_sha256"]
    content["source"] = content.pop("origin")
    path.write_text(json.dumps({**content, "identity_sha256": checksum(content)}))
    before = path.read_bytes()
    assert here.train("branch", origin="walker:6").state_sha256 == branch.state_sha256
    assert path.read_bytes() == before


def test_a_branch_that_was_killed_before_its_first_checkpoint_still_begins_where_it_should(tmp_path, undisturbed):
    machine, _ = undisturbed("CartPole-v1")
    here = machine.copy(tmp_path)
    asked = {"origin": "walker:6", "total_steps": STEPS, "settings": {"learning_rate": "1e-5"}}
    whole = here.train("branch", **asked)
    for path in (here.root / "branch").iterdir():  # run.json is written first, and alone after such a kill
        if path.is_dir():
            shutil.rmtree(path)
    assert here.train("branch", **asked).state_sha256 == whole.state_sha256


def test_a_branch_from_the_newest_checkpoint_takes_other_settings_but_not_another_shape(tmp_path, undisturbed):
    machine, result = undisturbed("CartPole-v1")
    here = machine.copy(tmp_path)
    changes = {"learning_rate": "1e-5", "gamma": "0.5"}
    branch = train("branch", origin="walker", total_steps=STEPS + 200, settings=changes, env=here.env, root=here.root,
                   store="none")
    assert branch.finished and branch.step > result.step and branch.state_sha256 != result.state_sha256
    before = snapshot(here.root)
    for options, reason in (({"settings": {"num_envs": 3}, "total_steps": 9999}, "keeps its num_envs"),
                            ({"seed": 5, "total_steps": 9999}, "keeps its seed"),
                            ({"settings": {"log_std_init": -1}, "total_steps": 9999}, "keeps its log_std_init"),
                            ({"total_steps": STEPS}, "give a larger --total-steps"),
                            ({"env": "Pendulum-v1", "total_steps": 9999}, "not Pendulum-v1")):
        with pytest.raises(UsageError, match=reason):
            train("other", origin="walker", root=here.root, store="none", **{"env": here.env, **options})
    with pytest.raises(UsageError, match="generation 4 not found; available: 1, "):
        train("other", origin="walker:4", total_steps=9999, env=here.env, root=here.root, store="none")
    assert snapshot(here.root) == before


@pytest.mark.parametrize(("options", "named"), [
    (["--env", "CartPole-v1"], "env is custom:"),
    (["--seed", "7"], "seed is 0, not 7"),
    (["--total-steps", "100"], "can only grow, not 100"),
    (["--set", "gamma=0.5", "learning_rate=0.1"], "learning_rate is"),
    (["--set", "hidden_sizes=8,8"], r"hidden_sizes is \(8,\), not \(8, 8\)"),
    (["--from", "other"], "from is nothing"),
    (["--device", "cuda"], "device is cpu, not cuda"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_options_that_contradict_a_run_are_named_and_change_nothing(undisturbed, capsys, options, named):
    machine, _ = undisturbed("CartPole-v1")
    before = snapshot(machine.root)
    capsys.readouterr()
    assert main(["train", "walker", *options, "--root", str(machine.root), "--store", "none"]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and re.search(named, errors)
    assert snapshot(machine.root) == before


def test_a_run_that_was_extended_does_not_shrink(tmp_path, undisturbed):
    machine, _ = undisturbed("CartPole-v1")
    here = machine.copy(tmp_path)
    extended = here.train(total_steps=STEPS + 400)
    before = snapshot(here.root)
    with pytest.raises(UsageError, match=f"total_steps is {STEPS + 400} and can only grow, not {STEPS + 200}"):
        here.train(total_steps=STEPS + 200)
    assert snapshot(here.root) == before
    assert here.train().state_sha256 == extended.state_sha256  # the command that began the run


def test_options_that_agree_with_a_run_are_no_contradiction(undisturbed):
    machine, result = undisturbed("CartPole-v1")
    assert machine.train(seed="0", algo="ppo", backend="gymnasium", device="cpu",
                         settings={"gamma": 0.99}).state_sha256 == result.state_sha256


def with_actions(space: gymnasium.Space) -> Callable[[], gymnasium.Env]:
    """A function without arguments that makes an environment with these actions."""
    class Plain(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1, 1, (2,))
        action_space = space

        def reset(self, seed: int | None = None, options: dict | None = None) -> tuple:
            return np.zeros(2, np.float32), {}

        def step(self, action: Any) -> tuple:
            return np.zeros(2, np.float32), 1.0, True, False, {}

    return lambda: Plain()


@pytest.mark.parametrize(("then", "now"), [
    (gymnasium.spaces.Box(-1, 1, (3,)), gymnasium.spaces.Box(-2, 1, (3,))),
    (gymnasium.spaces.Box(-1, 1, (3,)), gymnasium.spaces.Box(-1, np.inf, (3,))),
    (gymnasium.spaces.Discrete(4), gymnasium.spaces.Discrete(4, start=-1)),
    (gymnasium.spaces.Discrete(4), gymnasium.spaces.Discrete(5)),
], ids=["bounds", "no bound", "first action", "number"])
def test_an_environment_whose_actions_have_changed_is_refused_and_changes_nothing(tmp_path, then, now):
    places = {"root": tmp_path, "store": "none"}
    train("walker", env=with_actions(then), total_steps=100, settings=SETTINGS, **places)
    before = snapshot(tmp_path)
    with pytest.raises(UsageError, match="other spaces than when walker was begun; nothing was changed"):
        train("walker", env=with_actions(now), total_steps=200, **places)
    with pytest.raises(UsageError, match="other spaces than when walker was begun"):
        evaluate("walker", env=with_actions(now), episodes=1, **places)
    with pytest.raises(UsageError, match="other spaces than when walker was begun"):
        train("branch", origin="walker", env=with_actions(now), total_steps=200, **places)
    assert snapshot(tmp_path) == before
    assert train("walker", env=with_actions(then), total_steps=200, **places).finished


def test_a_run_whose_identity_has_no_bounds_yet_goes_on(tmp_path, undisturbed):
    here = undisturbed("CartPole-v1")[0].copy(tmp_path)
    change_identity(here, lambda identity: {"spaces": {name: identity.spaces[name] for name in
                                                       ("observation", "discrete", "action_dim")}})
    assert here.train(total_steps=STEPS + 100).finished


def change_identity(machine: Machine, change: Callable[[Identity], dict[str, Any]]) -> None:
    """Makes the fields that `change` gives those of the run's run.json."""
    path = machine.root / "walker" / "run.json"
    identity = Identity.from_bytes(path.read_bytes(), "")
    path.write_bytes(dataclasses.replace(identity, **change(identity)).to_bytes())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_the_command_that_began_a_run_on_a_gpu_continues_it_where_there_is_none(tmp_path, stopped, undisturbed):
    machine = stopped.copy(tmp_path)
    change_identity(machine, lambda identity: {"device": "cuda"})
    assert machine.train(device="cuda").state_sha256 == undisturbed("CartPole-v1")[1].state_sha256
    manifest = json.loads(machine.files()[-1].read_text())
    assert (manifest["exact"], manifest["inexact"]) == (False, ["no GPU on this machine"])
    with pytest.raises(UsageError, match="device is cuda, not cpu"):
        machine.train(device="cpu")
