"""What an environment made once stays, also in a walker's world."""

from __future__ import annotations

import sys

import Box2D
import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.box2d.bipedal_walker import BipedalWalker

from colab_rl.environments import describe
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.environments.repeats import repeats
from colab_rl.environments.seeds import begin_episode

cloudpickle.register_pickle_by_value(sys.modules[__name__])


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
