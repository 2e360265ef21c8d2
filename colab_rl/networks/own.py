"""The user's own network, tried before anything is written.

It is called with a few observations, twice, row by row, and with other weights. That finds what would fail or spoil a
run after hours: outputs of another shape, state that no checkpoint holds, rows that depend on each other, outputs that
nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from colab_rl.environments.spaces import ObservationSpec
from colab_rl.errors import UsageError
from colab_rl.networks.base import Network, RecurrentNetwork

ROWS = 3
# What mistakes in a network raise.
MISTAKES = (TypeError, RuntimeError, ValueError, AttributeError, IndexError, KeyError, NotImplementedError)


def make_own(make: Callable[[ObservationSpec, int], Any], name: str, observation: ObservationSpec, outputs: int,
             generator: torch.Generator) -> Network:
    """The user's own network, its weights drawn from torch's global generator, which `generator` seeds.

    Raises UsageError that says what is wrong with it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        try:
            network = make(observation, outputs)
            if not isinstance(network, nn.Module):
                raise UsageError(f"network {name} made {type(network).__name__}, not a torch module; "
                                 "nothing was written")
            network = network if isinstance(network, Network) else Wrapped(network)
            with torch.no_grad():
                fault = _fault(network, observation, outputs)
        except MISTAKES as error:
            what = " ".join(f"{type(error).__name__}: {error}".split())
            raise UsageError(f"network {name} fails for {ROWS} observations of shape {observation.shape} and "
                             f"{outputs} outputs: {what}; nothing was written") from error
    if fault:
        raise UsageError(f"network {name} {fault}; nothing was written")
    return network


def _fault(network: Network, observation: ObservationSpec, outputs: int) -> str:
    """What is wrong with it in words, empty if nothing was found."""
    obs = _observations(observation)
    if isinstance(network, RecurrentNetwork) and (wrong := _wrong_state(network, obs)):
        return wrong
    _called(network, obs)  # lazy layers get their shapes
    weights = {key: value.clone() for key, value in network.state_dict().items()}

    def outputs_of(rows: Tensor) -> Tensor:
        network.load_state_dict(weights)  # buffers may change: checkpoints hold them
        return _called(network, rows)

    found = outputs_of(obs)
    if not isinstance(found, Tensor) or found.shape != (ROWS, outputs) or found.dtype != torch.float32:
        what = f"{tuple(found.shape)} {found.dtype}" if isinstance(found, Tensor) else type(found).__name__
        return (f"gives {what} for {ROWS} observations of shape {observation.shape}, and ({ROWS}, {outputs}) "
                "torch.float32 is needed")
    if not any(parameter.requires_grad for parameter in network.parameters()):
        return "has no parameters to learn"
    if not torch.equal(outputs_of(obs).nan_to_num(), found.nan_to_num()):
        return ("gives other outputs for the same observations the second time: it draws random numbers, or keeps "
                "state that no checkpoint holds; keep state in buffers, or make it a RecurrentNetwork")
    if not torch.allclose(torch.cat([outputs_of(row) for row in obs.split(1)]), found, 1e-3, 1e-4, equal_nan=True):
        return ("gives other outputs for an observation alone than beside others, as batch normalisation does: an "
                "action may not depend on other environments (layer normalisation does not)")
    # Weights other than the first ones, which may well be zeros in the last layer.
    first = weights
    weights = {key: value + 0.1 * torch.randn_like(value) if value.is_floating_point() else value
               for key, value in first.items()}
    moved = outputs_of(obs)
    network.load_state_dict(first)
    return "gives the same outputs whatever it observes" if (moved == moved[0]).all() else ""


def _observations(observation: ObservationSpec) -> Tensor:
    """(ROWS, *shape) different ones."""
    rng = np.random.default_rng(0)

    def drawn(shape: tuple[int, ...], dtype: str) -> np.ndarray:
        numbers = rng.normal(size=shape) if dtype == "float32" else rng.integers(256, size=shape)
        return numbers.astype(dtype)

    rows = observation.zeros(ROWS)
    if observation.parts:
        for part in observation.parts:
            observation.unpack(rows)[part.name][:] = drawn((ROWS, *part.shape), part.dtype)
    else:
        rows = drawn(rows.shape, observation.dtype)
    return torch.from_numpy(rows)


def _wrong_state(network: RecurrentNetwork, obs: Tensor) -> str:
    """What is wrong with the state that a network carries, empty if nothing is."""
    if network.state_size < 1:
        return "has memory and no state_size: set it to the numbers that it carries from step to step"
    _, state = network.step(obs, torch.zeros(len(obs), network.state_size))
    if isinstance(state, Tensor) and (state.shape, state.dtype) == ((len(obs), network.state_size), torch.float32):
        return ""
    what = f"{tuple(state.shape)} {state.dtype}" if isinstance(state, Tensor) else type(state).__name__
    return f"gives {what} as its next state, and ({len(obs)}, {network.state_size}) torch.float32 is needed"


def _called(network: Network, obs: Tensor) -> Any:
    if isinstance(network, RecurrentNetwork):
        return network.step(obs, torch.zeros(len(obs), network.state_size))[0]
    return network(obs)


class Wrapped(Network):
    """A plain torch module."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, obs: Tensor) -> Tensor:
        """See Network."""
        return self.module(obs)
