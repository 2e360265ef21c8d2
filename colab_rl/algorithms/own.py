"""Your own algorithm, or one of ours with your own network: colab_rl says in one line what they raise.

What ours raise stays what it is: a mistake of colab_rl shows its traceback.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral
from typing import Any

import torch

from colab_rl.algorithms.actor_critic import ActorCritic
from colab_rl.algorithms.base import Algorithm
from colab_rl.algorithms.on_policy import OnPolicyAlgorithm
from colab_rl.algorithms.registry import OUR_ALGORITHMS, algorithm_class
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import ColabRLError, Divergence, OwnCodeFault
from colab_rl.networks.registry import own_network
from colab_rl.settings import Config
from colab_rl.user_code import is_theirs, place_of, theirs

TRAINERS_COLUMNS = ("iteration", "step", "seconds")  # of the table of metrics
TRAINERS_BEGINNINGS = ("episode/", "evaluation/", "time/", "session/")


def own_parts(algorithm: str, network: str) -> dict[str, Any]:
    """The classes and functions of a run that are a person's own, by what people call them."""
    parts: dict[str, Any] = {}
    if algorithm not in OUR_ALGORITHMS:
        parts[f"algorithm {algorithm}"] = algorithm_class(algorithm)
    make = own_network(network)
    return parts | ({f"network {network}": make} if make else {})


@contextlib.contextmanager
def own_code_guarded(algorithm: str, network: str, then: str = "") -> Iterator[None]:
    """While entered, what a person's own algorithm or network raises becomes an OwnCodeFault.

    then: what the line says in the end.
    """
    try:
        yield
    except OwnCodeFault as error:
        raise type(error)(f"{error}{then}") from error
    except ColabRLError:
        raise
    except (Exception, SystemExit) as error:
        parts = own_parts(algorithm, network)
        if not parts or (isinstance(error, OSError) and not is_theirs(error)):
            raise
        what = theirs(error, next(iter(parts.values())))
        raise OwnCodeFault(f"{' with '.join(parts)} failed: {what}{then}") from error


def check_algorithm(algorithm: str, config: Config, spaces: Spaces, then: str = "; nothing was written") -> None:
    """Raises UsageError or OwnCodeFault if the algorithm cannot learn in these spaces. then: see `own_code_guarded`."""
    with own_code_guarded(algorithm, config.network, then):
        algorithm_class(algorithm).check(config, spaces)


def make_algorithm(name: str, config: Config, spaces: Spaces, device: torch.device, then: str = "") -> Algorithm:
    """An algorithm as it begins. Raises OwnCodeFault if it is a person's own and fails, or does not set what its base
    class needs. then: see `own_code_guarded`.
    """
    with own_code_guarded(name, config.network, then):
        algorithm = algorithm_class(name)(config, spaces, device)
        needed = ["episodes"] + ["policy", "networks", "optimizers"] * isinstance(algorithm, ActorCritic)
        needed += ["value"] * isinstance(algorithm, OnPolicyAlgorithm)
        if missing := [part for part in needed if not hasattr(algorithm, part)]:
            raise OwnCodeFault(f"algorithm {name} does not set {', '.join(missing)} in its __init__"
                               f"{place_of(type(algorithm))}")
        return algorithm


@contextlib.contextmanager
def loading(algorithm: Algorithm, name: str, network: str, saved: Callable[[], Mapping[str, Any]],
            what: str) -> Iterator[None]:
    """While entered, the algorithm takes over a saved state. Raises ColabRLError if that does not fit.

    saved: gives the algorithm's saved state. what: whose it is, such as `generation 2`.
    """
    try:
        yield
    except ColabRLError:
        raise
    except Exception as error:
        parts, why = own_parts(name, network), ""
        if parts:
            with contextlib.suppress(Exception):
                why = state_difference(algorithm.state_dict(), saved())
            why = why or (theirs(error) if is_theirs(error) else "")
        if why:
            raise ColabRLError(f"{what} is whole but does not fit {' with '.join(parts)}, whose code has changed: "
                               f"{why}; nothing was changed; put the code back as it was, or begin a run of another "
                               "name") from error
        if not isinstance(error, ValueError | KeyError | RuntimeError | TypeError):
            raise
        raise ColabRLError(f"{what} is whole but cannot be loaded by this version of colab_rl; nothing was changed"
                           ) from error


def check_returned(steps: Any, metrics: Any) -> None:
    """Raises TypeError or ValueError for what an algorithm's `collect` or `update` must not return, and Divergence if a
    loss or a norm is not finite.
    """
    if not isinstance(steps, Integral) or not isinstance(metrics, Mapping):
        raise TypeError(f"collect returned {type(steps).__name__} and update {type(metrics).__name__}, and a "
                        "number of steps and a dict of metrics are needed")
    if steps < 0:
        raise ValueError(f"collect returned {steps}, and a number of steps is not negative")
    for name, value in ((str(key), value) for key, value in metrics.items()):
        if name in TRAINERS_COLUMNS or name.startswith(TRAINERS_BEGINNINGS):
            raise ValueError(f"update returned a metric called {name!r}, which is a column of colab_rl's own: give it "
                             "another name")
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise TypeError(f"update returned {type(value).__name__} as the metric {name!r}, and a number is needed"
                            ) from None
        if name.startswith(("loss/", "optimizer/")) and not math.isfinite(number):
            raise Divergence(f"{name} is {number}")


def state_difference(now: Mapping[str, Any], then: Mapping[str, Any], within: str = "") -> str:
    """The first part whose shape, or whose presence, differs between two states; empty if none does."""
    for name in dict.fromkeys((*now, *then)):
        part, (one, other) = f"{within}{name}", (state.get(name) for state in (now, then))
        if name not in now or name not in then:
            return f"{part} is {'not ' if name not in now else ''}there now, and {'not ' if name in now else ''}in it"
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            if found := state_difference(one, other, f"{part}."):
                return found
        elif (shapes := [getattr(value, "shape", None) for value in (one, other)]) and shapes[0] != shapes[1]:
            has, had = (tuple(shape) if shape is not None else "none" for shape in shapes)
            return f"{part} has the shape {has} now, and {had} in it"
    return ""
