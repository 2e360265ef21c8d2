"""The settings of TD3."""

from dataclasses import dataclass

from colab_rl.algorithms.off_policy import OffPolicyConfig
from colab_rl.settings import setting


@dataclass(frozen=True, kw_only=True)
class TD3Config(OffPolicyConfig):
    """What it has beside the settings of every off-policy algorithm. `--set` and SETTINGS take them all."""

    tau: float = setting(0.005, "how far the target networks follow in a gradient step", above=0, high=1)
    policy_delay: int = setting(2, "gradient steps of the critics for each of the policy", low=1)
    target_noise: float = setting(0.2, "deviation of the noise on the target policy's actions", low=0)
    noise_clip: float = setting(0.5, "most noise on the target policy's actions", low=0)
