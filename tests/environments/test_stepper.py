"""One environment, stepped alike everywhere: what reaches it, and what a line says of its wrong returns."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from colab_rl.environments import describe, make_environment
from colab_rl.environments.guard import environment_guarded
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.environments.stepper import Stepper
from colab_rl.errors import EnvironmentFault
from colab_rl.evaluation.replay import record_episode, replay

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Plain(gymnasium.Env):
    """Six steps of two numbers; `observe`, `reward`, `ends`, `first` and `stepped` are what subclasses change."""

    observation_space = spaces.Box(-10, 10, (2,), np.float32)
    action_space: spaces.Space = spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self.first(self.observe())

    def step(self, action: Any) -> Any:
        self.steps += 1
        self.take(action)
        return self.stepped(self.observe(), self.reward(action), *self.ends(), {})

    def take(self, action: Any) -> None:
        """May look at it."""

    def first(self, observation: Any) -> Any:
        return observation, {}

    def stepped(self, *values: Any) -> Any:
        return values

    def observe(self) -> Any:
        return np.full(2, self.steps, np.float32)

    def reward(self, action: Any) -> Any:
        return 1.0

    def ends(self) -> tuple[Any, Any]:
        return self.steps >= 6, False


def changed(**methods: Any) -> Callable[[], gymnasium.Env]:
    """A function that makes a `Plain` with other methods or attributes."""
    return lambda: type("Changed", (Plain,), methods)()


def everywhere(source: Callable[[], gymnasium.Env], actions: list[Any]) -> list[float]:
    """The rewards of these actions: in a worker, recorded, and played again; they are the same."""
    shape, taken = describe(source), iter(actions)
    with GymnasiumVectorEnvironment(source, shape, 1, seeds=lambda slot, episode: 5, num_workers=1) as envs:
        envs.reset()
        rewards = [envs.step(np.array([action], shape.action_dtype)).rewards[0] for action in actions]
    episode = record_episode(source(), shape, lambda _: np.array([next(taken)], shape.action_dtype),
                             lambda obs: np.zeros(len(obs)), 5)
    assert episode["reward"].tolist() == rewards
    assert list(replay(source(), episode)) == list(range(len(actions) + 1))
    return rewards


# ---- actions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [spaces.Discrete(3), spaces.Discrete(3, start=-1)], ids=str)
def test_a_discrete_action_is_what_the_space_samples(space):
    def take(env: Plain, action: Any) -> None:
        assert type(action) is type(space.sample()) and space.contains(action)
        assert action.item() == action and action.dtype == np.int64

    source = changed(action_space=space, take=take, reward=lambda env, action: float(action))
    actions = [space.start + i % 3 for i in range(6)]
    assert everywhere(source, actions) == actions


def only_ints(env: Plain, action: Any) -> None:
    assert isinstance(action, int)


def only_json(env: Plain, action: Any) -> None:
    json.dumps({"action": action})


@pytest.mark.parametrize("take", [only_ints, only_json])
def test_an_environment_that_takes_pythons_int_alone_is_given_that(take):
    assert everywhere(changed(take=take, reward=lambda env, action: float(action)), [2, 0, 1, 2, 2, 1]) \
        == [2, 0, 1, 2, 2, 1]


def test_an_environment_that_fails_on_every_action_says_so_of_the_numpy_integer():
    def take(env: Plain, action: Any) -> None:
        raise RuntimeError(f"no {type(action).__name__}")

    stepper = Stepper(changed(take=take)(), np.zeros(2, np.float32))
    stepper.begin(0)
    with pytest.raises(RuntimeError, match="no int64"):
        stepper.step(np.int64(1))


@pytest.mark.parametrize(("low", "high"), [
    ([0, 0, 0], [0.01, 0.001, 0.8]), ([-0.8, -1e-3, 0.1], [-0.1, 1e-3, 0.7]),
    ([1e9, -1e9, 0], [1e9 + 1, 1 - 1e9, 1e-9]),
], ids=["above", "below", "large"])
def test_an_action_at_a_float64_bound_lies_in_the_space(low, high):
    space = spaces.Box(np.array(low), np.array(high), dtype=np.float64)

    def take(env: Plain, action: Any) -> None:
        assert space.contains(action) and action.dtype == np.float64, action
        action += 1  # it is the environment's own, and the bounds are not changed by it

    source = changed(action_space=space, take=take)
    shape = describe(source)
    everywhere(source, [shape.action_low, shape.action_high, (shape.action_low + shape.action_high) / 2] * 2)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_action_within_bounds_that_float32_holds_arrives_unchanged(dtype):
    given, taken = np.array([0.3, -0.7], np.float32), []
    environment = changed(action_space=spaces.Box(-1, 1, (2,), dtype), take=lambda env, action: taken.append(action))()
    stepper = Stepper(environment, np.zeros(2, np.float32))
    stepper.begin(0)
    stepper.step(given)
    assert taken[0].dtype == dtype and np.array_equal(taken[0], given.astype(dtype))


# ---- what it returns -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reward", [2, True, np.float32(2), np.int64(2), np.array(2.0), np.array([2.0]),
                                    np.array([[2]]), Fraction(2)], ids=repr)
def test_a_reward_is_one_number_of_whatever_type(reward):
    assert everywhere(changed(reward=lambda env, action: reward), [0] * 6) == [1 if reward is True else 2] * 6


@pytest.mark.parametrize("ends", [(np.True_, np.False_), (1, 0), (np.array([True]), None), ([], "")], ids=repr)
def test_flags_are_what_is_true_in_python(ends):
    stepper = Stepper(changed(ends=lambda env: ends)(), np.zeros(2, np.float32))
    stepper.begin(0)
    assert stepper.step(0)[1:] == (bool(ends[0]), bool(ends[1]))


@pytest.mark.parametrize("info", [{}, None], ids=str)
def test_an_info_may_be_missing(info):
    everywhere(changed(first=lambda env, observation: (observation, info),
                       stepped=lambda env, *values: [*values[:4], info]), [0] * 6)


@pytest.mark.parametrize("size", [1e300, 1e-300])
@pytest.mark.filterwarnings("error")
def test_a_float64_that_no_float32_holds_is_no_error_of_numpys(size):
    stepper = Stepper(changed(observe=lambda env: np.full(2, size))(), np.zeros(2, np.float32))
    with np.errstate(all="raise"):
        stepper.begin(0)
    assert stepper.observation.tolist() == [np.inf if size > 1 else 0] * 2


def reset_without_seed(env: Plain) -> Any:
    return np.zeros(2, np.float32), {}


WRONG = {
    "step returned 4 values (ndarray, float, bool, dict), and Gymnasium expects observation, reward, terminated, "
    "truncated and info": {"stepped": lambda env, obs, reward, ended, cut, info: (obs, reward, ended or cut, info)},
    "step returned None, and Gymnasium expects observation, reward": {"stepped": lambda env, *values: None},
    "step returned ndarray of shape (5,), and Gymnasium expects observation, reward":
        {"stepped": lambda env, *values: np.zeros(5)},
    "reset returned ndarray of shape (2,), and Gymnasium expects observation and info":
        {"first": lambda env, observation: observation},
    "reset returned 2 values (float, float), and Gymnasium expects observation and info":
        {"first": lambda env, observation: (0.5, 0.5)},
    "reset returned None, and Gymnasium expects observation and info": {"first": lambda env, observation: None},
    "reset returned 3 values (ndarray, dict, NoneType), and": {"first": lambda env, obs: (obs, {}, None)},
    "reset takes no seed, and Gymnasium expects reset(self, *, seed=None, options=None)": {"reset": reset_without_seed},
    "step returned None as a reward, and Gymnasium expects a number": {"reward": lambda env, action: None},
    "step returned str as a reward, and Gymnasium expects a number": {"reward": lambda env, action: "much"},
    "step returned complex as a reward, and Gymnasium expects a number": {"reward": lambda env, action: 1j},
    "step returned ndarray of shape (2,) as a reward, and": {"reward": lambda env, action: np.zeros(2)},
    "step returned 1 value (float) as a reward, and": {"reward": lambda env, action: [1.0]},
    "step returned 2 values (ndarray, bool) as terminated and truncated, and Gymnasium expects True or False":
        {"ends": lambda env: (np.zeros(2, bool), False)},
}


@pytest.mark.parametrize(("words", "methods"), WRONG.items(), ids=[words[:60] for words in WRONG])
def test_what_gymnasium_does_not_expect_is_told_in_one_line_with_its_place(words, methods):
    """And alike by what steps it in this process and by a worker."""
    source = changed(**methods)
    line = getattr(source(), words.partition(" ")[0]).__code__.co_firstlineno
    with pytest.raises(EnvironmentFault) as here, environment_guarded("mine"):
        stepper = Stepper(source(), np.zeros(2, np.float32))
        stepper.begin(0)
        stepper.step(0)
    assert re.fullmatch(rf"mine failed: {re.escape(words)}.* \({__file__}, line {line}\)", str(here.value))
    with GymnasiumVectorEnvironment(source, describe(Plain), 1, num_workers=1) as envs, \
            pytest.raises(EnvironmentFault) as in_worker:
        envs.reset()
        envs.step(np.zeros(1, np.int64))
    assert str(in_worker.value).partition(" failed: ")[2] == str(here.value).partition(" failed: ")[2]


def test_the_place_is_that_of_the_environment_and_not_of_gymnasiums_wrappers():
    environment = gymnasium.wrappers.OrderEnforcing(changed(reward=lambda env, action: None)())
    stepper = Stepper(environment, np.zeros(2, np.float32))
    stepper.begin(0)
    with pytest.raises(Exception, match=rf"{__file__}, line {Plain.step.__code__.co_firstlineno}\)$"):
        stepper.step(0)


def test_an_error_is_placed_in_the_environments_own_code():
    def observe(env: Plain) -> Any:
        return np.concatenate([np.zeros(2), 1])  # raises in NumPy

    with pytest.raises(EnvironmentFault, match=rf"\({__file__}, line {observe.__code__.co_firstlineno + 1}\)$"), \
            environment_guarded("mine"):
        Stepper(changed(observe=observe)(), np.zeros(2, np.float32)).begin(0)


def test_known_environments_return_what_is_expected():
    for env_id in ("CartPole-v1", "Acrobot-v1", "MountainCarContinuous-v0", "LunarLander-v3"):
        environment = make_environment(env_id)
        stepper = Stepper(environment, np.zeros(environment.observation_space.shape, np.float32))
        stepper.begin(3)
        assert stepper.step(environment.action_space.sample())[1:] == (False, False)
