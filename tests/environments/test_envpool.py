"""EnvPool: a run on it ends as if nothing had happened, and its environments are gymnasium's."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from helpers import TINY, changed

from colab_rl import TrainingResult, status, train
from colab_rl.algorithms.episode_tracker import EpisodeTracker
from colab_rl.checkpoints.serialization import deserialize
from colab_rl.cli import main
from colab_rl.environments import describe, envpool_vector
from colab_rl.environments.envpool_vector import EnvPoolVectorEnvironment, reason_without_envpool
from colab_rl.errors import EnvironmentFault
from colab_rl.settings import parse_settings

pytestmark = pytest.mark.usefixtures("one_core", "outlives_sigterm")

envpool = pytest.importorskip("envpool")

# Regular checkpoints every five iterations; between them one at each new best score.
SETTINGS = changed(TINY, "checkpoint_every=5", "keep_last=20")
ENVIRONMENTS = ["CartPole-v1", "BipedalWalker-v3"]
STEPS = 900  # fourteen iterations or more
SHORT = {"max_episode_steps": 5 * 32 // envpool_vector.LIFE}  # a pool lasts for five iterations


def go(root: Path, run: str = "walker", *settings: str, **options: Any) -> TrainingResult:
    """Trains in this process, by default the run that `undisturbed` holds."""
    options = {"env": "CartPole-v1", "env_kwargs": SHORT, "algo": "ppo", "store": "none", "total_steps": STEPS,
               **options}
    return train(run, root=root, settings=parse_settings(changed(SETTINGS, *settings)), **options)


def states(root: Path, run: str = "walker") -> list[dict[str, Any]]:
    """The training states in the run's checkpoints, oldest first."""
    return [deserialize(path.read_bytes()) for path in sorted((root / run).glob("checkpoints/*.safetensors"))]


def places(root: Path) -> list[tuple[int, int, int]]:
    """Iteration, pool and steps in it of every checkpoint, oldest first."""
    return [(state["iteration"], state["envs"]["segment"], len(state["envs"]["actions"])) for state in states(root)]


class SteppedPool:
    """A pool of EnvPool's that ends its steps by a function of the pool."""

    def __init__(self, pool: Any, recv: Callable[[Any], Any]):
        self.pool = pool
        self.recv = functools.partial(recv, pool)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pool, name)


@contextlib.contextmanager
def pools_stepped_by(recv: Callable[[Any], Any]) -> Iterator[None]:
    make = envpool.make
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(envpool, "make", lambda *arguments, **options: SteppedPool(make(*arguments, **options), recv))
        yield


def stopped_at(number: int) -> contextlib.AbstractContextManager[None]:
    """SIGTERM comes at the step of that number, counted over all pools."""
    numbers = itertools.count(1)

    def recv(pool: Any) -> Any:
        if next(numbers) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return pool.recv()

    return pools_stepped_by(recv)


@pytest.fixture(scope="module")
def undisturbed(one_core: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TrainingResult]:
    """The result of a run that nothing happened to, for each environment."""
    made: dict[str, TrainingResult] = {}

    def get(env_id: str) -> TrainingResult:
        if env_id not in made:
            made[env_id] = go(tmp_path_factory.mktemp("undisturbed"), env=env_id)
        return made[env_id]
    return get


# ---- exact ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_a_run_stopped_between_regular_checkpoints_replays_and_ends_like_one_never_stopped(
        tmp_path, undisturbed, capsys, env_id):
    # In the first pool; in the one that iteration 5 began; and where iteration 10 has just begun one. A session
    # counts the 32 steps of each of its iterations, and what it replays before.
    for step, place in (70, (3, 0, 3 * 32)), (3 * 32 + 4 * 32 + 10, (8, 5, 3 * 32)), (3 * 32 + 32 + 10, (10, 10, 0)):
        with stopped_at(step):
            assert go(tmp_path, env=env_id).signal_number == signal.SIGTERM
        assert places(tmp_path)[-1] == place
    assert {(4, 0, 4 * 32), (5, 5, 0)} <= set(places(tmp_path))  # the best so far, and a regular checkpoint
    last = go(tmp_path, env=env_id)
    assert last.finished and last.state_sha256 == undisturbed(env_id).state_sha256
    capsys.readouterr()
    assert main(["status", "walker", "--json", "--root", str(tmp_path), "--store", "none"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["exact"], found["backend"], found["state_sha256"]) == (True, "envpool", last.state_sha256)


def test_a_run_killed_at_random_moments_ends_like_one_never_killed_on_a_machine_with_the_store_alone(tmp_path):
    steps, store, chance = 5000, tmp_path / "store", random.Random(0)
    settings = ["checkpoint_every=3", "eval_every=10", "eval_episodes=1"]
    expected = go(tmp_path / "other", "walker", *settings, env="BipedalWalker-v3", total_steps=steps)
    command = [sys.executable, "-m", "colab_rl", "train", "walker", "--algo", "ppo", "--backend", "envpool",
               "--env-set", *(f"{name}={value}" for name, value in SHORT.items()),
               "--total-steps", str(steps), "--root", str(tmp_path / "runs"), "--store", str(store),
               "--set", *changed(SETTINGS, *settings)]
    for generation in (1, chance.randint(4, 7), chance.randint(11, 15)):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 120
            while not list((store / "walker").glob(f"checkpoints/{generation:08}-*.json")):
                assert process.poll() is None and time.monotonic() < deadline, process.communicate()
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.1))  # a random moment of an iteration
            process.kill()
            assert process.wait() == -signal.SIGKILL
    shutil.rmtree(tmp_path / "runs")
    last = go(tmp_path / "bare", "walker", *settings, env=None, total_steps=steps, store=store)
    assert last.finished and last.state_sha256 == expected.state_sha256
    found = status("walker", root=tmp_path / "third", store=store)[0]
    assert (found["exact"], found["backend"], found["pending"]) == (True, "envpool", 0)


@pytest.mark.parametrize("fault", [None, EnvironmentFault("CartPole-v1 returned nan in a reward")],
                         ids=["another observation", "a fault"])
def test_a_pool_that_does_not_repeat_is_reported_and_another_one_begins(monkeypatch, fault):
    with EnvPoolVectorEnvironment("CartPole-v1", describe("CartPole-v1"), 2) as envs:
        envs.reset()
        for _ in range(5):
            envs.step(np.zeros(2, np.int64))
        saved = envs.snapshot()
        if fault:
            monkeypatch.setattr(envs, "step", lambda row: (_ for _ in ()).throw(fault))
        assert envs.restore({**saved, "actions": 1 - saved["actions"]}) == \
            ["EnvPool does not repeat CartPole-v1 from its seeds and actions"]
        monkeypatch.undo()
        others = envs.snapshot()
        assert others["segment"] == saved["segment"] + 1 and len(others["actions"]) == 0 and not envs.ended.any()
        envs.step(np.zeros(2, np.int64))
        again = envs.snapshot()
        assert envs.restore(again) == [] and np.array_equal(envs.observations, again["observations"])


# ---- renewed at regular checkpoints --------------------------------------------------------------------------------


def story(envs: EnvPoolVectorEnvironment, steps: int = 120) -> bytes:
    """All that an environment with four actions gives for the same random ones."""
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, envs.num_envs, 4)).astype(np.float32)
    return b"".join(array.tobytes() for row in actions for array in envs.step(row))


def test_renewed_environments_depend_on_the_seed_and_the_index_alone():
    walker = describe("BipedalWalker-v3")
    stories = {}
    for seed in (0, 1):
        with EnvPoolVectorEnvironment("BipedalWalker-v3", walker, 3, seed) as envs:
            envs.reset()
            stories[seed, "first"] = story(envs)
            for index in (5, 10):
                envs._taken = 10**6
                assert envs.renew(index) is True and not envs.ended.any()
                stories[seed, index] = story(envs)
    assert len(set(stories.values())) == 6
    with EnvPoolVectorEnvironment("BipedalWalker-v3", walker, 3, seed=1) as envs:
        envs._taken = 10**6
        envs.renew(10)
        assert story(envs) == stories[1, 10]
        assert len({row.tobytes() for row in envs.reset()}) == 3  # each environment has a seed of its own


def test_the_number_of_threads_changes_nothing(monkeypatch):
    stories = []
    for cores in (1, 2, 4):
        monkeypatch.setattr(os, "sched_getaffinity", lambda process, cores=cores: set(range(cores)))
        before = len(os.listdir("/proc/self/task"))
        with EnvPoolVectorEnvironment("BipedalWalker-v3", describe("BipedalWalker-v3"), 4) as envs:
            envs.reset()
            assert len(os.listdir("/proc/self/task")) - before == cores + 1  # and one that watches the queue
            stories.append(story(envs))
    assert stories[0] == stories[1] == stories[2]


@pytest.mark.parametrize(("life", "renewed"), [(1, [0, 5, 10, 10]), (2, [0, 0, 10, 10])])
def test_a_pool_lasts_for_some_time_limits_however_often_checkpoints_come(tmp_path, monkeypatch, life, renewed):
    # 250 steps between checkpoints, and an episode takes 200.
    monkeypatch.setattr(envpool_vector, "LIFE", life)
    go(tmp_path, "walker", "num_steps=50", "eval_every=100", "score_episodes=0", env="Pendulum-v1", env_kwargs=None,
       total_steps=1250)
    assert [segment for _, segment, _ in places(tmp_path)] == renewed


@pytest.mark.parametrize(("backend", "ended"), [("envpool", 4), ("gymnasium", 6)])
def test_episodes_cut_off_by_a_renewal_are_in_no_statistic(tmp_path, monkeypatch, backend, ended):
    # An episode takes 200 steps and a row that only resets, and there are 650. On EnvPool only one fits into the 250
    # steps of a pool, and what runs into the next one would be 249 long; gymnasium's continue.
    monkeypatch.setattr(envpool_vector, "LIFE", 1)
    go(tmp_path, "walker", "num_steps=50", "eval_every=100", env="Pendulum-v1", env_kwargs=None, total_steps=1250,
       backend=backend)
    algorithms = {state["iteration"]: state["algorithm"] for state in states(tmp_path)}
    assert list(algorithms) == [0, 5, 10, 13]
    assert algorithms[13]["episodes"]["recent_lengths"].tolist() == [200] * ended
    assert (algorithms[13]["episodes"]["recent_returns"] < -100).all()
    for iteration in (5, 10, 13):
        running = [algorithms[iteration]["episodes"]["returns"], algorithms[iteration]["episodes"]["lengths"],
                   algorithms[iteration]["reward_normalizer"]["discounted"]]
        assert [bool(sums.all()) for sums in running] == [backend == "gymnasium" or iteration == 13] * 3
        assert [bool(sums.any()) for sums in running] == [backend == "gymnasium" or iteration == 13] * 3


def test_a_cut_forgets_the_episodes_that_run_and_keeps_those_that_ended():
    tracker, valid = EpisodeTracker(2), np.ones((3, 2), bool)
    tracker.update(np.full((3, 2), 5.0), valid, np.array([[0, 0], [1, 0], [0, 0]], bool))
    tracker.cut()
    assert tracker.metrics() == {"episode/return": 10, "episode/length": 2}
    tracker.update(np.full((3, 2), 1.0), valid, np.array([[0, 0], [0, 0], [1, 1]], bool))
    assert tracker.recent_returns.tolist() == [10, 3, 3] and tracker.recent_lengths.tolist() == [2, 3, 3]


# ---- gymnasium's environments --------------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", [*ENVIRONMENTS, "Pendulum-v1", "LunarLander-v3"])
@pytest.mark.filterwarnings("ignore:.*precision lowered")
def test_the_spaces_are_gymnasiums(env_id):
    theirs, ours = gymnasium.make(env_id), envpool.make_spec(env_id)
    assert ours.action_space == theirs.action_space
    assert ours.observation_space.shape == theirs.observation_space.shape
    assert ours.observation_space.dtype == theirs.observation_space.dtype


def balance(observations: np.ndarray) -> np.ndarray:
    """Pushes the cart to where its pole leans."""
    return (observations @ np.array([0.02, 0.1, 1, 0.5]) > 0).astype(np.int64)


@pytest.mark.parametrize(("env_id", "act", "length"), [
    ("Pendulum-v1", lambda obs: np.zeros((len(obs), 1), np.float32), 200),
    ("MountainCar-v0", lambda obs: np.ones(len(obs), np.int64), 200),
    ("CartPole-v1", balance, 500),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_time_limit_is_gymnasiums_and_a_truncation(env_id, act, length):
    with EnvPoolVectorEnvironment(env_id, describe(env_id), 2) as envs:
        envs.reset()
        steps = [envs.step(act(envs.observations)) for _ in range(length)]
    assert [t + 1 for t, step in enumerate(steps) if step.truncated.any()] == [length]
    assert steps[-1].truncated.all() and not any(step.terminated.any() for step in steps)


def test_a_walker_that_falls_is_terminated_with_gymnasiums_penalty():
    with EnvPoolVectorEnvironment("BipedalWalker-v3", describe("BipedalWalker-v3"), 2) as envs:
        envs.reset()
        while not envs.ended.all():  # with all joints stretched both fall in one step
            step = envs.step(np.ones((2, 4), np.float32))
            assert (step.rewards[~step.terminated] > -5).all()
    assert step.terminated.all() and not step.truncated.any() and (step.rewards == -100).all()


def test_a_pole_moves_and_falls_as_gymnasiums():
    theirs: Any = gymnasium.make("CartPole-v1").unwrapped
    theirs.reset()
    with EnvPoolVectorEnvironment("CartPole-v1", describe("CartPole-v1"), 1) as envs:
        theirs.state = envs.reset()[0].astype(np.float64)
        for action in np.random.default_rng(0).integers(2, size=200):
            step, (observation, reward, terminated, _, _) = envs.step(np.array([action])), theirs.step(action)
            np.testing.assert_allclose(step.observations[0], observation, atol=1e-4)
            assert (step.rewards[0], step.terminated[0], step.truncated[0]) == (reward, terminated, False)
            if terminated:
                break
    assert terminated


@pytest.mark.parametrize("what", ["an observation", "a reward"])
@pytest.mark.parametrize("number", [np.nan, np.inf], ids=str)
def test_a_number_that_is_none_is_named_with_environment_and_step(what, number):
    steps = 0  # of the second environment's episode

    def recv(pool: Any) -> Any:
        nonlocal steps
        result = pool.recv()
        steps += 1
        if not after_an_end and (result[2] | result[3])[1]:
            after_an_end.append(steps)
            steps = -1  # the step that only resets
        elif after_an_end and steps == 3:
            result[what == "a reward"][1, ...] = number
        return result

    after_an_end: list[int] = []
    with pools_stepped_by(recv), EnvPoolVectorEnvironment("CartPole-v1", describe("CartPole-v1"), 2) as envs:
        envs.reset()
        with pytest.raises(EnvironmentFault) as caught:
            for _ in range(100):
                envs.step(np.zeros(2, np.int64))
    assert str(caught.value) == f"CartPole-v1 returned {number} in {what} (environment 1, step 3)"


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_no_warning_of_envpools_spaces_reaches_a_person(env_id):
    spaces = describe(env_id)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reason_without_envpool(env_id, spaces) is None
        with EnvPoolVectorEnvironment(env_id, spaces, 2) as envs:
            envs.reset()
            envs._taken = 10**6
            assert envs.renew(5)
            envs.step(np.zeros((2, *spaces.action_shape), spaces.action_dtype))
