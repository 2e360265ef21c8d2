"""A network of your own: a class with a `forward`. `python docs/extending/network.py`"""

from torch import nn

from colab_rl import Network, train


class LayerNormNetwork(Network):
    """Two hidden layers with layer norm, whatever `hidden_sizes` says."""

    def __init__(self, observation, outputs):
        """observation.shape: of one observation. outputs: numbers that the algorithm asks for."""
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(*observation.shape, 64), nn.LayerNorm(64), nn.Tanh(),
                                    nn.Linear(64, 64), nn.LayerNorm(64), nn.Tanh(), nn.Linear(64, outputs))

    def forward(self, obs):
        """(B, outputs) of (B, *observation.shape)."""
        return self.layers(obs)


def main(run="norm-cartpole", settings=None, **options):
    """Starts the run, or continues it. A class of your own is given again each time."""
    return train(run, env="CartPole-v1", settings={**(settings or {}), "network": LayerNormNetwork}, **options)


if __name__ == "__main__":
    print(main().state_sha256)
