"""What SAC learns with: a squashed normal distribution, and twin Q networks.

Gradients are written out, as in networks.py. B: rows of a batch; A: `action_dim`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from colab_rl.environments.spaces import Spaces
from colab_rl.networks.mlp import ACTIVATIONS, MLP, ActionRange, Pullback, Sampler, aten

LOG_STD_LOW, LOG_STD_HIGH = -10.0, 2.0  # beyond which it gets no gradient
LAYER_NORM_EPS = 1e-5


class SquashedGaussianPolicy(nn.Module):
    """a = tanh(u) with u ~ N(mean, std), both from one network (Haarnoja et al. 2018, arXiv:1812.05905, appendix C).

    Actions in the network's unit lie in (-1, 1), half of the environment's range.
    """

    def __init__(self, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, generator: torch.Generator):
        super().__init__()
        self.action_dim = spaces.action_dim
        self.range = ActionRange(spaces)
        self.mean_and_log_std = MLP([spaces.obs_dim, *hidden_sizes, 2 * spaces.action_dim], activation, 0.01,
                                    generator)

    def sampler(self) -> Sampler:
        """Gives (B, A) float32 actions from (B, A) standard normal noise, in the network's unit."""
        outputs = self.mean_and_log_std.in_numpy()

        def sample(obs: np.ndarray, noise: np.ndarray) -> np.ndarray:
            mean, log_std = np.split(outputs(obs), 2, axis=-1)
            return np.tanh(mean + np.exp(np.minimum(np.maximum(log_std, LOG_STD_LOW), LOG_STD_HIGH)) * noise)

        return sample

    def mode(self, obs: np.ndarray) -> np.ndarray:
        """(B, A) float32 actions, tanh of the means."""
        return np.tanh(self.mean_and_log_std.in_numpy()(obs)[:, :self.action_dim])

    def sample(self, obs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """(B, A) actions from (B, A) standard normal noise, and (B,) their log-density."""
        mean, log_std = self.mean_and_log_std(obs).split(self.action_dim, -1)
        return _squashed(mean, log_std.clamp(LOG_STD_LOW, LOG_STD_HIGH), noise)

    def vjp(self, obs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Pullback]:
        """`sample`, and the pullback of the loss's gradient by actions and log-density.

        The pullback takes (B, A) and a tensor that broadcasts to (B, 1). With u = mean + std * noise:
        da / du = 1 - a^2, d log p / du = 2 a, and d log p / d log std = -1 beside what goes through u.
        """
        output, pullback_output = self.mean_and_log_std.vjp(obs)
        mean, unclamped = output.split(self.action_dim, -1)
        log_std = unclamped.clamp(LOG_STD_LOW, LOG_STD_HIGH)
        actions, log_prob = _squashed(mean, log_std, noise)

        def pullback(by_actions: Tensor, by_log_prob: Tensor) -> None:
            by_u = aten.tanh_backward(by_actions, actions).addcmul_(actions, by_log_prob, value=2)
            by_log_std = (by_u * noise).mul_(log_std.exp()).sub_(by_log_prob).mul_(log_std == unclamped)
            pullback_output(torch.cat([by_u, by_log_std], -1))

        return actions, log_prob, pullback

    def std(self, obs: Tensor) -> Tensor:
        """() mean standard deviation before tanh, in half action ranges."""
        log_std = self.mean_and_log_std(obs)[..., self.action_dim:]
        return log_std.clamp(LOG_STD_LOW, LOG_STD_HIGH).exp().mean()

    def dead_units(self, obs: Tensor) -> float:
        """See MLP."""
        return self.mean_and_log_std.dead_units(obs)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """(B, A) float32 actions in the environment's unit."""
        return self.range.to_environment(actions)


def _squashed(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Actions and their log-density, which is log N(u) - sum log(1 - tanh(u)^2).

    The last term as 2 (log 2 - u - softplus(-2 u)), which is finite for every u.
    """
    u = torch.addcmul(mean, log_std.exp(), noise)
    log_volume = functional.softplus(u * -2).add_(u).mul_(2).sub_(log_std).sub_(noise.square(), alpha=0.5)
    constant = mean.shape[-1] * (2 * math.log(2) + 0.5 * math.log(2 * math.pi))
    return torch.tanh(u), log_volume.sum(-1) - constant


class TwinCritic(nn.Module):
    """Two Q networks side by side: weights of shape (2, out, in), so that each layer of both is one batched product.

    Within, a unit is a row and a transition is a column, (2, units, B): minibatches mostly are powers of two and layers
    often are not, and products whose rows end where the processor's vectors do are a tenth faster.

    With `layer_norm`, what enters each activation is normalised over the units of its layer first, which keeps
    values of actions never taken from running away (Ball et al. 2023, arXiv:2302.02948).
    """

    def __init__(self, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, layer_norm: bool,
                 generator: torch.Generator):
        super().__init__()
        sizes = [spaces.obs_dim + spaces.action_dim, *hidden_sizes, 1]
        twins = [MLP(sizes, activation, 1.0, generator) for _ in range(2)]
        pairs = zip(*(twin.layers for twin in twins), strict=True)
        self.weights = nn.ParameterList(torch.stack([layer.weight.detach() for layer in pair]) for pair in pairs)
        self.biases = nn.ParameterList(torch.zeros(2, size, 1) for size in sizes[1:])
        self._layers = list(zip(self.weights, self.biases, strict=True))  # looking them up takes as long as a product
        self._layer_norm = layer_norm
        self._activate, self._activate_backward, _ = ACTIVATIONS[activation]

    def forward(self, obs: Tensor, actions: Tensor) -> Tensor:
        """(2, B) values of (B, obs_dim) observations and (B, A) actions."""
        x = self._input(obs, actions)
        *hidden, (weight, bias) = self._layers
        for hidden_weight, hidden_bias in hidden:
            x = self._activate(self._normalized(torch.baddbmm(hidden_bias, hidden_weight, x))[0])
        return torch.baddbmm(bias, weight, x).squeeze(1)

    def vjp(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, Callable[..., Any]]:
        """`forward`, and what turns the (2, B) gradient by the values into gradients.

        The pullback overwrites `.grad` of every parameter; with `of_actions` it leaves them alone and returns the
        (B, A) gradient by the actions.
        """
        *hidden, (last_weight, last_bias) = self._layers
        inputs, sums, inverse_stds = [self._input(obs, actions)], [], []
        for weight, bias in hidden:
            normalized, inverse_std = self._normalized(torch.baddbmm(bias, weight, inputs[-1]))
            sums.append(normalized)
            inverse_stds.append(inverse_std)
            inputs.append(self._activate(normalized))
        values = torch.baddbmm(last_bias, last_weight, inputs[-1]).squeeze(1)

        def pullback(by_values: Tensor, of_actions: bool = False) -> Tensor | None:
            gradient = by_values.unsqueeze(1)
            for i in reversed(range(len(inputs))):
                weight, bias = self._layers[i]
                if not of_actions:
                    torch.bmm(gradient, inputs[i].mT, out=weight.grad)
                    torch.sum(gradient, 2, keepdim=True, out=bias.grad)
                if i > 0:
                    gradient = torch.bmm(weight.mT, gradient)
                    gradient = self._activate_backward(gradient, sums[i - 1], inputs[i])
                    gradient = self._normalized_backward(gradient, sums[i - 1], inverse_stds[i - 1])
                elif of_actions:
                    return torch.bmm(weight[..., obs.shape[-1]:].mT, gradient).sum(0).t()
            return None

        return values, pullback

    def dead_units(self, obs: Tensor, actions: Tensor) -> float:
        """See MLP."""
        x, deviations = self._input(obs, actions), []
        for weight, bias in self._layers[:-1]:
            x = self._activate(self._normalized(torch.baddbmm(bias, weight, x))[0])
            deviations.append(x.std(2))
        return float((torch.cat(deviations, -1) < 1e-3).float().mean()) if deviations else 0.0

    @staticmethod
    def _input(obs: Tensor, actions: Tensor) -> Tensor:
        """(2, obs_dim + A, B) the same for both."""
        return torch.cat([obs.t(), actions.t()]).expand(2, -1, -1)

    def _normalized(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The (2, units, B) sums of a layer, normalised where that is asked for, and what they were multiplied by."""
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
