"""Networks: an MLP, a policy head for each kind of action space, a value network.

| symbol | meaning |
| --- | --- |
| B | rows of a batch |
| A | `action_dim`: choices of a discrete policy, dimensions of a continuous one |

Gradients are written out instead of recorded: `vjp` (vector-Jacobian product) gives an output
and a `Pullback`, which turns the gradient of a loss by that output into `.grad` of every parameter.
Networks are so small that autograd's bookkeeping would cost several times the arithmetic.
`forward` still is what autograd can differentiate.

Acting is NumPy's: for the few rows of a step it takes a fifth of the time of torch's calls. Each row is
multiplied by itself (`matmul` over (B, 1, obs_dim)), nearly as fast as all together, whose rounding
would depend on how many there are: an action does not depend on the number of groups or workers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from colab_rl.environments.spaces import Spaces

Pullback = Callable[..., None]
Sampler = Callable[[np.ndarray, np.ndarray], np.ndarray]  # actions for (B, obs_dim) obs and noise
aten: Any = torch.ops.aten
LOG_SQRT_2_PI = 0.5 * math.log(2 * math.pi)
LEAST_Z = -12.0  # float32 holds the normal distribution's tail from here on


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent, as 1 - 2 sigmoid(-2x): on the CPU torch's own takes five times as long."""
    return torch.rsub(torch.sigmoid(x * -2), 1, alpha=2)


class Activation(NamedTuple):
    """A function of a unit: for torch, its gradient from (gradient by its output, its input, its output), for NumPy."""

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor, Tensor], Tensor]
    in_numpy: Callable[[np.ndarray], np.ndarray]


def _elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _gelu(x: np.ndarray) -> np.ndarray:
    erf = np.array([math.erf(v) for v in (x * math.sqrt(0.5)).flat], np.float32)  # NumPy has none
    return x * (0.5 + 0.5 * erf.reshape(x.shape))


_ALPHA, _SCALE = 1.6732632423543772, 1.0507009873554805  # of SELU
ACTIVATIONS = {
    "relu": Activation(torch.relu, lambda grad, x, y: aten.threshold_backward(grad, y, 0),
                       lambda x: np.maximum(x, 0)),
    "tanh": Activation(tanh, lambda grad, x, y: aten.tanh_backward(grad, y), np.tanh),
    "elu": Activation(functional.elu, lambda grad, x, y: aten.elu_backward(grad, 1.0, 1.0, 1.0, False, x), _elu),
    "gelu": Activation(functional.gelu, lambda grad, x, y: aten.gelu_backward(grad, x), _gelu),
    "silu": Activation(functional.silu, lambda grad, x, y: aten.silu_backward(grad, x),
                       lambda x: x * (0.5 + 0.5 * np.tanh(0.5 * x))),
    "leaky_relu": Activation(functional.leaky_relu, lambda grad, x, y: aten.leaky_relu_backward(grad, x, 0.01, False),
                             lambda x: np.maximum(x, np.float32(0.01) * x)),
    "selu": Activation(torch.selu, lambda grad, x, y: aten.elu_backward(grad, _ALPHA, _SCALE, 1.0, False, x),
                       lambda x: _SCALE * np.where(x > 0, x, _ALPHA * np.expm1(np.minimum(x, 0)))),
    "softplus": Activation(functional.softplus, lambda grad, x, y: aten.softplus_backward(grad, x, 1.0, 20.0),
                           lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))),
}


class MLP(nn.Module):
    """Linear layers of `sizes` with activations between, initialised orthogonally.

    Hidden layers have gain sqrt(2), biases are 0 (Saxe et al. 2014, arXiv:1312.6120;
    gains as in Andrychowicz et al. 2021, arXiv:2006.05990).
    """

    def __init__(self, sizes: list[int], activation: str, output_gain: float, generator: torch.Generator):
        super().__init__()
        gains = [math.sqrt(2)] * (len(sizes) - 2) + [output_gain]
        self.layers = nn.ModuleList()
        # A plain list: looking a parameter up in a module takes as long as a small product.
        self._parameters_of_layers: list[tuple[nn.Parameter, nn.Parameter]] = []
        for (fan_in, fan_out), gain in zip(itertools.pairwise(sizes), gains, strict=True):
            linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
            nn.init.orthogonal_(linear.weight, gain, generator=generator)
            nn.init.zeros_(linear.bias)
            self.layers.append(linear)
            self._parameters_of_layers.append((linear.weight, linear.bias))
        self._activate, self._activate_backward, self._activate_in_numpy = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """(B, sizes[-1]) outputs of (B, sizes[0]) inputs."""
        *hidden, output = self._parameters_of_layers
        for weight, bias in hidden:
            x = self._activate(functional.linear(x, weight, bias))
        return functional.linear(x, *output)

    def in_numpy(self) -> Callable[[np.ndarray], np.ndarray]:
        """`forward` with the parameters of now, for (B, sizes[0]) float32 arrays, each row by itself."""
        layers = [(weight.numpy(force=True).T, bias.numpy(force=True)) for weight, bias in self._parameters_of_layers]
        (*hidden, output), activate = layers, self._activate_in_numpy

        def outputs(x: np.ndarray) -> np.ndarray:
            x = x[:, None]
            for weight, bias in hidden:
                x = activate(x @ weight + bias)
            return (x @ output[0] + output[1])[:, 0]

        return outputs

    def dead_units(self, x: Tensor) -> float:
        """Share of hidden units that say the same of every row: their deviation over (B, ...) is below 1e-3."""
        deviations = []
        for weight, bias in self._parameters_of_layers[:-1]:
            x = self._activate(functional.linear(x, weight, bias))
            deviations.append(x.std(0))
        return float((torch.cat(deviations) < 1e-3).float().mean()) if deviations else 0.0

    def vjp(self, x: Tensor) -> tuple[Tensor, Pullback]:
        """`forward`, and what turns the (B, sizes[-1]) gradient by the outputs into `.grad`, overwriting it.

        Not to be recorded by autograd; every parameter has its `.grad` already.
        """
        *hidden, output = self._parameters_of_layers
        inputs, sums = [x], []
        for weight, bias in hidden:
            sums.append(functional.linear(inputs[-1], weight, bias))
            inputs.append(self._activate(sums[-1]))

        def pullback(gradient: Tensor) -> None:
            for i in reversed(range(len(inputs))):
                weight, bias = self._parameters_of_layers[i]
                torch.mm(gradient.t(), inputs[i], out=weight.grad)
                torch.sum(gradient, 0, out=bias.grad)
                if i > 0:
                    gradient = self._activate_backward(torch.mm(gradient, weight), sums[i - 1], inputs[i])

        return functional.linear(inputs[-1], *output), pullback


class CategoricalPolicy(nn.Module):
    """Softmax over `action_dim` choices."""

    def __init__(self, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, generator: torch.Generator):
        super().__init__()
        self.noise_shape = (spaces.action_dim,)
        self.first_action = spaces.first_action
        self.logits = MLP([spaces.obs_dim, *hidden_sizes, spaces.action_dim], activation, 0.01, generator)

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
        """(*shape, A) float32 Gumbel noise for a sampler."""
        uniform = torch.rand(*shape, *self.noise_shape, generator=generator)
        return (-(-uniform.clamp_min_(1e-20).log_()).log_()).numpy()

    def sampler(self) -> Sampler:
        """Gives (B,) int64 choices; the largest of logits plus Gumbel noise is distributed as the softmax."""
        logits = self.logits.in_numpy()
        return lambda obs, noise: (logits(obs) + noise).argmax(-1)

    def mode(self, obs: np.ndarray) -> np.ndarray:
        """(B,) int64 the likeliest choices."""
        return self.logits.in_numpy()(obs).argmax(-1)

    def vjp(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Pullback]:
        """(B,) log-probability of the actions taken, () mean entropy, and the pullback.

        The pullback takes the loss's gradient by each, (B,) and a number. With probabilities p:
        d log p_a / d logits = onehot(a) - p, and dH / d logits = -p (log p + H).
        """
        logits, pullback_logits = self.logits.vjp(obs)
        log_p = torch.log_softmax(logits, -1)
        p, taken = log_p.exp(), actions.unsqueeze(-1)
        entropy = -(p * log_p).sum(-1, keepdim=True)

        def pullback(by_log_prob: Tensor, by_entropy: float) -> None:
            by_log_prob = by_log_prob.unsqueeze(-1)
            by_logits = p * (-by_log_prob - (by_entropy / len(p)) * (log_p + entropy))
            pullback_logits(by_logits.scatter_add_(-1, taken, by_log_prob))

        return log_p.gather(-1, taken).squeeze(-1), entropy.mean(), pullback

    def dead_units(self, obs: Tensor) -> float:
        """See MLP."""
        return self.logits.dead_units(obs)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """(B,) int64 choices as the environment counts them."""
        return actions + self.first_action

    def std(self) -> float:
        """There is none: nan."""
        return math.nan


class ActionRange:
    """The unit of a continuous policy: an action of -1 and 1 is a finite bound of the environment.

    limit: (A,) float32, 1, and inf where there are no bounds.
    """

    def __init__(self, spaces: Spaces):
        self._low, self._high = spaces.action_low, spaces.action_high
        bounded = np.isfinite(spaces.action_low) & np.isfinite(spaces.action_high)
        # Half of each bound, so that the range of the widest finite box does not overflow.
        low, high = np.where(bounded, spaces.action_low, 0) / 2, np.where(bounded, spaces.action_high, 0) / 2
        self.limit = np.where(bounded, 1, np.inf).astype(np.float32)
        self._middle = (high + low).astype(np.float32)
        self._half_range = np.where(bounded, high - low, 1).astype(np.float32)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """(B, A) float32 actions clipped to the bounds, in the environment's unit."""
        # Not np.clip: it takes four times as long for a few numbers.
        within = np.minimum(np.maximum(actions, -self.limit), self.limit)
        return np.minimum(np.maximum(within * self._half_range + self._middle, self._low), self._high)


class GaussianPolicy(nn.Module):
    """A normal distribution, clipped to the bounds: mean from a network, log standard deviation as parameters.

    Actions are in the unit of `ActionRange`; what lies beyond the bounds is clipped on its way to the environment.
    How far beyond makes no difference there, so a bound has the probability of its whole tail (Fujita and Maeda 2018,
    arXiv:1802.07564): a mean at a bound has nothing to gain from moving further out, where noise would not be felt.
    """

    _limit: Tensor

    def __init__(self, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, generator: torch.Generator,
                 log_std_init: float):
        super().__init__()
        self.noise_shape = (spaces.action_dim,)
        self.mean = MLP([spaces.obs_dim, *hidden_sizes, spaces.action_dim], activation, 0.01, generator)
        self.log_std = nn.Parameter(torch.full((spaces.action_dim,), float(log_std_init)))
        self.range = ActionRange(spaces)
        self.register_buffer("_limit", torch.from_numpy(self.range.limit), persistent=False)

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
        """(*shape, A) float32 standard normal noise for a sampler."""
        return torch.randn(*shape, *self.noise_shape, generator=generator).numpy()

    def sampler(self) -> Sampler:
        """Gives (B, A) float32 actions in the network's unit."""
        mean, std = self.mean.in_numpy(), self.log_std.exp().numpy(force=True)
        return lambda obs, noise: mean(obs) + std * noise

    def mode(self, obs: np.ndarray) -> np.ndarray:
        """(B, A) float32 means."""
        return self.mean.in_numpy()(obs)

    def vjp(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Pullback]:
        """(B,) log-probability of the actions taken, () entropy before clipping, and the pullback.

        The pullback takes the loss's gradient by each, (B,) and a number. With z = (action - mean) / std,
        d log p / d mean = z / std, d log p / d log std = z^2 - 1, and dH / d log std = 1. A bound at side s, -1 or 1,
        has p = Phi(x) with x = (s mean - limit) / std, so with m = Phi'(x) / Phi(x)
        d log p / d mean = s m / std and d log p / d log std = -x m.
        """
        mean, pullback_mean = self.mean.vjp(obs)
        log_std = self.log_std
        inverse_std = torch.exp(-log_std)
        z = (actions - mean).mul_(inverse_std)
        side = (actions >= self._limit).float() - (actions <= -self._limit).float()
        beyond = side != 0
        x = (side * mean - self._limit).mul_(inverse_std).clamp_(min=LEAST_Z)
        tail = torch.erfc(x * -math.sqrt(0.5)).mul_(0.5)
        m = torch.exp(-0.5 * x.square() - LOG_SQRT_2_PI).div_(tail)
        log_p = torch.where(beyond, tail.log(), -0.5 * z.square() - log_std - LOG_SQRT_2_PI)

        def pullback(by_log_prob: Tensor, by_entropy: float) -> None:
            by_log_prob = by_log_prob.unsqueeze(-1)
            by_log_std = torch.where(beyond, -x * m, z.square() - 1)
            torch.add(by_log_std.mul_(by_log_prob).sum(0), by_entropy, out=log_std.grad)
            pullback_mean(torch.where(beyond, side * m, z).mul_(by_log_prob).mul_(inverse_std))

        return log_p.sum(-1), (log_std + LOG_SQRT_2_PI + 0.5).sum(), pullback

    def dead_units(self, obs: Tensor) -> float:
        """See MLP."""
        return self.mean.dead_units(obs)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """(B, A) float32 actions clipped to the bounds, in the environment's unit."""
        return self.range.to_environment(actions)

    def std(self) -> float:
        """Mean standard deviation, in half action ranges."""
        return float(self.log_std.detach().exp().mean())


Policy = CategoricalPolicy | GaussianPolicy


def make_policy(spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, generator: torch.Generator,
                log_std_init: float) -> Policy:
    """The policy for an action space: the one place where it is looked at."""
    if spaces.discrete:
        return CategoricalPolicy(spaces, hidden_sizes, activation, generator)
    return GaussianPolicy(spaces, hidden_sizes, activation, generator, log_std_init)


class ValueNetwork(nn.Module):
    """State value."""

    def __init__(self, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, generator: torch.Generator):
        super().__init__()
        self.value = MLP([spaces.obs_dim, *hidden_sizes, 1], activation, 1.0, generator)

    def forward(self, obs: Tensor) -> Tensor:
        """(B,) values of (B, obs_dim) observations."""
        return self.value(obs).squeeze(-1)

    def dead_units(self, obs: Tensor) -> float:
        """See MLP."""
        return self.value.dead_units(obs)

    def vjp(self, obs: Tensor) -> tuple[Tensor, Pullback]:
        """(B,) values, and the pullback of the loss's (B,) gradient by them."""
        values, pullback = self.value.vjp(obs)
        return values.squeeze(-1), lambda by_values: pullback(by_values.unsqueeze(-1))
