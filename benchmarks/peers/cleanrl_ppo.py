"""Steps per second of PPO as CleanRL's `ppo_continuous_action` does it, printed as JSON; run by throughput.py.

CleanRL is a collection of scripts, and its last package does not install beside today's gymnasium. This
has its structure, in our words: gymnasium's `SyncVectorEnv` with its wrappers around each environment,
one Adam over a policy and a value network of 64-64 tanh, minibatches drawn by NumPy, autograd.
"""

import json
import sys
import time

import gymnasium
import numpy as np
import torch
from gymnasium import wrappers
from torch import nn
from torch.distributions import Normal


def make(env: str, gamma: float) -> gymnasium.Env:
    environment = wrappers.RecordEpisodeStatistics(wrappers.FlattenObservation(gymnasium.make(env)))
    environment = wrappers.NormalizeObservation(wrappers.ClipAction(environment))
    environment = wrappers.TransformObservation(environment, lambda obs: np.clip(obs, -10, 10),
                                                environment.observation_space)
    return wrappers.TransformReward(wrappers.NormalizeReward(environment, gamma=gamma),
                                    lambda reward: float(np.clip(reward, -10, 10)))


def layer(fan_in: int, fan_out: int, gain: float = 2**0.5) -> nn.Linear:
    linear = nn.Linear(fan_in, fan_out)
    nn.init.orthogonal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)
    return linear


class Agent(nn.Module):
    """Policy and value network."""

    def __init__(self, obs_dim: int, action_dim: int):
        super().__init__()
        self.critic, self.actor_mean = (
            nn.Sequential(layer(obs_dim, 64), nn.Tanh(), layer(64, 64), nn.Tanh(), layer(64, outputs, gain))
            for outputs, gain in ((1, 1.0), (action_dim, 0.01)))
        self.actor_logstd = nn.Parameter(torch.zeros(1, action_dim))

    def evaluate(self, obs, action=None):
        """The action, sampled if none is given, its log-probability, the entropy and the value."""
        mean = self.actor_mean(obs)
        distribution = Normal(mean, self.actor_logstd.expand_as(mean).exp())
        if action is None:
            action = distribution.sample()
        return action, distribution.log_prob(action).sum(1), distribution.entropy().sum(1), self.critic(obs)


class Training:
    """Environments, agent, and the rollout between them."""

    def __init__(self, setting: dict):
        self.setting = setting
        self.envs = gymnasium.vector.SyncVectorEnv(
            [lambda: make(setting["env"], setting["gamma"])] * setting["num_envs"])
        obs_shape, action_shape = self.envs.single_observation_space.shape, self.envs.single_action_space.shape
        self.agent = Agent(obs_shape[0], action_shape[0])
        self.optimizer = torch.optim.Adam(self.agent.parameters(), lr=setting["learning_rate"], eps=1e-5)
        shape = (setting["num_steps"], setting["num_envs"])
        self.obs, self.actions = torch.zeros(*shape, *obs_shape), torch.zeros(*shape, *action_shape)
        self.log_probs, self.rewards, self.dones, self.values = (torch.zeros(shape) for _ in range(4))
        self.next_obs = torch.tensor(self.envs.reset(seed=0)[0], dtype=torch.float32)
        self.next_done = torch.zeros(setting["num_envs"])

    def iterate(self) -> None:
        """One rollout and its update."""
        self.collect()
        self.update(*self.advantages())

    @torch.no_grad()
    def collect(self) -> None:
        """Fills the rollout."""
        for t in range(self.setting["num_steps"]):
            self.obs[t], self.dones[t] = self.next_obs, self.next_done
            self.actions[t], self.log_probs[t], _, value = self.agent.evaluate(self.next_obs)
            self.values[t] = value.flatten()
            obs, reward, terminated, truncated, _ = self.envs.step(self.actions[t].numpy())
            self.rewards[t] = torch.tensor(reward)
            self.next_obs = torch.tensor(obs, dtype=torch.float32)
            self.next_done = torch.tensor(np.logical_or(terminated, truncated), dtype=torch.float32)

    @torch.no_grad()
    def advantages(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Advantages by GAE, and returns."""
        gamma, gae_lambda = self.setting["gamma"], self.setting["gae_lambda"]
        advantages, following = torch.zeros_like(self.rewards), 0
        value, alive = self.agent.critic(self.next_obs).flatten(), 1 - self.next_done
        for t in reversed(range(len(self.rewards))):
            delta = self.rewards[t] + gamma * value * alive - self.values[t]
            advantages[t] = following = delta + gamma * gae_lambda * alive * following
            value, alive = self.values[t], 1 - self.dones[t]
        return advantages.flatten(), (advantages + self.values).flatten()

    def update(self, advantages: torch.Tensor, returns: torch.Tensor) -> None:
        """The epochs of an update."""
        clip, indices = self.setting["clip_range"], np.arange(len(returns))
        obs, actions, log_probs, values = (self.obs.flatten(0, 1), self.actions.flatten(0, 1),
                                           self.log_probs.flatten(), self.values.flatten())
        for _ in range(self.setting["update_epochs"]):
            np.random.shuffle(indices)
            for rows in np.array_split(indices, len(indices) // self.setting["minibatch_size"]):
                _, log_prob, entropy, value = self.agent.evaluate(obs[rows], actions[rows])
                log_ratio = log_prob - log_probs[rows]
                ratio = log_ratio.exp()
                with torch.no_grad():
                    ((ratio - 1) - log_ratio).mean()
                    ((ratio - 1).abs() > clip).float().mean().item()
                advantage = advantages[rows]
                advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
                policy_loss = torch.max(-advantage * ratio, -advantage * ratio.clamp(1 - clip, 1 + clip)).mean()
                value = value.flatten()
                clipped = values[rows] + (value - values[rows]).clamp(-clip, clip)
                value_loss = 0.5 * torch.max((value - returns[rows])**2, (clipped - returns[rows])**2).mean()
                loss = policy_loss - 0.0 * entropy.mean() + 0.5 * value_loss
                self.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.agent.parameters(), 0.5)
                self.optimizer.step()


def main() -> None:
    setting = json.loads(sys.argv[1])
    torch.manual_seed(0)
    np.random.seed(0)
    training = Training(setting)
    training.iterate()  # left out
    began = time.perf_counter()
    for _ in range(setting["iterations"]):
        training.iterate()
    seconds = time.perf_counter() - began
    training.envs.close()
    print(json.dumps({"steps_per_second":
                      setting["iterations"] * setting["num_steps"] * setting["num_envs"] / seconds}))


if __name__ == "__main__":
    main()
