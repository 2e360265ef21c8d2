"""The settings of PPO."""

from __future__ import annotations

from dataclasses import dataclass

from colab_rl.algorithms.on_policy import OnPolicyConfig
from colab_rl.settings import SCHEDULES, setting


@dataclass(frozen=True, kw_only=True)
class PPOConfig(OnPolicyConfig):
    """Proximal Policy Optimization (Schulman et al. 2017, arXiv:1707.06347)."""

    shared_trunk: bool = setting(False, "policy and value are outputs of one network, and not two networks",
                                 shapes_state=True)
    update_epochs: int = setting(8, "passes over an iteration's transitions", low=1)
    clip_range: float = setting(0.2, "how far the probability ratio may leave 1", above=0, high=10)
    ent_coef: float = setting(0.0, "weight of the entropy bonus at the start", low=0)
    ent_coef_schedule: str = setting("constant", "constant, or linear down to 0 at total_steps", choices=SCHEDULES)
    vf_coef: float = setting(0.5, "weight of the value loss", low=0)
    target_kl: float | None = setting(None, "an update ends after the epoch whose KL divergence exceeds it", above=0)
