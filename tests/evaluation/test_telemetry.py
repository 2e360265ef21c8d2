"""Telemetry: what is recorded is the evaluation's own episode, in the units of the physics, in a file that is small."""

import dataclasses
import functools
import io
import json
import sys
import zipfile
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from helpers import TINY

import colab_rl
from colab_rl import Channels, UsageError
from colab_rl.environments import Drawing, channels_of, close_environment, describe
from colab_rl.environments.known import bipedal_walker, classic
from colab_rl.errors import EnvironmentFault
from colab_rl.evaluation import episode as telemetry
from colab_rl.evaluation.evaluator import Evaluator
from colab_rl.evaluation.replay import record_episode, replay

SETTINGS = dict(setting.split("=") for setting in TINY)


def acting(spaces, seed=0, frequency=7.0):
    """A policy that is a function of the observation alone, and moves."""
    weights = np.random.default_rng(seed).normal(size=(*spaces.observation.shape, spaces.action_dim)).astype(np.float32)

    def act(obs):
        rows = np.stack([np.sin(frequency * (row @ weights)) for row in obs])
        if spaces.discrete:
            return rows.argmax(1) + spaces.first_action
        return (spaces.action_low + (spaces.action_high - spaces.action_low) * (rows + 1) / 2).astype(np.float32)
    return act


def ones(obs):
    return np.ones(len(obs), np.float32)


def short(env_id):
    """What makes the environment, with episodes of at most 120 steps."""
    return functools.partial(gymnasium.make, env_id, max_episode_steps=120)


def recorded(env_id, seed=0):
    spaces = describe(env_id)
    environment = short(env_id)()
    episode = record_episode(environment, spaces, acting(spaces), ones, seed, env_id)
    environment.close()
    return episode


@pytest.fixture(scope="module")
def walk():
    return max((recorded("BipedalWalker-v3", seed) for seed in range(2)), key=lambda episode: episode.length)


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


def test_a_file_brings_back_what_it_was_given_and_stays_small(walk):
    data = telemetry.to_npz([walk, walk])
    first, again = telemetry.from_npz(data)
    assert data == telemetry.to_npz([walk, walk])
    for name in walk.series:
        exact = name == "reward" or name.startswith("action_")
        assert np.allclose(again[name], walk[name], rtol=0 if exact else 1e-5, atol=0), name
    assert np.abs(first.poses - walk.poses)[:, :, :2].max() < 1e-3 and turned(first, walk).max() < 1e-3
    assert len(first.terrain) == len(walk.terrain) and np.allclose(first.terrain[0], walk.terrain[0], atol=1e-5)
    assert (first.total_return, first.seed, first.units) == (walk.total_return, walk.seed, dict(walk.units))


def without_what_is_shown(data):
    """The file as version 0.1.0 wrote it."""
    with np.load(io.BytesIO(data)) as file:
        arrays = dict(file)
    description = json.loads(arrays["description.json"].tobytes())
    for episode in description["episodes"]:
        del episode["shown"]
    arrays["description.json"] = np.frombuffer(json.dumps(description).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_what_is_shown_travels_in_the_file_and_files_of_0_1_0_are_known_by_their_series(walk):
    class Shown(Crane):
        channels = dataclasses.replace(Crane.channels, traces=["load"], plots={"Load": "load"}, choices=("a", "b"),
                                       portraits={"Rope": {"its angle": ("load", "rope_angle")}})

    crane = record_episode(Shown(), describe(Shown), acting(describe(Shown)), ones, 0)
    for episode in (walk, crane, recorded("LunarLander-v3"), recorded("CartPole-v1")):
        data = telemetry.to_npz([episode])
        assert telemetry.from_npz(data)[0].shown == episode.shown
        old = telemetry.from_npz(without_what_is_shown(data))[0]
        assert all(getattr(old.shown, name) == (getattr(episode.shown, name) if episode is not crane else type(part)())
                   for name, part in vars(episode.shown).items())


@pytest.mark.parametrize(("run", "channels"), [
    ("ppo-gymnasium-walker", bipedal_walker.CHANNELS), ("ppo-envpool-walker", bipedal_walker.CHANNELS),
    ("ppo-gymnasium-cartpole", classic.CART_POLE), ("sac-gymnasium-pendulum", classic.PENDULUM)])
def test_what_version_0_1_0_recorded_shows_what_its_environment_chooses(run, channels):
    for path in (Path(__file__).parents[1] / "data" / "runs-0.1.0" / run / "telemetry").iterdir():
        episodes = telemetry.from_npz(path.read_bytes())
        assert episodes and all(episode.shown == channels.shown for episode in episodes)
        assert telemetry.from_npz(telemetry.to_npz(episodes))[0].shown == channels.shown


@pytest.mark.parametrize("shown", [3, {"traces": 3}, {"plots": [1]}, {"portraits": {"Rope": {"": ["a", "b", "c"]}}}])
def test_a_file_that_shows_what_cannot_be_shown_is_no_telemetry_file(walk, shown):
    with np.load(io.BytesIO(telemetry.to_npz([walk]))) as file:
        arrays = dict(file)
    description = json.loads(arrays["description.json"].tobytes())
    description["episodes"][0]["shown"] = shown
    files = {**arrays, "description.json": np.frombuffer(json.dumps(description).encode(), np.uint8)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **files)
    with pytest.raises(ValueError, match="not a telemetry file"):
        telemetry.from_npz(buffer.getvalue())


def turned(one, other):
    """Angles between the poses of two episodes, whole turns left out."""
    difference = np.float64(one.poses[:, :, 2]) - np.float64(other.poses[:, :, 2])
    return np.abs((difference + np.pi) % (2 * np.pi) - np.pi)


def test_a_wheel_that_turned_often_and_a_body_far_away_come_back(walk):
    poses = walk.poses.copy()
    poses[:, 0, 2] += np.linspace(0, 3000, len(poses))
    poses[:, 1, 2] -= np.linspace(0, 1000, len(poses))
    poses[:, 2, 0] += np.linspace(0, 80, len(poses))
    car = dataclasses.replace(walk, poses=poses)
    kept = telemetry.from_npz(telemetry.to_npz([car]))[0]
    assert turned(kept, car).max() < 1.3e-3  # what the float32 that came of 3000 rad had itself is 0.12 mrad
    distance = np.abs(poses[:, :, :2] - poses[:, :1, :2])
    assert (np.abs(kept.poses - poses)[:, 1:, :2] <= distance[:, 1:] / 2048 + 1e-3).all()


def test_a_file_whose_angles_are_not_within_a_turn_is_still_read(walk):
    with np.load(io.BytesIO(telemetry.to_npz([walk]))) as file:
        arrays = dict(file)
    for name, angles in (("first_pose", (2,)), ("other_poses", (slice(None), 2))):
        arrays[f"0/{name}"][angles] += np.float16(20)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    old = telemetry.from_npz(buffer.getvalue())[0]
    assert np.abs(old.poses[:, :, 2] - 20 - walk.poses[:, :, 2]).max() < 0.02


def test_a_long_hardcore_episode_fits_in_300_kb():
    spaces = describe("BipedalWalkerHardcore-v3")
    longest = record_episode(short("BipedalWalkerHardcore-v3")(), spaces, acting(spaces), ones, 0)
    # Noise, which nothing compresses, in place of motion that is smoother than any policy's.
    noise = np.random.default_rng(0)
    series = {name: np.resize(values, 2000 + len(values) - longest.length) for name, values in longest.series.items()}
    series = {name: values if name.startswith("contact") else (values * noise.uniform(0.9, 1.1, len(values))).astype(
        values.dtype) for name, values in series.items()}
    long = dataclasses.replace(longest, series=series, steps=2000,
                               poses=np.resize(longest.poses, (2001, *longest.poses.shape[1:])))
    data = telemetry.to_npz([long])
    assert len(data) <= telemetry.LARGEST_EPISODE
    kept = telemetry.from_npz(data)[0]
    assert kept.steps == 2000 and np.array_equal(kept["reward"], long["reward"][:kept.length])


def test_what_leaves_no_room_for_steps_is_left_out_of_the_file(walk):
    noise = np.random.default_rng(0)
    hills = dataclasses.replace(walk, terrain=[noise.normal(size=(40_000, 2))])
    many = {f"sensor_{i}": noise.normal(size=walk.length + 1).astype(np.float32) for i in range(1600)}
    sensors = dataclasses.replace(walk, series={**walk.series, **many},
                                  units={**walk.units, **dict.fromkeys(many, "V")})
    data = telemetry.to_npz([hills, sensors, walk])
    assert len(data) <= 3 * telemetry.LARGEST_EPISODE
    flat, bare, whole = telemetry.from_npz(data)
    assert flat.terrain == [] and list(flat.series) == list(walk.series) and flat.poses.shape == walk.poses.shape
    assert list(bare.series) == [*walk.action_names, "reward", "value"] and bare.poses.shape[1] == 0
    for episode in (flat, bare, whole):
        assert np.array_equal(episode["reward"], walk["reward"]) and np.array_equal(episode.actions, walk.actions)
        assert episode.length == episode.steps == walk.length
    assert len(whole.terrain) == len(walk.terrain)


def test_an_episode_of_which_nothing_fits_is_no_file(walk):
    muscles = {f"action_{i}": walk["reward"].astype(np.float32) for i in range(1600)}
    vast = dataclasses.replace(walk, series={**walk.series, **muscles},
                               units={**walk.units, **dict.fromkeys(muscles, "N")})
    assert telemetry.to_npz([vast]) == telemetry.to_npz([]) == b""
    assert [episode.steps for episode in telemetry.from_npz(telemetry.to_npz([vast, walk]))] == [walk.length]


class Crane(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (3,), np.float32)
    action_space = gymnasium.spaces.Box(-2, 2, (2,), np.float32)
    channels = Channels({"rope_angle": "rad", "load": "kg"}, read=lambda crane, obs: [obs[0], crane.load],
                        actions=("pull", "lift"), step_seconds=0.1)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.load, self.t = 7.5, 0
        return np.zeros(3, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.full(3, self.t / 10, np.float32), 1.0, False, self.t == 6, {}


class Bare(Crane):
    channels = None


class Wrong(Crane):
    channels = Channels({"rope_angle": "rad"}, read=lambda crane, obs: [1, 2])


def test_an_environment_names_its_own_channels_and_a_bare_one_gets_numbers():
    spaces = describe(Crane)
    episode = record_episode(Crane(), spaces, acting(spaces), ones, 0)
    assert list(episode.series) == ["rope_angle", "load", "action_pull", "action_lift", "reward", "value"]
    assert episode.units["load"] == "kg" and np.allclose(episode["load"], 7.5)
    assert np.allclose(episode.time, np.arange(7) / 10) and not episode.terminated
    assert Channels({"rope_angle": "rad"}, actions="push").actions == ("push",)
    bare = record_episode(Bare(), spaces, acting(spaces), ones, 0)
    assert list(bare.series) == ["observation_0", "observation_1", "observation_2", "action_0", "action_1", "reward",
                                 "value"]
    evaluator = Evaluator(Wrong, spaces, slots=2)
    try:
        with pytest.raises(EnvironmentFault, match="1 names"):
            evaluator.evaluate(acting(spaces), 2, seed=0, record=1)
    finally:
        evaluator.close()
    with pytest.raises(UsageError, match="1 names"):
        record_episode(Wrong(), spaces, acting(spaces), ones, 0)


@pytest.mark.parametrize("name", ["reward", "value", "terrain", "first_pose", "other_poses", "action_pull",
                                  "reward_speed"])
def test_a_channel_of_a_name_that_recordings_need_is_refused(name):
    with pytest.raises(UsageError, match=f"^no channel can be called '{name}': [^\n]* give it another name$"):
        Channels({"rope_angle": "rad", name: "m"})
    assert Channels({"rewarded": "", "action": "", "values": ""}).width == 3


def broken(moment):
    """A crane that raises, or returns an observation of another shape."""
    def fail(*_arguments, **_options):
        raise RuntimeError("the rope\nbroke")

    if moment in ("reset", "step"):
        return type("Broken", (Crane,), {moment: fail})
    if moment == "shape":
        return type("Broken", (Crane,), {"step": lambda crane, action: (np.zeros(2), 1.0, False, False, {})})
    drawing = Drawing({}, lambda crane: [], fail) if moment == "terrain" else None
    other = {moment: fail} if moment in ("read", "reward_parts") else {"drawing": drawing}
    return type("Broken", (Crane,), {"channels": dataclasses.replace(Crane.channels, **other)})


@pytest.mark.parametrize("moment", ["reset", "step", "shape", "read", "reward_parts", "terrain"])
def test_an_environment_that_raises_is_told_alike_in_this_process_and_in_a_worker(moment):
    source, spaces = broken(moment), describe(Crane)
    what = "step returned ndarray of shape .2,. as" if moment == "shape" else "RuntimeError: the rope broke"
    with pytest.raises(EnvironmentFault, match=rf"^custom:Broken failed: {what}.* \(.*\.py, line \d+\)$"):
        record_episode(source(), spaces, acting(spaces), ones, 0, "custom:Broken")
    evaluator = Evaluator(source, spaces, slots=1)
    try:
        with pytest.raises(EnvironmentFault, match=rf"^custom:Broken failed: {what}.* \(.*\.py, line \d+\)$"):
            evaluator.evaluate(acting(spaces), 2, seed=0, record=1)
    finally:
        evaluator.close()


@pytest.mark.parametrize("moment", ["reset", "step"])
def test_an_environment_that_raises_when_its_episode_is_played_again_is_told(moment):
    spaces = describe(Crane)
    episode = record_episode(Crane(), spaces, acting(spaces), ones, 0, "custom:Broken")
    with pytest.raises(EnvironmentFault, match=r"^custom:Broken failed: RuntimeError: the rope broke"):
        list(replay(broken(moment)(), episode))


@pytest.mark.parametrize("moment", ["reset", "step", "close"])
def test_an_environment_that_leaves_does_not_end_this_process(moment):
    spaces = describe(Crane)
    leaving = type("Leaving", (Crane,), {moment: lambda *_, **__: sys.exit(0)})()
    if moment == "close":
        return close_environment(leaving)
    with pytest.raises(EnvironmentFault, match=r"^custom:Leaving failed: SystemExit: 0 \(.*\.py, line \d+\)$"):
        record_episode(leaving, spaces, acting(spaces), ones, 0, "custom:Leaving")


def test_a_cut_off_episode_is_bootstrapped_and_a_finished_one_is_not():
    spaces = describe(Crane)
    episode = record_episode(Crane(), spaces, acting(spaces), lambda obs: np.full(len(obs), 10.0), 0)
    assert np.allclose(episode.discounted_return(0.5)[-2:], [1 + 0.5 * (1 + 5), 1 + 5])
    ended = dataclasses.replace(episode, terminated=True)
    assert np.allclose(ended.discounted_return(0.5)[-2:], [1.5, 1])
    # Of a file that holds the first part only, the last state recorded is not the end.
    first_part = dataclasses.replace(ended, steps=ended.length + 1)
    assert np.allclose(first_part.discounted_return(0.5), episode.discounted_return(0.5))


def test_channels_are_found_through_wrappers():
    assert "hull_angle" in channels_of(gymnasium.make("BipedalWalker-v3")).units
    assert channels_of(gymnasium.make("LunarLanderContinuous-v3")).actions == ("main_engine", "side_engine")


def test_a_damaged_file_is_an_error_and_never_a_surprise(walk):
    data = telemetry.to_npz([walk])
    for position in range(0, len(data), len(data) // 40):
        broken = bytearray(data)
        broken[position] ^= 0xFF
        try:
            telemetry.from_npz(bytes(broken))
        except ValueError as error:
            assert "telemetry" in str(error)
    for other in (b"", b"PK", data[:len(data) // 2], zip_of({"description.json": b"{}"})):
        with pytest.raises(ValueError, match="not a telemetry file"):
            telemetry.from_npz(other)


def zip_of(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


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
