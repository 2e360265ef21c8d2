"""TQC's losses (Kuznetsov et al. 2020, arXiv:2005.04269, equations 9 to 14), as the paper writes them.

| symbol | meaning |
| --- | --- |
| N | `critics`, Q networks |
| M | `quantiles` that each Q network gives |
| K | targets that are kept, N times `quantiles - dropped_quantiles` |
| B | transitions of a minibatch |

To try another loss, edit this file, or override the method of the same name in a subclass of TQC. The gradient that
fused.py writes out steps aside by itself then.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def soft_targets(rewards: Tensor, discounts: Tensor, next_quantiles: Tensor, next_log_prob: Tensor, alpha: Tensor,
                 kept: int) -> Tensor:
    """(K, B) r + gamma (z_k(s', a') - alpha log pi(a'|s')), with a' drawn from the policy.

    z_1 to z_K are the smallest of the target networks' quantiles, of all networks together: the largest are dropped,
    so that values are not too high.

    discounts: (B,) gamma, and 0 if the transition was the last of its episode. next_quantiles: (N, M, B).
    """
    pooled, _ = next_quantiles.flatten(0, 1).sort(0)
    return rewards + discounts * (pooled[:kept] - alpha * next_log_prob)


def critic_loss(quantiles: Tensor, targets: Tensor) -> Tensor:
    """() sum over the Q networks of the mean quantile Huber loss of each quantile and each target.

    rho_tau(e) = |tau - 1[e < 0]| huber(e), with e = target - quantile: (N, M, B) quantiles and (K, B) targets.
    """
    errors = targets - quantiles.unsqueeze(2)  # (N, M, K, B)
    huber = functional.huber_loss(errors, torch.zeros_like(errors), reduction="none")
    weights = (levels(quantiles).unsqueeze(1) - (errors < 0).float()).abs()
    return (weights * huber).mean((1, 2, 3)).sum()


def actor_loss(log_prob: Tensor, quantiles: Tensor, alpha: Tensor) -> Tensor:
    """() mean of alpha log pi(a|s) - Q(s, a), of actions drawn from the policy: (B,), (N, M, B) and ().

    Q is the mean of all quantiles of all networks: nothing is dropped here.
    """
    return (alpha * log_prob - quantiles.mean((0, 1))).mean()


def levels(quantiles: Tensor) -> Tensor:
    """(M, 1) probabilities tau_m = (2 m - 1) / (2 M), of (N, M, B) quantiles."""
    number = quantiles.shape[1]
    return ((torch.arange(number, device=quantiles.device) + 0.5) / number).unsqueeze(1)
