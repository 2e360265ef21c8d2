"""What an own algorithm changes while it trains is in its state, or colab_rl says that a resume is not exact."""

from __future__ import annotations

import random
from collections import deque
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import TINY
from test_algorithms import CASES, environments, make

from colab_rl import status, train
from colab_rl.algorithms.ppo.ppo import PPO
from colab_rl.algorithms.registry import make_config
from colab_rl.algorithms.unsaved import unsaved
from colab_rl.checkpoints.serialization import deserialize, serialize
from colab_rl.environments import describe
from colab_rl.errors import OwnCodeFault

pytestmark = pytest.mark.usefixtures("one_core")
SETTINGS = dict(one.split("=") for one in TINY)


def drawn(generator: Any, draw: str, *arguments: Any) -> Any:
    getattr(generator, draw)(*arguments)
    return generator


# What an attribute is at first, and what it is later.
CHANGES: dict[str, tuple[Any, Any]] = {
    "number": (0, 1), "not a number": (0.0, float("nan")), "text": ("warm", "cold"), "nothing": (None, 1.0),
    "numpy number": (np.float32(0), np.float32(1)), "array": (np.zeros(3), np.ones(3)),
    "tensor": (torch.zeros(3), torch.ones(3)), "list": ([1, 2], [1, 3]), "dict": ({"a": [1]}, {"a": [2]}),
    "deque": (deque([1.0], 5), deque([1.0, 2.0], 5)), "set": ({1}, {1, 2}),
    "object": (SimpleNamespace(inner=0), SimpleNamespace(inner=1)),
    "torch generator": (torch.Generator(), torch.Generator().manual_seed(5)),
    "numpy generator": (np.random.default_rng(0), drawn(np.random.default_rng(0), "random")),
    "numpy's old generator": (np.random.RandomState(0), drawn(np.random.RandomState(0), "rand")),
    "python's generator": (random.Random(0), drawn(random.Random(0), "random")),
    "network": (torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)),
    "number, then array": (0.0, np.ones(3)), "array, then number": (np.ones(3), 0.0),
    "nothing, then object": (None, SimpleNamespace(inner=1)), "object, then nothing": (SimpleNamespace(inner=1), None),
    "nothing, then network": (None, torch.nn.Linear(2, 2)), "sparse": (torch.eye(2).to_sparse(), torch.ones(2, 2)),
    "network's number": (torch.nn.Identity(), None),
}


def with_part(part: Any) -> PPO:
    algorithm = PPO(make_config("ppo", {"hidden_sizes": (8,)}), describe("CartPole-v1"), torch.device("cpu"))
    algorithm.part = part
    return algorithm


@pytest.mark.parametrize("change", CHANGES)
def test_an_attribute_that_changes_is_found(change):
    before, after = CHANGES[change]
    if change == "network's number":
        before.epsilon, after = 1.0, torch.nn.Identity()
        after.epsilon = 0.5
    assert unsaved(with_part(before), with_part(before)) == []
    found = unsaved(with_part(after), with_part(before))
    assert found == {"object": ["part.inner"], "network": ["part.weight", "part.bias"],
                     "network's number": ["part.epsilon"]}.get(change, ["part"])


def test_what_only_an_iteration_sets_is_scratch():
    algorithm = with_part(0)
    algorithm.newest_loss = 3.0
    assert unsaved(algorithm, with_part(0)) == []


def test_an_attribute_of_the_class_that_changes_is_found():
    class Decaying(PPO):
        weight = 1.0

    one, other = (Decaying(make_config("ppo", {"hidden_sizes": (8,)}), describe("CartPole-v1"), torch.device("cpu"))
                  for _ in range(2))
    assert unsaved(one, other) == []
    one.weight *= 0.5
    assert unsaved(one, other) == ["weight"]


def test_objects_that_hold_each_other_are_compared_once():
    def knot(number: int) -> SimpleNamespace:
        thing = SimpleNamespace(number=number)
        thing.other = SimpleNamespace(back=thing)
        return thing

    assert unsaved(with_part(knot(1)), with_part(knot(1))) == []
    assert unsaved(with_part(knot(1)), with_part(knot(2))) == ["part.number"]


@pytest.mark.parametrize(("name", "env_id"), CASES)
def test_our_algorithms_save_all_that_they_change(name, env_id):
    with environments(env_id) as envs:
        envs.reset()
        algorithm, resumed = make(name, env_id), make(name, env_id)
        for iteration in range(3):
            algorithm.collect(envs)
            algorithm.update(iteration / 10)
        assert unsaved(algorithm, resumed)
        resumed.load_state_dict(deserialize(serialize(algorithm.state_dict())))
        assert unsaved(algorithm, resumed) == []


class Forgets(PPO):
    """Its term grows, and no checkpoint holds how far."""

    name = "forgets"

    def __init__(self, config, spaces, device):
        super().__init__(config, spaces, device)
        self.weight = 0.01

    def policy_loss(self, distribution, batch):
        loss, metrics = super().policy_loss(distribution, batch)
        return loss + self.weight * distribution.entropy().mean(), metrics

    def update(self, progress):
        self.weight *= 1.1
        return super().update(progress)


class Keeps(Forgets):
    name = "keeps"

    def state_dict(self):
        return {**super().state_dict(), "weight": self.weight}

    def load_state_dict(self, state):
        super().load_state_dict(state)
        self.weight = state["weight"]


class Refuses(Keeps):
    name = "refuses"

    def load_state_dict(self, state):
        super().load_state_dict(state["mine"])


def test_a_run_says_what_its_checkpoints_do_not_hold(tmp_path, capsys):
    train("run", env="CartPole-v1", algo=Forgets, total_steps=256, settings=SETTINGS, root=tmp_path)
    reason = "the state of algorithm test_unsaved:Forgets does not hold weight"
    said = capsys.readouterr().err
    assert said.count(f"not bit-exact after a resume: {reason}; state_dict and load_state_dict must hold") == 1
    (one,) = status("run", root=tmp_path)
    assert not one.exact


def test_a_run_that_saves_what_it_changes_is_exact(tmp_path, capsys):
    train("run", env="CartPole-v1", algo=Keeps, total_steps=256, settings=SETTINGS, root=tmp_path)
    assert "bit-exact" not in capsys.readouterr().err
    assert status("run", root=tmp_path)[0].exact


def test_a_state_that_its_own_algorithm_refuses_ends_a_run_before_it_trains(tmp_path):
    with pytest.raises(OwnCodeFault, match=r"^algorithm test_unsaved:Refuses does not take its own state over, so "
                       r"that no run could resume: KeyError: 'mine' \(.*test_unsaved.py, line \d+\); .*"
                       "no trained state was saved"):
        train("run", env="CartPole-v1", algo=Refuses, total_steps=256, settings=SETTINGS, root=tmp_path)
    assert not (tmp_path / "run").exists()
