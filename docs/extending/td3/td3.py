"""TD3: SAC's replay and collecting, by `OffPolicyAlgorithm`; its own policy, losses and gradient step."""

import math
from functools import partial

import torch

from colab_rl.algorithms.action_range import check_bounded_actions
from colab_rl.algorithms.off_policy import OffPolicyAlgorithm
from colab_rl.algorithms.optimizer import ClippedAdam, flattened
from colab_rl.algorithms.sac.critic import make_critic

from . import loss
from .config import TD3Config
from .policy import DeterministicPolicy


class TD3(OffPolicyAlgorithm):
    """Collecting, sampling, replay, evaluation, checkpoints and resuming are the base class's and the trainer's."""

    name = "td3"
    config_class = TD3Config
    presets = {"Pendulum-v1": {"total_steps": 10_000, "num_envs": 1, "num_steps": 64, "replay_ratio": 1,
                               "hidden_sizes": (64, 64), "learning_rate": 1e-3, "learning_starts": 1_000,
                               "buffer_size": 20_000}}

    def __init__(self, config, spaces, device):
        super().__init__(config, spaces, device)
        twins = [make_critic(config, spaces, self.make_network, self.generator) for _ in range(2)]
        network = partial(self.make_network, layer_norm=False)  # the setting is of the Q networks
        self.policy, self.policy_target = (DeterministicPolicy(spaces, network).to(device) for _ in range(2))
        self.critic, self.critic_target = (twin.to(device) for twin in twins)
        self.policy_target.load_state_dict(self.policy.state_dict())
        self.critic_target.load_state_dict(self.critic.state_dict())
        self.networks = {"policy": self.policy, "policy_target": self.policy_target, "critic": self.critic,
                         "critic_target": self.critic_target}
        self.optimizers = {name: ClippedAdam(self.networks[name], config.learning_rate, math.inf)
                           for name in ("policy", "critic")}
        self.followers = [(flattened(self.policy_target), self.optimizers["policy"].flat),
                          (flattened(self.critic_target), self.optimizers["critic"].flat)]

    @classmethod
    def check(cls, config, spaces):
        """See Algorithm."""
        check_bounded_actions(cls.name, spaces)
        super().check(config, spaces)

    def gradient_step(self, batch):
        """See OffPolicyAlgorithm."""
        config = self.config
        noise = torch.randn(batch.actions.shape, generator=self.generator) * config.target_noise
        noise = noise.clamp(-config.noise_clip, config.noise_clip).to(self.device)
        next_actions = (self.policy_target(batch.next_obs) + noise).clamp(-1, 1)
        next_values = self.critic_target(batch.next_obs, next_actions)
        targets = loss.targets(batch.rewards, config.gamma * ~batch.terminated, next_values)

        values, pullback = self.critic.vjp(batch.obs, batch.actions)
        with torch.enable_grad():
            critic_loss = loss.critic_loss(values, targets)
            gradients = torch.autograd.grad(critic_loss, values)
        pullback(*gradients)
        self.optimizers["critic"].step()

        if self.optimizers["critic"].steps % config.policy_delay == 0:  # the count is saved with the optimizer
            with torch.enable_grad():
                policy_loss = loss.policy_loss(self.critic(batch.obs, self.policy(batch.obs)))
            torch.autograd.backward(policy_loss, inputs=list(self.policy.parameters()))  # and not the critic's
            self.optimizers["policy"].step()
            for target, network in self.followers:
                target.lerp_(network, config.tau)
        return {"loss/critic": critic_loss.detach(), "q/mean": values.detach().mean(), "q/target": targets.mean()}

    def values(self, obs):
        """See Algorithm: the smaller Q of the deterministic action."""
        rows = self.observation_normalizer(obs)
        actions = torch.from_numpy(self.policy.mode()(rows)).to(self.device)
        with torch.no_grad():
            return self.critic(torch.from_numpy(rows).to(self.device), actions).amin(0).numpy(force=True)
