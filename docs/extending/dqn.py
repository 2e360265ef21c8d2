"""DQN (Mnih et al. 2015, Human-level control through deep reinforcement learning), an algorithm for choices.

`python docs/extending/dqn.py`, or `python -m colab_rl train pole --env CartPole-v1 --algo dqn:DQN` in this folder.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import smooth_l1_loss

from colab_rl import UsageError, train
from colab_rl.algorithms.off_policy import OffPolicyAlgorithm, OffPolicyConfig
from colab_rl.algorithms.optimizer import ClippedAdam, flattened
from colab_rl.settings import setting


@dataclass(frozen=True, kw_only=True)
class DQNConfig(OffPolicyConfig):
    """What it has beside the settings of every off-policy algorithm."""

    target_every: int = setting(128, "gradient steps from one copy of the network to the next", low=1)
    epsilon_end: float = setting(0.04, "share of actions by chance at the end", low=0, high=1)
    exploration: float = setting(0.16, "share of training until that end", above=0, high=1)


class GreedyPolicy(nn.Module):
    """The choice of the highest value, and with the probability `epsilon` any choice."""

    def __init__(self, spaces, network):
        super().__init__()
        self.choices, self.first_action = spaces.action_dim, spaces.first_action
        self.values = network(spaces.action_dim, 1.0)
        self.register_buffer("epsilon", torch.ones(()))  # a checkpoint holds it, as it holds all buffers

    def noise(self, shape, generator):
        """(*shape, 2) for `sampler`: whether a choice is by chance, and which one then."""
        return torch.rand(*shape, 2, generator=generator).numpy()

    def sampler(self):
        """Gives (B,) choices for observations and noise, in NumPy, with the parameters of now."""
        greedy, epsilon = self.mode(), float(self.epsilon)
        return lambda obs, noise: np.where(noise[:, 0] < epsilon, (noise[:, 1] * self.choices).astype(np.int64),
                                           greedy(obs))

    def mode(self):
        """Gives the (B,) choices of the highest values, in NumPy, with the parameters of now."""
        values = self.values.acting()
        return lambda obs: values(obs).argmax(-1)

    def to_environment(self, actions):
        """(B,) choices as the environment counts them."""
        return actions + self.first_action


class DQN(OffPolicyAlgorithm):
    """Collecting, sampling, replay, evaluation, checkpoints and resuming are the base class's and the trainer's."""

    name = "dqn"
    config_class = DQNConfig
    presets = {"CartPole-v1": {  # those of rl-baselines3-zoo
        "total_steps": 50_000, "num_envs": 1, "num_steps": 256, "learning_starts": 1_000, "hidden_sizes": (256, 256),
        "learning_rate": 2.3e-3, "minibatch_size": 64, "buffer_size": 100_000, "eval_every": 10,
        "checkpoint_every": 10}}

    def __init__(self, config, spaces, device):
        super().__init__(config, spaces, device)
        self.policy = GreedyPolicy(spaces, self.make_network).to(device)
        self.target = copy.deepcopy(self.policy)
        self.networks = {"policy": self.policy, "target": self.target}
        self.optimizers = {"policy": ClippedAdam(self.policy, config.learning_rate, max_grad_norm=10)}
        self.target_flat = flattened(self.target)

    @classmethod
    def check(cls, config, spaces):
        """See Algorithm."""
        if not spaces.discrete or spaces.choices:
            raise UsageError("dqn learns one choice a step: use --algo ppo")
        super().check(config, spaces)

    def update(self, progress):
        """See Algorithm."""
        self.policy.epsilon.fill_(max(self.config.epsilon_end, 1 - progress / self.config.exploration))
        return {**super().update(progress), "policy/epsilon": float(self.policy.epsilon)}

    def gradient_step(self, batch):
        """See OffPolicyAlgorithm. batch.actions: (B,) choices."""
        config, optimizer = self.config, self.optimizers["policy"]
        next_values = self.target.values(batch.next_obs).amax(-1)
        targets = batch.rewards + config.gamma * ~batch.terminated * next_values

        values, pullback = self.policy.values.vjp(batch.obs)
        with torch.enable_grad():
            loss = smooth_l1_loss(values.gather(1, batch.actions[:, None]).squeeze(1), targets)
            gradients = torch.autograd.grad(loss, values)
        pullback(*gradients)
        optimizer.step()
        if optimizer.steps % config.target_every == 0:  # the count is saved with the optimizer
            self.target_flat.copy_(optimizer.flat)
        return {"loss/q": loss.detach(), "q/mean": values.detach().mean(), "q/target": targets.mean()}

    def values(self, obs):
        """See Algorithm: the highest value."""
        rows = torch.from_numpy(self.observation_normalizer(obs)).to(self.device)
        with torch.no_grad():
            return self.policy.values(rows).amax(-1).numpy(force=True)


def main(run="dqn-pole", **options):
    """Starts the run, or continues it."""
    return train(run, env="CartPole-v1", algo=DQN, **options)


if __name__ == "__main__":
    print(main().state_sha256)
