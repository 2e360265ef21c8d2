"""If something around a run fails, the run stops and keeps its checkpoints. It continues later."""

from __future__ import annotations

import errno
import fcntl
import os
import pathlib
import re
import signal
import sys
import threading
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
from helpers import snapshot
from sabotage import SETTINGS, STEPS, Machine, Meanwhile, Sabotaged, check_history, newest_generation

from colab_rl import ColabRLError, UsageError, evaluate, status, train, verify
from colab_rl.errors import StorageError
from colab_rl.evaluation.evaluator import EVALUATION_SEED

pytestmark = pytest.mark.usefixtures("one_core", "outlives_sigterm")

# The environments defined below reach the workers by value, as those of a notebook's cell do.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def test_a_full_disk_stops_the_run_with_what_was_kept_and_room_lets_it_go_on(tmp_path, undisturbed, monkeypatch):
    machine, synced = Machine(tmp_path), os.fsync
    written = []

    def full(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) > 40:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"No space left on device.*kept: generation \d+, step \d+"):
            machine.train()
    kept = newest_generation(machine.root / "walker")
    assert kept > 2 and not list(machine.root.rglob(".tmp*"))
    assert verify("walker", root=machine.root, store="none")["bad"] == []
    last = machine.train()
    assert last.state_sha256 == undisturbed("CartPole-v1")[1].state_sha256
    check_history(machine, last)


def test_a_disk_that_is_full_from_the_start_says_so(tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        Machine(tmp_path).train()


def test_a_file_in_the_place_of_tensorboards_folder_and_a_disk_without_locks_stop_nothing(
        tmp_path, undisturbed, monkeypatch, capsys):
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    machine = Machine(tmp_path)
    machine.root.mkdir()
    (machine.root / "tensorboard").write_text("a person's notes")
    expected = undisturbed("CartPole-v1")[1].state_sha256
    capsys.readouterr()
    assert machine.train().state_sha256 == expected
    errors = capsys.readouterr().err
    assert errors.count("cannot be written (Not a directory); training continues without it") == 1
    assert "walker cannot be locked (Operation not supported): train it in one session at a time" in errors
    assert (machine.root / "tensorboard").read_text() == "a person's notes"


@pytest.mark.parametrize(("deed", "reason"), [("nan", "returned nan in a reward"),
                                              ("vast", r"returned 1e\+39 in a reward, beyond .* of a float32"),
                                              ("raise", "RuntimeError: the joint came off")])
def test_a_broken_environment_stops_the_run_and_says_what_was_kept(tmp_path, undisturbed, deed, reason):
    machine = Machine(tmp_path)
    with pytest.raises(ColabRLError, match=rf"{reason}.*kept: generation \d+, step \d+; .*fix it first$") as caught:
        machine.train(deed=f"230 {deed}")
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)
    kept = int(re.search(r"kept: generation (\d+)", str(caught.value))[1])
    assert kept == newest_generation(machine.root / "walker") > 1
    assert machine.train().state_sha256 == undisturbed("CartPole-v1")[1].state_sha256


@pytest.mark.parametrize("where", ["collecting", "evaluating", "saving"])
def test_what_goes_wrong_is_said_to_come_after_the_last_iteration_that_was_learned_from(tmp_path, monkeypatch, where):
    plot, no_room, synced = tmp_path / "plot", tmp_path / "no room", os.fsync
    if where == "collecting":
        plot.write_text("70 raise")  # an iteration takes 32 steps of each environment

    class Failing(Sabotaged):
        def reset(self, **options: Any) -> tuple[Any, dict]:
            if options["seed"] == EVALUATION_SEED and where == "evaluating":
                raise RuntimeError("the joint came off")
            if options["seed"] == EVALUATION_SEED and where == "saving":
                no_room.touch()
            return super().reset(**options)

    def fsync(descriptor: int) -> None:
        if no_room.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    after, kept, reason = {"collecting": (2, 3, "the joint came off"), "evaluating": (4, 4, "the joint came off"),
                           "saving": (4, 4, "No space left on device")}[where]
    with pytest.raises(ColabRLError, match=rf"^after iteration {after}: .*{reason}.*kept: generation {kept}, "):
        train("walker", env=lambda: Failing(gymnasium.make("Pendulum-v1"), plot), total_steps=900,
              settings={**SETTINGS, "checkpoint_every": "1", "eval_every": "4"}, root=tmp_path / "runs", store="none")


def test_a_function_as_environment_is_asked_for_where_it_is_needed(undisturbed):
    machine, result = undisturbed("CartPole-v1")
    places = {"root": machine.root, "store": "none"}
    scores = evaluate("walker", checkpoint="latest", episodes=3, seed=4, env=machine.env, **places)
    assert scores.summary() == evaluate("walker", checkpoint=result.generation, episodes=3, seed=4, env=machine.env,
                                        **places).summary()
    assert len(scores.returns) == 3 and np.array_equal(scores.returns, scores.lengths)  # CartPole's reward is 1 a step
    with pytest.raises(UsageError, match=r"evaluate\(..., env=that function\)"):
        evaluate("walker", **places)
    with pytest.raises(UsageError, match=r"train\(..., env=that function\)"):
        train("walker", **places)


@pytest.mark.parametrize("algo", ["ppo", "sac"])
@pytest.mark.parametrize("wrong", ["no return", "no actions", "no observations"])
def test_an_environment_that_cannot_be_trained_on_is_refused_before_anything_is_written(tmp_path, algo, wrong):
    class Empty(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1, 1, (0 if wrong == "no observations" else 3,))
        action_space = gymnasium.spaces.Box(-1, 1, (0 if wrong == "no actions" else 3,))

    with pytest.raises(UsageError, match=r"returned None|of length 0"):
        train("walker", env=lambda: None if wrong == "no return" else Empty(), algo=algo, total_steps=100_000,
              root=tmp_path / "runs", store="none")
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize("held", ["lock", "file"])
def test_a_function_that_cannot_be_pickled_is_called_in_this_process_which_is_said(tmp_path, held, capfd):
    with open(os.devnull, "w") as file:
        thing = threading.Lock() if held == "lock" else file

        def make() -> gymnasium.Env:
            assert thing
            return gymnasium.make("CartPole-v1")

        result = train("walker", env=make, total_steps=100, settings=SETTINGS, root=tmp_path / "runs", store="none")
    assert result.finished and "stepped in this process" in capfd.readouterr().err


def test_a_session_clears_what_a_killed_one_left_and_not_what_others_write(tmp_path, stopped):
    machine = stopped.copy(tmp_path)
    half = [machine.root / "walker" / folder / ".tmp-1234abcd-half"
            for folder in ("", "checkpoints", "metrics", "videos")]
    for path in half:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    machine.train()
    assert [path.exists() for path in half] == [False, False, False, True]  # a film that is being written


def test_training_leaves_no_process_and_no_signal_handler_behind(tmp_path):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    children = pathlib.Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    before = set(children.read_text().split())
    Machine(tmp_path).train(total_steps=100)
    assert set(children.read_text().split()) <= before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_an_episode_without_an_end_is_said_and_not_waited_for(tmp_path, monkeypatch):
    class Endless(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1, 1, (2,))
        action_space = gymnasium.spaces.Discrete(2)

        def reset(self, seed: int | None = None, options: dict | None = None) -> tuple:
            return np.zeros(2, np.float32), {}

        def step(self, action: int) -> tuple:
            return np.zeros(2, np.float32), 1.0, False, False, {}

    for module in ("evaluator", "replay"):
        monkeypatch.setattr(f"colab_rl.evaluation.{module}.LONGEST_EPISODE", 50)
    with pytest.raises(ColabRLError, match=r"has not ended after 50 steps.*TimeLimit.*kept: generation"):
        train("endless", env=lambda: Endless(), total_steps=1000, settings=SETTINGS, root=tmp_path, store="none")


def test_an_id_that_only_this_process_knows_trains_and_is_unknown_elsewhere(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(gymnasium.registry, "Mine-v0", gymnasium.spec("CartPole-v1"))
        options = {"root": tmp_path, "store": "none", "settings": SETTINGS}
        assert train("mine", env="Mine-v0", total_steps=100, **options).finished
    with pytest.raises(UsageError, match="unknown environment 'Mine-v0'"):
        train("mine", total_steps=200, **options)
    with pytest.raises(UsageError, match="unknown environment 'Mine-v0'"):
        train("other", env="Mine-v0", **options)
    assert not (tmp_path / "other").exists()


def test_a_run_that_is_renamed_while_it_trains_stops_and_goes_on_under_its_new_name(tmp_path):
    begin = {"env": "CartPole-v1", "total_steps": STEPS, "settings": SETTINGS, "store": "none"}
    finished = train("walker", root=tmp_path / "never renamed", **begin)
    runs = tmp_path / "runs"
    with pytest.raises(ColabRLError, match=r"walker no longer holds this run's run.json.*before 5, .* new name"):
        train("walker", root=runs, watcher=Meanwhile(3, lambda: (runs / "walker").rename(runs / "better")), **begin)
    assert [path.name for path in runs.iterdir() if path.name != "tensorboard"] == ["better"]
    assert status("better", root=runs, store="none")[0]["checkpoints"][0]["generation"] == 4
    assert train("better", root=runs, store="none").state_sha256 == finished.state_sha256


def test_a_run_whose_folder_became_another_runs_writes_nothing_there(tmp_path):
    begin = {"env": "CartPole-v1", "settings": SETTINGS, "root": tmp_path, "store": "none"}

    def replace() -> None:
        (tmp_path / "walker").rename(tmp_path / "first")
        train("walker", total_steps=100, seed=1, **begin)

    with pytest.raises(ColabRLError, match=r"no longer holds this run's run.json"):
        train("walker", total_steps=STEPS, watcher=Meanwhile(3, replace), **begin)
    found = status("walker", root=tmp_path, store="none")[0]
    assert (found["seed"], found["finished"]) == (1, True)
    assert verify("walker", root=tmp_path, store="none")["bad"] == []
