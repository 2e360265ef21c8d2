"""One episode in this process: recorded, or played again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import gymnasium
import numpy as np

from colab_rl.environments import channels_of
from colab_rl.environments.guard import environment_guarded
from colab_rl.environments.spaces import Spaces
from colab_rl.environments.stepper import Stepper
from colab_rl.errors import EnvironmentFault
from colab_rl.evaluation.episode import Episode, Recording

if TYPE_CHECKING:
    from colab_rl.algorithms.base import Act

LONGEST_EPISODE = 100_000  # steps


def record_episode(environment: gymnasium.Env, spaces: Spaces, act: Act, values: Act, seed: int,
                   name: str = "", memory: int = 0) -> Episode:
    """Runs and records one deterministic episode in this process; its return is `evaluate`'s for this seed.

    act: gives (1, ...) actions for (1, *obs_shape) observations. name: the environment's.
    memory: how many numbers the policy carries through the episode, if any: `act` takes them, too.
    Raises EnvironmentFault if the environment raises, or returns what Gymnasium does not expect.
    """
    channels = channels_of(environment)
    recording = Recording(channels, spaces, name, seed)
    observation = spaces.observation.zeros()
    stepper = Stepper(environment, observation)
    remembered = {"memory": np.zeros((1, memory), np.float32)} if memory else {}

    def look() -> None:
        recording.state(channels.row(environment, observation), observation)

    with environment_guarded(name):
        stepper.begin(seed)
        look()
        terrain = channels.drawing.terrain(environment.unwrapped) if channels.drawing else []
    for _ in range(LONGEST_EPISODE):
        action = act(observation[None], **remembered)[0]
        with environment_guarded(name):
            _, terminated, truncated = stepper.step(action)
            recording.step(action, stepper.own_reward)
            look()
        if terminated or truncated:
            return recording.finish(terminated, values, terrain)
    raise endless()


def replay(environment: gymnasium.Env, episode: Episode) -> Iterator[int]:
    """Plays a recorded episode again: yields t = 0, ..., T while `environment` stands in its state t, to be rendered.

    Raises EnvironmentFault if the environment gives other rewards than it gave then, or raises.
    """
    stepper = Stepper(environment, None)
    with environment_guarded(episode.environment):
        stepper.begin(episode.seed)
    yield 0
    for t, action in enumerate(episode.actions):
        with environment_guarded(episode.environment):
            stepper.step(action)
        reward = stepper.own_reward
        if reward != episode["reward"][t]:
            raise EnvironmentFault(f"{episode.environment} does not repeat the episode of seed {episode.seed}: step "
                                   f"{t} gave {reward}, and {episode['reward'][t]} when it was recorded")
        yield t + 1


def endless() -> EnvironmentFault:
    """What to raise for an episode that does not end."""
    return EnvironmentFault(f"an evaluation episode has not ended after {LONGEST_EPISODE:,} steps: give "
                            "the environment a time limit, and begin a run of another name (such as --set "
                            "wrappers='TimeLimit(1000)')")
