"""Whether an episode depends on its seed and its actions alone: found out by trying, since most of what makes it depend
on more cannot be seen from outside. Such are wrappers and environments that remember, generators that no seed sets,
clocks, and state that instances share.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator

import gymnasium

from colab_rl.environments.guard import prints_aside
from colab_rl.environments.known.registry import prepare_environment
from colab_rl.environments.make import EnvironmentSource, close_environment, environment_name, make_environment
from colab_rl.environments.nested import Observed
from colab_rl.environments.stepper import Stepper
from colab_rl.progress import say

STEPS, OTHER_STEPS = 24, 8  # of the episode, and of the one between
SECONDS = 0.2               # of the episode, at most
SEED, OTHER_SEED = 20_260_101, 20_260_102


def unrepeatable(name: str) -> str:
    """The reason that stands in manifests and messages."""
    return f"{name} does not repeat an episode from its seed and actions"


@prints_aside()
def repeats(environment: gymnasium.Env, beside: gymnasium.Env | None = None) -> bool:
    """Plays a short episode by random actions, one of another seed, and the first one again; whether all that it
    returned is the same.

    beside: another instance in this process, which plays at the same time as the last of them.
    """
    if not prepare_environment(environment):
        return False
    first = list(_play(environment, SEED, STEPS, SECONDS))
    steps = len(first) - 1
    for _ in _play(environment, OTHER_SEED, min(OTHER_STEPS, steps)):
        pass
    other = iter(()) if beside is None else _play(beside, OTHER_SEED, steps)
    again = []
    for moment in _play(environment, SEED, steps):
        again.append(moment)
        next(other, None)
    return first == again


def say_unless_it_repeats(source: EnvironmentSource) -> None:
    """Tells a person if an episode's return says little of another one of its seed."""
    environment = make_environment(source)
    if not repeats(environment):
        say(f"{unrepeatable(environment_name(source))}: the same seed may give another return another time")
    close_environment(environment)


def _play(environment: gymnasium.Env, seed: int, steps: int, seconds: float = math.inf) -> Iterator[tuple]:
    """What `reset` and each step gave; the type of what one raised, which ends it."""
    try:
        observation = Observed(environment.observation_space).spec.zeros()
        stepper = Stepper(environment, observation)
        actions = copy.deepcopy(environment.action_space)
        actions.seed(seed)
        deadline = time.monotonic() + seconds
        stepper.begin(seed)
        yield (observation.tobytes(),)
        for _ in range(steps):
            _, *ended = result = stepper.step(actions.sample(), sampled=True)
            yield observation.tobytes(), *result
            if any(ended) or time.monotonic() > deadline:
                return
    except (Exception, SystemExit) as error:
        yield (type(error),)
