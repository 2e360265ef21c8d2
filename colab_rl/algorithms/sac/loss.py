"""SAC's losses (Haarnoja et al. 2018, arXiv:1812.05905, equations 5 to 7 and 18), as the paper writes them.

To try another loss, edit this file, or override the method of the same name in a subclass of SAC. The gradient that
fused.py writes out steps aside by itself then.
"""

from __future__ import annotations

from torch import Tensor


def soft_targets(rewards: Tensor, discounts: Tensor, next_values: Tensor, next_log_prob: Tensor,
                 alpha: Tensor) -> Tensor:
    """(B,) r + gamma (min Q'(s', a') - alpha log pi(a'|s')), with a' drawn from the policy and Q' the target networks.

    discounts: (B,) gamma, and 0 if the transition was the last of its episode. next_values: (2, B).
    """
    return rewards + discounts * (next_values.amin(0) - alpha * next_log_prob)


def critic_loss(values: Tensor, targets: Tensor) -> Tensor:
    """() sum of both Q networks' mean squared errors, of (2, B) values and (B,) targets."""
    return (values - targets).square().mean(1).sum()


def actor_loss(log_prob: Tensor, values: Tensor, alpha: Tensor) -> Tensor:
    """() mean of alpha log pi(a|s) - min Q(s, a), of actions drawn from the policy: (B,), (2, B) and ()."""
    return (alpha * log_prob - values.amin(0)).mean()


def temperature_loss(log_alpha: Tensor, log_prob: Tensor, target_entropy: float) -> Tensor:
    """() -log alpha (log pi(a|s) + target entropy), of (B,) log-densities."""
    return -(log_alpha * (log_prob + target_entropy)).mean()
