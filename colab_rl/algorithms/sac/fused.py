"""The gradients of loss.py's losses, written out: a gradient step takes half of the time that autograd takes.

Nobody has to read it to change SAC. `applies` says whether the losses, distribution and networks in use are the ones
it was written for. If not, SAC differentiates loss.py with autograd. A test holds it to that gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from colab_rl.algorithms.sac import loss
from colab_rl.algorithms.sac.critic import Critic, TwinCritic
from colab_rl.algorithms.sac.policy import LOG_STD_HIGH, LOG_STD_LOW, SquashedGaussianPolicy
from colab_rl.fingerprint import fingerprint
from colab_rl.networks.activations import aten
from colab_rl.networks.distributions import LOG_SQRT_2_PI, SquashedNormal
from colab_rl.networks.mlp import MLP

if TYPE_CHECKING:
    from colab_rl.algorithms.sac.sac import SAC

# Of the code that this file differentiates. Whoever changes that code and follows here puts the new one.
WRITTEN_FOR = "b9c5f6af82d286eb"


def applies(algorithm: SAC) -> bool:
    """Whether these are the gradients of what the algorithm learns by."""
    return (losses_are_ours(type(algorithm))
            and type(algorithm.policy) is SquashedGaussianPolicy and type(algorithm.policy.mean_and_log_std) is MLP
            and type(algorithm.critic) is TwinCritic)


def losses_are_ours(kind: type[SAC]) -> bool:
    """Whether its losses and its distribution are the ones that these gradients were written for."""
    from colab_rl.algorithms.sac.sac import SAC

    ours = (SAC.soft_targets, SAC.critic_loss, SAC.actor_loss, SAC.temperature_loss, SAC.gradient_step)
    return (all(getattr(kind, method.__name__) is method for method in ours)
            and fingerprint(loss.soft_targets, loss.critic_loss, loss.actor_loss, loss.temperature_loss, *ours,
                            SquashedNormal, SquashedGaussianPolicy.distribution) == WRITTEN_FOR)


def burst(sac: SAC, obs: Tensor, actions: Tensor, rewards: Tensor, terminated: Tensor, next_obs: Tensor,
          noise: Tensor) -> dict[str, Tensor]:
    """A gradient step on each of G minibatches of B transitions; what SAC.gradient_step returns, (G, ...) by name.

    noise: (G, 2, B, A) for the policy's actions after the transitions and before them.
    Nothing leaves the device before all steps are taken.
    """
    groups, size = rewards.shape
    values = torch.empty(groups, 2, size, device=sac.device)
    targets, log_probs, own_values = torch.empty(3, groups, size, device=sac.device)
    discounts = sac.config.gamma * ~terminated
    optimizers, temperature = sac.optimizers, sac.temperature.log_alpha
    for g in range(groups):
        alpha = temperature.exp()
        soft_targets(sac, rewards[g], discounts[g], next_obs[g], noise[g, 0], alpha, targets[g])
        values[g] = critic_gradient(sac.critic, obs[g], actions[g], targets[g])
        optimizers["critic"].step()
        log_probs[g], own_values[g] = actor_gradient(sac, obs[g], noise[g, 1], alpha)
        optimizers["policy"].step()
        # d(-log alpha (log pi + target)) / d log alpha
        optimizers["temperature"].gradient[0] -= sac.target_entropy + log_probs[g].mean()
        optimizers["temperature"].step()
        sac.target_flat.lerp_(optimizers["critic"].flat, sac.config.tau)
    return {"values": values, "targets": targets, "log_probs": log_probs, "own_values": own_values}


def soft_targets(sac: SAC, rewards: Tensor, discounts: Tensor, next_obs: Tensor, noise: Tensor, alpha: Tensor,
                 out: Tensor) -> None:
    """Fills `out`, (B,), with `loss.soft_targets`."""
    mean, log_std = sac.policy.mean_and_log_std(next_obs).split(sac.policy.action_dim, -1)
    actions, log_prob = squashed(mean, log_std.clamp(LOG_STD_LOW, LOG_STD_HIGH), noise)
    value = sac.target(next_obs, actions).amin(0).sub_(log_prob.mul_(alpha))
    torch.addcmul(rewards, discounts, value, out=out)


def critic_gradient(critic: Critic, obs: Tensor, actions: Tensor, target: Tensor) -> Tensor:
    """Adds the gradient of `critic_loss`; returns the (2, B) values."""
    values, pullback = critic.vjp(obs, actions)
    pullback((values - target).mul_(2 / len(obs)))
    return values


def actor_gradient(sac: SAC, obs: Tensor, noise: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Adds the gradient of `actor_loss`; returns (B,) log-density and smaller Q of the actions drawn."""
    actions, log_prob, pullback = sampled(sac.policy, obs, noise)
    critic: Any = sac.critic
    values, pullback_values = critic.vjp(obs, actions)
    smaller = values[0] <= values[1]
    share = smaller * (-1 / len(obs))
    by_actions = pullback_values(torch.stack([share, -1 / len(obs) - share]), of_actions=True)
    pullback(by_actions, alpha / len(obs))
    return log_prob, torch.where(smaller, values[0], values[1])


def sampled(policy: SquashedGaussianPolicy, obs: Tensor,
            noise: Tensor) -> tuple[Tensor, Tensor, Callable[[Tensor, Tensor], None]]:
    """(B, A) actions, (B,) their log-density, and the pullback of a loss's gradient by both.

    The pullback takes (B, A) and a tensor that broadcasts to (B, 1). With u = mean + std * noise:
    da / du = 1 - a^2, d log p / du = 2 a, and d log p / d log std = -1 beside what goes through u.
    """
    output, pullback_output = policy.vjp(obs)
    mean, unclamped = output.split(policy.action_dim, -1)
    log_std = unclamped.clamp(LOG_STD_LOW, LOG_STD_HIGH)
    actions, log_prob = squashed(mean, log_std, noise)

    def pullback(by_actions: Tensor, by_log_prob: Tensor) -> None:
        by_u = aten.tanh_backward(by_actions, actions).addcmul_(actions, by_log_prob, value=2)
        by_log_std = (by_u * noise).mul_(log_std.exp()).sub_(by_log_prob).mul_(log_std == unclamped)
        pullback_output(torch.cat([by_u, by_log_std], -1))

    return actions, log_prob, pullback


def squashed(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """A SquashedNormal's sample and its log-density in one go."""
    u = torch.addcmul(mean, log_std.exp(), noise)
    log_volume = functional.softplus(u * -2).add_(u).mul_(2).sub_(log_std).sub_(noise.square(), alpha=0.5)
    constant = mean.shape[-1] * (2 * math.log(2) + LOG_SQRT_2_PI)
    return torch.tanh(u), log_volume.sum(-1) - constant
