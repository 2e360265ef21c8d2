"""An environment tried out before a run begins: an error names what it returns wrongly before anything is written."""

from __future__ import annotations

import contextlib
import copy
import os
import time
import traceback
import warnings
from typing import Any

import gymnasium
from gymnasium.utils.env_checker import check_env

from colab_rl.environments.guard import environment_guarded, prints_aside
from colab_rl.environments.nested import NotFlat, Observed
from colab_rl.environments.own_reward import own_reward_of
from colab_rl.environments.repeat import IGNORES_OBSERVATIONS
from colab_rl.environments.stepper import Stepper
from colab_rl.progress import say

SEED = 20_260_103
SECONDS = 0.08  # of two resets and two steps, at most, for check_env, which takes six times as long
# What check_env refuses and training does not mind. Whether an episode depends on its seed is found out elsewhere.
HARMLESS = ("within the observation space", "share an object", "`seed` or", "`options` or", "was not a dictionary",
            "must be a python dictionary", "`super().reset(seed=seed)`")


def try_new(environment: gymnasium.Env, name: str) -> None:
    """`try_out` for a new run, which refuses images that uint8 would cut off. A run that has them continues."""
    try_out(environment, name, new=True)


def try_out(environment: gymnasium.Env, name: str, new: bool = False) -> None:
    """Resets and steps an environment as it is inside its wrappers, and in them. Says what else `check_env` finds.

    Raises EnvironmentFault if it raises, or returns what Gymnasium does not expect. new: see `try_new`.
    """
    began, bare = time.perf_counter(), environment.unwrapped
    for layer in (bare, environment):
        spaces: list[Any] = [getattr(layer, which, None) for which in ("observation_space", "action_space")]
        if not all(isinstance(space, gymnasium.Space) for space in spaces):
            bare = environment  # whose wrappers have them
            continue
        observations, actions = copy.deepcopy(spaces)
        actions.seed(SEED)
        observation = None
        with contextlib.suppress(NotFlat):  # a wrapper makes something of it
            observation = Observed(observations).spec.zeros()
        with environment_guarded(name):
            stepper = Stepper(layer, observation, strict=new and (layer is environment or _in_ours_alone(environment)))
            stepper.begin(SEED)
            stepper.step(actions.sample(), sampled=True)
    if type(bare).__module__.startswith("gymnasium.") or time.perf_counter() - began > SECONDS:
        return
    try:
        with prints_aside(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_env(bare, skip_render_check=True, skip_close_check=True)
    except (Exception, SystemExit) as error:
        what, place = " ".join(str(error).split()), traceback.extract_tb(error.__traceback__)[-1].filename
        its_own = os.path.dirname(place) == os.path.dirname(check_env.__code__.co_filename)  # not the environment's
        if its_own and not any(harmless in what for harmless in HARMLESS):
            say(f"gymnasium's check_env says of {name}: {what}")


def _in_ours_alone(environment: gymnasium.Env) -> bool:
    """Whether a run's wrappers get what the environment itself returns: a function's own wrappers may change that."""
    layer: Any = own_reward_of(environment)
    while layer and type(layer) in IGNORES_OBSERVATIONS:
        layer = layer.env
    return layer is environment.unwrapped
