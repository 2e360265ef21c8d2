"""Worker processes: how they end, and what reaches the environments in them."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from stepping import (
    SEED,
    Small,
    actions_of,
    children_of,
    describe_once,
    drive,
    gymnasium_environments,
    is_running,
    wait_until,
    workers_of_this_process,
)

from colab_rl.algorithms.action_range import ActionRange
from colab_rl.environments import describe
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.environments.worker import attempt
from colab_rl.errors import EnvironmentFault

# The environments defined below reach the workers by value, as those of a notebook's cell do.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


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


def test_a_worker_may_answer_with_an_array():
    """As a drawing's terrain may be one. An array has no truth of its own."""
    assert pickle.loads(attempt(lambda: np.zeros(3))[1:]).tolist() == [0, 0, 0]
    assert attempt(lambda: None) == attempt(lambda: True) == b"d" and attempt(lambda: False) == b"n"
