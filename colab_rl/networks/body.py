"""What all networks of ours but the plain MLP are built of: convolutions of images, hidden layers, an output layer."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from colab_rl.environments.spaces import ObservationSpec
from colab_rl.networks.activations import ACTIVATIONS
from colab_rl.networks.base import Forward, Network, Pullback
from colab_rl.networks.cnn import Convolutions
from colab_rl.networks.halves import recorded_in_halves
from colab_rl.networks.layers import Gain, in_numpy, layer_normalized, linear, normalized_in_numpy


class Body(nn.Module):
    """From observations to (B, width) features: of images those of their convolutions, then the hidden layers.

    With `layer_norm`, what enters each activation is normalised over the units of its layer first.
    """

    def __init__(self, config: Any, observation: ObservationSpec, generator: torch.Generator):
        super().__init__()
        self.encoder: Convolutions | Joined | None = None
        if observation.parts:
            self.encoder = Joined(observation, config.cnn_size, generator)
        elif observation.dtype == "uint8":
            self.encoder = Convolutions(observation.shape, config.cnn_size, generator)
        sizes = [self.encoder.width if self.encoder else observation.shape[0], *config.hidden_sizes]
        self.layers = nn.ModuleList(linear(fan_in, fan_out, math.sqrt(2), generator)
                                    for fan_in, fan_out in itertools.pairwise(sizes))
        self.width = sizes[-1]
        self._layer_norm = config.layer_norm
        self._activate, _, self._activate_in_numpy = ACTIVATIONS[config.activation]

    def forward(self, obs: Tensor) -> Tensor:
        """(B, width) of (B, *obs_shape)."""
        return self._hidden(obs)[-1]

    def acting(self) -> Forward:
        """(B, 1, width) of (B, *obs_shape), from and to arrays, with the parameters of now. See Network.

        Of numbers it is NumPy's, as in MLP. Of images it is torch's, row by row: NumPy would share the products of so
        many features among threads. Channels last takes a fifth less time there.
        """
        if self.encoder:
            return self._acting_in_torch()
        layers = [in_numpy(layer) for layer in self.layers]
        activate, layer_norm = self._activate_in_numpy, self._layer_norm

        def features(rows: Any) -> Any:
            x = rows[:, None]
            for weight, bias in layers:
                x = x @ weight + bias
                x = activate(normalized_in_numpy(x, len(bias)) if layer_norm else x)
            return x

        return features

    def _acting_in_torch(self) -> Forward:
        copied: Any = copy.deepcopy(self)
        copied.to(memory_format=torch.channels_last)
        device = next(self.parameters()).device

        def features(rows: Any) -> Any:
            if not isinstance(rows, np.ndarray):
                return rows.through(self)[:, None]  # an export's symbols
            with torch.no_grad():
                found = [copied(row) for row in torch.from_numpy(rows).to(device).split(1)]
            return torch.cat(found).numpy(force=True)[:, None]

        return features

    def dead_units(self, obs: Tensor) -> float:
        """See Network; of the hidden layers."""
        deviations = [x.std(0) for x in self._hidden(obs)[1:]]
        return float((torch.cat(deviations) < 1e-3).float().mean()) if deviations else 0.0

    def _hidden(self, obs: Tensor) -> list[Tensor]:
        """What enters the first hidden layer, and what leaves each."""
        found = [self.encoder(obs) if self.encoder else obs]
        for layer in self.layers:
            x = layer(found[-1])
            found.append(self._activate(layer_normalized(x) if self._layer_norm else x))
        return found


class Joined(nn.Module):
    """From packed rows (ObservationSpec) to (B, width): numbers and the features of images, side by side."""

    def __init__(self, observation: ObservationSpec, size: str, generator: torch.Generator):
        super().__init__()
        self._unpack = observation.unpack
        images = [part for part in observation.parts if part.dtype == "uint8"]
        self.names = [part.name for part in images]
        convolutions = [Convolutions(part.shape, size, generator) for part in images]
        self.images = nn.ModuleList(convolutions)
        self.width = sum(part.shape[0] for part in observation.parts if part.dtype != "uint8") \
            + sum(image.width for image in convolutions)

    def forward(self, rows: Tensor) -> Tensor:
        """(B, width) of (B, nbytes)."""
        parts = self._unpack(rows)
        images = [image(parts.pop(name)) for name, image in zip(self.names, self.images, strict=True)]
        return torch.cat([*parts.values(), *images], 1)


class Layered(Network):
    """A body and an output layer."""

    def __init__(self, body: Body, outputs: int, gain: Gain, generator: torch.Generator):
        super().__init__()
        self.body = body
        self.output = linear(body.width, outputs, gain, generator)

    def forward(self, obs: Tensor) -> Tensor:
        """See Network."""
        return self.output(self.body(obs))

    def vjp(self, obs: Tensor) -> tuple[Tensor, Pullback]:
        """See Network."""
        return super().vjp(obs) if self.body.encoder is None or obs.is_cuda else recorded_in_halves(self, obs)

    def acting(self) -> Forward:
        """See Network."""
        features, (weight, bias) = self.body.acting(), in_numpy(self.output)
        return lambda rows: (features(rows) @ weight + bias)[:, 0]

    def dead_units(self, obs: Tensor) -> float:
        """See Network."""
        return self.body.dead_units(obs)
