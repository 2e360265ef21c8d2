"""The gradients of loss.py's losses, written out: a gradient step takes a third of the time that autograd takes.

Nobody has to read it to change TQC. `applies` says whether the losses, distribution and networks in use are the ones
it was written for. If not, TQC differentiates loss.py with autograd. A test holds it to that gradient. The burst and
the policy's part are those of sac/fused.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from colab_rl.algorithms.critics import BatchedCritics
from colab_rl.algorithms.sac import loss as sac_loss
from colab_rl.algorithms.sac.fused import drawn, learns_by, policy_is_ours, sampled
from colab_rl.algorithms.tqc import loss

if TYPE_CHECKING:
    from colab_rl.algorithms.sac.sac import SAC
    from colab_rl.algorithms.tqc.tqc import TQC

# Of the code that this file differentiates. If you change that code and this file, put the new one.
WRITTEN_FOR = "a77b9248e0d0adde"


def applies(algorithm: TQC) -> bool:
    """Whether these are the gradients of what the algorithm learns by."""
    return losses_are_ours(type(algorithm)) and policy_is_ours(algorithm) and type(algorithm.critic) is BatchedCritics


def losses_are_ours(kind: type[SAC]) -> bool:
    """Whether its losses and its distribution are the ones that these gradients were written for."""
    from colab_rl.algorithms.tqc.tqc import TQC

    return learns_by(kind, TQC, WRITTEN_FOR, loss.soft_targets, loss.critic_loss, loss.actor_loss, loss.levels,
                     sac_loss.temperature_loss)


def soft_targets(tqc: TQC, rewards: Tensor, discounts: Tensor, next_obs: Tensor, noise: Tensor,
                 alpha: Tensor) -> Tensor:
    """(K, B) `loss.soft_targets`, in any order: to find the smallest takes a fifth of the time of sorting all."""
    actions, log_prob = drawn(tqc.policy, next_obs, noise)
    pooled = tqc.target(next_obs, actions).flatten(0, 1)
    smallest, _ = pooled.topk(tqc.kept_quantiles, 0, largest=False, sorted=False)
    return torch.addcmul(rewards, discounts, smallest.sub_(log_prob.mul_(alpha)))


def critic_gradient(critic: BatchedCritics, obs: Tensor, actions: Tensor, targets: Tensor) -> Tensor:
    """Adds the gradient of `critic_loss`; returns the (N, M, B) quantiles.

    With h = clamp(target - quantile, -1, 1), the slope of huber, the gradient of a pair is -|tau - 1[h < 0]| h, which
    is (|h| - h) / 2 - tau |h|. Sums over all targets are taken first.
    """
    quantiles, pullback = critic.vjp(obs, actions)
    slopes = (targets - quantiles.unsqueeze(2)).clamp_(-1, 1)  # (N, M, K, B)
    total, size = slopes.sum(2), slopes.abs_().sum(2)
    by_quantiles = size.sub(total).mul_(0.5).sub_(size.mul_(loss.levels(quantiles)))
    pullback(by_quantiles.mul_(1 / (quantiles.shape[1] * targets.numel())))
    return quantiles


def actor_gradient(tqc: TQC, obs: Tensor, noise: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Adds the gradient of `actor_loss`; returns (B,) log-density and mean quantile of the actions drawn."""
    actions, log_prob, pullback = sampled(tqc.policy, obs, noise)
    critic: Any = tqc.critic
    quantiles, pullback_quantiles = critic.vjp(obs, actions)
    by_actions = pullback_quantiles(torch.full_like(quantiles, -1 / quantiles.numel()), of_actions=True)
    pullback(by_actions, alpha / len(obs))
    return log_prob, quantiles.mean((0, 1))
