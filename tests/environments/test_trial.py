"""An environment is tried out before a run begins."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from colab_rl import train
from colab_rl.environments import describe
from colab_rl.environments.make import configured
from colab_rl.environments.trial import try_new, try_out
from colab_rl.errors import EnvironmentFault, UsageError

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Sound(gymnasium.Env):
    """Twenty steps. What others change of it follows."""

    observation_space: Any = spaces.Box(-10, 10, (3,))
    action_space: Any = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self.observe(), {}

    def observe(self) -> Any:
        return self.np_random.uniform(-1, 1, 3).astype(np.float32)

    def step(self, action: Any) -> Any:
        self.steps += 1
        return self.observe(), 1.0, self.steps == 20, False, {}


class Four(Sound):
    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated or truncated, info


class ObservationAlone(Sound):
    def reset(self, *, seed: int | None = None, options: dict | None = None) -> Any:
        return super().reset(seed=seed)[0]


class Unseeded(Sound):
    def reset(self) -> Any:
        return super().reset()


class WithoutReward(Sound):
    def step(self, action: Any) -> Any:
        observation, _, *rest = super().step(action)
        return observation, None, *rest


class Raises(Sound):
    def step(self, action: Any) -> Any:
        raise KeyError("arm")


WRONG = {
    Four: "step returned 4 values (ndarray, float, bool, dict), and Gymnasium expects observation, reward, terminated, "
          "truncated and info",
    ObservationAlone: "reset returned ndarray of shape (3,), and Gymnasium expects observation and info",
    Unseeded: "reset takes no seed, and Gymnasium expects reset(self, *, seed=None, options=None)",
    WithoutReward: "step returned None as a reward, and Gymnasium expects a number",
    Raises: "KeyError: 'arm'",
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("by", ["function", "id"])
def test_what_is_wrong_is_told_in_one_line_before_anything_is_written(tmp_path, capsys, kind, by):
    """By an id gymnasium's wrappers stand around it: they fail on its returns in their own lines."""
    gymnasium.register("Wrong-v0", kind, max_episode_steps=9)
    try:
        with pytest.raises(EnvironmentFault) as caught:
            train("wrong", env=kind if by == "function" else "Wrong-v0", root=tmp_path, store="none", backend="auto")
    finally:
        del gymnasium.registry["Wrong-v0"]
    name, method = (f"custom:{kind.__name__}", "Wrong-v0")[by == "id"], kind.__dict__.get("step") or kind.reset
    assert str(caught.value).startswith(f"{name} failed: {WRONG[kind]} ({__file__}, line ")
    line = int(str(caught.value).rpartition(" ")[2].removesuffix(")"))
    assert line - method.__code__.co_firstlineno == (kind is Raises)
    assert not list(tmp_path.iterdir()) and not capsys.readouterr().err


ROOM = spaces.Dict(robot=spaces.Dict(camera=spaces.Box(0, 255, (4, 5, 3), np.uint8), arm=spaces.Box(-1, 1, (2,))),
                   gear=spaces.Discrete(3, start=1),
                   legs=spaces.Tuple((spaces.MultiDiscrete([2, 3]), spaces.Box(-1, 1))))


def in_room(change: Any, space: Any = ROOM, wrap: Any = lambda made: made) -> Any:
    """What makes an environment that returns samples of the space, and from its first step on changed ones."""
    class Room(Sound):
        observation_space = space

        def observe(self) -> Any:
            sample = self.observation_space.sample()
            return sample if self.steps == 0 else change(sample)

    return lambda: wrap(Room())


def without(sample: dict, *path: str) -> dict:
    first, *rest = path
    return {key: without(value, *rest) if rest and key == first else value for key, value in sample.items()
            if rest or key != first}


MISFITS = {
    "no robot/arm in an observation (it has camera), and Gymnasium expects an array of shape (2,)":
        lambda sample: without(sample, "robot", "arm"),
    "no robot in an observation (it has gear, legs), and Gymnasium expects a dict of camera, arm":
        lambda sample: without(sample, "robot"),
    "ndarray of shape (2, 5, 3) as an observation's robot/camera, and Gymnasium expects an array of shape (4, 5, 3)":
        lambda sample: {**sample, "robot": {**sample["robot"], "camera": sample["robot"]["camera"][:2]}},
    "int64 7 as an observation's gear, and Gymnasium expects a whole number from 1 to 3":
        lambda sample: {**sample, "gear": np.int64(7)},
    "float 1.5 as an observation's gear, and Gymnasium expects a whole number from 1 to 3":
        lambda sample: {**sample, "gear": 1.5},
    "None as an observation's robot, and Gymnasium expects a dict of camera, arm":
        lambda sample: {**sample, "robot": None},
    "ndarray of shape (2,) holding [1, 3] as an observation's legs/0, and Gymnasium expects whole numbers of shape "
    "(2,) within MultiDiscrete([2 3])": lambda sample: {**sample, "legs": (np.array([1, 3]), sample["legs"][1])},
    "no legs/1 in an observation (1 value (ndarray)), and Gymnasium expects an array of shape (1,)":
        lambda sample: {**sample, "legs": sample["legs"][:1]},
    "3 values (dict, int64, tuple) as an observation, and Gymnasium expects a dict of robot, gear, legs":
        lambda sample: [sample["robot"], sample["gear"], sample["legs"]],
    "ndarray of shape (4, 5, 3) of float64 as an observation's robot/camera, and Gymnasium expects uint8 from 0 to "
    "255, as in its observation_space: return that, or declare a Box of a float type":
        lambda sample: {**sample, "robot": {**sample["robot"], "camera": sample["robot"]["camera"] / 255}},
    "ndarray of shape (4, 5, 3) of int64 from -1 to -1 as an observation's robot/camera, and Gymnasium expects uint8":
        lambda sample: {**sample, "robot": {**sample["robot"], "camera": np.full((4, 5, 3), -1)}},
}


@pytest.mark.parametrize(("words", "change"), MISFITS.items(), ids=MISFITS)
def test_the_part_of_an_observation_that_is_not_of_the_space_is_named(tmp_path, words, change):
    with pytest.raises(EnvironmentFault) as caught:
        train("wrong", env=in_room(change), root=tmp_path, store="none")
    assert f"step returned {words}" in str(caught.value) and "\n" not in str(caught.value)
    assert ", as in its observation_space" in str(caught.value) and not list(tmp_path.iterdir())


def floats(image: np.ndarray) -> np.ndarray:
    return image / 255


PICTURE = spaces.Box(0, 255, (4, 5, 3), np.uint8)


def test_images_of_floats_are_refused_beneath_a_runs_wrappers_too_which_would_cut_them_off():
    for wrappers in ([], ["GrayscaleObservation"], ["TimeLimit(9)", "GrayscaleObservation"]):
        with pytest.raises(EnvironmentFault, match=r"of float64 as an observation, .*return that, or declare a Box"):
            describe(configured(in_room(floats, space=PICTURE), {}, wrappers), try_new)


def test_floats_are_taken_that_a_functions_wrapper_makes_uint8_that_are_numbers_and_of_a_run_that_began_with_them():
    def repaired(environment: gymnasium.Env) -> gymnasium.Env:
        return gymnasium.wrappers.TransformObservation(environment, lambda image: np.uint8(image * 255), PICTURE)

    describe(in_room(floats, space=PICTURE, wrap=repaired), try_new)
    describe(configured(in_room(floats, space=PICTURE, wrap=repaired), {}, ["TimeLimit(9)"]), try_new)
    describe(in_room(floats, space=spaces.Box(0, 255, (7,), np.uint8)), try_new)
    describe(in_room(floats, space=spaces.Box(0, 1, (4, 5, 3), np.float32)), try_new)
    describe(in_room(floats, space=PICTURE), try_out)


class Instance(Sound):
    def close(self) -> None:
        raise RuntimeError("no closing")


@pytest.mark.parametrize(("given", "words"), [
    (Instance(), "env is text or a function, not .*: give what makes it, such as env=lambda: ...$"),
    (gymnasium.make("CartPole-v1"), "env is text or a function, not <.*>: give what makes it, such as env=lambda: "),
    (3, "env is text or a function, not 3$"),
], ids=["instance", "made", "number"])
def test_an_environment_in_place_of_what_makes_it_is_told(tmp_path, given, words):
    with pytest.raises(UsageError, match=words):
        train("wrong", env=given, root=tmp_path, store="none")


class OldSpace:
    """As those of the package gym are: not gymnasium's, and much the same."""

    shape, dtype, n, start = (), np.int64, 3, 0


class OfAnotherPackage:
    observation_space, action_space = Sound.observation_space, Sound.action_space

    def reset(self) -> Any:
        return np.zeros(3)

    def step(self, action: Any) -> Any:
        return np.zeros(3), 0.0, False, {}


class Inherits(OfAnotherPackage):
    pass


@pytest.mark.parametrize(("make", "words"), [
    (lambda: Inherits(), "Inherits, an environment that is none of gymnasium's: it inherits "
                         f"{__name__}.OfAnotherPackage, not gymnasium.Env"),
    (lambda: OfAnotherPackage(), "OfAnotherPackage, an environment that is none of gymnasium's: it inherits nothing"),
    (type("Old", (Sound,), {"action_space": OldSpace()}),
     f"has a OldSpace of {__name__} as its action_space, which is no space of gymnasium"),
    (type("None_", (Sound,), {"observation_space": None}),
     "has None as its observation_space, which is no space of gymnasium: make one of gymnasium.spaces"),
], ids=["inherits", "duck", "space", "none"])
def test_what_is_of_another_package_is_told(make, words):
    with pytest.raises(UsageError) as caught:
        describe(make)
    assert words in str(caught.value) and "\n" not in str(caught.value)


# ---- what works still works --------------------------------------------------------------------------------------


class OnlyInts(Sound):
    def step(self, action: Any) -> Any:
        json.dumps(action)
        return super().step(action)


class OwnGenerator(Sound):
    def reset(self, *, seed: int | None = None, options: dict | None = None) -> Any:
        self.steps, self.generator = 0, np.random.default_rng(seed)
        return self.observe(), {}

    def observe(self) -> Any:
        return self.generator.normal(size=3).astype(np.float32)


class WithoutOptions(Sound):
    def reset(self, seed: int | None = None) -> Any:
        return super().reset(seed=seed)


class Beyond(Sound):
    def observe(self) -> Any:
        return np.full(3, 50.0)


class Reusing(Sound):
    shared = np.zeros(3, np.float32)

    def observe(self) -> Any:
        return self.shared


class WithoutInfo(Sound):
    def step(self, action: Any) -> Any:
        return *super().step(action)[:4], None


class Talking(Sound):
    def reset(self, **options: Any) -> Any:
        print("a result?")
        return super().reset(**options)


def spaces_of_the_wrapper_alone() -> gymnasium.Env:
    class Bare(Sound):
        observation_space = action_space = None

    wrapper = gymnasium.Wrapper(Bare())
    wrapper.observation_space, wrapper.action_space = Sound.observation_space, Sound.action_space
    return wrapper


def flattened() -> gymnasium.Env:
    class Dictionary(Sound):
        observation_space = spaces.Dict({"a": spaces.Box(-1, 1, (2, 2)), "b": spaces.Discrete(3)})
        action_space = spaces.MultiDiscrete([2, 2])

        def observe(self) -> Any:
            return {"a": np.zeros((2, 2), np.float32), "b": np.int64(1)}

    wrapped = gymnasium.wrappers.FlattenObservation(Dictionary())
    return gymnasium.wrappers.TransformAction(wrapped, lambda action: np.array([action, 1]), spaces.Discrete(2))


@pytest.mark.parametrize("source", [Sound, OnlyInts, OwnGenerator, WithoutOptions, Beyond, Reusing, WithoutInfo,
                                    Talking, spaces_of_the_wrapper_alone, flattened])
def test_what_training_does_not_mind_is_not_told(source, capfd):
    describe(source, try_out)
    out, err = capfd.readouterr()
    assert not out and err in ("", "a result?\n" * err.count("\n"))


def test_what_else_gymnasium_finds_is_told_in_one_line(capsys):
    class Cut(Sound):
        def step(self, action: Any) -> Any:
            return *super().step(action)[:3], True, {}

    class OfChance(Sound):
        def observe(self) -> Any:
            return np.random.default_rng().uniform(-1, 1, 3).astype(np.float32)

    for source, words in ((Cut, "truncates after 1 step"), (OfChance, "are not equivalent for the same seed")):
        describe(source, try_out)
        said = capsys.readouterr().err
        assert said.startswith("gymnasium's check_env says of custom:") and words in said and said.count("\n") == 1


def test_a_trial_is_short_of_one_instance_and_leaves_nothing_behind():
    made, alive, resets = [0], [0], [0]

    class Slow(Sound):
        def __init__(self) -> None:
            made[0] += 1
            alive[0] += 1
            assert alive[0] == 1

        def reset(self, **options: Any) -> Any:
            resets[0] += 1
            time.sleep(0.1)
            return super().reset(**options)

        def close(self) -> None:
            alive[0] -= 1

    before = repr(Slow.action_space.np_random.bit_generator.state)
    describe(Slow, try_out)
    assert (made, alive, resets) == ([1], [0], [2])  # once inside its wrappers, and once in them
    assert repr(Slow.action_space.np_random.bit_generator.state) == before
