"""The networks there are, and those that people register: a name, or `module:Class`.

    train("walker", settings={"network": MyNetwork})     # registers it by its name, for this process
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from colab_rl.arguments import imported
from colab_rl.environments.spaces import ObservationSpec
from colab_rl.errors import UsageError, nearest
from colab_rl.networks.base import Network
from colab_rl.networks.mlp import MLP

MakeOwn = Callable[[ObservationSpec, int], nn.Module]  # a Network class, or a function that makes a module
OURS = ("mlp",)
_registered: dict[str, MakeOwn] = {}


def register_network(make: MakeOwn) -> str:
    """Makes a Network class, or a function of its arguments, known by its name in this process; returns the name.

    Raises UsageError for what is neither, and for a name that ours have.
    """
    name = getattr(make, "__name__", "")
    if not callable(make) or not name or ":" in name:
        raise UsageError(f"network takes a name, a Network class or a function that makes one, not {make!r}")
    if name in OURS:
        raise UsageError(f"a network of your own cannot be called {name!r}: choose another name for it")
    _registered[name] = make
    return name


def own_network(name: str) -> MakeOwn | None:
    """The class or function of a network that is not ours, None for one of ours. Raises UsageError if it is unknown."""
    if name in OURS:
        return None
    if name in _registered:
        return _registered[name]
    if ":" in name:
        return imported(name, "network")
    raise UsageError(f"unknown network {name!r}{nearest(name, (*OURS, *_registered))} (choose from {', '.join(OURS)}); "
                     'give one of your own each time: train(..., settings={"network": MyNetwork})')


def make_network(config: Any, observation: ObservationSpec, outputs: int, gain: float,
                 generator: torch.Generator) -> Network:
    """A network as the settings have it, its weights drawn from `generator`.

    gain: of an MLP's outputs at first. Raises UsageError if a network of one's own does not fit.
    """
    make = own_network(config.network)
    if make is None:
        if len(observation.shape) != 1:
            raise UsageError(f"network mlp takes flat observations, and these have shape {observation.shape}: give a "
                             "network of your own, or flatten them (gymnasium.wrappers.FlattenObservation)")
        return MLP([*observation.shape, *config.hidden_sizes, outputs], config.activation, gain, generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        try:
            network = make(observation, outputs)
            if not isinstance(network, nn.Module):
                raise UsageError(f"network {config.network} made {type(network).__name__}, not a torch module")
            network = network if isinstance(network, Network) else Wrapped(network)
            with torch.no_grad():
                found = network(torch.from_numpy(observation.zeros(3)))
        except (TypeError, RuntimeError, ValueError, AttributeError, IndexError) as error:  # what mistakes in it raise
            what = " ".join(f"{type(error).__name__}: {error}".split())
            raise UsageError(f"network {config.network} fails for 3 observations of shape {observation.shape} and "
                             f"{outputs} outputs: {what}; nothing was changed") from error
    if not isinstance(found, Tensor) or found.shape != (3, outputs) or found.dtype != torch.float32:
        what = f"{tuple(found.shape)} {found.dtype}" if isinstance(found, Tensor) else type(found).__name__
        raise UsageError(f"network {config.network} gives {what} for 3 observations of shape {observation.shape}, "
                         f"and (3, {outputs}) torch.float32 is needed")
    return network


class Wrapped(Network):
    """A plain torch module."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, obs: Tensor) -> Tensor:
        """See Network."""
        return self.module(obs)
