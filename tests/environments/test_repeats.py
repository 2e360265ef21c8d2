"""Whether an episode depends on its seed and actions alone is found out by trying; what an environment made stays."""

import random
import sys
import time

import Box2D
import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces, wrappers
from gymnasium.envs.box2d.bipedal_walker import BipedalWalker

from colab_rl.environments import describe
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.environments.repeats import SECONDS, repeats
from colab_rl.environments.seeds import begin_episode
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
    """The state that it goes on from is its class's, and so all instances'."""

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


# ---- what an environment made stays --------------------------------------------------------------------------------


class Ball(gymnasium.Env):
    """A ball over a ground that is made once, with the world. `_destroy` may be called twice, or not."""

    observation_space = spaces.Box(-1000, 1000, (2,), np.float32)
    action_space = spaces.Discrete(2)
    world_is_called, guarded = "world", True

    def __init__(self):
        setattr(self, self.world_is_called, Box2D.b2World(gravity=(0, -10)))
        self.its_world.CreateStaticBody(position=(0, -1), shapes=Box2D.b2PolygonShape(box=(50, 1)))
        self.ball = None

    @property
    def its_world(self):
        return getattr(self, self.world_is_called)

    def _destroy(self):
        if self.ball or not self.guarded:
            self.its_world.DestroyBody(self.ball)
            self.ball = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if self.ball:
            self._destroy()
        shape = Box2D.b2FixtureDef(shape=Box2D.b2CircleShape(radius=0.5), density=1)
        self.ball = self.its_world.CreateDynamicBody(position=(self.np_random.uniform(), 3.0), fixtures=shape)
        self.steps = 0
        return np.float32(self.ball.position), {}

    def step(self, action):
        self.its_world.Step(1 / 30, 6, 2)
        self.steps += 1
        return np.float32(self.ball.position), 1.0, self.ball.position[1] < -20, self.steps == 100, {}


class Unguarded(Ball):
    guarded = False


class OtherName(Ball):
    world_is_called = "simulation"


@pytest.mark.parametrize("kind", [Ball, Unguarded, OtherName])
def test_the_ground_that_an_environment_made_once_holds_in_every_episode(kind):
    with GymnasiumVectorEnvironment(kind, describe(kind), 2, num_workers=1) as envs:
        assert envs.check_repeats() == []
        envs.reset()
        for _ in range(250):
            assert not envs.step(np.zeros(2, np.int64)).terminated.any()
        assert (envs.observations[:, 1] > 0).all()


class Rewarded(BipedalWalker):
    """Another reward, after a reset of its own: it makes nothing in the world."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.world.warmStarting = False
        self.world.gravity = (0, -5)

    def reset(self, **options):
        result = super().reset(**options)
        self.highest = self.hull.position[1]
        return result


class WithGround(BipedalWalker):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.mine = self.world.CreateStaticBody(position=(0, -10))


class WithBall(BipedalWalker):
    """It makes a ball after a reset, and destroys it by itself before the next."""

    mine = None

    def reset(self, **options):
        if self.mine:
            self.world.DestroyBody(self.mine)
        result = super().reset(**options)
        self.mine = self.world.CreateStaticBody(position=(0, -10))
        return result


class Destroying(BipedalWalker):
    """A `_destroy` that must not be called twice."""

    mine = None

    def _destroy(self):
        super()._destroy()
        if self.mine:
            self.world.DestroyBody(self.mine)

    def reset(self, **options):
        result = super().reset(**options)
        self.mine = self.world.CreateStaticBody(position=(0, -10))
        return result


class Aliased(BipedalWalker):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.mine = [self.world]


def test_a_walker_with_another_reward_gets_a_fresh_world_with_its_settings():
    walker = Rewarded()
    for seed in range(3):
        walker.world.used = True
        begin_episode(walker, seed)
        assert not hasattr(walker.world, "used")
        assert not walker.world.warmStarting and tuple(walker.world.gravity) == (0, -5)
    assert repeats(Rewarded())


@pytest.mark.parametrize("kind", [WithGround, WithBall, Destroying, Aliased])
def test_a_walker_keeps_a_world_that_holds_what_is_not_gymnasiums(kind):
    walker = kind()
    for seed in range(3):
        begin_episode(walker, seed)
        assert seed == 0 or walker.world.used
        walker.world.used = True
        for _ in range(20):
            walker.step(walker.action_space.sample())
        assert kind is Aliased or walker.mine in walker.world.bodies
    # Known by name, however a short try would end: the world keeps the order of contacts.
    assert not repeats(walker)


def test_a_walker_that_is_made_of_something_else_is_left_alone():
    class Elsewhere(BipedalWalker):
        def __init__(self):
            super().__init__()
            del self.world

        def reset(self, *, seed=None, options=None):
            return np.zeros(24, np.float32), {}

        def step(self, action):
            return np.zeros(24, np.float32), 0.0, False, False, {}

    assert repeats(Elsewhere())


def test_a_wrapper_may_hold_the_walkers_world():
    class Holding(gymnasium.Wrapper):
        def __init__(self):
            super().__init__(gymnasium.make("BipedalWalker-v3"))
            self.world = self.unwrapped.world

    wrapped = Holding()
    begin_episode(wrapped, 0)
    assert wrapped.world is wrapped.unwrapped.world


# ---- wrappers that are refused by name -----------------------------------------------------------------------------


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
