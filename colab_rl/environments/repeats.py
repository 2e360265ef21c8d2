"""Whether an episode depends on its seed and its actions alone: found out by trying, since most of what makes it depend
on more cannot be seen from outside. Such are wrappers and environments that remember, generators that no seed sets,
clocks, and state that instances share.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils.env_checker import data_equivalence

from colab_rl.environments.guard import prints_aside
from colab_rl.environments.known import prepare
from colab_rl.progress import say

STEPS, SECONDS = 50, 0.2  # of the first episode, at most
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
    if not prepare(environment):
        return False
    first = list(_play(environment, SEED, STEPS, SECONDS))
    for _ in _play(environment, OTHER_SEED, len(first)):
        pass
    other = iter(()) if beside is None else _play(beside, OTHER_SEED, len(first))
    again = []
    for moment in _play(environment, SEED, len(first)):
        again.append(moment)
        next(other, None)
    return data_equivalence(first, again, exact=True)


def say_unless_it_repeats(environment: gymnasium.Env, name: str) -> None:
    """Tells a person that an episode's return says little of another one of its seed."""
    if not repeats(environment):
        say(f"{unrepeatable(name)}: the same seed may give another return another time")


def _play(environment: gymnasium.Env, seed: int, moments: int, seconds: float = math.inf) -> Iterator[Any]:
    """What `reset` and each step returned, less `info`; the type of what one raised, which ends it."""
    actions = copy.deepcopy(environment.action_space)
    actions.seed(seed)
    deadline = time.monotonic() + seconds
    try:
        prepare(environment)
        yield _copied(environment.reset(seed=seed)[0])
        ended = False
        for _ in range(moments - 1):
            if ended or time.monotonic() > deadline:
                return
            *returned, _ = environment.step(actions.sample())
            ended = bool(returned[2] or returned[3])
            yield _copied(tuple(returned))
    except (Exception, SystemExit) as error:
        yield type(error).__name__


def _copied(value: Any) -> Any:
    """It, in arrays of its own: an environment may use its arrays again."""
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return tuple(map(_copied, value)) if isinstance(value, tuple) else np.array(value)
