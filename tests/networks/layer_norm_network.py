"""A network as a user writes it."""

from torch import nn

from colab_rl import Network


class Own(Network):
    """Of numbers, with layer normalisation."""

    def __init__(self, observation, outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(*observation.shape, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, outputs))

    def forward(self, obs):
        return self.layers(obs)
