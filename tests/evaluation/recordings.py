"""Short episodes, recorded, and an environment with channels of its own."""

from __future__ import annotations

import functools

import gymnasium
import numpy as np

from colab_rl import Channels
from colab_rl.environments import describe
from colab_rl.evaluation.replay import record_episode


def acting(spaces, seed=0, frequency=7.0):
    """A policy that is a function of the observation alone, and moves."""
    weights = np.random.default_rng(seed).normal(size=(*spaces.observation.shape, spaces.action_dim)).astype(np.float32)

    def act(obs):
        rows = np.stack([np.sin(frequency * (row @ weights)) for row in obs])
        if spaces.discrete:
            return rows.argmax(1) + spaces.first_action
        return (spaces.action_low + (spaces.action_high - spaces.action_low) * (rows + 1) / 2).astype(np.float32)
    return act


def ones(obs):
    return np.ones(len(obs), np.float32)


def short(env_id):
    """What makes the environment, with episodes of at most 120 steps."""
    return functools.partial(gymnasium.make, env_id, max_episode_steps=120)


def recorded(env_id, seed=0):
    spaces = describe(env_id)
    environment = short(env_id)()
    episode = record_episode(environment, spaces, acting(spaces), ones, seed, env_id)
    environment.close()
    return episode


class Crane(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (3,), np.float32)
    action_space = gymnasium.spaces.Box(-2, 2, (2,), np.float32)
    channels = Channels({"rope_angle": "rad", "load": "kg"}, read=lambda crane, obs: [obs[0], crane.load],
                        actions=("pull", "lift"), step_seconds=0.1)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.load, self.t = 7.5, 0
        return np.zeros(3, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.full(3, self.t / 10, np.float32), 1.0, False, self.t == 6, {}
