"""A gated recurrent unit between a body and an output layer (Cho et al. 2014, arXiv:1406.1078).

It has as many units as its body has features. While it acts, it is NumPy's, for the reasons of mlp.py.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from colab_rl.networks.base import Forward, RecurrentNetwork, Remembered, Sequences
from colab_rl.networks.body import Body
from colab_rl.networks.layers import Gain, in_numpy, initialised, linear


class GRU(RecurrentNetwork):
    """A body, torch's GRU and an output layer."""

    def __init__(self, body: Body, outputs: int, gain: Gain, generator: torch.Generator):
        super().__init__()
        self.body = body
        self.state_size = body.width
        with torch.random.fork_rng(devices=[]):  # torch draws its weights from the global generator
            self.gru = nn.GRU(body.width, body.width)
        initialised(self.gru, 1.0, generator)
        self.output = linear(body.width, outputs, gain, generator)

    def step(self, obs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See RecurrentNetwork."""
        found, after = self.gru(self.body(obs).unsqueeze(0), state.unsqueeze(0))
        return self.output(found[0]), after[0]

    def unroll(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """See RecurrentNetwork. The GRU is called once for all steps between two at which an episode begins."""
        obs, valid, state = sequences
        steps = len(obs)
        x = self.body(obs.flatten(0, 1)).unflatten(0, (steps, -1))
        ends = (torch.nonzero(~valid.all(1)).flatten() + 1).tolist()
        found = []
        for start, end in itertools.pairwise(sorted({0, *ends, steps})):
            part, after = self.gru(x[start:end], state.unsqueeze(0))
            state = after[0] * valid[end - 1].unsqueeze(-1)
            found.append(part)
        return self.output(torch.cat(found)), state

    def acting(self) -> Forward:
        """See RecurrentNetwork."""
        features, output = self.body.acting(), in_numpy(self.output)
        gru: Any = self.gru
        units = self.state_size
        of_input, of_state = ((weight.numpy(force=True).T, bias.numpy(force=True)) for weight, bias in (
            (gru.weight_ih_l0, gru.bias_ih_l0), (gru.weight_hh_l0, gru.bias_hh_l0)))

        def outputs(rows: Remembered) -> Any:
            before = rows.state
            x = (features(rows.obs) @ of_input[0] + of_input[1])[:, 0]
            h = (before[:, None] @ of_state[0] + of_state[1])[:, 0]
            reset = _sigmoid(x[:, :units] + h[:, :units])
            update = _sigmoid(x[:, units:2 * units] + h[:, units:2 * units])
            new = np.tanh(x[:, 2 * units:] + reset * h[:, 2 * units:])
            after = new + update * (before - new)
            rows.state[:] = after
            return (after[:, None] @ output[0] + output[1])[:, 0]

        return outputs

    def dead_units(self, obs: Tensor) -> float:
        """See Network; of the body."""
        return self.body.dead_units(obs)


def _sigmoid(x: Any) -> Any:
    return 0.5 + 0.5 * np.tanh(0.5 * x)
