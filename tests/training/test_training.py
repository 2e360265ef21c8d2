"""Training is stopped, killed, moved, extended, branched and damaged, and ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
import torch
from helpers import TINY, flip, snapshot
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from colab_rl import ColabRLError, TrainingResult, UsageError, evaluate, status, train, verify
from colab_rl.checkpoints.manifest import checksum
from colab_rl.cli import main
from colab_rl.environments import repeats, trial
from colab_rl.errors import EnvironmentFault, StorageError
from colab_rl.evaluation.evaluator import EVALUATION_SEED
from colab_rl.runs.identity import Identity
from colab_rl.runs.lock import locked
from colab_rl.settings import parse_settings
from colab_rl.storage import FolderStorage
from colab_rl.training.metrics import from_csv

pytestmark = pytest.mark.usefixtures("one_core", "outlives_sigterm")

# The environments defined below reach the workers by value, as those of a notebook's cell do.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

SETTINGS = parse_settings(TINY)
ENVIRONMENTS = ["CartPole-v1", "BipedalWalker-v3"]
STEPS = 900  # fifteen iterations
TRIALS = {repeats.SEED, repeats.OTHER_SEED, trial.SEED}  # seeds of the episodes that are tried before a run begins
either_environment = pytest.mark.parametrize("env_id", ENVIRONMENTS)


class Meanwhile:
    """A watcher that does something after so many iterations."""

    def __init__(self, iteration: int, deed: Callable[[], object]):
        self.iteration, self.deed = iteration, deed

    def past(self, row: dict) -> None:
        pass

    def goal(self, total_steps: int) -> None:
        pass

    def row(self, row: dict, where: str) -> None:
        if row["iteration"] == self.iteration:
            self.deed()


class Sabotaged(gymnasium.Wrapper):
    """Does what the file `plot` says, `STEP DEED`, when it has taken STEP steps; once, and never without the file."""

    def __init__(self, env: gymnasium.Env, plot: Path):
        super().__init__(env)
        self.plot, self.taken = plot, 0

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        self.taken += 1
        result = self.env.step(action)
        deed = self.due()
        if deed == "kill worker":
            os.kill(os.getpid(), signal.SIGKILL)
        elif deed == "stop trainer":
            os.kill(os.getppid(), signal.SIGTERM)
        elif deed == "nan":
            return result[0], float("nan"), *result[2:]
        elif deed == "vast":
            return result[0], 1e39, *result[2:]
        elif deed == "raise":
            raise RuntimeError("the joint came off")
        return result

    def due(self) -> str:
        try:
            step, deed = self.plot.read_text().split(maxsplit=1)
            if self.taken == int(step):
                self.plot.unlink()
                return deed
        except FileNotFoundError:
            pass
        return ""


class Machine:
    """A folder for runs, and an environment that can be told to misbehave."""

    def __init__(self, folder: Path, env_id: str = "CartPole-v1", store: Path | None = None):
        self.root, self.store, self.plot = folder / "runs", store, folder / "plot"
        plot = self.plot

        def sabotaged() -> gymnasium.Env:
            return Sabotaged(gymnasium.make(env_id), plot)

        self.env = sabotaged

    def train(self, run: str = "walker", deed: str | None = None, **options: Any) -> TrainingResult:
        if deed:
            self.plot.parent.mkdir(parents=True, exist_ok=True)
            self.plot.write_text(deed)
        settings = {**SETTINGS, **options.pop("settings", {})}
        options = {"env": self.env, "settings": settings, "root": self.root, "store": self.store or "none", **options}
        if not {"origin", "source"} & set(options):
            options.setdefault("total_steps", STEPS)
        return train(run, **options)

    def files(self, pattern: str = "checkpoints/*.json", run: str = "walker") -> list[Path]:
        return sorted((self.root / run).glob(pattern))

    def rows(self, run: str = "walker") -> list[dict[str, float]]:
        """The run's metrics, as its newest manifest names them."""
        manifest = json.loads(self.files(run=run)[-1].read_text())
        names = sorted(name for name in {**manifest["history"], **manifest["files"]} if name.startswith("metrics/"))
        return [row for name in names for row in from_csv((self.root / run / name).read_bytes())]

    def shown(self, run: str = "walker", tag: str = "loss/value") -> list[int]:
        """The steps at which TensorBoard shows a point."""
        folder = self.root / "tensorboard" / run
        if not folder.exists():
            return []
        accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
        accumulator.Reload()
        return [event.step for event in accumulator.Scalars(tag)] if tag in accumulator.Tags()["scalars"] else []

    def copy(self, folder: Path) -> Machine:
        """Another machine that holds the same files."""
        shutil.copytree(self.root, folder / "runs")
        other = Machine(folder)
        other.env = self.env
        return other


Undisturbed = Callable[[str], tuple[Machine, TrainingResult]]


@pytest.fixture(scope="module")
def undisturbed(one_core: None, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A run that nothing happened to, for each environment."""
    made: dict[str, tuple[Machine, TrainingResult]] = {}

    def get(env_id: str) -> tuple[Machine, TrainingResult]:
        if env_id not in made:
            machine = Machine(tmp_path_factory.mktemp("undisturbed"), env_id)
            made[env_id] = machine, machine.train()
        return made[env_id]
    return get


@pytest.fixture(scope="module")
def stopped(one_core: None, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine whose run was stopped half-way."""
    machine = Machine(tmp_path_factory.mktemp("stopped"))
    assert machine.train(deed="230 stop trainer").signal_number == signal.SIGTERM
    return machine


def check_history(machine: Machine, result: TrainingResult, run: str = "walker") -> None:
    """Every iteration is there once, in the tables and in TensorBoard."""
    rows = machine.rows(run)
    assert [row["iteration"] for row in rows] == list(range(1, result.iteration + 1))
    assert [row["step"] for row in rows] == sorted({row["step"] for row in rows})
    assert machine.shown(run) == [row["step"] for row in rows]


# ---- stopped and killed --------------------------------------------------------------------------------------------


@either_environment
def test_a_run_stopped_by_sigterm_saves_and_ends_like_one_never_stopped(tmp_path, undisturbed, env_id):
    machine = Machine(tmp_path, env_id)
    first = machine.train(deed="80 stop trainer", settings={"checkpoint_every": "100"})
    assert first.signal_number == signal.SIGTERM and not first.finished
    assert first.iteration == 3  # the one that was interrupted, where no checkpoint was due
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


@contextlib.contextmanager
def session(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command `train` in a process of its own, killed at the end if it still runs."""
    env = {**os.environ, "COLAB_RL_ROOT": str(folder / "runs"), "COLAB_RL_STORE": "none"}
    with subprocess.Popen([sys.executable, "-m", "colab_rl", "train", *arguments], env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def newest_generation(run: Path) -> int:
    return max((int(path.name[:8]) for path in run.glob("checkpoints/[0-9]*.json")), default=0)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120) -> None:
    """Until the condition holds; the process must not end before."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"])
def test_a_signal_saves_and_leaves_with_its_code_and_the_hash_last_and_another_session_is_refused(
        tmp_path, capsys, number, code):
    root = tmp_path / "runs"
    with session(tmp_path, "walker", "--env", "CartPole-v1", "--total-steps", "9000000", "--set", *TINY) as process:
        wait_for(lambda: newest_generation(root / "walker") >= 3, process)
        alarm = threading.Timer(60, os.kill, (os.getpid(), signal.SIGTERM))  # if it were not refused, it would go on
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


# ---- another machine -----------------------------------------------------------------------------------------------


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


# ---- continued, extended, branched ---------------------------------------------------------------------------------


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
    """A function that makes an environment which is told nothing and asks for these actions."""
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


# ---- damage --------------------------------------------------------------------------------------------------------


def newest(machine: Machine, suffix: str = "safetensors", back: int = 1) -> Path:
    return machine.files(f"checkpoints/*.{suffix}")[-back]


def swap(machine: Machine, suffix: str) -> None:
    one, other = newest(machine, suffix), newest(machine, suffix, 2)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def transplant(machine: Machine, other: Machine) -> None:
    """The newest checkpoint of another run, laid among those of this one."""
    for path in (newest(other), newest(other, "json"), other.files("metrics/*.csv")[-1]):
        shutil.copy(path, machine.root / "walker" / path.parent.name)


DAMAGES: dict[str, Callable[[Machine], Any]] = {
    "state cut": lambda machine: os.truncate(newest(machine), 1000),
    "state empty": lambda machine: newest(machine).write_bytes(b""),
    "one bit of the state": lambda machine: flip(newest(machine), 2000),
    "state gone": lambda machine: newest(machine).unlink(),
    "manifest cut": lambda machine: os.truncate(newest(machine, "json"), 100),
    "one digit of the manifest": lambda machine: newest(machine, "json").write_bytes(
        newest(machine, "json").read_bytes().replace(b'"iteration": ', b'"iteration": 1')),
    "two states swapped": lambda machine: swap(machine, "safetensors"),
    "two manifests swapped": lambda machine: swap(machine, "json"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_newest_checkpoint_costs_one_interval_and_is_kept_to_look_at(
        tmp_path, stopped, undisturbed, capsys, damage):
    machine = stopped.copy(tmp_path)
    damage(machine)
    damaged = {path.name: path.read_bytes() for path in (newest(machine), newest(machine, "json"))}
    generation = newest_generation(machine.root / "walker")
    last = machine.train()
    assert last.state_sha256 == undisturbed("CartPole-v1")[1].state_sha256
    check_history(machine, last)
    errors = capsys.readouterr().err
    assert "skipping a checkpoint" in errors
    assert not re.search(rf"continuing from generation {generation} ", errors)
    aside = {path.name: path.read_bytes() for path in (machine.root / "walker" / "checkpoints").glob("*.bad")}
    assert f"{newest_name(damaged, generation)}.bad" in aside
    for name, data in damaged.items():
        if name.startswith(f"{generation:08d}"):
            assert aside[f"{name}.bad"] == data
    assert verify("walker", root=machine.root, store="none")["bad"] == []


def newest_name(names: Any, generation: int) -> str:
    return next(name for name in names if name.startswith(f"{generation:08d}") and name.endswith(".json"))


def test_a_checkpoint_of_another_run_is_not_taken_for_this_ones(tmp_path, stopped, undisturbed):
    other, result = undisturbed("CartPole-v1")
    machine = stopped.copy(tmp_path)
    transplant(machine, other)
    last = machine.train()
    assert last.state_sha256 == result.state_sha256
    assert (machine.root / "walker" / "checkpoints" / f"{newest(other, 'json').name}.bad").exists()
    check_history(machine, last)


def test_a_whole_checkpoint_in_the_store_saves_even_the_interval_and_the_damaged_one_is_kept(tmp_path, undisturbed):
    machine = Machine(tmp_path, store=tmp_path / "store")
    first = machine.train(deed="230 stop trainer")
    assert first.pending == 0
    flip(newest(machine), 2000)
    name, data = newest(machine).name, newest(machine).read_bytes()
    last = machine.train()
    assert last.state_sha256 == undisturbed("CartPole-v1")[1].state_sha256
    assert newest(machine, "safetensors.bad").name == f"{name}.bad"
    assert newest(machine, "safetensors.bad").read_bytes() == data
    check_history(machine, last)


def test_a_damaged_old_table_leaves_a_gap_in_the_curves_and_nothing_else(tmp_path, stopped, undisturbed, capsys):
    machine = stopped.copy(tmp_path)
    table = machine.files("metrics/*.csv")[2]
    flip(table)
    last = machine.train()
    assert last.state_sha256 == undisturbed("CartPole-v1")[1].state_sha256
    assert f"{table.name} is missing or damaged" in capsys.readouterr().err
    assert len(machine.shown()) == last.iteration - 1


@pytest.mark.parametrize("damage", ["states cut", "states gone", "manifests cut", "manifests gone"])
def test_where_every_checkpoint_is_damaged_the_run_stops_and_nothing_is_deleted(tmp_path, stopped, capsys, damage):
    machine = stopped.copy(tmp_path)
    what, how = damage.split()
    for path in machine.files(f"checkpoints/*.{'json' if what == 'manifests' else 'safetensors'}"):
        if how == "cut":
            os.truncate(path, 50)
        else:
            path.unlink()
    before = snapshot(machine.root / "walker")
    with pytest.raises(ColabRLError, match="nothing was deleted") as caught:
        machine.train()
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)
    assert snapshot(machine.root / "walker") == before


# ---- what goes wrong outside ---------------------------------------------------------------------------------------


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


# ---- the folder ----------------------------------------------------------------------------------------------------


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
