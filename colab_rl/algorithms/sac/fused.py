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

# Of the code that this file differentiates. If you change that code and this file, put the new one.
WRITTEN_FOR = "daaf165f6368e21c"
METHODS = ("soft_targets", "critic_loss", "actor_loss", "temperature_loss", "gradient_step")


def applies(algorithm: SAC) -> bool:
    """Whether these are the gradients of what the algorithm learns by."""
    return losses_are_ours(type(algorithm)) and policy_is_ours(algorithm) and type(algorithm.critic) is TwinCritic


def losses_are_ours(kind: type[SAC]) -> bool:
    """Whether its losses and its distribution are the ones that these gradients were written for."""
    from colab_rl.algorithms.sac.sac import SAC

    return learns_by(kind, SAC, WRITTEN_FOR, loss.soft_targets, loss.critic_loss, loss.actor_loss,
                     loss.temperature_loss)


def learns_by(kind: type[SAC], ours: type[SAC], written_for: str, *losses: Callable) -> bool:
    """Whether a class has the methods of one of ours, and the code of all that they use is still `written_for`."""
    methods = [getattr(ours, name) for name in METHODS]
    return (all(getattr(kind, name) is method for name, method in zip(METHODS, methods, strict=True))
            and fingerprint(*losses, *methods, SquashedNormal, SquashedGaussianPolicy.distribution) == written_for)


def policy_is_ours(algorithm: SAC) -> bool:
    """Whether its policy is the one that these gradients were written for."""
    return type(algorithm.policy) is SquashedGaussianPolicy and type(algorithm.policy.mean_and_log_std) is MLP


def burst(sac: SAC, obs: Tensor, actions: Tensor, rewards: Tensor, terminated: Tensor, next_obs: Tensor,
          noise: Tensor) -> dict[str, Tensor]:
    """A gradient step on each of G minibatches of B transitions; what SAC.gradient_step returns, (G, ...) by name.

    noise: (G, 2, B, A) for the policy's actions after the transitions and before them.
    Nothing leaves the device before all steps are taken. What a step calls are the functions of the algorithm's own
    `written_out`: this file, or that of an algorithm with other critics.
    """
    traces: dict[str, list[Tensor]] = {"values": [], "targets": [], "log_probs": [], "own_values": []}
    discounts = sac.config.gamma * ~terminated
    optimizers, temperature, written_out = sac.optimizers, sac.temperature.log_alpha, sac.written_out
    for g in range(len(rewards)):
        alpha = temperature.exp()
        targets = written_out.soft_targets(sac, rewards[g], discounts[g], next_obs[g], noise[g, 0], alpha)
        values = written_out.critic_gradient(sac.critic, obs[g], actions[g], targets)
        optimizers["critic"].step()
        log_probs, own_values = written_out.actor_gradient(sac, obs[g], noise[g, 1], alpha)
        optimizers["policy"].step()
        # d(-log alpha (log pi + target)) / d log alpha
        optimizers["temperature"].gradient[0] -= sac.target_entropy + log_probs.mean()
        optimizers["temperature"].step()
        sac.target_flat.lerp_(optimizers["critic"].flat, sac.config.tau)
        for name, trace in zip(traces, (values, targets, log_probs, own_values), strict=True):
            traces[name].append(trace)
    return {name: torch.stack(each) for name, each in traces.items()}


def soft_targets(sac: SAC, rewards: Tensor, discounts: Tensor, next_obs: Tensor, noise: Tensor,
                 alpha: Tensor) -> Tensor:
    """(B,) `loss.soft_targets`."""
    actions, log_prob = drawn(sac.policy, next_obs, noise)
    return torch.addcmul(rewards, discounts, sac.target(next_obs, actions).amin(0).sub_(log_prob.mul_(alpha)))


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


def drawn(policy: SquashedGaussianPolicy, obs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """(B, A) actions and (B,) their log-density."""
    mean, log_std = policy.mean_and_log_std(obs).split(policy.action_dim, -1)
    return squashed(mean, log_std.clamp(LOG_STD_LOW, LOG_STD_HIGH), noise)


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
