"""Q networks side by side: N of them judge the same observations and actions, with K numbers each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from colab_rl.environments.spaces import VECTOR, ObservationSpec, Part, Spaces
from colab_rl.errors import OwnCodeFault
from colab_rl.networks.activations import ACTIVATIONS
from colab_rl.networks.base import Network, Pullback, recorded
from colab_rl.networks.layers import LAYER_NORM_EPS
from colab_rl.networks.mlp import MLP
from colab_rl.networks.registry import make_network, own_network
from colab_rl.settings import Config

IMAGE = "image"  # the name of an image that is alone


def seen_by_critics(config: Config, spaces: Spaces) -> ObservationSpec:
    """What SeparateCritics give to a network as its observations."""
    observation = spaces.observation
    images = [part for part in observation.parts if part.name != VECTOR]
    if not images and observation.dtype == "uint8" and own_network(config.network) is None:
        images = [Part(IMAGE, observation.shape, "uint8")]
    if not images:
        return ObservationSpec((math.prod(observation.shape) + spaces.action_dim,))
    numbers = observation.numbers(observation.zeros()).size + spaces.action_dim
    return ObservationSpec.packed((Part(VECTOR, (numbers,), "float32"), *images))


def check_own_critic(algorithm: str, config: Config, spaces: Spaces) -> None:
    """Raises OwnCodeFault if a person's own network cannot be a Q network of such spaces."""
    if own_network(config.network) is None:
        return
    seen = seen_by_critics(config, spaces)
    try:
        make_network(config, seen, 1, 1.0, torch.Generator())
    except OwnCodeFault as error:
        kind = "image" if spaces.observation.dtype == "uint8" else "observation"
        given = (f"the {kind} and the action as {seen.shape[0]:,} flat numbers" if not seen.parts else
                 f"the action beside the numbers of the observation, {seen.parts[0].shape[0]:,} together")
        instead = ", or give --set network=cnn" if kind == "image" and not seen.parts else ""
        raise type(error)(f"the Q networks of {algorithm} give it {given}: {error}; use --algo ppo{instead}, or let "
                          "the network take observation.shape as it is") from error


class SeparateCritics(nn.ModuleList):
    """N networks of any kind, with K outputs each. They observe the actions beside the numbers of an observation.

    Networks of ours take images as they are, and so does any network if there are numbers or other images beside them:
    it then gets the parts by name, which `observation.unpack` leaves as they are. Else images are flattened.
    """

    def __init__(self, number: int, outputs: int, config: Config, spaces: Spaces, network: Callable[..., Network]):
        seen = seen_by_critics(config, spaces)
        super().__init__(network(outputs, 1.0, seen) for _ in range(number))
        self._unpack = spaces.observation.unpack
        self._images = [part.name for part in seen.parts if part.name != VECTOR]

    def forward(self, obs: Tensor, actions: Tensor) -> Tensor:
        """(N, K, B) outputs."""
        inputs: Any
        if not self._images:
            inputs = torch.cat([obs.flatten(1).float(), actions], 1)
        else:
            parts = self._unpack(obs) or {IMAGE: obs}
            inputs = {VECTOR: torch.cat([*(parts[name] for name in parts if name == VECTOR), actions], 1),
                      **{name: parts[name] for name in self._images}}
        return torch.stack([network(inputs).t() for network in self])

    def vjp(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, Pullback]:
        """See Network."""
        return recorded(self, obs, actions)

    def dead_units(self, obs: Tensor, actions: Tensor) -> None:
        """See Network."""


class BatchedCritics(nn.Module):
    """MLPs in one: weights of shape (N, out, in), so that each layer of all is one batched product.

    Within, a unit is a row and a transition is a column, (N, units, B): minibatches mostly are powers of two and layers
    often are not, and products whose rows end where the processor's vectors do are a tenth faster.

    With `layer_norm`, what enters each activation is normalised over the units of its layer first, which keeps
    values of actions never taken from running away (Ball et al. 2023, arXiv:2302.02948).
    """

    def __init__(self, spaces: Spaces, number: int, outputs: int, hidden_sizes: tuple[int, ...], activation: str,
                 layer_norm: bool, generator: torch.Generator):
        super().__init__()
        sizes = [spaces.observation.shape[0] + spaces.action_dim, *hidden_sizes, outputs]
        networks = [MLP(sizes, activation, 1.0, generator) for _ in range(number)]
        layers = zip(*(network.layers for network in networks), strict=True)
        self.weights = nn.ParameterList(torch.stack([layer.weight.detach() for layer in each]) for each in layers)
        self.biases = nn.ParameterList(torch.zeros(number, size, 1) for size in sizes[1:])
        self._layers = list(zip(self.weights, self.biases, strict=True))  # looking them up takes as long as a product
        self._layer_norm = layer_norm
        self._activate, self._activate_backward, _ = ACTIVATIONS[activation]

    def forward(self, obs: Tensor, actions: Tensor) -> Tensor:
        """(N, K, B) outputs for (B, *obs_shape) observations and (B, A) actions."""
        x = self._input(obs, actions)
        *hidden, (weight, bias) = self._layers
        for hidden_weight, hidden_bias in hidden:
            x = self._activate(self._normalized(torch.baddbmm(hidden_bias, hidden_weight, x))[0])
        return torch.baddbmm(bias, weight, x)

    def vjp(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, Callable[..., Any]]:
        """See Network. With `of_actions` the pullback leaves the parameters alone, and returns the (B, A) gradient by
        the actions.
        """
        *hidden, (last_weight, last_bias) = self._layers
        inputs, sums, inverse_stds = [self._input(obs, actions)], [], []
        for weight, bias in hidden:
            normalized, inverse_std = self._normalized(torch.baddbmm(bias, weight, inputs[-1]))
            sums.append(normalized)
            inverse_stds.append(inverse_std)
            inputs.append(self._activate(normalized))
        outputs = torch.baddbmm(last_bias, last_weight, inputs[-1])

        def pullback(gradient: Tensor, of_actions: bool = False) -> Tensor | None:
            for i in reversed(range(len(inputs))):
                weight, bias = self._layers[i]
                if not of_actions:
                    weight.grad.baddbmm_(gradient, inputs[i].mT)
                    bias.grad.add_(gradient.sum(2, keepdim=True))
                if i > 0:
                    gradient = torch.bmm(weight.mT, gradient)
                    gradient = self._activate_backward(gradient, sums[i - 1], inputs[i])
                    gradient = self._normalized_backward(gradient, sums[i - 1], inverse_stds[i - 1])
                elif of_actions:
                    return torch.bmm(weight[..., obs.shape[-1]:].mT, gradient).sum(0).t()
            return None

        return outputs.requires_grad_(), pullback

    def dead_units(self, obs: Tensor, actions: Tensor) -> float:
        """See MLP."""
        x, deviations = self._input(obs, actions), []
        for weight, bias in self._layers[:-1]:
            x = self._activate(self._normalized(torch.baddbmm(bias, weight, x))[0])
            deviations.append(x.std(2, correction=0))
        return float((torch.cat(deviations, -1) < 1e-3).float().mean()) if deviations else 0.0

    def _input(self, obs: Tensor, actions: Tensor) -> Tensor:
        """(N, obs_dim + A, B) the same for all."""
        return torch.cat([obs.t(), actions.t()]).expand(len(self.biases[0]), -1, -1)

    def _normalized(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The (N, units, B) sums of a layer, normalised if that is asked for, and what they were multiplied by."""
        if not self._layer_norm:
            return x, None
        centred = x - x.mean(1, keepdim=True)
        inverse_std = centred.square().mean(1, keepdim=True).add(LAYER_NORM_EPS).rsqrt()
        return centred * inverse_std, inverse_std

    def _normalized_backward(self, gradient: Tensor, normalized: Tensor, inverse_std: Tensor | None) -> Tensor:
        if inverse_std is None:
            return gradient
        along = (gradient * normalized).mean(1, keepdim=True)
        return (gradient - gradient.mean(1, keepdim=True)).addcmul_(normalized, along, value=-1).mul_(inverse_std)
