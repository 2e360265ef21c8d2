"""PPO with another loss: one method of a subclass. `python docs/extending/loss.py`"""

from colab_rl import train
from colab_rl.algorithms.ppo.ppo import PPO


class Calm(PPO):
    """PPO that prefers small actions: its loss has one term more."""

    name = "calm"

    def policy_loss(self, distribution, batch):
        """See PPO. distribution.mean: (B, A), in half action ranges."""
        loss, metrics = super().policy_loss(distribution, batch)
        effort = distribution.mean.square().mean()
        return loss + 0.01 * effort, {**metrics, "loss/effort": effort}


def main(run="calm-pendulum", **options):
    """Starts the run, or continues it. A class of your own is given again each time."""
    return train(run, env="Pendulum-v1", algo=Calm, **options)


if __name__ == "__main__":
    print(main().state_sha256)
