"""PPO's losses (Schulman et al. 2017, arXiv:1707.06347, equations 7 and 9), as the paper writes them.

To try another loss, edit this file, or override `policy_loss` or `value_loss` in a subclass of PPO. The gradient that
fused.py writes out steps aside by itself then.
"""

from __future__ import annotations

import torch
from torch import Tensor

from colab_rl.algorithms.rollout import Transitions
from colab_rl.networks.distributions import Categorical, Categoricals, ClippedNormal

Distribution = Categorical | Categoricals | ClippedNormal
Metrics = dict[str, Tensor]  # () each, by the column of the metrics


def policy_loss(distribution: Distribution, batch: Transitions, clip_range: float,
                ent_coef: float) -> tuple[Tensor, Metrics]:
    """-min(r A, clip(r, 1 - c, 1 + c) A) - ent_coef H, with r the new over the old probability of the action taken."""
    advantages = (batch.advantages - batch.advantages.mean()) / (batch.advantages.std() + 1e-8)
    log_ratio = distribution.log_prob(batch.actions) - batch.log_probs
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    objective = torch.minimum(ratio * advantages, clipped * advantages).mean()
    entropy = distribution.entropy().mean()
    return -objective - ent_coef * entropy, {
        "loss/policy": -objective, "policy/entropy": entropy,
        "policy/approx_kl": (ratio - 1 - log_ratio).mean(),  # k3 of Schulman, joschu.net/blog/kl-approx.html
        "policy/clip_fraction": ((ratio - 1).abs() > clip_range).float().mean()}


def value_loss(values: Tensor, batch: Transitions, vf_coef: float) -> tuple[Tensor, Metrics]:
    """vf_coef (V - target)^2, of (B,) values."""
    error = (values - batch.targets).square().mean()
    return vf_coef * error, {"loss/value": error}
