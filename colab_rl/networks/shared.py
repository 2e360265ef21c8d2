"""One network for several uses, each of which takes some of its outputs.

    trunk = make_network(outputs + 1)
    policy, value = Head(trunk, slice(0, outputs)), Head(trunk, slice(outputs, outputs + 1))

Each head is a network like others. `OnePass` stands for observations while learning: the losses of all heads take one
pass through the trunk and one back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from colab_rl.networks.base import Forward, Network, Pullback, Sequences


class OnePass:
    """The trunk's outputs for some observations. The gradients by them add up, until `pullback` takes them back."""

    def __init__(self, trunk: Network, obs: Any):
        self.outputs, self._pullback = trunk.vjp(obs)
        self.gradient = torch.zeros_like(self.outputs)

    def pullback(self) -> None:
        """Adds to `.grad` of the trunk's parameters."""
        self._pullback(self.gradient)


class Head(Network):
    """Some outputs of a trunk. It has memory if the trunk has."""

    def __init__(self, trunk: Any, columns: slice):
        super().__init__()
        self.trunk, self.columns = trunk, columns
        self.state_size = trunk.state_size

    def forward(self, obs: Any) -> Tensor:
        """See Network."""
        return self.trunk(obs)[:, self.columns]

    def unroll(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """See RecurrentNetwork."""
        outputs, state = self.trunk.unroll(sequences)
        return outputs[..., self.columns], state

    def vjp(self, obs: Any) -> tuple[Tensor, Pullback]:
        """See Network. Of a OnePass, the pullback leaves the gradient there."""
        if not isinstance(obs, OnePass):
            return super().vjp(obs)

        def pullback(gradient: Tensor) -> None:
            obs.gradient[:, self.columns] += gradient

        return obs.outputs[:, self.columns].detach().requires_grad_(), pullback

    def acting(self) -> Forward:
        """See Network."""
        outputs = self.trunk.acting()
        return lambda rows: outputs(rows)[:, self.columns]

    def dead_units(self, obs: Tensor) -> float | None:
        """See Network; of the trunk."""
        return self.trunk.dead_units(obs)
