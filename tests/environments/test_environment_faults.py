"""What an environment does wrong as it is stepped is named with its slot, seed and step."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
import stepping
from stepping import Small, drive, gymnasium_environments, wait_until, workers_of_this_process

from colab_rl.environments import describe
from colab_rl.errors import EnvironmentFault
from colab_rl.evaluation.evaluator import Evaluator

# The environments defined below reach the workers by value, as those of a notebook's cell do.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.mark.parametrize("end", ["another observation", "ends earlier", "raises", "another shape", "leaves", "dies"])
@pytest.mark.parametrize("num_envs", [1, 5])
def test_an_episode_that_does_not_come_again_is_reported_and_the_next_ones_begin(tmp_path, end, num_envs):
    """Whatever the replay runs into; with one worker and with two, some of whose episodes come again."""
    happens = tmp_path / "happens"

    class Unrepeatable(Small):
        length = 50

        def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
            observation, reward, terminated, truncated, info = super().step(action)
            if happens.exists() and self.steps == 3:
                if end == "raises":
                    raise RuntimeError("call reset() first")
                if end in ("leaves", "dies"):
                    sys.exit(3) if end == "leaves" else os._exit(3)
                observation = observation[:1] if end == "another shape" else observation + 1
                self.steps += 1  # and so all that follow are others
            return observation, reward, terminated or (end == "ends earlier" and happens.exists()), truncated, info

    with gymnasium_environments(lambda: Unrepeatable(), num_envs, num_workers=2) as envs:
        envs.reset()
        zeros = np.zeros(num_envs, np.int64)
        drive(envs, np.zeros((4, num_envs), np.int64))
        snapshot, journal = envs.snapshot(), envs._journal.episodes.copy()
        happens.touch()
        reasons = envs.restore(snapshot)
        assert len(reasons) == 1 and reasons[0].endswith("<lambda> does not repeat an episode from its seed and "
                                                         "actions")
        # The session began other episodes, and continues with them. If the environment recovers, so do they.
        assert np.array_equal(envs._journal.episodes, journal + 1) and not envs.ended.any()
        assert not envs.observations.any()
        happens.unlink()
        drive(envs, np.zeros((7, num_envs), np.int64))
        again = envs.snapshot()
        envs.step(zeros)
        assert envs.restore(again) == [] and np.array_equal(envs.observations, again["observations"])
    assert wait_until(lambda: not workers_of_this_process())


def test_an_environment_that_raises_says_what_and_where():
    class Broken(Small):
        def reward(self, action: Any) -> float:
            if self.steps == 3:
                raise RuntimeError("the joint came off")
            return 1.0

    with gymnasium_environments(lambda: Broken()) as envs:
        envs.reset()
        drive(envs, np.zeros((2, 2), np.int64))
        with pytest.raises(EnvironmentFault) as caught:
            envs.step(np.zeros(2, np.int64))
    message = str(caught.value)
    assert "RuntimeError: the joint came off" in message
    assert f'({__file__}, line' in message
    assert "\n" not in message


def test_an_environment_that_raises_with_several_lines_of_text_keeps_the_first():
    class Broken(Small):
        def reward(self, action: Any) -> float:
            raise RuntimeError("the joint came off\nFile a report, please")

    with gymnasium_environments(lambda: Broken()) as envs:
        envs.reset()
        with pytest.raises(EnvironmentFault) as caught:
            envs.step(np.zeros(2, np.int64))
    assert "RuntimeError: the joint came off" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("number", "what"), [(np.nan, "observation"), (np.inf, "observation"), (np.nan, "reward"),
                                              (-np.inf, "reward"), (-3.5e38, "reward"), (1e308, "reward")])
def test_a_number_that_is_none_is_named_with_slot_seed_and_step(what, number):
    class Broken(Small):
        """In the second episode of slot 1, at step 4."""

        def reset(self, **options: Any) -> tuple[np.ndarray, dict]:
            self.broken = options["seed"] == 111
            return super().reset(**options)

        def observation(self) -> np.ndarray:
            bad = what == "observation" and self.broken and self.steps == 4
            return np.array([0.0, number if bad else 1.0], np.float32)

        def reward(self, action: Any) -> float:
            return number if what == "reward" and self.broken and self.steps == 4 else 1.0

    snapshot = None
    for _ in range(2):  # and by what restores the episode
        with gymnasium_environments(lambda: Broken(), 3, seeds=lambda slot, episode: 110 * episode + slot) as envs:
            if snapshot is None:
                envs.reset()
                drive(envs, np.zeros((11 + 3, 3), np.int64))
                snapshot = envs.snapshot()
            else:
                assert envs.restore(snapshot) == []
            with pytest.raises(EnvironmentFault) as caught:
                envs.step(np.zeros(3, np.int64))
        message = str(caught.value)
        assert f" returned {number} in a" in message and what in message
        assert (", beyond the 3.4e+38 of a float32 (" in message) is bool(np.isfinite(number))
        assert "environment 1," in message and "episode seed 111," in message and "step 4)" in message


def test_a_number_that_is_none_is_named_with_its_seed_in_an_evaluation_too():
    class Broken(Small):
        def reset(self, **options: Any) -> tuple[np.ndarray, dict]:
            self.broken = options["seed"] == 53
            return super().reset(**options)

        def reward(self, action: Any) -> float:
            return np.nan if self.broken and self.steps == 4 else 1.0

    def source() -> gymnasium.Env:
        return Broken()

    # Six episodes in two slots: the one that breaks is not the newest that began, and others wait.
    with contextlib.closing(Evaluator(source, describe(source), slots=2)) as evaluator, pytest.raises(
            EnvironmentFault, match=r"nan in a reward \(environment \d, episode seed 53, step 4\)$"):
        evaluator.evaluate(lambda observations: np.zeros(len(observations), np.int64), episodes=6, seed=50)


@pytest.mark.parametrize(("returned", "words"), [
    (np.ones(1, np.float32), "ndarray of shape (1,)"), (np.ones((1, 2), np.float32), "ndarray of shape (1, 2)"),
    (np.ones(5, np.float32), "ndarray of shape (5,)"), (np.float32(1), "float32 1.0"), (1.0, "float 1.0"),
    ([1.0], "1 value (float)"), ([1.0, [2.0]], "2 values (float, list)"), (["a", "b"], "2 values (str, str)"),
    ({"speed": 1.0}, "dict"), (None, "None")], ids=str)
@pytest.mark.parametrize("when", ["reset", "step"])
def test_an_observation_that_is_none_is_refused_and_not_copied(when, returned, words):
    class Broken(Small):
        def observation(self) -> Any:
            return returned if self.steps == {"reset": 0, "step": 1}[when] else super().observation()

    with gymnasium_environments(lambda: Broken()) as envs, pytest.raises(EnvironmentFault) as caught:
        envs.reset()
        envs.step(np.zeros(2, np.int64))
    assert f" failed: {'reset' if when == 'reset' else 'step'} returned {words} as an observation, and Gymnasium " \
        f"expects an array of shape (2,), as in its observation_space ({stepping.__file__}, line " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_observation_may_be_a_list():
    class Listing(Small):
        def observation(self) -> Any:
            return [self.steps, 7]

    with gymnasium_environments(lambda: Listing()) as envs:
        envs.reset()
        assert envs.step(np.zeros(2, np.int64)).observations.tolist() == [[1, 7]] * 2


def test_large_finite_numbers_are_no_fault():
    class Large(Small):
        def observation(self) -> np.ndarray:
            return np.full(2, 3e38, np.float32)

        def reward(self, action: Any) -> float:
            return -3e38

    with gymnasium_environments(lambda: Large(), 3) as envs:
        envs.reset()
        step = envs.step(np.zeros(3, np.int64))
        assert np.isfinite(step.observations).all() and step.rewards.tolist() == [-3e38] * 3
