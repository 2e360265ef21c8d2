"""Networks of images and with memory leave as ONNX graphs, with the memory as an input and an output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from policy_kinds import Summing

from colab_rl.algorithms.registry import algorithm_class, make_config
from colab_rl.environments.spaces import ObservationSpec, Spaces
from colab_rl.networks.registry import register_network
from colab_rl.policies.graph import draw
from colab_rl.policies.policy import session

BOUNDS = np.ones(3, np.float32)
CASES: dict[str, tuple[ObservationSpec, dict[str, Any]]] = {
    "cnn": (ObservationSpec((4, 40, 40), "uint8"), {"shared_trunk": True}),
    "gru": (ObservationSpec((5,)), {"network": "gru", "layer_norm": True, "shared_trunk": True}),
    "gru of images": (ObservationSpec((40, 40, 3), "uint8"), {"network": "gru"}),
    "own memory": (ObservationSpec((5,)), {"network": register_network(Summing)})}


@pytest.mark.parametrize("name", CASES)
def test_a_graph_acts_and_remembers_as_the_policy_does(name):
    spec, settings = CASES[name]
    spaces = Spaces(spec, False, 3, 0, -BOUNDS, BOUNDS)
    config = make_config("ppo", {"num_envs": 2, "num_steps": 8, "hidden_sizes": (16,), **settings})
    algorithm = algorithm_class("ppo")(config, spaces, torch.device("cpu"))
    with torch.no_grad():
        for parameter in algorithm.policy.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    run, rng = session(draw(algorithm.acting(), spaces, algorithm.memory)[0]), np.random.default_rng(0)
    theirs = ours = rng.uniform(-1, 1, (5, algorithm.memory)).astype(np.float32)
    for _ in range(3):
        shape = (5, *spec.shape)
        rows = (rng.normal(size=shape) if spec.dtype == "float32" else rng.integers(256, size=shape)
                ).astype(spec.dtype)
        action, *after = run(rows, **({"memory": theirs} if algorithm.memory else {}))
        ours = ours.copy()
        expected = algorithm.acting()(rows, **({"memory": ours} if algorithm.memory else {}))
        np.testing.assert_allclose(action, expected, atol=1e-5)
        assert len(after) == (algorithm.memory > 0) and np.ptp(expected) > 0
        if after:
            theirs = after[0]
            np.testing.assert_allclose(theirs, ours, atol=1e-5)
