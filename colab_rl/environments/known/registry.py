"""The list of known environments, a line each, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import gymnasium
import numpy as np

from colab_rl.environments.channels import Channels, Shown
from colab_rl.environments.known import bipedal_walker, car_racing, classic, lunar_lander


class SkippedDrawing(AbstractContextManager, Protocol):
    """Within it an environment's steps draw no observation."""

    def draw(self) -> np.ndarray:
        """(*obs_shape): the observation that the newest step left out."""


class Known(NamedTuple):
    """What is known of an environment.

    kind: the name of gymnasium's class.
    channels: of those that its action fits, whose numbers they name.
    prepare: is given the unwrapped environment before each episode, if an episode would depend on those before it;
        gives whether it no longer does.
    skip_drawing: is given the unwrapped environment, if it draws an observation at each step; gives how its steps leave
        that out, or None if it cannot.
    reads_state: whether the channels are read from its state; else they are its observation, as no wrapper changed it.
    """

    kind: str
    channels: Channels
    prepare: Callable[[Any], bool] | None = None
    skip_drawing: Callable[[Any], SkippedDrawing | None] | None = None
    reads_state: bool = False

    def describes(self, environment: gymnasium.Env) -> bool:
        """Whether its channels are those of an environment of this kind."""
        unwrapped, size = environment.unwrapped, (len(self.channels.units),)
        return len(self.channels.actions) == np.prod(unwrapped.action_space.shape or ()) and (
            self.reads_state or (size == environment.observation_space.shape and
            environment.observation_space == unwrapped.observation_space))


KNOWN = (
    Known("BipedalWalker", bipedal_walker.CHANNELS, bipedal_walker.renew_world, reads_state=True),
    Known("CarRacing", car_racing.CONTINUOUS, car_racing.renew_world, car_racing.skip_drawing, reads_state=True),
    Known("CarRacing", car_racing.DISCRETE, car_racing.renew_world, car_racing.skip_drawing, reads_state=True),
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


def skipped_drawing(environment: gymnasium.Env) -> SkippedDrawing | None:
    """How an unwrapped environment's steps leave out the drawing of observations; None if it draws none, or must."""
    means = {entry.skip_drawing for entry in known(environment) if entry.skip_drawing}
    return next((found for skip in means if (found := skip(environment))), None)


def shown_of(units: Mapping[str, str]) -> Shown:
    """What is shown of a recording that does not say it, as version 0.1.0 wrote them: by the names of its series."""
    series = {name for name in units if not name.startswith("reward") and name != "value"}
    return next((entry.channels.shown for entry in KNOWN if series == {
        *entry.channels.units, *(f"action_{name}" for name in entry.channels.actions)}), Shown())


def prepare_environment(environment: gymnasium.Env) -> bool:
    """To be called before each episode; whether the episode will depend on its seed and actions alone, as far as is
    known.
    """
    needed = {entry.prepare for entry in known(environment)} - {None}
    return all(needs(environment.unwrapped) for needs in needed if needs)
