"""The settings of SAC."""

from __future__ import annotations

from dataclasses import dataclass

from colab_rl.algorithms.off_policy import OffPolicyConfig
from colab_rl.settings import setting


@dataclass(frozen=True, kw_only=True)
class SACConfig(OffPolicyConfig):
    """Soft Actor-Critic (Haarnoja et al. 2018, arXiv:1812.05905)."""

    tau: float = setting(0.005, "how far the target networks follow in a gradient step", above=0, high=1)
    policy_average: float = setting(0.0, "what an iteration leaves of the averaged policy, which acts in evaluations; "
                                    "with 0, the newest policy acts", low=0, high=0.999, shapes_state=True)
    initial_temperature: float = setting(1.0, "weight of the entropy at the start", above=0, shapes_state=True)
    target_entropy: float | None = setting(None, "entropy that the temperature aims at, in nats; none is minus the "
                                           "number of action dimensions")
