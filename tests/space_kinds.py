"""Environments of every kind of space: two bits are seen, and the action has to say them.

    python space_kinds.py ROOT STEPS    trains a run of each kind there, and continues it after a kill
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from torch import nn

from colab_rl import Network, train

SHAPE = (6, 5, 3)
LENGTH = 8  # of an episode, of which each step gives 1 if the action has both bits
SETTINGS = {"num_envs": 4, "num_steps": 64, "minibatch_size": 64, "update_epochs": 6, "learning_rate": 1e-2,
            "hidden_sizes": "16", "checkpoint_every": 2, "eval_every": 20, "eval_episodes": 20, "seed": 5}


class Kind(NamedTuple):
    """What is seen of (a, b), each 0 or 1; and the bits that an action says, as numbers around 0.5."""

    seen: Space
    encode: Callable[[int, int], Any]
    acts: Space
    decode: Callable[[Any], tuple[float, float]]
    network: str = "mlp"
    settings: Mapping[str, Any] = {}


def picture(a: int, b: int) -> np.ndarray:
    """Bright on the left if a, in its third colour if b."""
    image = np.zeros(SHAPE, np.uint8)
    image[:, :2, 0], image[..., 2] = 255 * a, 255 * b
    return image


IMAGE = Box(0, 255, SHAPE, np.uint8)
KINDS = {
    "multi-discrete": Kind(MultiDiscrete([3, 2], start=[1, -2]), lambda a, b: np.array([1 + 2 * a, b - 2]),
                           MultiDiscrete([[2], [3]], start=[[5], [0]]), lambda x: (x[0, 0] - 5, x[1, 0] / 2)),
    "multi-binary": Kind(MultiBinary(4), lambda a, b: np.array([a, 1 - a, b, 1], np.int8),
                         MultiBinary((2, 1)), lambda x: (x[0, 0], x[1, 0])),
    "dict": Kind(Dict(goal=Discrete(2, start=7), field=Box(-1, 1, (2, 2))),
                 lambda a, b: {"goal": 7 + a, "field": np.full((2, 2), 2 * b - 1, np.float32)},
                 Dict(left=Discrete(2), right=Discrete(2, start=-1)), lambda x: (x["left"], x["right"] + 1)),
    "tuple": Kind(Tuple((Discrete(2), Dict(deep=Tuple((MultiBinary(1), Box(-1, 1, (), np.float64)))))),
                  lambda a, b: (a, {"deep": (np.array([b], np.int8), np.array(0.5))}),
                  Tuple((Box(0, 1, (1, 1)), Dict(deep=Box(-3, 3, (1,), np.float64)))),
                  lambda x: (x[0][0, 0], x[1]["deep"][0] / 6 + 0.5)),
    "image": Kind(IMAGE, picture, Discrete(4, start=3), lambda x: ((x - 3) // 2, (x - 3) % 2), "Pixels"),
    "mixed": Kind(Dict(eye=IMAGE, hint=Discrete(2)), lambda a, b: {"eye": picture(a, 0), "hint": b},
                  MultiDiscrete([2, 2]), lambda x: (x[0], x[1]), "Pixels")}
CNN = {"cnn_size": "impala", "activation": "relu", "layer_norm": True, "learning_rate": 5e-3}
KINDS |= {"mixed-cnn": KINDS["mixed"]._replace(network="auto", settings=CNN),
          "gru": KINDS["multi-binary"]._replace(network="gru", settings={"shared_trunk": True})}


class Bits(gymnasium.Env):
    """See the module."""

    def __init__(self, kind: str):
        self.kind = KINDS[kind]
        self.observation_space, self.action_space = self.kind.seen, self.kind.acts

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.steps = 0
        return self._look(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        assert self.action_space.contains(action), action
        right = all((said > 0.5) == bit for said, bit in zip(self.kind.decode(action), self.bits, strict=True))
        self.steps += 1
        return self._look(), float(right), False, self.steps == LENGTH, {}

    def _look(self) -> Any:
        self.bits = self.np_random.integers(0, 2, 2).tolist()
        return self.kind.encode(*self.bits)


class Pixels(Network):
    """Of images, and of images beside numbers."""

    def __init__(self, observation: Any, outputs: int):
        super().__init__()
        self.observation = observation
        self.layers = nn.Sequential(nn.LazyLinear(32), nn.Tanh(), nn.Linear(32, outputs))
        self(torch.from_numpy(observation.zeros(1)))

    def forward(self, obs: Any) -> Any:
        parts = obs if isinstance(obs, dict) else self.observation.unpack(obs) or {"image": obs}
        return self.layers(torch.cat([(part / 255 if part.dtype == torch.uint8 else part).flatten(1)
                                      for part in parts.values()], 1))


def begin(kind: str, root: str, total_steps: int, **options: Any) -> Any:
    """Trains the run of a kind, or continues it."""
    network = Pixels if KINDS[kind].network == "Pixels" else KINDS[kind].network
    return train(kind, env=partial(Bits, kind), settings={**SETTINGS, "network": network, **KINDS[kind].settings},
                 root=root, store="none", total_steps=total_steps, **options)


if __name__ == "__main__":
    for name in KINDS:
        begin(name, sys.argv[1], int(sys.argv[2]))
