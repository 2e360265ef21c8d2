"""The user's own network, tried before anything is written.

It is called with a few observations, twice, row by row, and with other weights. That finds what would fail or spoil a
run after hours: outputs of another shape or no numbers, calls that change what the next ones give, rows that depend on
each other, outputs that nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from colab_rl.environments.spaces import ObservationSpec
from colab_rl.errors import OwnCodeFault, UnfitNetwork
from colab_rl.networks.base import Network, RecurrentNetwork
from colab_rl.user_code import theirs

ROWS = 3
BESIDE = ("gives other outputs for an observation alone than beside others{}: an action may not depend on other "
          "environments (layer normalisation does not)")
INSTEAD = "compute what it needs from the observation, or make it a RecurrentNetwork"


def make_own(make: Callable[[ObservationSpec, int], Any], name: str, observation: ObservationSpec, outputs: int,
             generator: torch.Generator) -> Network:
    """The user's own network, its weights drawn from torch's global generator, which `generator` seeds.

    Raises UnfitNetwork that says what is wrong with it, OwnCodeFault if its code raises.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        try:
            network = make(observation, outputs)
            if not isinstance(network, nn.Module):
                raise UnfitNetwork(f"network {name} made {type(network).__name__}, not a torch module")
            network = network if isinstance(network, Network) else Wrapped(network)
            with torch.no_grad():
                fault = _fault(network, observation, outputs)
        except UnfitNetwork:
            raise
        except (Exception, SystemExit) as error:  # of whatever kind: it is the user's code
            raise OwnCodeFault(f"network {name} fails for {ROWS} observations of shape {observation.shape} and "
                               f"{outputs} outputs: {theirs(error, make)}") from error
    if fault:
        raise UnfitNetwork(f"network {name} {fault}")
    return network


def _fault(network: Network, observation: ObservationSpec, outputs: int) -> str:
    """What is wrong with it in words, empty if nothing was found."""
    obs = _observations(observation)
    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm) and (module.training or not module.track_running_stats):
            return BESIDE.format(f", by batch normalisation ({name.removeprefix('module.')})")
    if isinstance(network, RecurrentNetwork) and (wrong := _wrong_state(network, obs)):
        return wrong
    kept = {name: tensor.clone() for name, tensor in _tensors(network).items() if not is_lazy(tensor)}
    found = _called(network, obs)  # lazy layers get their shapes
    if wrong := _wrong_outputs(found, ROWS, observation, outputs):
        return wrong
    for name, tensor in _tensors(network).items():
        if name in kept and not torch.equal(tensor.nan_to_num(), kept[name].nan_to_num()):
            return (f"changes its {'parameter' if isinstance(tensor, nn.Parameter) else 'buffer'} "
                    f"{name.removeprefix('module.')!r} when it is called: an action may not depend on other episodes; "
                    f"{INSTEAD}")
    if not any(parameter.requires_grad for parameter in network.parameters()):
        return "has no parameters to learn"
    if not found.isfinite().all():
        return "gives NaN or infinity at first, for observations that are normal random numbers, or bytes of images"
    _called(network, obs[:1])  # what it would remember is another observation then
    if not torch.equal(_called(network, obs), found):
        return ("gives other outputs for the same observations the second time: it draws random numbers, or keeps "
                f"something from call to call; {INSTEAD}")
    rows = [_called(network, row) for row in obs.split(1)]
    if wrong := next(filter(None, (_wrong_outputs(row, 1, observation, outputs) for row in rows)), ""):
        return wrong
    if not torch.allclose(torch.cat(rows), found, 1e-3, 1e-4):
        return BESIDE.format("")
    # Weights other than the first ones, which may well be zeros in the last layer.
    first = {key: value.clone() for key, value in network.state_dict().items()}
    network.load_state_dict({key: value + 0.1 * torch.randn_like(value) if value.is_floating_point() else value
                             for key, value in first.items()})
    moved = _called(network, obs)
    network.load_state_dict(first)
    return "gives the same outputs whatever it observes" if (moved == moved[0]).all() else ""


def _tensors(network: Network) -> dict[str, Tensor]:
    """Its parameters and buffers, those that no checkpoint holds too."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _wrong_outputs(found: Any, rows: int, observation: ObservationSpec, outputs: int) -> str:
    """How outputs differ from (rows, outputs) float32, empty if they do not."""
    if isinstance(found, Tensor) and (found.shape, found.dtype) == ((rows, outputs), torch.float32):
        return ""
    what = f"{tuple(found.shape)} {found.dtype}" if isinstance(found, Tensor) else type(found).__name__
    return (f"gives {what} for {rows} observation{'s' if rows > 1 else ''} of shape {observation.shape}, and "
            f"({rows}, {outputs}) torch.float32 is needed")


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
