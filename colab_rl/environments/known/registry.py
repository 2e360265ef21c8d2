"""The list of known environments, a line each, and what is asked of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from colab_rl.environments.channels import Channels, Shown
from colab_rl.environments.known import bipedal_walker, car_racing, classic, lunar_lander
from colab_rl.environments.make import EnvironmentSource, close_environment, make_environment
from colab_rl.environments.nested import Observed
from colab_rl.environments.wrappers import steps_at_once

MOST_OBSERVATIONS = 64  # channels of an environment that nobody describes


class Known(NamedTuple):
    """What is known of an environment.

    kind: the name of gymnasium's class.
    channels: of those that its action fits, whose numbers they name.
    prepare: is given the unwrapped environment before each episode, if an episode would depend on those before it;
        gives whether it no longer does.
    reads_state: whether the channels are read from its state; else they are its observation, as no wrapper changed it.
    """

    kind: str
    channels: Channels
    prepare: Callable[[Any], bool] | None = None
    reads_state: bool = False

    def describes(self, environment: gymnasium.Env) -> bool:
        """Whether its channels are those of an environment of this kind."""
        unwrapped, size = environment.unwrapped, (len(self.channels.units),)
        return len(self.channels.actions) == np.prod(unwrapped.action_space.shape or ()) and (
            self.reads_state or (size == environment.observation_space.shape and
            environment.observation_space == unwrapped.observation_space))


KNOWN = (
    Known("BipedalWalker", bipedal_walker.CHANNELS, bipedal_walker.renew_world, reads_state=True),
    Known("CarRacing", car_racing.CONTINUOUS, car_racing.renew_world, reads_state=True),
    Known("CarRacing", car_racing.DISCRETE, car_racing.renew_world, reads_state=True),
    Known("LunarLander", lunar_lander.DISCRETE),
    Known("LunarLander", lunar_lander.CONTINUOUS),
    Known("CartPoleEnv", classic.CART_POLE),
    Known("PendulumEnv", classic.PENDULUM),
    Known("AcrobotEnv", classic.ACROBOT),
    Known("MountainCarEnv", classic.MOUNTAIN_CAR),
    Known("Continuous_MountainCarEnv", classic.CONTINUOUS_MOUNTAIN_CAR),
)


def known(environment: gymnasium.Env) -> list[Known]:
    """What is known of an environment of gymnasium's own, or of a subclass of one."""
    kinds = {kind.__name__ for kind in type(environment.unwrapped).__mro__ if kind.__module__.startswith("gymnasium.")}
    return [entry for entry in KNOWN if entry.kind in kinds]


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


def shown_of(units: Mapping[str, str]) -> Shown:
    """What is shown of a recording that does not say it, as version 0.1.0 wrote them: by the names of its series."""
    series = {name for name in units if not name.startswith("reward") and name != "value"}
    return next((entry.channels.shown for entry in KNOWN if series == {
        *entry.channels.units, *(f"action_{name}" for name in entry.channels.actions)}), Shown())


def prepare(environment: gymnasium.Env) -> bool:
    """To be called before each episode; whether the episode will depend on its seed and actions alone, as far as is
    known.
    """
    needed = {entry.prepare for entry in known(environment)} - {None}
    return all(needs(environment.unwrapped) for needs in needed if needs)
