"""Two threads learn from images what one would, to the last bit."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
import torch
from torch import nn

from colab_rl.algorithms.ppo.config import PPOConfig
from colab_rl.environments.spaces import ObservationSpec
from colab_rl.networks.halves import recorded_in_halves
from colab_rl.networks.registry import make_network

IMAGES = ObservationSpec((4, 40, 40), "uint8")


def pictures(rows):
    return torch.randint(0, 256, (rows, *IMAGES.shape), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


@pytest.mark.parametrize("rows", [2, 7, 32])
def test_outputs_and_gradient_are_those_of_one_half_after_the_other(one_thread, rows):
    network = make_network(PPOConfig(hidden_sizes=(8,)), IMAGES, 3, 1.0, torch.Generator().manual_seed(0))
    images, gradient = pictures(rows), torch.randn(rows, 3, generator=torch.Generator().manual_seed(2))
    halves = [network(half) for half in images.tensor_split(2)]
    parts = [torch.autograd.grad(half, list(network.parameters()), by)
             for half, by in zip(halves, gradient.tensor_split(2), strict=True)]
    with torch.no_grad():
        outputs, pullback = network.vjp(images)
        pullback(gradient)
    assert torch.equal(outputs, torch.cat(halves))
    for parameter, first, second in zip(network.parameters(), *parts, strict=True):
        assert torch.equal(parameter.grad, first + second)


class Failing(nn.Module):
    """Notes which threads call it, with how many threads of torch's, and fails for a row of zeros."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.seen = {}

    def forward(self, rows):
        self.seen[threading.get_ident()] = torch.get_num_threads()
        if not rows.any():
            raise ValueError("zeros")
        return rows * self.weight


def test_each_half_has_a_thread_and_its_error_comes_back(one_thread):
    module = Failing()
    with torch.no_grad():
        recorded_in_halves(module, torch.ones(4, 3))
        assert list(module.seen.values()) == [1, 1]
        with pytest.raises(ValueError, match="zeros"):
            recorded_in_halves(module, torch.cat([torch.ones(2, 3), torch.zeros(2, 3)]))


COUNTED = """
import os, torch
from colab_rl.networks.halves import recorded_in_halves

def threads():
    return len(os.listdir("/proc/self/task"))

class Counting(torch.nn.Conv2d):
    def forward(self, images):
        outputs = super().forward(images)
        seen.append(threads())  # those of torch stay as long as the thread that started them
        return outputs

torch.set_num_threads(1)
convolution = Counting(4, 32, 8, 4).to(memory_format=torch.channels_last)
images = torch.rand(64, 4, 96, 96).to(memory_format=torch.channels_last)
before, seen = threads(), []
with torch.no_grad():
    outputs, pullback = recorded_in_halves(convolution, images)
    pullback(outputs)
print(max(seen) - before)
"""


def test_the_second_half_has_the_only_new_thread():
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", COUNTED], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
