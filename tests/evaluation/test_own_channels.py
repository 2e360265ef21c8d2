"""An environment names its own channels; a line names what it raises while it is recorded."""

from __future__ import annotations

import dataclasses
import sys

import gymnasium
import numpy as np
import pytest
from recordings import Crane, acting, ones

from colab_rl import Channels, UsageError
from colab_rl.environments import Drawing, channels_of, close_environment, describe
from colab_rl.errors import EnvironmentFault
from colab_rl.evaluation.evaluator import Evaluator
from colab_rl.evaluation.replay import record_episode, replay


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


@pytest.mark.parametrize("wrong", [{"step_seconds": "0.1"}, {"step_seconds": 0}, {"read": 3}, {"reward_parts": {}}],
                         ids=str)
def test_an_argument_of_another_kind_is_refused(wrong):
    with pytest.raises(UsageError, match=r"^channels are not of the form"):
        Channels({"rope_angle": "rad"}, **wrong)


def test_a_part_of_the_reward_has_a_number_for_each_step():
    class Parts(Crane):
        channels = Channels({"a": "m", "b": "m", "c": "m"}, reward_parts=lambda series: {"pull": series["a"]})

    spaces = describe(Parts)
    with pytest.raises(UsageError, match=r"reward_parts of crane: 'pull' has the shape \(7,\), and \(6,\) is needed"):
        record_episode(Parts(), spaces, acting(spaces), ones, 0, "crane")


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
