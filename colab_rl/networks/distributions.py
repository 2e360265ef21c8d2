"""Distributions of actions, from the outputs of a network.

| symbol | meaning |
| --- | --- |
| B | rows of a batch |
| A | `action_dim`: choices of a discrete action, dimensions of a continuous one |

`noise` draws what `sample` needs, of many steps in one call. `sample` and `mode` work on tensors, and on NumPy arrays
while the policy acts. `log_prob` and `entropy` are torch's, for a loss.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

LOG_SQRT_2_PI = 0.5 * math.log(2 * math.pi)
LEAST_Z = -12.0  # float32 holds the normal distribution's tail from here on


class Categorical:
    """One of A choices, with probabilities softmax(logits). logits: (B, A)."""

    def __init__(self, logits: Any):
        self.logits = logits

    @staticmethod
    def noise(shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
        """(*shape) float32 Gumbel noise."""
        uniform = torch.rand(*shape, generator=generator)
        return (-(-uniform.clamp_min_(1e-20).log_()).log_()).numpy()

    def sample(self, noise: Any) -> Any:
        """(B,) int64 choices: the largest of logits plus Gumbel noise is distributed as the softmax."""
        return (self.logits + noise).argmax(-1)

    def mode(self) -> Any:
        """(B,) int64 likeliest choices."""
        return self.logits.argmax(-1)

    def log_prob(self, actions: Tensor) -> Tensor:
        """(B,) log-probability of (B,) choices."""
        return torch.log_softmax(self.logits, -1).gather(-1, actions.unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Tensor:
        """(B,) in nats."""
        log_p = torch.log_softmax(self.logits, -1)
        return -(log_p.exp() * log_p).sum(-1)


class Categoricals:
    """One of each of K lists of choices, independent of each other.

    logits: (B, sum of choices), those of the first list first. choices: the length of each list.
    """

    noise = staticmethod(Categorical.noise)

    def __init__(self, logits: Any, choices: tuple[int, ...]):
        self.logits, self._ends = logits, tuple(itertools.accumulate(choices, initial=0))

    def _lists(self, logits: Any) -> list[Categorical]:
        return [Categorical(logits[..., start:end]) for start, end in itertools.pairwise(self._ends)]

    def sample(self, noise: Any) -> Any:
        """(B, K) int64 choices, see Categorical."""
        return _stack([one.mode() for one in self._lists(self.logits + noise)])

    def mode(self) -> Any:
        """(B, K) int64 likeliest choices."""
        return _stack([one.mode() for one in self._lists(self.logits)])

    def log_prob(self, actions: Tensor) -> Tensor:
        """(B,) log-probability of (B, K) choices."""
        lists = self._lists(self.logits)
        return torch.stack([one.log_prob(actions[..., i]) for i, one in enumerate(lists)]).sum(0)

    def entropy(self) -> Tensor:
        """(B,) in nats."""
        return torch.stack([one.entropy() for one in self._lists(self.logits)]).sum(0)


class ClippedNormal:
    """A normal distribution of independent dimensions, clipped to plus and minus `limit`.

    How far an action lies beyond a bound makes no difference to the environment. So a bound has the probability of its
    whole tail (Fujita and Maeda 2018, arXiv:1802.07564), and a mean at a bound has nothing to gain from moving further
    out, where noise would not be felt.

    mean: (B, A). std: (A,). limit: (A,), inf for a dimension without bounds.
    """

    def __init__(self, mean: Any, std: Any, limit: Any):
        self.mean, self.std, self.limit = mean, std, limit

    @staticmethod
    def noise(shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
        """(*shape) float32 standard normal noise."""
        return torch.randn(*shape, generator=generator).numpy()

    def sample(self, noise: Any) -> Any:
        """(B, A) actions, not clipped yet."""
        return self.mean + self.std * noise

    def mode(self) -> Any:
        """(B, A) means."""
        return self.mean

    def log_prob(self, actions: Tensor) -> Tensor:
        """(B,) log-density of (B, A) actions. A dimension at its bound has the log-probability of the tail."""
        side = (actions >= self.limit).float() - (actions <= -self.limit).float()
        within = -0.5 * ((actions - self.mean) / self.std).square() - self.std.log() - LOG_SQRT_2_PI
        # Without `where` an infinite limit would make NaN of the gradient of a dimension that has none.
        distance = torch.where(side != 0, side * self.mean - self.limit, 0) / self.std
        tail = torch.log(0.5 * torch.erfc(distance.clamp(min=LEAST_Z) * -math.sqrt(0.5)))
        return torch.where(side != 0, tail, within).sum(-1)

    def entropy(self) -> Tensor:
        """() in nats, before clipping: the same for every row."""
        return (self.std.log() + LOG_SQRT_2_PI + 0.5).sum()


class SquashedNormal:
    """a = tanh(u) with u ~ N(mean, std) (Haarnoja et al. 2018, arXiv:1812.05905, appendix C).

    mean, std: (B, A). It has no entropy in closed form: -log_prob estimates it.
    """

    def __init__(self, mean: Any, std: Any):
        self.mean, self.std = mean, std

    @staticmethod
    def noise(shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
        """(*shape) float32 standard normal noise."""
        return torch.randn(*shape, generator=generator).numpy()

    def sample(self, noise: Any) -> Any:
        """(B, A) actions in (-1, 1)."""
        return _tanh(self.mean + self.std * noise)

    def mode(self) -> Any:
        """(B, A) actions of the means."""
        return _tanh(self.mean)

    def log_prob(self, noise: Tensor) -> Tensor:
        """(B,) log-density of `sample(noise)`: log N(u) - sum log(1 - tanh(u)^2).

        The last term is 2 (log 2 - u - softplus(-2 u)), which is finite for every u.
        """
        u = self.mean + self.std * noise
        normal = -0.5 * noise.square() - self.std.log() - LOG_SQRT_2_PI
        return (normal - 2 * (math.log(2) - u - functional.softplus(-2 * u))).sum(-1)


def _stack(columns: list[Any]) -> Any:
    return np.stack(columns, -1) if isinstance(columns[0], np.ndarray) else torch.stack(columns, -1)


def _tanh(x: Any) -> Any:
    return np.tanh(x) if isinstance(x, np.ndarray) else torch.tanh(x)
