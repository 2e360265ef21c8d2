"""What is known of gymnasium's environments: it fits them, and only them; and what channels may say of themselves."""

import dataclasses

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.box2d import bipedal_walker as source
from gymnasium.envs.classic_control import CartPoleEnv

from colab_rl import Channels, UsageError
from colab_rl.algorithms.registry import make_config
from colab_rl.environments import channels_of, describe, make_environment
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.environments.known.registry import KNOWN, bipedal_walker, car_racing, classic, lunar_lander, shown_of
from colab_rl.environments.make import configured
from colab_rl.environments.threshold import score_threshold
from colab_rl.evaluation.replay import record_episode

IDS = {"BipedalWalker-v3": bipedal_walker.CHANNELS, "BipedalWalkerHardcore-v3": bipedal_walker.CHANNELS,
       "CarRacing-v3": car_racing.CONTINUOUS, "CarRacing-v3 discrete": car_racing.DISCRETE,
       "LunarLander-v3": lunar_lander.DISCRETE, "LunarLanderContinuous-v3": lunar_lander.CONTINUOUS,
       "CartPole-v1": classic.CART_POLE, "Pendulum-v1": classic.PENDULUM, "Acrobot-v1": classic.ACROBOT,
       "MountainCar-v0": classic.MOUNTAIN_CAR, "MountainCarContinuous-v0": classic.CONTINUOUS_MOUNTAIN_CAR}


@pytest.mark.parametrize("env_id", IDS)
def test_an_environment_has_the_channels_of_its_file(env_id):
    name, *discrete = env_id.split()
    environment = gymnasium.make(name, **({"continuous": False} if discrete else {}))
    channels = channels_of(environment)
    assert channels is IDS[env_id]
    observation, _ = environment.reset(seed=0)
    assert channels.row(environment, observation).shape == (channels.width,)
    assert len(channels.choices) in (0, getattr(environment.action_space, "n", 0))
    environment.close()


def test_every_line_of_the_registry_is_of_an_environment():
    assert {id(entry.channels) for entry in KNOWN} == {id(channels) for channels in IDS.values()}


def test_the_walkers_measures_are_gymnasiums():
    assert (bipedal_walker.FPS, bipedal_walker.SCALE, bipedal_walker.MOTORS_TORQUE, bipedal_walker.LIDAR_RANGE) == (
        source.FPS, source.SCALE, source.MOTORS_TORQUE, source.LIDAR_RANGE)
    assert np.array_equal(bipedal_walker.HULL, np.array(source.HULL_POLY) / source.SCALE)
    for outline, width in ((bipedal_walker.THIGH, source.LEG_W), (bipedal_walker.SHIN, 0.8 * source.LEG_W)):
        assert np.allclose(np.ptp(outline, axis=0), (width, source.LEG_H))


@pytest.mark.parametrize("skip", [1, 3])
def test_the_parts_of_the_cars_reward_are_what_it_does(skip):
    settings = {"wrappers": f'["MaxAndSkipObservation(skip={skip})"]'} if skip > 1 else {}
    source = configured("CarRacing-v3", {"domain_randomize": True}, make_config("ppo", settings).wrappers)
    environment, steps = make_environment(source), 30
    spaces, gas = describe(source), np.array([[0.3, 1, 0]], np.float32)
    environment = gymnasium.wrappers.TimeLimit(environment, steps)
    first, again = (record_episode(environment, spaces, lambda obs: gas, lambda obs: np.zeros(len(obs)), 3)
                    for _ in range(2))
    assert first.step_seconds == skip / 50 and first.length == steps
    tiles, time = first["reward_tiles"], first["reward_time"]
    assert np.allclose(tiles + time, first["reward"]) and np.allclose(time, -0.1 * skip, atol=1e-4)
    assert tiles.sum() > 3 and (first["reward_off_field"] == 0).all()
    assert 0 < first["track_visited"][-1] < 0.5 and first["speed"][-1] > 3 and first["wheels_on_grass"][0] == 0
    assert all(np.array_equal(first[name], again[name]) for name in first.series)
    environment.close()


def test_a_race_is_restored_to_the_last_pixel_in_an_environment_that_was_used():
    spaces = describe("CarRacing-v3")
    actions = np.random.default_rng(0).uniform((-1, 0, 0), (1, 1, 0.2), (24, 2, 3)).astype(np.float32)
    with GymnasiumVectorEnvironment("CarRacing-v3", spaces, 2, seed=1, num_workers=1) as envs:
        envs.reset()
        for action in actions[:12]:
            envs.step(action)
        snapshot = envs.snapshot()
        expected = [(step.observations.copy(), step.rewards.copy()) for step in map(envs.step, actions[12:])]
        assert envs.restore(snapshot) == []
        for action, (observations, rewards) in zip(actions[12:], expected, strict=True):
            step = envs.step(action)
            assert np.array_equal(step.observations, observations) and np.array_equal(step.rewards, rewards)


class Longer(CartPoleEnv):
    """It observes more than the pole that it is made of."""

    def __init__(self):
        super().__init__()
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (6,))


@pytest.mark.parametrize(("make", "count"), [
    (lambda: gymnasium.wrappers.TimeAwareObservation(gymnasium.make("CartPole-v1")), 5),
    (lambda: gymnasium.wrappers.RescaleObservation(gymnasium.make("Acrobot-v1"), -1, 1), 6),
    (Longer, 6)], ids=["more numbers", "other units", "a subclass"])
def test_an_observation_that_is_no_longer_the_environments_own_has_numbers_for_names(make, count):
    assert list(channels_of(make()).units) == [f"observation_{i}" for i in range(count)]


def test_a_recording_of_version_0_1_0_is_known_by_its_series():
    for channels in IDS.values():
        units = {**channels.units, **{f"action_{name}": "" for name in channels.actions}, "reward": "", "value": ""}
        assert shown_of(units) == channels.shown
    assert shown_of({"position": "m", "velocity": "m/s", "action_0": "", "reward": "", "value": ""}).portraits == {}


@pytest.mark.parametrize(("shown", "words"), [
    ({"actions": ("pull", "lift", "pull")}, "^two actions are called 'pull': give each a name of its own$"),
    ({"actions": (1, "1")}, "^two actions are called '1': "),
    ({"traces": ["rope_angel"]}, "^what is to be shown names 'rope_angel', .*; did you mean 'rope_angle'"),
    ({"plots": {"Rope": {"angle": "angle"}}}, "^what is to be shown names 'angle'"),
    ({"portraits": {"Rope": ("rope_angle", "reward")}}, "^what is to be shown names 'reward'"),
    ({"portraits": {"Rope": ("rope_angle",)}}, "^channels are not of the form"),
    ({"portraits": [("rope_angle", "load")]}, "^channels are not of the form"),
    ({"plots": 3}, "^channels are not of the form"),
    ({"traces": [7]}, "^channels are not of the form"),
    ({"choices": 7}, "^channels are not of the form"), ({"actions": 7}, "^channels are not of the form"),
    ({"units": ["rope_angle"]}, "^channels are not of the form"), ({"units": {"reward": "m"}}, "^no channel can be")],
    ids=str)
def test_what_channels_cannot_show_is_refused_in_a_line(shown, words):
    with pytest.raises(UsageError, match=words) as caught:
        Channels(**{"units": {"rope_angle": "rad", "load": "kg"}, **shown})
    assert "\n" not in str(caught.value)


def test_one_curve_needs_no_words():
    channels = Channels({"angle": "rad", "rate": "rad/s"}, traces=["angle", ("angle", "rate")], choices=[0, 1],
                        plots={"Angle": "angle"}, portraits={"Rope": ("angle", "rate")})
    assert channels.traces == (("angle",), ("angle", "rate")) and channels.choices == ("0", "1")
    assert channels.plots == {"Angle": {"": "angle"}} and channels.portraits == {"Rope": {"": ("angle", "rate")}}
    assert dataclasses.replace(channels, actions=("pull",)).portraits == channels.portraits


def test_the_parts_of_a_race_hold_if_frames_are_skipped():
    visited = np.array([0.0, 0.01, 0.02, 0.02])
    reward = np.array([10.0 - 0.2, 10.0 - 0.2, -0.1 - 100.0])  # off the field in the second frame of the last step
    parts = car_racing.CONTINUOUS.reward_parts({"reward": reward, "track_visited": visited})
    assert np.allclose(sum(parts.values()), reward) and parts["off_field"].tolist() == [0, 0, -100]
    assert np.allclose(parts["time"], [-0.2, -0.2, -0.1]) and np.allclose(parts["tiles"], [10, 10, 0])


def test_an_id_with_its_module_is_solved_at_the_same_score():
    assert score_threshold("gymnasium:BipedalWalker-v3") == score_threshold("BipedalWalker-v3") == 300
    assert score_threshold("nowhere:Nothing-v0") is None
