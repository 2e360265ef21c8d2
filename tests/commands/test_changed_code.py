"""Who scores or exports a policy hears that his own code is another by now."""

from __future__ import annotations

import pytest

NETWORK = """
from torch import nn
from colab_rl import Network

class Small(Network):
    def __init__(self, observation, outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(*observation.shape, 8), nn.Tanh(), nn.Linear(8, outputs))

    def forward(self, obs):
        return self.layers(obs)  # a row by itself
"""
TRAIN = ["train", "own", "--env", "CartPole-v1", "--total-steps", "64", "--set", "network=small:Small", "num_envs=2",
         "num_steps=16", "minibatch_size=16", "eval_episodes=1", "score_episodes=0"]


@pytest.mark.parametrize(("old", "new", "changed"), [
    ("nn.Tanh()", "nn.ReLU()", "code of the network changed after generation 2 of own was saved; the policy acts by"),
    ("a row by itself", "each row by itself", "")])
def test_a_changed_network_is_said_and_a_changed_comment_is_not(tmp_path, run_cli, old, new, changed):
    module = tmp_path / "small.py"
    module.write_text(NETWORK)
    assert run_cli(*TRAIN).returncode == 0
    module.write_text(NETWORK.replace(old, new))
    for command in (["evaluate", "own", "--episodes", "1"], ["export", "own"]):
        done = run_cli(*command)
        assert done.returncode == 0, done.stderr
        assert changed in done.stderr if changed else "code of" not in done.stderr
