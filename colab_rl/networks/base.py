"""The seam between algorithms and networks.

A new network is a subclass of `Network` with a `forward`:

    class LayerNorm(Network):
        def __init__(self, observation, outputs):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(*observation.shape, 64), nn.LayerNorm(64), nn.Tanh(),
                                        nn.Linear(64, outputs))

        def forward(self, obs):
            return self.layers(obs)

An algorithm never calls `backward` through a network. It asks for the outputs and a pullback, writes its loss of the
outputs, and hands the loss's gradient by the outputs back:

    outputs, pullback = network.vjp(obs)
    pullback(*torch.autograd.grad(loss_of(outputs), outputs))

`vjp` (vector-Jacobian product) and `acting` have defaults that need nothing but `forward`. `MLP` overrides both,
because calls, and not arithmetic, are what networks of this size cost.

A network with memory is a subclass of `RecurrentNetwork` with a `state_size` and a `step`. While others get
observations, it gets them with what it remembers: `Remembered` while it acts, `Sequences` while it learns. So nothing
between the algorithm and the network has to know of memory.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

Pullback = Callable[[Tensor], None]
Forward = Callable[..., Any]  # of (B, *obs_shape) observations, or of Remembered ones


class Remembered(NamedTuple):
    """Observations, and the state in which they find a network with memory. It overwrites `state` with the next one."""

    obs: Any    # (B, *obs_shape)
    state: Any  # (B, state_size) float32; zeros when an episode begins


class Sequences(NamedTuple):
    """T consecutive steps of n environments, from which a network with memory learns."""

    obs: Tensor    # (T, n, *obs_shape)
    valid: Tensor  # (T, n) bool, False in a row that only resets: after it the state is zero
    state: Tensor  # (n, state_size) float32 before the first step


class Network(nn.Module):
    """A torch module from observations to outputs: (B, *obs_shape) to (B, outputs).

    It is made as `Network(observation, outputs)`: an ObservationSpec and a number. Its parameters start from torch's
    global generator, which the run seeds first. A call changes nothing in it: neither buffers nor attributes.

    state_size: how many numbers it carries through an episode, 0 without memory.
    """

    state_size: int = 0

    def vjp(self, obs: Any) -> tuple[Tensor, Pullback]:
        """The outputs, as a leaf that requires a gradient, and the pullback of a loss's gradient by them.

        The pullback adds to `.grad` of every parameter: two losses of one network are two pullbacks. Both are called
        while autograd does not record (`torch.no_grad`), as it is the case in an update.
        """
        return recorded(self, obs)

    def acting(self) -> Forward:
        """`forward` with the parameters of now, from arrays of observations to float32 arrays. A row does not depend on
        other rows.

        Each row is a batch of its own: how a product of several rows is rounded depends on how many there are.
        """
        device = next(self.parameters()).device

        def outputs(rows: Any) -> Any:
            if not isinstance(rows, np.ndarray):
                return rows.through(self)  # an export's symbols
            with torch.no_grad():
                return torch.cat([self(row) for row in torch.from_numpy(rows).to(device).split(1)]).numpy(force=True)

        return outputs

    def dead_units(self, obs: Tensor) -> float | None:
        """Share of hidden units whose output hardly changes from row to row, None if it is not counted."""
        return None


class RecurrentNetwork(Network):
    """A network with memory. `step` is all that a new one needs, and a `state_size`."""

    state_size: int

    @abstractmethod
    def step(self, obs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """(B, outputs) and the next (B, state_size) state, of (B, *obs_shape) observations and the state before."""

    def unroll(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """(T, n, outputs), and the (n, state_size) state after the last step."""
        found, state = [], sequences.state
        for obs, valid in zip(sequences.obs, sequences.valid, strict=True):
            outputs, state = self.step(obs, state)
            state = state * valid.unsqueeze(-1)
            found.append(outputs)
        return torch.stack(found), state

    def forward(self, sequences: Sequences) -> Tensor:
        """(B, outputs) of the B valid rows, those of the first step first."""
        return self.unroll(sequences)[0][sequences.valid]

    def acting(self) -> Forward:
        """See Network; of `Remembered` observations."""
        device = next(self.parameters()).device

        def outputs(rows: Remembered) -> Any:
            if not isinstance(rows.obs, np.ndarray):
                symbols, rows.state[:] = rows.obs.through(self, rows.state)  # an export's
                return symbols
            found = []
            with torch.no_grad():
                for i, (obs, state) in enumerate(zip(rows.obs, rows.state, strict=True)):
                    one, after = self.step(*(torch.from_numpy(row[None]).to(device) for row in (obs, state)))
                    rows.state[i] = after[0].numpy(force=True)
                    found.append(one)
            return torch.cat(found).numpy(force=True)

        return outputs


def state_size_of(module: nn.Module) -> int:
    """How many numbers the network in a module carries through an episode, 0 without memory."""
    return next((part.state_size for part in module.modules() if isinstance(part, Network)), 0)


def recorded(module: nn.Module, *inputs: Any) -> tuple[Tensor, Pullback]:
    """`Network.vjp` of any module, by autograd."""
    with torch.enable_grad():
        outputs = module(*inputs)
    return outputs.detach().requires_grad_(), partial(torch.autograd.backward, outputs)


def accumulate(parameter: nn.Parameter, gradient: Tensor) -> None:
    """Adds to a parameter's `.grad`."""
    parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
