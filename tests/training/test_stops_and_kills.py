"""A run that is stopped or killed, or that moves to another machine, ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import threading
import time

import pytest
from helpers import TINY
from sabotage import SETTINGS, Machine, check_history, either_environment, newest_generation, session, wait_for

from colab_rl import status, train, verify
from colab_rl.cli import main
from colab_rl.environments import repeats, trial
from colab_rl.errors import EnvironmentFault

pytestmark = pytest.mark.usefixtures("one_core", "outlives_sigterm")
TRIALS = {repeats.SEED, repeats.OTHER_SEED, trial.SEED}  # seeds of the episodes that are tried before a run begins


@either_environment
def test_a_run_stopped_by_sigterm_saves_and_ends_like_one_never_stopped(tmp_path, undisturbed, env_id):
    machine = Machine(tmp_path, env_id)
    first = machine.train(deed="80 stop trainer", settings={"checkpoint_every": "100"})
    assert first.signal_number == signal.SIGTERM and not first.finished
    assert first.iteration == 3  # the interrupted one; no checkpoint was due
    last = machine.train(settings={"checkpoint_every": "100"})
    assert last.finished and last.signal_number is None
    assert last.state_sha256 == undisturbed(env_id)[1].state_sha256
    check_history(machine, last)
    assert status("walker", root=machine.root, store="none")[0]["exact"] is True


@either_environment
def test_a_run_whose_worker_is_killed_keeps_its_checkpoint_and_does_the_lost_work_again_once(
        tmp_path, undisturbed, env_id):
    machine = Machine(tmp_path, env_id)
    with pytest.raises(EnvironmentFault, match=r"killed by signal 9.*kept: generation \d+, step [\d,]+; the same"):
        machine.train(deed="290 kill worker", settings={"checkpoint_every": "5"})
    saved = machine.rows()
    assert saved and (len(saved) % 5 == 0 or saved[-1].get("evaluation/score"))  # the best are saved too
    last = machine.train(settings={"checkpoint_every": "5"})
    assert last.state_sha256 == undisturbed(env_id)[1].state_sha256
    check_history(machine, last)


@either_environment
def test_a_run_killed_at_random_moments_ends_like_one_never_killed(tmp_path, run_cli, env_id):
    steps, root, chance = 2600, tmp_path / "runs", random.Random(0)
    options = ["--env", env_id, "--algo", "ppo", "--total-steps", str(steps), "--set", *TINY]
    expected = train("walker", env=env_id, algo="ppo", total_steps=steps, settings=SETTINGS, root=tmp_path / "other",
                     store="none")
    for generation in (chance.randint(4, 14), chance.randint(18, 30)):
        with session(tmp_path, "walker", *options) as process:
            wait_for(lambda least=generation: newest_generation(root / "walker") >= least, process)
            time.sleep(chance.uniform(0, 0.1))  # a random moment of an iteration
            process.kill()
            assert process.wait() == -signal.SIGKILL
    last = run_cli("train", "walker", *options)
    assert last.returncode == 0, last.stderr
    assert last.stdout.splitlines()[-1] == f"state_sha256={expected.state_sha256}"
    assert status("walker", root=root, store="none")[0]["exact"] is True
    assert not list(root.rglob("*.tmp*"))
    assert verify("walker", root=root, store="none")["bad"] == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"])
def test_a_signal_saves_and_leaves_with_its_code_and_the_hash_last_and_another_session_is_refused(
        tmp_path, capsys, number, code):
    root = tmp_path / "runs"
    with session(tmp_path, "walker", "--env", "CartPole-v1", "--total-steps", "9000000", "--set", *TINY) as process:
        wait_for(lambda: newest_generation(root / "walker") >= 3, process)
        alarm = threading.Timer(60, os.kill, (os.getpid(), signal.SIGTERM))  # a run that is not refused would continue
        alarm.start()
        assert main(["train", "walker", "--root", str(root), "--store", "none"]) == 1
        alarm.cancel()
        refused = capsys.readouterr()
        assert refused.err.count("\n") == 1 and "another session on this machine is training walker" in refused.err
        assert refused.out == ""
        process.send_signal(number)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    found = status("walker", root=root, store="none")[0]
    assert output.splitlines()[-1] == f"state_sha256={found['state_sha256']}"
    assert "the same command continues from here" in output
    assert found["checkpoints"][0]["local"] == "verified" and not found["finished"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"])
def test_a_second_signal_leaves_at_once_with_its_code(tmp_path, capsys, monkeypatch, number, code):
    (tmp_path / f"impatient{int(number)}.py").write_text(f"""
import os
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

class Impatient(CartPoleEnv):
    taken = 0

    def reset(self, *, seed=None, options=None):
        self.counts = os.getppid() == {os.getpid()} and seed not in {TRIALS}
        return super().reset(seed=seed, options=options)

    def step(self, action):
        Impatient.taken += self.counts
        if self.counts and Impatient.taken in (10, 20):
            os.kill(os.getppid(), {int(number)})
        return super().step(action)

gymnasium.register("Impatient{int(number)}-v0", Impatient)
""")
    monkeypatch.syspath_prepend(tmp_path)
    env_id = f"impatient{int(number)}:Impatient{int(number)}-v0"
    places = ["--root", str(tmp_path), "--store", "none"]
    assert main(["train", "walker", "--env", env_id, *places, "--set", *TINY]) == code
    output, errors = capsys.readouterr()
    assert output == "" and errors.endswith("stopped at once, without saving; the newest checkpoint is kept\n")


@either_environment
def test_a_bare_machine_goes_on_from_the_store_alone_with_the_whole_history(tmp_path, undisturbed, env_id):
    store = tmp_path / "store"
    first = Machine(tmp_path / "first", env_id, store)
    stopped = first.train(deed="200 stop trainer")
    assert stopped.pending == 0
    shutil.rmtree(first.root)
    second = Machine(tmp_path / "second", env_id, store)
    last = second.train()
    assert last.finished and last.pending == 0
    assert last.state_sha256 == undisturbed(env_id)[1].state_sha256
    check_history(second, last)
    found = status("walker", root=tmp_path / "third", store=store)[0]
    assert found["state_sha256"] == last.state_sha256 and found["exact"] and found["finished"]
    assert {row["store"] for row in found["checkpoints"]} == {"verified"}
    assert {row["local"] for row in found["checkpoints"]} == {"absent"}


def test_a_finished_run_that_arrives_on_a_new_machine_shows_its_curves(tmp_path, undisturbed):
    machine, result = undisturbed("CartPole-v1")
    store = tmp_path / "store"
    shutil.copytree(machine.root / "walker", store / "walker")
    second = Machine(tmp_path / "second", store=store)
    second.env = machine.env
    assert second.train().state_sha256 == result.state_sha256
    check_history(second, result)


def test_the_best_score_is_that_of_the_best_checkpoint_wherever_it_lies(tmp_path):
    first = Machine(tmp_path / "first", store=tmp_path / "store")
    changes = {"best_by": "min", "eval_every": "1", "eval_episodes": "5", "keep_last": "99"}
    result = first.train(settings=changes, total_steps=500)
    manifests = [json.loads(path.read_text()) for path in first.files()]
    three = sorted((one for one in manifests if one["score"]), key=lambda one: (one["criterion"], one["step"]))[-3:]
    confirmed = next(one["confirmed"] for one in manifests if one.get("confirmed"))
    assert confirmed["state_sha256"] in {one["state_sha256"] for one in three}
    assert {row["generation"] for row in confirmed["candidates"]} == {one["generation"] for one in three}
    assert result.best_score == confirmed["mean"]
    second = Machine(tmp_path / "second", store=tmp_path / "store")
    second.env = first.env
    assert second.train(settings=changes, total_steps=500).best_score == confirmed["mean"]
    assert len(list(second.files())) == 1
    assert status("walker", root=tmp_path / "third", store=tmp_path / "store")[0]["best_score"] == confirmed["mean"]
