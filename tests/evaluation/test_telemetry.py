"""Telemetry: what is recorded is the evaluation's own episode, in the units of the physics."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from helpers import TINY
from recordings import acting, ones, recorded, short

import colab_rl
from colab_rl import UsageError
from colab_rl.environments import describe
from colab_rl.environments.channels_of import describe_channels
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.errors import EnvironmentFault
from colab_rl.evaluation import episode as telemetry
from colab_rl.evaluation.evaluator import Evaluator
from colab_rl.evaluation.replay import record_episode, replay

SETTINGS = dict(setting.split("=") for setting in TINY)


def test_the_walkers_channels_are_its_physics(walk):
    seconds = walk.step_seconds
    assert seconds == 1 / 50
    rates = {"position_x": "velocity_x", "position_y": "velocity_y", "hull_angle": "hull_angular_velocity",
             "hip_1_angle": "hip_1_speed", "knee_2_angle": "knee_2_speed"}
    # Symplectic Euler: a place is the one before plus the new velocity. At an impact Box2D pushes bodies apart too.
    touching = (walk["contact_1"] + walk["contact_2"]) > 0
    free = ~(touching[1:] | touching[:-1])
    assert free.sum() > 20
    for name, rate in rates.items():
        expected = walk[rate][1:] * seconds
        error = np.abs(np.diff(walk[name]) - expected)
        assert np.median(error[free]) < 0.05 * np.median(np.abs(expected[free])), name
    hull = walk.poses[:, 0]
    assert np.array_equal(hull[:, 0], walk["position_x"]) and np.array_equal(hull[:, 2], walk["hull_angle"])
    for leg, thigh, start in ((1, 1, -0.05), (2, 3, 0.05)):
        # A joint's angle is that between its bodies, from what it was when they were joined.
        hip = walk.poses[:, thigh, 2] - hull[:, 2] - start
        knee = walk.poses[:, thigh + 1, 2] - walk.poses[:, thigh, 2]
        assert np.allclose(walk[f"hip_{leg}_angle"], hip, atol=1e-5)
        assert np.allclose(walk[f"knee_{leg}_angle"], knee, atol=1e-5)
    assert np.abs(walk["hip_1_torque"]).max() <= 80.001
    assert walk["lidar_0"].max() <= 160 / 30 + 1e-5
    assert set(np.unique(walk["contact_1"])) == {0, 1}


def test_the_walkers_channels_are_what_it_observes():
    spaces, environment = describe("BipedalWalker-v3"), short("BipedalWalker-v3")()
    seen = []
    act = acting(spaces)
    episode = record_episode(environment, spaces, lambda obs: (seen.append(obs[0].copy()), act(obs))[1], ones, 3)
    seen = np.stack(seen)
    scales = {"hull_angle": (0, 1), "hull_angular_velocity": (1, 2 / 50), "velocity_x": (2, 0.3 * 20 / 50),
              "velocity_y": (3, 0.3 * (400 / 30) / 50), "hip_1_angle": (4, 1), "hip_1_speed": (5, 1 / 4),
              "knee_1_speed": (7, 1 / 6), "contact_1": (8, 1), "hip_2_angle": (9, 1), "contact_2": (13, 1),
              "lidar_9": (23, 30 / 160)}
    for name, (column, scale) in scales.items():
        assert np.allclose(episode[name][:-1] * scale, seen[:, column], atol=1e-5), name
    assert np.allclose(episode["knee_2_angle"][:-1] + 1, seen[:, 11], atol=1e-5)


def test_reward_parts_sum_to_the_reward_and_a_fall_is_one(walk):
    fallen = next(episode for episode in (recorded("BipedalWalker-v3", seed) for seed in range(10, 40))
                  if episode.terminated)
    for episode in (walk, fallen):
        parts = sum(episode[name].astype(float) for name in episode.series if name.startswith("reward_"))
        assert np.allclose(parts, episode["reward"], atol=1e-5)
    assert fallen["reward_fall"].sum() == -100


@pytest.mark.parametrize("env_id", ["BipedalWalker-v3", "LunarLander-v3", "CartPole-v1", "Pendulum-v1"])
def test_workers_this_process_and_a_replay_give_the_same_episode(env_id):
    spaces, source = describe(env_id), short(env_id)
    act = acting(spaces)
    evaluator = Evaluator(source, spaces, slots=3)
    try:
        result = evaluator.evaluate(act, 5, seed=11, record=4, values=ones)
        plain = evaluator.evaluate(act, 5, seed=11)
    finally:
        evaluator.close()
    assert len(result.episodes) == 4 and plain.episodes == ()
    assert np.array_equal(plain.returns, result.returns)
    environment = source()
    for i, episode in enumerate(result.episodes):
        assert episode.seed == 11 + i
        assert episode.total_return == result.returns[i] == episode.return_so_far[-1]
        assert episode.length == result.lengths[i]
        alone = record_episode(environment, spaces, act, ones, episode.seed, episode.environment)
        assert telemetry.to_npz([alone]) == telemetry.to_npz([episode])
        assert list(replay(environment, telemetry.from_npz(telemetry.to_npz([episode]))[0])) \
            == list(range(episode.length + 1))
    other = dataclasses.replace(result.episodes[0], seed=999)
    with pytest.raises(EnvironmentFault, match="does not repeat"):
        list(replay(environment, dataclasses.replace(other, series={**other.series, "reward": other["reward"] + 1})))


def test_training_commits_telemetry_and_record_gives_evaluates_return(tmp_path):
    places = {"root": tmp_path / "runs", "store": tmp_path / "store"}
    (tmp_path / "store").mkdir()
    colab_rl.train("cart", env="CartPole-v1", total_steps=400, settings=SETTINGS, **places)
    for place in places.values():
        manifests = sorted((place / "cart" / "checkpoints").glob("*.json"))
        files = [json.loads(path.read_text())["files"] for path in manifests]
        names = [name for file in files for name in file if name.startswith("telemetry/")]
        assert names and names == sorted(f"telemetry/{path.name}" for path in (place / "cart" / "telemetry").iterdir())
    episodes = telemetry.from_npz((places["store"] / "cart" / names[-1]).read_bytes())
    assert [episode.seed for episode in episodes] == [1_000_000, 1_000_001]
    assert np.isfinite(episodes[0]["value"]).all()
    result = colab_rl.evaluate("cart", episodes=3, seed=5, **places)
    for i in range(3):
        episode = colab_rl.record("cart", seed=5 + i, **places)
        assert episode.total_return == result.returns[i]
    with pytest.raises(UsageError, match="seed"):
        colab_rl.record("cart", seed=-1, **places)


def test_values_are_in_the_environments_rewards():
    import torch

    from colab_rl.algorithms.registry import algorithm_class, make_config

    spaces = describe("Pendulum-v1")
    algorithm = algorithm_class("ppo")(make_config("ppo", {"hidden_sizes": (8,)}), spaces, torch.device("cpu"))
    obs = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    before = algorithm.values(obs)
    algorithm.reward_normalizer.moments.variance = np.float64(400.0)
    assert np.allclose(algorithm.values(obs), 20 * before, rtol=1e-6) and before.shape == (4,)


def test_a_lent_environment_records_no_more_after_the_evaluation():
    source, spaces = short("Pendulum-v1"), describe(short("Pendulum-v1"))
    with GymnasiumVectorEnvironment(source, spaces, 1, description=describe_channels(source)) as envs:
        envs.reset()
        result = Evaluator(source, spaces, 1, envs).evaluate(acting(spaces), 1, 0, record=1, values=ones)
        assert len(result.episodes) == 1 and not envs.recorded.any()
