"""An image passes through collecting, learning and replay as it is: uint8, in its own shape."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

from colab_rl import Network
from colab_rl.algorithms.registry import algorithm_class, make_config
from colab_rl.checkpoints.serialization import deserialize, serialize, state_sha256
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.environments.spaces import ObservationSpec, Spaces
from colab_rl.networks.registry import register_network

SHAPE = (6, 5, 3)
SETTINGS = {"num_envs": 2, "num_steps": 20, "minibatch_size": 16, "seed": 3}


class Pictures(gymnasium.Env):
    """Random pictures; the action should be how bright they are."""

    observation_space = gymnasium.spaces.Box(0, 255, SHAPE, np.uint8)
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._picture(), {}

    def step(self, action):
        self.steps += 1
        return self._picture(), float(action[0]) * self.brightness, False, self.steps == 7, {}

    def _picture(self):
        self.brightness = self.np_random.uniform(-1, 1)
        return np.full(SHAPE, int(127 * (1 + self.brightness)), np.uint8)


class Pixels(Network):
    def __init__(self, observation, outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(np.prod(observation.shape), 8), nn.Tanh(),
                                    nn.Linear(8, outputs))

    def forward(self, obs):
        return self.layers(obs.float() / 255)


@pytest.mark.parametrize("name", ["ppo", "sac", "tqc"])
def test_an_image_of_uint8_is_collected_learned_from_saved_and_loaded(name):
    bounds = np.ones(1, np.float32)
    spaces = Spaces(ObservationSpec(SHAPE, "uint8"), False, 1, 0, -bounds, bounds)
    more = {"learning_starts": 16, "buffer_size": 100, "replay_ratio": 0.1} if name != "ppo" else {"update_epochs": 2}
    config = make_config(name, {**SETTINGS, **more, "network": register_network(Pixels)})

    def make():
        return algorithm_class(name)(config, spaces, torch.device("cpu"))

    with GymnasiumVectorEnvironment(Pictures, spaces, 2, seed=1, num_workers=1) as envs:
        envs.reset()
        assert envs.observations.dtype == np.uint8 and envs.observations.shape == (2, *SHAPE)
        algorithm = make()
        for _ in range(2):
            algorithm.collect(envs)
            metrics = algorithm.update(0.1)
        seen = algorithm.replay.rows(30, 35)["observations"] if name != "ppo" else algorithm.rollout.obs
        assert seen.dtype == np.uint8 and seen.shape[1:] == (2, *SHAPE) and len(np.unique(seen)) > 3
        assert metrics["optimizer/policy/update_norm"] > 0 and "optimizer/policy/dead_units" not in metrics
        assert not algorithm.observation_normalizer.enabled

        sizes: list[int] = []
        critic = algorithm.value if name == "ppo" else algorithm.critic
        hook = critic.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
        most, rows = config.minibatch_size, np.concatenate([seen.reshape(-1, *SHAPE)] * 9)
        values = algorithm.values(rows)  # of a long episode they do not fit into memory all at once
        hook.remove()
        assert len(values) == len(rows) == sum(sizes) > most >= max(sizes)
        np.testing.assert_allclose(values[-3:], algorithm.values(rows[-3:]), rtol=1e-4)

        state, places = deserialize(serialize(algorithm.state_dict())), envs.snapshot()
        rows = algorithm.replay.rows(0, 40) if name != "ppo" else None
        algorithm.collect(envs)
        algorithm.update(0.2)
        other = make()
        other.load_state_dict(state)
        if rows is not None:
            other.replay.restore([(0, rows)])
        assert envs.restore(places) == []
        other.collect(envs)
        other.update(0.2)
        assert state_sha256(other.state_dict()) == state_sha256(algorithm.state_dict())
