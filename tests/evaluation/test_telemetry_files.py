"""Files of telemetry: they are small, and bring back what they were given."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from recordings import Crane, acting, ones, recorded, short

from colab_rl.environments import describe
from colab_rl.environments.known import bipedal_walker, classic
from colab_rl.evaluation import episode as telemetry
from colab_rl.evaluation.replay import record_episode


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
