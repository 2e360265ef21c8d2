"""Small runs of each kind of policy, by name: environment, algorithm, settings."""

from __future__ import annotations

import torch
from helpers import TINY
from torch import nn

from colab_rl import Network
from colab_rl.networks.base import RecurrentNetwork

SAC = ["num_envs=2", "num_steps=20", "learning_starts=40", "minibatch_size=16", "replay_ratio=0.1", "buffer_size=2000",
       "checkpoint_every=5", "eval_every=10", "eval_episodes=2", "hidden_sizes=8"]


class Normed(Network):
    """A user's network."""

    def __init__(self, observation, outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(*observation.shape, 12), nn.LayerNorm(12), nn.Tanh(),
                                    nn.Linear(12, outputs))

    def forward(self, obs):
        return self.layers(obs)


class Summing(RecurrentNetwork):
    """A user's network with memory, which adds up what it sees."""

    def __init__(self, observation, outputs):
        super().__init__()
        self.state_size = 4
        self.seen, self.output = nn.Linear(*observation.shape, 4), nn.Linear(4, outputs)

    def step(self, obs, state):
        state = torch.tanh(state + self.seen(obs))
        return self.output(state), state


class Unexportable(Normed):
    """One with an operation that ONNX has not."""

    def forward(self, obs):
        return self.layers(obs * torch.linalg.svdvals(obs[:, :2, None]).mean(-1, keepdim=True))


KINDS = {"discrete": ("CartPole-v1", "ppo", TINY, {}),
         "continuous": ("Pendulum-v1", "ppo", [*TINY, "activation=elu"], {}),
         "sac": ("Pendulum-v1", "sac", SAC, {}),
         "tqc": ("Pendulum-v1", "tqc", [*SAC, "quantiles=5"], {}),
         "own": ("Pendulum-v1", "ppo", TINY, {"network": Normed}),
         "unexportable": ("CartPole-v1", "ppo", TINY, {"network": Unexportable}),
         "wrapped": ("CartPole-v1", "ppo", [*TINY, 'wrappers=["MaxAndSkipObservation(2)", "ScaleReward(0.1)", '
                                           '"FrameStackObservation(stack_size=3)"]'], {}),
         "lake": ("FrozenLake-v1", "ppo", TINY, {}),
         "wide": ("wide_environment:Wide-v0", "ppo", TINY, {})}
