"""What every vector environment promises, and what is Gymnasium's own."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.classic_control import CartPoleEnv

from colab_rl.algorithms.action_range import ActionRange
from colab_rl.environments import StepResult, VectorEnvironment, describe, make_environment
from colab_rl.environments.envpool_vector import EnvPoolVectorEnvironment
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.environments.seeds import begin_episode, episode_seed
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import EnvironmentFault, UsageError
from colab_rl.evaluation.evaluator import Evaluator

# Another backend joins the shared suite by an entry here.
BACKENDS: dict[str, Callable[..., VectorEnvironment]] = {
    "gymnasium": GymnasiumVectorEnvironment, "envpool": EnvPoolVectorEnvironment}
# The environments defined below reach the workers by value, as those of a notebook's cell do.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

ENVIRONMENTS = ["CartPole-v1", "BipedalWalker-v3", "LunarLander-v3", "Pendulum-v1"]
SEED = 3
every_backend = pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
every_environment = pytest.mark.parametrize("env_id", ENVIRONMENTS)
describe_once = functools.cache(describe)


class Recorded:
    """A step's result, copied out of the arrays that the next step overwrites."""

    def __init__(self, step: StepResult, ended: np.ndarray):
        self.observations, self.rewards, self.terminated, self.truncated = (array.copy() for array in step)
        self.ended = ended.copy()

    def __eq__(self, other: object) -> bool:
        return all(mine.tobytes() == theirs.tobytes()
                   for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True))


def actions_of(shape: Spaces, num_envs: int, steps: int, seed: int = 0) -> np.ndarray:
    """(steps, num_envs, ...) actions; each is held a few steps, so that the environments get somewhere."""
    rng = np.random.default_rng(seed)
    if shape.discrete:
        drawn = rng.integers(shape.action_dim, size=(steps, num_envs)) + shape.first_action
    else:
        drawn = rng.uniform(shape.action_low, shape.action_high, (steps, num_envs, shape.action_dim))
    return drawn[np.arange(steps) // 4 * 4].astype(shape.action_dtype)


def drive(envs: VectorEnvironment, actions: np.ndarray) -> list[Recorded]:
    return [Recorded(envs.step(row), envs.ended) for row in actions]


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Looks again and again; whether it came true before the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def children_of(pid: int | str) -> list[int]:
    return [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextlib.contextmanager
def gymnasium_environments(source: Any, num_envs: int = 2, **options: Any) -> Iterator[GymnasiumVectorEnvironment]:
    with GymnasiumVectorEnvironment(source, describe(source), num_envs, **{"num_workers": 1, **options}) as envs:
        yield envs


# ---- every backend -------------------------------------------------------------------------------------------------


@every_backend
@every_environment
def test_arrays_have_the_shapes_and_types_that_are_promised(backend, env_id):
    shape = describe_once(env_id)
    with backend(env_id, shape, 3, seed=SEED) as envs:
        first = envs.reset()
        assert first.shape == envs.observations.shape == (3, shape.observation.shape[0]) and first.dtype == np.float32
        assert envs.num_envs == 3 and not envs.ended.any()
        for step in drive(envs, actions_of(shape, 3, 5)):
            assert step.observations.shape == (3, shape.observation.shape[0]) and step.observations.dtype == np.float32
            assert step.rewards.shape == (3,) and step.rewards.dtype == np.float64
            for flags in (step.terminated, step.truncated, step.ended):
                assert flags.shape == (3,) and flags.dtype == bool
            assert np.isfinite(step.observations).all() and np.isfinite(step.rewards).all()


@every_backend
@every_environment
def test_the_step_after_an_end_ignores_its_action_and_begins_the_next_episode(backend, env_id):
    shape = describe_once(env_id)
    with backend(env_id, shape, 3, seed=SEED) as envs:
        envs.reset()
        ended, ends = np.zeros(3, bool), 0
        for step in drive(envs, actions_of(shape, 3, 420)):
            assert not step.rewards[ended].any()
            assert not (step.terminated | step.truncated)[ended].any()
            np.testing.assert_array_equal(step.ended, step.terminated | step.truncated)
            ended, ends = step.ended, ends + step.ended.sum()
        assert ends >= 3


@every_backend
def test_the_action_of_a_row_that_only_resets_changes_nothing(backend):
    shape = describe_once("CartPole-v1")
    actions = actions_of(shape, 2, 150)
    with backend("CartPole-v1", shape, 2, seed=SEED) as envs:
        envs.reset()
        before = drive(envs, actions)
        resets = np.array([np.zeros(2, bool), *(step.ended for step in before[:-1])])
        actions[resets] = 1 - actions[resets]
        envs.reset()
        assert drive(envs, actions) == before
    assert resets.any()


@every_backend
def test_truncation_is_told_from_termination(backend):
    shape = describe_once("Pendulum-v1")
    with backend("Pendulum-v1", shape, 2, seed=SEED) as envs:
        envs.reset()
        steps = drive(envs, actions_of(shape, 2, 402))
    assert [t + 1 for t, step in enumerate(steps) if step.truncated.any()] == [200, 401]  # 201 only resets
    assert steps[199].truncated.all() and steps[199].ended.all()
    assert not any(step.terminated.any() for step in steps)

    shape = describe_once("CartPole-v1")
    with backend("CartPole-v1", shape, 2, seed=SEED) as envs:
        envs.reset()
        steps = drive(envs, actions_of(shape, 2, 100))
    assert any(step.terminated.any() for step in steps)
    assert not any(step.truncated.any() for step in steps)


@every_backend
@every_environment
def test_reset_begins_the_first_episodes_again(backend, env_id):
    shape = describe_once(env_id)
    actions = actions_of(shape, 3, 60)
    with backend(env_id, shape, 3, seed=SEED) as envs:
        first = envs.reset().copy()
        before = drive(envs, actions)
        np.testing.assert_array_equal(envs.reset(), first)
        assert drive(envs, actions) == before


@every_backend
@every_environment
@pytest.mark.parametrize("when", ["in the middle of an episode", "at an end", "after a reset"])
def test_a_snapshot_goes_on_exactly_here_and_in_fresh_environments(backend, env_id, when):
    shape = describe_once(env_id)
    actions = actions_of(shape, 3, 1500)
    with backend(env_id, shape, 3, seed=SEED) as envs, backend(env_id, shape, 3, seed=SEED) as others:
        envs.reset()
        ended, taken = np.zeros(3, bool), 0
        for taken in range(1, 500):
            step = drive(envs, actions[taken - 1:taken])[0]
            if taken > 20 and {"in the middle of an episode": not step.ended.any(), "at an end": step.ended.any(),
                               "after a reset": ended.any()}[when]:
                break
            ended = step.ended
        else:
            pytest.fail(f"{env_id} was never {when}")
        snapshot, observations = envs.snapshot(), envs.observations.copy()
        kept = copy.deepcopy(snapshot)
        after, ends = [], 0
        while ends < 3:
            after += drive(envs, actions[taken + len(after):][:1])
            ends += int(after[-1].ended.sum())
        after += drive(envs, actions[taken + len(after):][:5])
        assert all(np.array_equal(snapshot[name], array) for name, array in kept.items())  # not views

        others.reset()
        for again in (envs, others):
            drive(again, actions[:3])
            assert again.restore(snapshot) == []
            np.testing.assert_array_equal(again.observations, observations)
            assert drive(again, actions[taken:taken + len(after)]) == after


@every_backend
def test_a_snapshot_of_the_very_first_observation_goes_on_exactly(backend):
    shape = describe_once("BipedalWalker-v3")
    actions = actions_of(shape, 2, 30)
    with backend("BipedalWalker-v3", shape, 2, seed=SEED) as envs:
        envs.reset()
        snapshot = envs.snapshot()
        after = drive(envs, actions)
        assert envs.restore(snapshot) == []
        assert drive(envs, actions) == after


@every_backend
def test_a_snapshot_of_a_restored_snapshot_is_the_same(backend):
    shape = describe_once("LunarLander-v3")
    with backend("LunarLander-v3", shape, 3, seed=SEED) as envs:
        envs.reset()
        drive(envs, actions_of(shape, 3, 130))
        snapshot = envs.snapshot()
        drive(envs, actions_of(shape, 3, 20))
        envs.restore(snapshot)
        again = envs.snapshot()
    assert snapshot.keys() == again.keys()
    assert all(np.array_equal(snapshot[name], again[name]) for name in snapshot)


@every_backend
def test_closing_twice_is_no_error(backend):
    envs = backend("CartPole-v1", describe_once("CartPole-v1"), 2)
    envs.close()
    envs.close()


# ---- gymnasium in worker processes ---------------------------------------------------------------------------------


def single_environment(env_id: str, slot: int, actions: np.ndarray) -> Iterator[tuple[Any, float, bool, bool]]:
    """A plain gymnasium environment, made anew for each episode, with its own autoreset."""
    env, episode, done = gymnasium.make(env_id), 0, False
    env.reset(seed=episode_seed(SEED, slot, 0))
    for action in actions:
        if done:
            env.close()
            env, episode = gymnasium.make(env_id), episode + 1
            observation, reward, terminated, truncated = env.reset(seed=episode_seed(SEED, slot, episode))[0], 0, 0, 0
        else:
            observation, reward, terminated, truncated, _ = env.step(action)
        done = bool(terminated or truncated)
        yield np.asarray(observation, np.float32), float(reward), bool(terminated), bool(truncated)
    env.close()


@pytest.mark.parametrize("env_id", [*ENVIRONMENTS, "BipedalWalkerHardcore-v3"])
def test_trajectories_are_those_of_a_single_plain_environment(env_id):
    shape = describe_once(env_id)
    actions = actions_of(shape, 3, 420)
    with gymnasium_environments(env_id, 3, seed=SEED, num_workers=2) as envs:
        first = envs.reset().copy()
        steps = drive(envs, actions)
    assert sum(step.ended.sum() for step in steps) >= 3
    for slot in range(3):
        env = gymnasium.make(env_id)
        np.testing.assert_array_equal(first[slot], env.reset(seed=episode_seed(SEED, slot, 0))[0])
        env.close()
        for step, (observation, *rest) in zip(steps, single_environment(env_id, slot, actions[:, slot]), strict=True):
            np.testing.assert_array_equal(step.observations[slot], observation)
            assert [step.rewards[slot], step.terminated[slot], step.truncated[slot]] == rest


def test_the_number_of_workers_changes_nothing_and_a_snapshot_moves_between_them():
    shape = describe_once("BipedalWalker-v3")
    actions = actions_of(shape, 5, 400)
    stories, restored = [], []
    with gymnasium_environments("BipedalWalker-v3", 5, seed=SEED, num_workers=1) as envs:
        envs.reset()
        drive(envs, actions[:150])
        snapshot = envs.snapshot()
    for workers in (1, 2, 3, 99):
        with gymnasium_environments("BipedalWalker-v3", 5, seed=SEED, num_workers=workers) as envs:
            assert len(envs._workers) == min(workers, 5)
            assert envs.restore(snapshot) == []
            restored.append(drive(envs, actions[150:]))
            if workers < 3:
                envs.reset()
                stories.append(drive(envs, actions))
    assert all(story == restored[0] for story in restored)
    assert stories[0] == stories[1] and stories[0][150:] == restored[0]
    assert sum(step.ended.sum() for step in restored[0]) >= 3


def test_hardcore_terrain_restores_exactly():
    shape = describe_once("BipedalWalkerHardcore-v3")
    actions = actions_of(shape, 2, 500)
    with gymnasium_environments("BipedalWalkerHardcore-v3", seed=SEED) as envs:
        envs.reset()
        drive(envs, actions[:90])
        snapshot = envs.snapshot()
        after = drive(envs, actions[90:])
        assert envs.restore(snapshot) == []
        assert drive(envs, actions[90:]) == after
    assert sum(step.ended.sum() for step in after) >= 3


def test_each_slot_and_each_episode_has_a_seed_of_its_own():
    seeds = {episode_seed(seed, slot, episode) for seed in range(5) for slot in range(20) for episode in range(50)}
    assert len(seeds) == 5 * 20 * 50
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_slot_without_a_seed_stays_idle_and_the_others_go_on():
    shape = describe_once("CartPole-v1")
    with gymnasium_environments("CartPole-v1", 2, seeds=lambda slot, episode: 7 if slot == 0 else -1) as envs:
        envs.reset()
        assert envs.ended.tolist() == [False, True]
        steps = drive(envs, actions_of(shape, 2, 100))
    assert all(step.ended[1] and step.rewards[1] == 0 for step in steps)
    assert sum(step.ended[0] for step in steps) > 1


class Small(gymnasium.Env):
    """Observations count the episode's steps; episodes are over after `length` of them."""

    observation_space = spaces.Box(-100, 100, (2,), np.float32)
    action_space = spaces.Discrete(2)
    length = 10

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.steps = 0
        return self.observation(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.steps += 1
        return self.observation(), self.reward(action), self.steps == self.length, False, {}

    def observation(self) -> np.ndarray:
        return np.full(2, self.steps, np.float32)

    def reward(self, action: Any) -> float:
        return 1.0


@pytest.mark.parametrize("end", ["another observation", "ends earlier", "raises", "another shape", "leaves", "dies"])
@pytest.mark.parametrize("num_envs", [1, 5])
def test_an_episode_that_does_not_come_again_is_reported_and_the_next_ones_begin(tmp_path, end, num_envs):
    """Whatever the replay runs into; with one worker and with two, some of whose episodes come again."""
    happens = tmp_path / "happens"

    class Unrepeatable(Small):
        length = 50

        def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
            observation, reward, terminated, truncated, info = super().step(action)
            if happens.exists() and self.steps == 3:
                if end == "raises":
                    raise RuntimeError("call reset() first")
                if end in ("leaves", "dies"):
                    sys.exit(3) if end == "leaves" else os._exit(3)
                observation = observation[:1] if end == "another shape" else observation + 1
                self.steps += 1  # and so all that follow are others
            return observation, reward, terminated or (end == "ends earlier" and happens.exists()), truncated, info

    with gymnasium_environments(lambda: Unrepeatable(), num_envs, num_workers=2) as envs:
        envs.reset()
        zeros = np.zeros(num_envs, np.int64)
        drive(envs, np.zeros((4, num_envs), np.int64))
        snapshot, journal = envs.snapshot(), envs._journal.episodes.copy()
        happens.touch()
        reasons = envs.restore(snapshot)
        assert len(reasons) == 1 and reasons[0].endswith("<lambda> does not repeat an episode from its seed and "
                                                         "actions")
        # Other episodes than those that ran have begun, and go on; they come again if the environment does.
        assert np.array_equal(envs._journal.episodes, journal + 1) and not envs.ended.any()
        assert not envs.observations.any()
        happens.unlink()
        drive(envs, np.zeros((7, num_envs), np.int64))
        again = envs.snapshot()
        envs.step(zeros)
        assert envs.restore(again) == [] and np.array_equal(envs.observations, again["observations"])
    assert wait_until(lambda: not workers_of_this_process())


def test_an_environment_that_raises_says_what_and_where():
    class Broken(Small):
        def reward(self, action: Any) -> float:
            if self.steps == 3:
                raise RuntimeError("the joint came off")
            return 1.0

    with gymnasium_environments(lambda: Broken()) as envs:
        envs.reset()
        drive(envs, np.zeros((2, 2), np.int64))
        with pytest.raises(EnvironmentFault) as caught:
            envs.step(np.zeros(2, np.int64))
    message = str(caught.value)
    assert "RuntimeError: the joint came off" in message
    assert f'({__file__}, line' in message
    assert "\n" not in message


def test_an_environment_that_raises_with_several_lines_of_text_keeps_the_first():
    class Broken(Small):
        def reward(self, action: Any) -> float:
            raise RuntimeError("the joint came off\nFile a report, please")

    with gymnasium_environments(lambda: Broken()) as envs:
        envs.reset()
        with pytest.raises(EnvironmentFault) as caught:
            envs.step(np.zeros(2, np.int64))
    assert "RuntimeError: the joint came off" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("number", "what"), [(np.nan, "observation"), (np.inf, "observation"), (np.nan, "reward"),
                                              (-np.inf, "reward"), (-3.5e38, "reward"), (1e308, "reward")])
def test_a_number_that_is_none_is_named_with_slot_seed_and_step(what, number):
    class Broken(Small):
        """In the second episode of slot 1, at step 4."""

        def reset(self, **options: Any) -> tuple[np.ndarray, dict]:
            self.broken = options["seed"] == 111
            return super().reset(**options)

        def observation(self) -> np.ndarray:
            bad = what == "observation" and self.broken and self.steps == 4
            return np.array([0.0, number if bad else 1.0], np.float32)

        def reward(self, action: Any) -> float:
            return number if what == "reward" and self.broken and self.steps == 4 else 1.0

    snapshot = None
    for _ in range(2):  # and by what restores the episode
        with gymnasium_environments(lambda: Broken(), 3, seeds=lambda slot, episode: 110 * episode + slot) as envs:
            if snapshot is None:
                envs.reset()
                drive(envs, np.zeros((11 + 3, 3), np.int64))
                snapshot = envs.snapshot()
            else:
                assert envs.restore(snapshot) == []
            with pytest.raises(EnvironmentFault) as caught:
                envs.step(np.zeros(3, np.int64))
        message = str(caught.value)
        assert f" returned {number} in a" in message and what in message
        assert (", beyond the 3.4e+38 of a float32 (" in message) is bool(np.isfinite(number))
        assert "environment 1," in message and "episode seed 111," in message and "step 4)" in message


def test_a_number_that_is_none_is_named_with_its_seed_in_an_evaluation_too():
    class Broken(Small):
        def reset(self, **options: Any) -> tuple[np.ndarray, dict]:
            self.broken = options["seed"] == 53
            return super().reset(**options)

        def reward(self, action: Any) -> float:
            return np.nan if self.broken and self.steps == 4 else 1.0

    def source() -> gymnasium.Env:
        return Broken()

    # Six episodes in two slots: the one that breaks is not the newest that began, and others wait.
    with contextlib.closing(Evaluator(source, describe(source), slots=2)) as evaluator, pytest.raises(
            EnvironmentFault, match=r"nan in a reward \(environment \d, episode seed 53, step 4\)$"):
        evaluator.evaluate(lambda observations: np.zeros(len(observations), np.int64), episodes=6, seed=50)


@pytest.mark.parametrize(("returned", "words"), [
    (np.ones(1, np.float32), "ndarray of shape (1,)"), (np.ones((1, 2), np.float32), "ndarray of shape (1, 2)"),
    (np.ones(5, np.float32), "ndarray of shape (5,)"), (np.float32(1), "float32"), (1.0, "float"),
    ([1.0], "1 value (float)"), ([1.0, [2.0]], "2 values (float, list)"), (["a", "b"], "2 values (str, str)"),
    ({"speed": 1.0}, "dict"), (None, "None")], ids=str)
@pytest.mark.parametrize("when", ["reset", "step"])
def test_an_observation_that_is_none_is_refused_and_not_copied(when, returned, words):
    class Broken(Small):
        def observation(self) -> Any:
            return returned if self.steps == {"reset": 0, "step": 1}[when] else super().observation()

    with gymnasium_environments(lambda: Broken()) as envs, pytest.raises(EnvironmentFault) as caught:
        envs.reset()
        envs.step(np.zeros(2, np.int64))
    assert f" failed: {'reset' if when == 'reset' else 'step'} returned {words} as an observation, and Gymnasium " \
        f"expects an array of shape (2,), as in its observation_space ({__file__}, line " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_observation_may_be_a_list():
    class Listing(Small):
        def observation(self) -> Any:
            return [self.steps, 7]

    with gymnasium_environments(lambda: Listing()) as envs:
        envs.reset()
        assert envs.step(np.zeros(2, np.int64)).observations.tolist() == [[1, 7]] * 2


def test_large_finite_numbers_are_no_fault():
    class Large(Small):
        def observation(self) -> np.ndarray:
            return np.full(2, 3e38, np.float32)

        def reward(self, action: Any) -> float:
            return -3e38

    with gymnasium_environments(lambda: Large(), 3) as envs:
        envs.reset()
        step = envs.step(np.zeros(3, np.int64))
        assert np.isfinite(step.observations).all() and step.rewards.tolist() == [-3e38] * 3


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_killed_worker_is_named_and_the_snapshot_outlives_it():
    shape = describe_once("CartPole-v1")
    actions = actions_of(shape, 4, 60)
    with gymnasium_environments("CartPole-v1", 4, seed=SEED, num_workers=2) as envs:
        envs.reset()
        drive(envs, actions[:30])
        snapshot = envs.snapshot()
        after = drive(envs, actions[30:])
        envs.restore(snapshot)
        os.kill(envs._workers[1].process.pid, signal.SIGKILL)
        with pytest.raises(EnvironmentFault, match=r"worker process of CartPole-v1 is gone \(killed by signal 9\)"):
            drive(envs, actions[30:])
    with gymnasium_environments("CartPole-v1", 4, seed=SEED) as envs:
        assert envs.restore(snapshot) == []
        assert drive(envs, actions[30:]) == after


def test_a_worker_that_leaves_of_itself_is_named_with_its_exit_code():
    class Leaving(Small):
        def reward(self, action: Any) -> float:
            os._exit(7)

    with gymnasium_environments(lambda: Leaving()) as envs:
        envs.reset()
        with pytest.raises(EnvironmentFault, match="exit code 7"):
            envs.step(np.zeros(2, np.int64))


def workers_of_this_process() -> list[int]:
    return [pid for pid in children_of("self") if is_running(pid)]


def test_no_process_is_left_after_close():
    before = set(workers_of_this_process())
    envs = GymnasiumVectorEnvironment("CartPole-v1", describe_once("CartPole-v1"), 4, num_workers=3)
    assert len(set(workers_of_this_process()) - before) == 3
    envs.close()
    assert set(workers_of_this_process()) <= before
    assert all(worker not in children_of("self") for worker in workers_of_this_process())


def test_a_worker_stuck_in_its_environment_is_ended_by_close():
    class Stuck(Small):
        def reset(self, **options: Any) -> tuple[np.ndarray, dict]:
            time.sleep(1000)
            return super().reset(**options)

    envs = GymnasiumVectorEnvironment(Stuck, describe(Stuck), 1)
    pid = envs._workers[0].process.pid
    envs._workers[0].send(b"s")
    envs.close()
    assert not is_running(pid)


def test_no_worker_outlives_a_killed_parent(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("""
import sys
from colab_rl.environments import describe
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
envs = GymnasiumVectorEnvironment("CartPole-v1", describe("CartPole-v1"), 4, num_workers=2)  # no __main__ guard
envs.reset()
print(*(worker.process.pid for worker in envs._workers), flush=True)
sys.stdin.read()
""")
    with subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2 and all(map(is_running, workers))
        parent.kill()
    assert wait_until(lambda: not any(map(is_running, workers)))


def test_a_function_defined_here_reaches_the_workers_with_what_it_closes_over():
    answer = 42

    class Local(Small):
        length = 3

        def reward(self, action: Any) -> float:
            return float(answer + action)

    for source in (lambda: Local(), Local):
        with gymnasium_environments(source) as envs:
            envs.reset()
            steps = drive(envs, np.array([[0, 1]] * 5))
        assert [step.rewards.tolist() for step in steps] == [[42, 43]] * 3 + [[0, 0]] + [[42, 43]]


def test_an_environment_may_keep_the_action_it_was_given():
    class Keeping(gymnasium.Env):
        observation_space = spaces.Box(-1, 1, (1,), np.float32)
        action_space = spaces.Box(-1, 1, (1,), np.float32)

        def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
            self.last = np.zeros(1, np.float32)
            return np.zeros(1, np.float32), {}

        def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
            reward, self.last = float(self.last[0]), action
            return np.zeros(1, np.float32), reward, False, False, {}

    with gymnasium_environments(lambda: Keeping(), 1) as envs:
        envs.reset()
        steps = drive(envs, np.array([0.25, 0.5, 0.75], np.float32).reshape(3, 1, 1))
    assert [step.rewards[0] for step in steps] == [0, 0.25, 0.5]


def test_discrete_actions_may_begin_at_any_number():
    class Shifted(Small):
        action_space = spaces.Discrete(3, start=-1)

        def reward(self, action: Any) -> float:
            assert self.action_space.contains(action), action
            return float(action)

    shape = describe(lambda: Shifted())
    assert (shape.discrete, shape.action_dim, shape.first_action) == (True, 3, -1)
    with gymnasium_environments(lambda: Shifted(), 3) as envs:
        envs.reset()
        assert envs.step(np.array([-1, 0, 1])).rewards.tolist() == [-1, 0, 1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_actions_reach_the_environment_scaled_and_clipped(dtype):
    class Bounded(gymnasium.Env):
        observation_space = spaces.Box(-100, 100, (2,), dtype)
        action_space = spaces.Box(np.array([-3, 0], dtype), np.array([1, 10], dtype), dtype=dtype)

        def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
            return np.zeros(2, dtype), {}

        def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
            assert self.action_space.contains(action) and action.dtype == dtype, action
            return action, 0.0, False, False, {}

    shape = describe(lambda: Bounded())
    actions = ActionRange(shape)
    with gymnasium_environments(lambda: Bounded(), 4) as envs:
        envs.reset()
        seen = envs.step(actions.to_environment(np.array([[-1, 1], [0, 0], [9, -9], [0.5, -0.5]], np.float32)))
        np.testing.assert_allclose(seen.observations, [[-3, 10], [-1, 5], [1, 0], [0, 2.5]])


def with_spaces(observations: spaces.Space, actions: spaces.Space) -> Callable[[], gymnasium.Env]:
    class Odd(Small):
        observation_space = observations
        action_space = actions

    return lambda: Odd()


FLAT, TWO = spaces.Box(-1, 1, (3,)), spaces.Discrete(2)


@pytest.mark.parametrize(("observations", "actions", "reason"), [
    (spaces.Text(5), TWO, "Text has no fixed number of values.*FlattenObservation"),
    (spaces.Dict({"a": FLAT, "b": spaces.Sequence(TWO)}), TWO, "Sequence has no fixed"),
    (spaces.Graph(FLAT, FLAT), TWO, "Graph has no fixed"),
    (FLAT, spaces.Tuple([TWO, spaces.Text(3)]), "Text has no fixed"),
    (spaces.Box(-1, 1, (0,)), TWO, "observations of length 0"),
    (spaces.Box(0, 255, (0, 3), np.uint8), TWO, "observations of length 0"),
    (FLAT, spaces.Box(0, 9, (2,), np.int64), "Box of a float type"),
    (FLAT, spaces.Tuple([TWO, FLAT]), "not both in one action"),
    (FLAT, spaces.Box(-1, 1, (0,)), "actions of length 0"),
    (FLAT, spaces.Dict(), "actions of length 0"),
], ids=str)
def test_spaces_that_are_not_supported_are_refused_by_name(observations, actions, reason):
    with pytest.raises(UsageError, match=reason):
        describe(with_spaces(observations, actions))


def test_an_environment_without_spaces_is_refused():
    class Bare(gymnasium.Env):
        pass

    with pytest.raises(UsageError, match="Bare has None as its observation_space"):
        describe(Bare)


def test_an_environment_that_cannot_be_closed_is_described():
    class Unclosable(CartPoleEnv):
        def close(self):
            raise RuntimeError("no closing")

    assert describe(Unclosable).observation.shape[0] == 4


@pytest.mark.parametrize(("made", "words"), [(None, "None, .*lack a return"), (3, "int, "), (Small, "ABCMeta|type, ")],
                         ids=["None", "number", "class"])
def test_a_function_that_makes_no_environment_is_named(made, words):
    with pytest.raises(UsageError, match=rf"<lambda> returned {words}") as caught:
        describe(lambda: made)
    assert "not a Gymnasium environment" in str(caught.value) and "\n" not in str(caught.value)


def test_descriptions_say_what_an_environment_looks_like():
    walker, pole = describe_once("BipedalWalker-v3"), describe_once("CartPole-v1")
    assert (walker.observation.shape[0], walker.discrete, walker.action_dim) == (24, False, 4)
    assert walker.action_low.tolist() == [-1] * 4 and walker.action_high.tolist() == [1] * 4
    assert (pole.observation.shape[0], pole.discrete, pole.action_dim, pole.first_action) == (4, True, 2, 0)


@pytest.mark.parametrize(("env_id", "near"), [
    ("BipedalWalke-v3", "BipedalWalker-v3"), ("bipedalwalker-v3", "BipedalWalker-v3"), ("CartPol-v1", "CartPole-v1"),
    ("LunarLander-v2", "LunarLander-v3"), ("CartPole-v9", "CartPole-v1"), ("Cart Pole!", "CartPole-v1"), ("", "''"),
    ("no_such_module_of_mine:Env-v0", "no_such_module_of_mine"),
    (":CartPole-v1", "':CartPole-v1' names no module before its colon"), (".mine:Env-v0", "names no module"),
])
def test_an_unknown_environment_names_what_is_near(env_id, near):
    with pytest.raises(UsageError, match=near):
        make_environment(env_id)


@pytest.mark.parametrize(("code", "words"), [
    ("import sys; sys.exit(3)", "SystemExit: 3"),
    ("import sys; sys.exit('usage:\\n  nothing')", "SystemExit: usage: nothing"),
    ("raise RuntimeError('no display here')", "RuntimeError: no display here")], ids=["code", "text", "error"])
def test_a_module_that_cannot_be_imported_says_why(tmp_path, monkeypatch, code, words):
    (tmp_path / "module_of_mine.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvironmentFault, match=rf"^module_of_mine:Env-v0 could not be made: {words} "
                       rf"\({tmp_path}/module_of_mine.py, line 1\)$"):
        make_environment("module_of_mine:Env-v0")


def test_a_fresh_world_keeps_the_gravity_of_its_environment():
    environment = make_environment("BipedalWalker-v3")
    environment.unwrapped.world.gravity = (0, -1)
    begin_episode(environment, 3)
    assert tuple(environment.unwrapped.world.gravity) == (0, -1)
