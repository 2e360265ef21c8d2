"""Whether an episode depends on its seed and actions alone is found out by trying, or known by a wrapper's name."""

from __future__ import annotations

import random
import sys
import time

import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces, wrappers

from colab_rl.environments import describe
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.environments.repeats import SECONDS, repeats
from colab_rl.errors import UsageError

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Walk(gymnasium.Env):
    """A random walk, which repeats; `extra` is what the environments below add to its observation."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.steps = self.np_random.normal(size=2), 0
        return self.look(), {}

    def step(self, action):
        self.at = self.at + action + self.np_random.normal(size=2)
        self.steps += 1
        return self.look(), float(-abs(self.at).sum()), self.steps == 40, False, {}

    def look(self):
        return np.float32(self.at + self.extra())

    def extra(self):
        return 0.0


class SameArray(Walk):
    """It gives the same array each time, with other numbers in it."""

    array = np.zeros(2, np.float32)

    def look(self):
        self.array[:] = self.at
        return self.array


class Raises(Walk):
    """It raises always at the same step: that is a fault, and none of repeating."""

    def extra(self):
        return [][0] if self.steps == 7 else 0.0


class GlobalGenerator(Walk):
    def extra(self):
        return np.random.normal()


class PythonsGenerator(Walk):
    def extra(self):
        return random.random()


class OwnGenerator(Walk):
    """It takes a seed the first time alone."""

    def __init__(self):
        self.generator = None

    def extra(self):
        self.generator = self.generator or np.random.default_rng(0)
        return self.generator.normal()


class ActionSpacesGenerator(Walk):
    action_space = spaces.Box(-1, 1, (2,), np.float32)

    def extra(self):
        return self.action_space.sample()


class Clock(Walk):
    def extra(self):
        return time.perf_counter() % 1


class Count(Walk):
    """It grows harder with every episode."""

    def __init__(self):
        self.episodes = 0

    def reset(self, **options):
        self.episodes += 1
        return super().reset(**options)

    def extra(self):
        return self.episodes


class OfTheClass(Walk):
    """The state that it continues from is its class's, and so all instances'."""

    best = np.zeros(2)

    def extra(self):
        OfTheClass.best = np.maximum(self.best, self.at)
        return self.best


class Leftover(Walk):
    """A speed that no reset sets to zero."""

    speed = 0.0

    def step(self, action):
        self.speed += float(action.sum())
        return super().step(action)

    def extra(self):
        return self.speed


class OnlyTheReward(Leftover):
    def look(self):
        return np.float32(self.at)

    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, reward + self.speed, *rest


class OnlyTheEnd(Walk):
    """Episodes grow longer."""

    length = 10

    def reset(self, **options):
        self.length += 1
        return super().reset(**options)

    def step(self, action):
        observation, reward, *_ = super().step(action)
        return observation, reward, self.steps == self.length, False, {}


class RunningMean(gymnasium.Wrapper):
    """A wrapper of somebody's own that normalises."""

    def __init__(self, environment):
        super().__init__(environment)
        self.mean = 0.0

    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        self.mean = 0.99 * self.mean + 0.01 * reward
        return observation, reward - self.mean, *rest


class SharedGenerator(Walk):
    """Each reset seeds a generator that all instances of a process draw from: alone, an instance repeats."""

    def reset(self, *, seed=None, options=None):
        np.random.seed(seed)
        return super().reset(seed=seed, options=options)

    def extra(self):
        return np.random.normal()


REPEAT = {"a random walk": Walk, "one array": SameArray, "raising": Raises,
          "a pole": lambda: gymnasium.make("CartPole-v1"),
          "statistics": lambda: wrappers.RecordEpisodeStatistics(gymnasium.make("CartPole-v1")),
          "a stack of frames": lambda: wrappers.FrameStackObservation(Walk(), 3),
          "delay": lambda: wrappers.DelayObservation(Walk(), 2),
          "sticky actions": lambda: wrappers.StickyAction(gymnasium.make("CartPole-v1"), 0.3),
          "time": lambda: wrappers.TimeAwareObservation(gymnasium.make("Pendulum-v1")),
          "a walker": lambda: gymnasium.make("BipedalWalker-v3"),
          "a lander": lambda: gymnasium.make("LunarLander-v3", enable_wind=True)}
DEPEND_ON_MORE = {kind.__name__: kind for kind in (
    GlobalGenerator, PythonsGenerator, OwnGenerator, ActionSpacesGenerator, Clock, Count, OfTheClass, Leftover,
    OnlyTheReward, OnlyTheEnd)} | {
    "RunningMean": lambda: RunningMean(Walk()), "NormalizeReward": lambda: wrappers.NormalizeReward(Walk()),
    "NormalizeObservation": lambda: wrappers.NormalizeObservation(Walk())}


@pytest.mark.parametrize("make", REPEAT.values(), ids=REPEAT)
def test_what_depends_on_its_seed_and_actions_repeats(make):
    assert repeats(make()) and repeats(make(), make())


@pytest.mark.parametrize("make", DEPEND_ON_MORE.values(), ids=DEPEND_ON_MORE)
def test_what_depends_on_more_does_not_repeat(make):
    OfTheClass.best = np.zeros(2)
    assert not repeats(make())
    OfTheClass.best = np.zeros(2)
    assert not repeats(make(), make())


def test_a_generator_that_instances_share_shows_where_there_are_two_of_them():
    assert repeats(SharedGenerator()) and not repeats(SharedGenerator(), SharedGenerator())
    for num_envs, reasons in ((1, 0), (2, 1)):
        with GymnasiumVectorEnvironment(SharedGenerator, describe(SharedGenerator), num_envs, num_workers=1) as envs:
            found = envs.check_repeats()
            assert len(found) == reasons
            assert all("SharedGenerator does not repeat an episode from its seed and actions" in one for one in found)


def test_a_slow_environment_is_tried_for_less_than_a_second():
    class Slow(Walk):
        def step(self, action):
            time.sleep(0.03)
            return super().step(action)

    began = time.monotonic()
    assert repeats(Slow()) and time.monotonic() - began < 5 * SECONDS


@pytest.mark.parametrize(("wrapper", "setting"), [
    (wrappers.NormalizeObservation, "normalize_observations"), (wrappers.NormalizeReward, "normalize_rewards")])
def test_running_statistics_are_refused_with_the_setting_that_takes_their_place(wrapper, setting):
    def make():
        return wrappers.ClipAction(wrapper(gymnasium.make("Pendulum-v1")))

    with pytest.raises(UsageError, match=rf"^custom:.*make is wrapped in {wrapper.__name__}, whose statistics change "
                                         rf"with every episode .* use the setting {setting}[^\n]*$"):
        describe(make)


@pytest.mark.parametrize("wrapper", [wrappers.NormalizeObservation, wrappers.NormalizeReward])
def test_statistics_that_are_frozen_are_not_refused(wrapper):
    def make():
        frozen = wrapper(gymnasium.make("Pendulum-v1"))
        frozen.update_running_mean = False
        return frozen

    assert describe(make).observation.shape == (3,) and repeats(make())
