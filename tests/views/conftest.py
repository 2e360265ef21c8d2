"""Trained runs to be reported."""

from __future__ import annotations

import shutil

import pytest
from helpers import TINY

import colab_rl

SETTINGS = dict(setting.split("=") for setting in TINY)


@pytest.fixture(scope="module")
def trained(one_core, tmp_path_factory):
    """Two runs on CartPole and one on Pendulum, in a root and a store."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "store").mkdir()
    places = {"root": folder / "runs", "store": folder / "store"}
    for name, env, seed in (("first", "CartPole-v1", 0), ("second", "CartPole-v1", 1), ("pendulum", "Pendulum-v1", 0)):
        colab_rl.train(name, env=env, algo="ppo", seed=seed, total_steps=500, settings=SETTINGS, backend="gymnasium",
                       **places)
    return folder


@pytest.fixture
def places(trained, tmp_path):
    """A copy of them that a test may damage."""
    shutil.copytree(trained, tmp_path / "copy")
    return {"root": tmp_path / "copy" / "runs", "store": tmp_path / "copy" / "store"}
