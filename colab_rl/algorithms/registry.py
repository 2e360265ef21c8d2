"""The algorithms there are, and those that people register: a name, or `module:Class`.

    train("swing", algo=MyAlgorithm)     # of a module: each process finds it. Of a cell: this process knows it
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from colab_rl.algorithms.base import Algorithm
from colab_rl.algorithms.ppo.ppo import PPO
from colab_rl.algorithms.sac.sac import SAC
from colab_rl.algorithms.tqc.tqc import TQC
from colab_rl.errors import ColabRLError, OwnCodeFault, UsageError, nearest
from colab_rl.settings import Config
from colab_rl.user_code import import_path, imported, theirs

ALGORITHMS: dict[str, type[Algorithm]] = {algorithm.name: algorithm for algorithm in (PPO, SAC, TQC)}
OUR_ALGORITHMS = tuple(ALGORITHMS)
DEFAULT_ALGORITHM = "ppo"
# Environments that another one learns more surely than PPO, seed by seed (docs/results.md).
SURER = dict.fromkeys(("BipedalWalker-v3", "BipedalWalkerHardcore-v3", "Pendulum-v1"), SAC.name)
# What other libraries call a setting of ours; of several, an algorithm has one.
OTHER_NAMES = {"lr": ("learning_rate",), "batch_size": ("minibatch_size",), "n_steps": ("num_steps",),
               "n_envs": ("num_envs",), "n_epochs": ("update_epochs",), "epochs": ("update_epochs",),
               "total_timesteps": ("total_steps",), "timesteps": ("total_steps",), "steps": ("total_steps",),
               "entropy_coef": ("ent_coef", "initial_temperature"), "clip_coef": ("clip_range",),
               "lambda": ("gae_lambda",), "lam": ("gae_lambda",),
               "layers": ("hidden_sizes",), "net_arch": ("hidden_sizes",), "replay_capacity": ("buffer_size",)}


def register_algorithm(algorithm: type[Algorithm]) -> str:
    """Makes an algorithm known in this process; returns `module:Class` if other processes find it so, else its name.

    Raises UsageError for what is no Algorithm, lacks one of its parts, or has the name of one of ours.
    """
    if not (isinstance(algorithm, type) and issubclass(algorithm, Algorithm)):
        raise UsageError(f"algo takes a name or an Algorithm class, not {algorithm!r}")
    missing = [name for name in ("name", "config_class", "off_policy") if not hasattr(algorithm, name)]
    missing += sorted(algorithm.__abstractmethods__)
    if missing:
        raise UsageError(f"algorithm {algorithm.__name__} lacks {', '.join(missing)}")
    if not (isinstance(algorithm.config_class, type) and issubclass(algorithm.config_class, Config)):
        raise UsageError(f"algorithm {algorithm.__name__} has {algorithm.config_class!r} as its config_class, and a "
                         "subclass of Config of colab_rl.settings is needed")
    bare = [field.name for field in dataclasses.fields(algorithm.config_class) if "shapes_state" not in field.metadata]
    if bare:
        raise UsageError(f"algorithm {algorithm.__name__} has a config with {', '.join(bare)} that no setting(...) of "
                         "colab_rl.settings describes")
    if algorithm.name in OUR_ALGORITHMS and ALGORITHMS[algorithm.name] is not algorithm:
        raise UsageError(f"an algorithm of your own cannot be called {algorithm.name!r}: give {algorithm.__name__} "
                         "another name")
    name = algorithm.name if algorithm.name in OUR_ALGORITHMS else import_path(algorithm) or algorithm.name
    ALGORITHMS[name] = algorithm
    return name


def algorithm_class(name: str) -> type[Algorithm]:
    """The algorithm of that name. Raises UsageError for an unknown one."""
    if name not in ALGORITHMS and ":" in name:
        ALGORITHMS[name] = ALGORITHMS[register_algorithm(imported(name, "algorithm"))]  # a package may hold it too
    if name not in ALGORITHMS:
        raise UsageError(f"unknown algorithm {name!r}{nearest(name, ALGORITHMS)} (choose from "
                         f"{', '.join(OUR_ALGORITHMS)}); if it is one of your own, name it as module:Class, or give "
                         "its class first in this process, by train(..., algo=MyAlgorithm) or register_algorithm of "
                         "colab_rl.algorithms.registry")
    return ALGORITHMS[name]


def settings_of(algorithm: str) -> list[str]:
    """The names of an algorithm's settings."""
    return [field.name for field in dataclasses.fields(algorithm_class(algorithm).config_class)]


def check_names(algorithm: str, settings: Iterable[str]) -> None:
    """Raises UsageError that names the nearest settings if the algorithm has none of a name."""
    names = settings_of(algorithm)
    for name in settings:
        if name not in names:
            ours = next((one for one in OTHER_NAMES.get(str(name).lower(), ()) if one in names), None)
            theirs = next((one for one in OUR_ALGORITHMS if name in settings_of(one)), None)
            hint = (f"; did you mean {ours!r}?" if ours else f"; it is one of {theirs}" if theirs
                    else nearest(name, names))
            raise UsageError(f"unknown setting {name!r} of {algorithm}{hint} (all of them: python -m colab_rl presets; "
                             "an argument of gymnasium.make goes to --env-set, in Python to env_kwargs)")


def make_config(algorithm: str, settings: Mapping[str, Any]) -> Config:
    """A checked config. Raises UsageError that names the nearest settings if one is unknown, OwnCodeFault if the
    config of your own algorithm raises.
    """
    check_names(algorithm, settings)
    kind = algorithm_class(algorithm).config_class
    try:
        return kind(**settings)
    except ColabRLError:
        raise
    except Exception as error:
        if algorithm in OUR_ALGORITHMS:
            raise
        raise OwnCodeFault(f"the config of algorithm {algorithm} failed: {theirs(error, kind)}; nothing was changed"
                           ) from error


def default_algorithm(env_id: str) -> str:
    """What trains an environment if nothing else is asked for. A namespace (`module:`) is ignored."""
    return SURER.get(env_id.rpartition(":")[2], DEFAULT_ALGORITHM)


def preset(env_id: str, algorithm: str) -> dict[str, Any]:
    """The tuned settings of an environment, empty if it has none. A namespace (`module:`) is ignored."""
    return dict(algorithm_class(algorithm).presets.get(env_id.rpartition(":")[2], {}))
