"""The skeletons of docs/extending do what the page says: they train, and a killed run resumes exactly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from colab_rl import UsageError, evaluate, status, train
from colab_rl.algorithms.sac.critic import PairOfCritics
from colab_rl.environments import describe
from colab_rl.environments.spaces import ObservationSpec, Spaces
from colab_rl.networks.mlp import MLP

SKELETONS = Path(__file__).parents[1] / "docs" / "extending"
SMALL = {"eval_every": 1000, "eval_episodes": 1, "checkpoint_every": 2, "hidden_sizes": "16,16"}
CASES = {
    "loss": {"num_envs": 2, "num_steps": 64, "minibatch_size": 64, "update_epochs": 2},
    "network": {"num_envs": 2, "num_steps": 64, "minibatch_size": 64, "update_epochs": 2},
    "environment": {"num_envs": 2, "num_steps": 64, "minibatch_size": 64, "update_epochs": 2},
    "algorithm": {"num_envs": 1, "num_steps": 32, "minibatch_size": 32, "learning_starts": 64, "buffer_size": 1000},
    "dqn": {"num_envs": 2, "num_steps": 32, "minibatch_size": 32, "learning_starts": 64, "buffer_size": 1000},
}
DRIVER = """
import json, sys
sys.path.insert(0, sys.argv[1])
skeleton = __import__(sys.argv[2])
print(skeleton.main("own", **json.loads(sys.argv[3])).state_sha256)
"""


class Still(gymnasium.Env):
    """Nothing happens. The space of actions is given."""

    observation_space = Box(-1, 1, (2,))

    def __init__(self, action_space: gymnasium.Space):
        self.action_space = action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), 0.0, False, True, {}


def start(name: str, root: Path, total_steps: int) -> subprocess.Popen[str]:
    options = {"root": str(root), "store": "none", "total_steps": total_steps, "settings": {**SMALL, **CASES[name]}}
    return subprocess.Popen([sys.executable, "-c", DRIVER, str(SKELETONS), name, json.dumps(options)], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("name", CASES)
def test_a_skeleton_resumes_exactly_after_a_kill(name, tmp_path):
    undisturbed, errors = (process := start(name, tmp_path / "undisturbed", 1500)).communicate()
    assert process.returncode == 0, errors

    root = tmp_path / "killed"
    process = start(name, root, 1500)
    while len(list(root.glob("own/checkpoints/0*.json"))) < 3 and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = status("own", root=root, store="none")[0]
    assert not before["finished"] and before["step"] > 0
    resumed, errors = (process := start(name, root, 1500)).communicate()
    assert process.returncode == 0, errors
    assert resumed == undisturbed
    assert status("own", root=root, store="none")[0]["exact"]


def learned(skeleton: Any, root: Path, total_steps: int) -> tuple[float, float]:
    """Mean returns of a skeleton's first and its best checkpoint."""
    places = {"root": root, "store": "none"}
    assert skeleton.main("own", total_steps=total_steps, settings={"eval_episodes": 5}, **places).finished
    return (evaluate("own", checkpoint=1, episodes=10, **places).summary()["mean"],
            evaluate("own", episodes=20, **places).summary()["mean"])


@pytest.mark.slow
def test_the_td3_of_the_skeleton_learns_pendulum(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SKELETONS))
    import algorithm

    first, best = learned(algorithm, tmp_path, 8_000)
    assert first < -700 < -250 < best


@pytest.mark.slow
def test_the_dqn_of_the_skeleton_learns_cartpole(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SKELETONS))
    import dqn

    first, best = learned(dqn, tmp_path, 20_000)
    assert first < 50 < 100 < best


@pytest.mark.parametrize("algo, env, said", [
    ("td3.td3:TD3", "CartPole-v1", "td3 learns continuous actions"),
    ("dqn:DQN", "Pendulum-v1", "dqn learns one choice a step")])
def test_a_skeleton_says_which_actions_it_learns(tmp_path, monkeypatch, algo, env, said):
    monkeypatch.syspath_prepend(str(SKELETONS))
    with pytest.raises(UsageError, match=said):
        train("own", env=env, algo=algo, root=tmp_path)
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize("space", [Discrete(3, start=5), MultiDiscrete([2, 3]), Box(-2, 2, (2,))], ids=repr)
def test_actions_by_chance_are_in_the_policys_unit_and_held(monkeypatch, space):
    monkeypatch.syspath_prepend(str(SKELETONS))
    from dqn import DQN, DQNConfig

    spaces = describe(lambda: Still(space))
    algorithm = DQN(DQNConfig(num_envs=4, hidden_sizes=(8,), random_hold=4.0), spaces, torch.device("cpu"))
    actions = algorithm._random_actions((500, 4))
    assert actions.shape == (500, 4, *spaces.action_shape) and actions.dtype == spaces.action_dtype
    if spaces.discrete:
        assert [sorted(set(column)) for column in actions.reshape(2000, -1).T.tolist()] == [
            list(range(choices)) for choices in spaces.choices or (spaces.action_dim,)]
    else:
        assert -1 <= actions.min() < -0.9 < 0.9 < actions.max() <= 1
    same = (actions[1:] == actions[:-1]).reshape(499, 4, -1).all(-1).mean()
    drawn_alike = 0 if not spaces.discrete else 1 / np.prod(spaces.choices or (spaces.action_dim,))
    assert abs(same - (0.75 + 0.25 * drawn_alike)) < 0.05


def test_the_td3_of_the_skeleton_takes_the_settings_of_networks(monkeypatch):
    monkeypatch.syspath_prepend(str(SKELETONS))
    from td3.config import TD3Config
    from td3.td3 import TD3

    bounds = np.ones(1, np.float32)
    vector, image = ObservationSpec((3,)), ObservationSpec((36, 36, 3), "uint8")
    made = [TD3(TD3Config(layer_norm=True, hidden_sizes=(16,), network=network),
                Spaces(spec, False, 1, 0, -bounds, bounds), torch.device("cpu"))
            for spec, network in ((vector, "auto"), (vector, "network:LayerNormNetwork"), (image, "auto"))]
    assert type(made[0].policy.network) is MLP and made[0].critic._layer_norm
    assert [type(one.critic) for one in made[1:]] == [PairOfCritics] * 2


def test_a_class_of_a_module_is_found_by_every_command_in_its_folder(tmp_path, run_cli):
    ended = [start("algorithm", tmp_path / "runs", 300), start("network", tmp_path / "nets", 300)]
    assert [process.wait() for process in ended] == [0, 0]
    for root in ("runs", "nets"):
        for command in (["train", "own"], ["evaluate", "own", "--episodes", "1"]):
            done = run_cli(*command, "--root", tmp_path / root, cwd=SKELETONS)
            assert done.returncode == 0, done.stderr
    done = run_cli("evaluate", "own")
    assert done.returncode == 2 and "no module named 'td3' is found" in done.stderr


def test_a_run_of_a_scripts_own_class_says_what_to_give(tmp_path, run_cli):
    (tmp_path / "script.py").write_text("from colab_rl import train\nfrom colab_rl.algorithms.ppo.ppo import PPO\n"
                                        "class Mine(PPO):\n    name = 'mine'\n"
                                        "train('own', env='CartPole-v1', algo=Mine, total_steps=64, settings="
                                        "dict(num_steps=16, num_envs=2, minibatch_size=16, eval_episodes=1))\n")
    places = {"COLAB_RL_ROOT": str(tmp_path / "runs"), "COLAB_RL_STORE": "none"}
    subprocess.run([sys.executable, tmp_path / "script.py"], env={**os.environ, **places}, check=True)
    assert run_cli("status").returncode == 0
    done = run_cli("train", "own")
    assert done.returncode == 2 and "unknown algorithm 'mine'" in done.stderr and "algo=MyAlgorithm" in done.stderr
