"""The channels of an environment: its own, those of a known one, or a name for each observation."""

from __future__ import annotations

import dataclasses

import gymnasium

from colab_rl.environments.channels import Channels
from colab_rl.environments.known.registry import known
from colab_rl.environments.make import EnvironmentSource, close_environment, make_environment
from colab_rl.environments.nested import Observed
from colab_rl.environments.wrappers import steps_at_once

MOST_OBSERVATIONS = 64  # channels of an environment that nobody describes


def channels_of(environment: gymnasium.Env) -> Channels:
    """An environment's own description, else the one we have of it, else `observation_0`, ... without units.

    If its wrappers take several steps in one, a step of theirs takes as long as those.
    """
    channels, at_once = _channels_of(environment), steps_at_once(environment)
    if at_once == 1 or channels.step_seconds is None:
        return channels
    return dataclasses.replace(channels, step_seconds=channels.step_seconds * at_once)


def _channels_of(environment: gymnasium.Env) -> Channels:
    own = getattr(environment.unwrapped, "channels", None)
    if isinstance(own, Channels):
        return own
    for entry in known(environment):
        if entry.describes(environment):
            return entry.channels
    spec = Observed(environment.observation_space).spec
    count = min(spec.numbers(spec.zeros()).size, MOST_OBSERVATIONS)
    return Channels({f"observation_{i}": "" for i in range(count)},
                    read=lambda unwrapped, observation: spec.numbers(observation)[:count])


def describe_channels(source: EnvironmentSource) -> Channels:
    """The channels of what `source` makes: for the time of the call there is one more environment."""
    environment = make_environment(source)
    try:
        return channels_of(environment)
    finally:
        close_environment(environment)
