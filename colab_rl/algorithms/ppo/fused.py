"""The gradient of loss.py's losses, written out: for networks of some thousand parameters it saves a third of a step.

Nobody has to read it to change PPO. `applies` says whether the losses, distributions and networks in use are the ones
it was written for. If not, PPO differentiates loss.py with autograd. A test holds it to that gradient.

It leaves out what autograd would keep, and what a step does not need: metrics are made once an epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from colab_rl.algorithms.ppo import loss
from colab_rl.algorithms.ppo.loss import Metrics
from colab_rl.algorithms.ppo.policy import CategoricalPolicy, GaussianPolicy, PPOPolicy
from colab_rl.algorithms.rollout import Transitions
from colab_rl.fingerprint import fingerprint
from colab_rl.networks.base import accumulate
from colab_rl.networks.distributions import LEAST_Z, LOG_SQRT_2_PI, Categorical, ClippedNormal
from colab_rl.networks.mlp import MLP

if TYPE_CHECKING:
    from colab_rl.algorithms.ppo.ppo import PPO

# Of the code that this file differentiates. If you change that code and this file, put the new one.
WRITTEN_FOR = "37c3cde8c752fada"


def applies(algorithm: PPO) -> bool:
    """Whether this is the gradient of what the algorithm learns by."""
    from colab_rl.algorithms.ppo.ppo import PPO

    kind, policy = type(algorithm), algorithm.policy
    return (kind.policy_loss is PPO.policy_loss and kind.value_loss is PPO.value_loss
            and type(policy) in (CategoricalPolicy, GaussianPolicy)
            and type(policy.logits if isinstance(policy, CategoricalPolicy) else policy.mean) is MLP
            and type(algorithm.value.value) is MLP
            and fingerprint(loss.policy_loss, loss.value_loss, Categorical, ClippedNormal, PPO.policy_loss,
                            PPO.value_loss, CategoricalPolicy.distribution, GaussianPolicy.distribution) == WRITTEN_FOR)


def epoch(algorithm: PPO, minibatches: Sequence[Transitions], clip_range: float, ent_coef: float,
          vf_coef: float) -> Metrics:
    """A step of both networks on each minibatch; the means of the losses' metrics."""
    device = minibatches[0].obs.device
    sizes = [len(minibatch.obs) for minibatch in minibatches]
    log_ratios, objectives = torch.empty((2, sum(sizes)), device=device)
    entropies, errors = [], []
    columns = zip(minibatches, log_ratios.split(sizes), objectives.split(sizes), strict=True)
    for minibatch, log_ratio, objective in columns:
        entropies.append(policy_gradient(algorithm.policy, minibatch, clip_range, ent_coef, log_ratio, objective))
        algorithm.optimizers["policy"].step()
    for minibatch in minibatches:
        errors.append(value_gradient(algorithm, minibatch, vf_coef))
        algorithm.optimizers["value"].step()
    ratios = log_ratios.exp()
    return {"loss/policy": -objectives.mean(), "policy/entropy": torch.stack(entropies).mean(),
            "policy/approx_kl": ((ratios - 1) - log_ratios).mean(),
            "policy/clip_fraction": ((ratios - 1).abs() > clip_range).float().mean(),
            "loss/value": torch.stack(errors).mean()}


def log_prob(policy: PPOPolicy, obs: Tensor, actions: Tensor) -> Tensor:
    """(B,) as the gradient has it: ratios begin at exactly 1."""
    differentiated = categorical if isinstance(policy, CategoricalPolicy) else clipped_normal
    return differentiated(policy, obs, actions)[0]  # type: ignore[arg-type]


def policy_gradient(policy: PPOPolicy, batch: Transitions, clip_range: float, ent_coef: float, log_ratio: Tensor,
                    objective: Tensor) -> Tensor:
    """Adds the gradient of `policy_loss`; fills (B,) log_ratio and objective, and returns the mean entropy."""
    differentiated = categorical if isinstance(policy, CategoricalPolicy) else clipped_normal
    log_prob, entropy, pullback = differentiated(policy, batch.obs, batch.actions)  # type: ignore[arg-type]
    std, mean = torch.std_mean(batch.advantages)
    advantage = (batch.advantages - mean).div_(std + 1e-8)
    ratio = torch.sub(log_prob, batch.log_probs, out=log_ratio).exp()
    unclipped = ratio * advantage
    clipped = ratio.clamp_(1 - clip_range, 1 + clip_range).mul_(advantage)
    torch.minimum(unclipped, clipped, out=objective)
    # The gradient of r A by log r is r A itself. If the clipped one is the smaller, it is 0.
    pullback(torch.where(unclipped <= clipped, unclipped, 0).mul_(-1 / len(batch.obs)), -ent_coef)
    return entropy


def value_gradient(algorithm: PPO, batch: Transitions, vf_coef: float) -> Tensor:
    """Adds the gradient of `value_loss`; returns the mean squared error."""
    values, pullback = algorithm.value.vjp(batch.obs)
    error = values.squeeze(-1) - batch.targets
    pullback((error * (2 * vf_coef / len(error))).unsqueeze(-1))
    return error.square().mean()


LossPullback = Callable[[Tensor, float], None]  # of a loss's gradient by (B,) log-probabilities and the mean entropy


def categorical(policy: CategoricalPolicy, obs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, LossPullback]:
    """(B,) log-probability of the actions, () mean entropy, and the pullback of both.

    With probabilities p: d log p_a / d logits = onehot(a) - p, and dH / d logits = -p (log p + H).
    """
    outputs, pullback_logits = policy.logits.vjp(obs)
    log_p = torch.log_softmax(outputs, -1)
    p, taken = log_p.exp(), actions.unsqueeze(-1)
    entropy = -(p * log_p).sum(-1, keepdim=True)

    def pullback(by_log_prob: Tensor, by_entropy: float) -> None:
        by_log_prob = by_log_prob.unsqueeze(-1)
        by_logits = p * (-by_log_prob - (by_entropy / len(p)) * (log_p + entropy))
        pullback_logits(by_logits.scatter_add_(-1, taken, by_log_prob))

    return log_p.gather(-1, taken).squeeze(-1), entropy.mean(), pullback


def clipped_normal(policy: GaussianPolicy, obs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, LossPullback]:
    """(B,) log-probability of the actions, () entropy, and the pullback of both.

    With z = (action - mean) / std: d log p / d mean = z / std, d log p / d log std = z^2 - 1, and dH / d log std = 1.
    A bound at side s, -1 or 1, has p = Phi(x) with x = (s mean - limit) / std, so with m = Phi'(x) / Phi(x)
    d log p / d mean = s m / std and d log p / d log std = -x m.
    """
    mean, pullback_mean = policy.mean.vjp(obs)
    log_std, limit = policy.log_std, policy._limit
    inverse_std = torch.exp(-log_std)
    z = (actions - mean).mul_(inverse_std)
    side = (actions >= limit).float() - (actions <= -limit).float()
    beyond = side != 0
    x = (side * mean - limit).mul_(inverse_std).clamp_(min=LEAST_Z)
    tail = torch.erfc(x * -math.sqrt(0.5)).mul_(0.5)
    m = torch.exp(-0.5 * x.square() - LOG_SQRT_2_PI).div_(tail)
    log_p = torch.where(beyond, tail.log(), -0.5 * z.square() - log_std - LOG_SQRT_2_PI)

    def pullback(by_log_prob: Tensor, by_entropy: float) -> None:
        by_log_prob = by_log_prob.unsqueeze(-1)
        by_log_std = torch.where(beyond, -x * m, z.square() - 1)
        accumulate(log_std, by_log_std.mul_(by_log_prob).sum(0) + by_entropy)
        pullback_mean(torch.where(beyond, side * m, z).mul_(by_log_prob).mul_(inverse_std))

    return log_p.sum(-1), (log_std + LOG_SQRT_2_PI + 0.5).sum(), pullback
