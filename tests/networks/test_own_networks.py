"""The trial of a user's network: one line refuses what would spoil a run."""

from __future__ import annotations

import inspect
import math
import re
from typing import Any

import pytest
import torch
from layer_norm_network import Own
from policy_kinds import Summing
from torch import nn

from colab_rl.algorithms.ppo.config import PPOConfig
from colab_rl.environments.spaces import ObservationSpec
from colab_rl.errors import OwnCodeFault, UnfitNetwork, UsageError
from colab_rl.networks.base import Network
from colab_rl.networks.registry import make_network, register_network

pytestmark = pytest.mark.usefixtures("one_thread")
VECTOR = ObservationSpec((5,))


def made(make):
    return make_network(PPOConfig(network=register_network(make)), VECTOR, 2, 1.0, torch.Generator())


class Wrong:
    """Own networks with a mistake each."""

    class Shape(Own):
        def forward(self, obs):
            return super().forward(obs)[:, :-1]

    class Counts(Own):
        calls = 0

        def forward(self, obs):
            self.calls += 1
            return super().forward(obs) * self.calls

    class Remembers(Own):
        last: Any = 0

        def forward(self, obs):
            outputs = super().forward(obs) + self.last
            self.last = outputs.detach().mean()
            return outputs

    class Dropping(Own):
        def forward(self, obs):
            return super().forward(nn.functional.dropout(obs))

    class Batch(Own):
        def forward(self, obs):
            return super().forward(obs - obs.mean(0))

    class Normalised(Own):
        def __init__(self, observation, outputs):
            super().__init__(observation, outputs)
            self.layers.insert(1, nn.BatchNorm1d(8))

    class Counting(Own):
        """What it counts is in checkpoints, and an action still depends on the episodes before."""

        def __init__(self, observation, outputs):
            super().__init__(observation, outputs)
            self.register_buffer("count", torch.zeros(1))

        def forward(self, obs):
            self.count += 0.1
            return super().forward(obs) + self.count

    class Unsaved(Own):
        def __init__(self, observation, outputs):
            super().__init__(observation, outputs)
            self.register_buffer("mean", torch.zeros(observation.shape), persistent=False)

        def forward(self, obs):
            self.mean = 0.9 * self.mean + 0.1 * obs.mean(0)
            return super().forward(obs - self.mean)

    class Previous(Own):
        last: Any = None

        def forward(self, obs):
            before, self.last = self.last, obs[-1:].clone()
            return super().forward(obs) + (0 if before is None else before.sum())

    class Blind(Own):
        def forward(self, obs):
            return super().forward(obs * 0)

    class Raises(Own):
        def forward(self, obs):
            return self.no_such_layer(obs)

    class Divides(Own):
        def __init__(self, observation, outputs):
            super().__init__(observation, outputs)
            1 / 0  # noqa: B018

    class Asserts(Own):
        def forward(self, obs):
            assert obs.dim() == 3
            return super().forward(obs)

    class Leaves(Own):
        def forward(self, obs):
            raise SystemExit("bye")

    class NoNumber(Own):
        def forward(self, obs):
            return super().forward(obs) * math.nan

    class Infinite(Own):
        def forward(self, obs):
            return super().forward(obs) + math.inf

    class Squeezed(Own):
        def forward(self, obs):
            return super().forward(obs).squeeze(0)

    class Argumentless(Network):
        def __init__(self):
            super().__init__()

    class Empty(Network):
        def __init__(self, observation, outputs):
            super().__init__()
            self.outputs = outputs

        def forward(self, obs):
            return obs[:, :self.outputs]


class WrongMemory:
    class Layers(Summing):
        def step(self, obs, state):
            outputs, state = super().step(obs, state)
            return outputs, state[None]

    class Sizeless(Summing):
        def __init__(self, observation, outputs):
            super().__init__(observation, outputs)
            self.state_size = 0


def no_module(observation, outputs):
    return lambda obs: obs[:, :outputs]


STATE = "draws random numbers, or keeps something from call to call; compute what it needs from the observation"


@pytest.mark.parametrize(("make", "said"), [
    (Wrong.Shape, r"gives \(3, 1\) torch.float32 for 3 observations of shape \(5,\), and \(3, 2\)"),
    (Wrong.Squeezed, r"gives \(2,\) torch.float32 for 1 observation of shape \(5,\), and \(1, 2\)"),
    (Wrong.Counts, STATE), (Wrong.Remembers, STATE), (Wrong.Previous, STATE), (Wrong.Dropping, STATE),
    (Wrong.Counting, "changes its buffer 'count' when it is called.*; compute .*, or make it a RecurrentNetwork"),
    (Wrong.Unsaved, "changes its buffer 'mean' when it is called"),
    (Wrong.Batch, "gives other outputs for an observation alone than beside others: "),
    (Wrong.Normalised, r"alone than beside others, by batch normalisation \(layers.1\): .*\(layer normalisation does"),
    (Wrong.Blind, "gives the same outputs whatever it observes"), (Wrong.Empty, "has no parameters to learn"),
    (Wrong.NoNumber, "gives NaN or infinity"), (Wrong.Infinite, "gives NaN or infinity"),
    (WrongMemory.Layers, r"gives \(1, 3, 4\) torch.float32 as its next state, and \(3, 4\)"),
    (WrongMemory.Sizeless, "has memory and no state_size"),
    (no_module, "made function, not a torch module")], ids=lambda case: getattr(case, "__name__", ""))
def test_a_network_with_a_mistake_is_refused_in_a_line(make, said):
    with pytest.raises(UnfitNetwork, match=f"^network {re.escape(register_network(make))} .*{said}") as caught:
        made(make)
    assert isinstance(caught.value, UsageError) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("make", "error", "line"), [
    (Wrong.Raises, "AttributeError: .* no attribute 'no_such_layer'", "self.no_such_layer"),
    (Wrong.Divides, "ZeroDivisionError: division by zero", "1 / 0"),
    (Wrong.Asserts, "AssertionError", "assert obs.dim"), (Wrong.Leaves, "SystemExit: bye", "raise SystemExit"),
    (Wrong.Argumentless, "TypeError: .* 3 were given, at line .* of own.py", "class Argumentless"),
], ids=lambda case: getattr(case, "__name__", ""))
def test_what_a_networks_code_raises_is_told_with_its_place(make, error, line):
    lines, first = inspect.getsourcelines(make)
    number = first + next(number for number, text in enumerate(lines) if line in text)
    with pytest.raises(OwnCodeFault, match=rf"fails for 3 observations .*: {error}.* \({__file__}, line {number}\)$"):
        made(make)


def test_a_network_may_begin_with_zeros_and_have_lazy_layers_and_frozen_normalisation():
    class Fine(Own):
        def __init__(self, observation, outputs):
            super().__init__(observation, outputs)
            frozen = nn.BatchNorm1d(8).eval()
            self.layers = nn.Sequential(nn.LazyLinear(8), frozen, nn.Tanh(), nn.Linear(8, outputs))
            nn.init.zeros_(self.layers[-1].weight)

    assert not made(Fine).layers[-1].weight.any()
