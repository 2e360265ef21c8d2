"""TD3's policy: one action, and noise around it while it explores."""

import numpy as np
import torch
from torch import nn

from colab_rl.algorithms.action_range import ActionRange

EXPLORATION = 0.1  # deviation of the noise, in half action ranges


class DeterministicPolicy(nn.Module):
    """a = tanh(network). Actions in the policy's unit lie in [-1, 1]."""

    def __init__(self, spaces, network):
        super().__init__()
        self.action_dim, self.range = spaces.action_dim, ActionRange(spaces)
        self.network = network(spaces.action_dim, 0.01)

    def forward(self, obs):
        """(B, A) actions, for a loss."""
        return torch.tanh(self.network(obs))

    def noise(self, shape, generator):
        """(*shape, A) for `sampler`."""
        return EXPLORATION * torch.randn(*shape, self.action_dim, generator=generator).numpy()

    def sampler(self):
        """Gives (B, A) actions for observations and noise, in NumPy, with the parameters of now."""
        outputs = self.network.acting()
        return lambda obs, noise: np.clip(np.tanh(outputs(obs)) + noise, -1, 1)

    def mode(self):
        """Gives (B, A) deterministic actions for observations, in NumPy, with the parameters of now."""
        outputs = self.network.acting()
        return lambda obs: np.tanh(outputs(obs))

    def to_environment(self, actions):
        """(B, A) actions in the environment's unit."""
        return self.range.to_environment(actions)
