"""Which run a notebook's form means."""

from __future__ import annotations

import re
from typing import Any

from colab_rl.algorithms.registry import default_algorithm
from colab_rl.environments import EnvironmentSource, environment_name
from colab_rl.environments.make import named_source
from colab_rl.runs.identity import DerivedName
from colab_rl.runs.places import Places
from colab_rl.training.request import DEFAULT_ENVIRONMENT


def stripped(value: Any) -> Any:
    """What a form holds, without the spaces that are pasted around a text."""
    return value.strip() if isinstance(value, str) else value


def derived_name(env: EnvironmentSource | None, algo: str | None, seed: int | None) -> DerivedName:
    """A run's name from what it trains: `bipedalwalker-sac-0`."""
    name = environment_name(env or DEFAULT_ENVIRONMENT)
    env_words = re.sub(r"-v\d+$", "", name.rpartition(":")[2].rpartition(".")[2])
    algo_words = (algo or default_algorithm(name)).rpartition(":")[2]
    return DerivedName(re.sub("[^a-z0-9]+", "-", f"{env_words}-{algo_words}-{seed or 0}".lower()).strip("-"))


def run_to_train(run: str, places: Places, env: EnvironmentSource | None, algo: str | None, seed: int | None) -> str:
    """The run that a form means: the one it names, or `derived_name` if it names none.

    A form whose environment or algorithm was changed, and whose name was left, means another run: the derived name is
    added to its own, and a line says so.
    """
    if isinstance(env, str):  # `module:function`, as train takes it
        env = named_source(env)
    derived = derived_name(env, algo, seed)
    if not run:
        return derived
    identity = places.find(run)
    if identity is None or ((env in (None, identity.env_id) or callable(env)) and algo in (None, identity.algorithm)):
        return run
    other = DerivedName(f"{run}-{derived}")
    print(f"{run} is {identity.algorithm} on {identity.env_id} and was left as it is: this run is called {other}")
    return other
