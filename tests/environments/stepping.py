"""Gymnasium's vector environments and a small one of our own, stepped with drawn actions, and their processes."""

from __future__ import annotations

import contextlib
import functools
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
from gymnasium import spaces

from colab_rl.environments import StepResult, VectorEnvironment, describe
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.environments.spaces import Spaces

# The environments defined below reach the workers by value, as those of a notebook's cell do.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

SEED = 3
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


def workers_of_this_process() -> list[int]:
    return [pid for pid in children_of("self") if is_running(pid)]
