"""One episode in this process: recorded, or played again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np

from colab_rl.environments import (
    channels_of,
)
from colab_rl.environments.guard import guarded, wrong_shape
from colab_rl.environments.seeds import begin_episode
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import EnvironmentFault
from colab_rl.evaluation.episode import Episode, Recording

LONGEST_EPISODE = 100_000  # steps
Function = Callable[[np.ndarray], np.ndarray]  # of (B, *obs_shape) observations


def record_episode(environment: gymnasium.Env, spaces: Spaces, act: Function, values: Function, seed: int,
                   name: str = "") -> Episode:
    """Runs and records one deterministic episode in this process; its return is `evaluate`'s for this seed.

    act: gives (1, ...) actions for (1, *obs_shape) observations. name: the environment's.
    Raises EnvironmentFault where the environment raises, or returns an observation of another shape.
    """
    channels = channels_of(environment)
    recording = Recording(channels, spaces, name, seed)

    def look(raw: Any) -> np.ndarray:
        observation = np.asarray(raw, spaces.observation.dtype)
        if observation.shape != spaces.observation.shape:
            raise wrong_shape(observation, spaces.observation.shape)
        recording.state(channels.row(environment, observation), observation)
        return observation

    with guarded(name):
        observation = look(begin_episode(environment, seed))
        terrain = channels.drawing.terrain(environment.unwrapped) if channels.drawing else []
    for _ in range(LONGEST_EPISODE):
        action = act(observation[None])[0]
        with guarded(name):
            raw, reward, terminated, truncated, _ = environment.step(_as_taken(action, environment))
            recording.step(action, float(reward))
            observation = look(raw)
        if terminated or truncated:
            return recording.finish(terminated, values, terrain)
    raise endless()


def replay(environment: gymnasium.Env, episode: Episode) -> Iterator[int]:
    """Plays a recorded episode again: yields t = 0, ..., T while `environment` stands in its state t, to be rendered.

    Raises EnvironmentFault where the environment gives other rewards than it gave then, or raises.
    """
    with guarded(episode.environment):
        begin_episode(environment, episode.seed)
    yield 0
    for t, action in enumerate(episode.actions):
        with guarded(episode.environment):
            reward = float(environment.step(_as_taken(action, environment))[1])
        if reward != episode["reward"][t]:
            raise EnvironmentFault(f"{episode.environment} does not repeat the episode of seed {episode.seed}: step "
                                   f"{t} gave {reward}, and {episode['reward'][t]} when it was recorded")
        yield t + 1


def _as_taken(action: Any, environment: gymnasium.Env) -> Any:
    """An action in the environment's own type, as the worker processes give it."""
    if isinstance(environment.action_space, gymnasium.spaces.Discrete):
        return int(action)
    return np.array(action, environment.action_space.dtype)


def endless() -> EnvironmentFault:
    """What to raise for an episode that does not end."""
    return EnvironmentFault(f"an evaluation episode has not ended after {LONGEST_EPISODE:,} steps: give "
                            "the environment a time limit (gymnasium.wrappers.TimeLimit)")
