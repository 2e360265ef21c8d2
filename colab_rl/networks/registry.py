"""The networks there are, and those that people register: a name, or `module:Class`.

    train("walker", settings={"network": MyNetwork})     # of a module: each process finds it
                                                         # of a cell: this process knows it
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from colab_rl.environments.spaces import ObservationSpec
from colab_rl.errors import UsageError, nearest
from colab_rl.networks.base import Network
from colab_rl.networks.body import Body, Layered
from colab_rl.networks.gru import GRU
from colab_rl.networks.layers import Gain
from colab_rl.networks.mlp import MLP
from colab_rl.networks.own import make_own
from colab_rl.user_code import import_path, imported

MakeOwn = Callable[[ObservationSpec, int], nn.Module]  # a Network class, or a function that makes a module
BUILT: dict[str, Callable[..., Network]] = {"auto": Layered, "mlp": Layered, "cnn": Layered, "gru": GRU}  # on a Body
OUR_NETWORKS = tuple(BUILT)
_registered: dict[str, MakeOwn] = {}


def register_network(make: MakeOwn) -> str:
    """Makes a Network class, or a function of its arguments, known in this process.

    Returns `module:Class` if other processes find it so, else its name.
    Raises UsageError for what is neither, and for a name that ours have.
    """
    name = getattr(make, "__name__", "")
    if not callable(make) or not name or ":" in name:
        raise UsageError(f"network takes a name, a Network class or a function that makes one, not {make!r}")
    if name in OUR_NETWORKS:
        raise UsageError(f"a network of your own cannot be called {name!r}: choose another name for it")
    if path := import_path(make):
        return path
    _registered[name] = make
    return name


def own_network(name: str) -> MakeOwn | None:
    """The class or function of a network that is not ours, None for one of ours. Raises UsageError if it is unknown."""
    if name in OUR_NETWORKS:
        return None
    if name in _registered:
        return _registered[name]
    if ":" in name:
        make = imported(name, "network")
        if not callable(make):
            raise UsageError(f"network {name!r} is {make!r}, not a Network class or a function that makes one")
        return make
    raise UsageError(f"unknown network {name!r}{nearest(name, (*OUR_NETWORKS, *_registered))} (choose from "
                     f"{', '.join(OUR_NETWORKS)}); if it is one of your own, name it as module:Class, or give its "
                     'class first in this process, by train(..., settings={"network": MyNetwork}) or register_network '
                     "of colab_rl.networks.registry")


def is_mlp(name: str, observation: ObservationSpec) -> bool:
    """Whether a network of that name, of such observations, is an MLP."""
    return name in ("auto", "mlp") and observation.dtype == "float32"


def acts_in_numpy(name: str, observation: ObservationSpec) -> bool:
    """Whether such a network acts without torch."""
    return name in OUR_NETWORKS and observation.dtype == "float32"


def make_network(config: Any, observation: ObservationSpec, outputs: int, gain: Gain,
                 generator: torch.Generator) -> Network:
    """A network as the settings have it, its weights drawn from `generator`.

    gain: of its outputs at first, or of each; the user's own network has its own.
    Raises UsageError if the observations are not what it takes, or the user's own network does not fit.
    """
    name = config.network
    if make := own_network(name):
        return make_own(make, name, observation, outputs, generator)
    if name == "mlp" and observation.dtype != "float32":
        raise UsageError(f"network mlp takes numbers, and these observations are {_described(observation)}; nothing "
                         "was written; give --set network=auto, or flatten them (--set wrappers=FlattenObservation)")
    if name == "cnn" and observation.dtype == "float32":
        raise UsageError(f"network cnn takes images (uint8 with two to four axes), and these observations are "
                         f"{_described(observation)}; nothing was written; give --set network=auto")
    if is_mlp(name, observation) and not config.layer_norm:
        return MLP([*observation.shape, *config.hidden_sizes, outputs], config.activation, gain, generator)
    return BUILT[name](Body(config, observation, generator), outputs, gain, generator)


def _described(observation: ObservationSpec) -> str:
    return (f"images {', '.join(part.name for part in observation.parts if part.dtype == 'uint8')} beside numbers"
            if observation.parts else f"{observation.dtype} of shape {observation.shape}")
