"""What a run makes of an environment: keyword arguments, and gymnasium's wrappers around it."""

from __future__ import annotations

import json
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from helpers import TINY

from colab_rl import ColabRLError, UsageError, evaluate, load_policy, record, train
from colab_rl.cli import main
from colab_rl.environments import describe, make_environment
from colab_rl.environments.backends import choose_backend, reason_not_available
from colab_rl.environments.guard import WrongReturn
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.environments.make import configured
from colab_rl.environments.stepper import Stepper
from colab_rl.environments.wrappers import LEFT_OUT, WRAPPERS, parsed
from colab_rl.sealed import checksum
from colab_rl.settings import parse_keywords, parse_settings

SETTINGS = parse_settings(TINY)
SKIPPING = ["MaxAndSkipObservation(skip=2)", "FrameStackObservation(3)", "ScaleReward(0.1)", "TimeLimit(4)"]


class Rising(gymnasium.Env):
    """The n-th step gives n and shows n; eleven steps."""

    observation_space, action_space = Box(-99, 99, (2,)), Discrete(2)

    def __init__(self, start: float = 0.0, render_mode: str | None = None):
        self.start = start

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> Any:
        super().reset(seed=seed)
        self.n = 0
        return np.full(2, self.start, np.float32), {}

    def step(self, action: Any) -> Any:
        self.n += 1
        return np.full(2, self.start + self.n, np.float32), float(self.n), self.n == 11, False, {}


def test_training_sees_what_wrappers_make_and_a_score_counts_the_environments_own_reward():
    source = configured(Rising, {"start": 5}, SKIPPING)
    spaces = describe(source)
    assert spaces.observation.shape == (6,)  # a stack of three, flat
    stepper = Stepper(make_environment(source), row := spaces.observation.zeros())
    stepper.begin(0)
    for wrapped, own, seen in ((0.3, 3, [5, 5, 7]), (0.7, 7, [5, 7, 9])):
        reward, terminated, truncated = stepper.step(np.int64(0))
        assert reward == pytest.approx(wrapped) and stepper.own_reward == own and not terminated | truncated
        assert row.reshape(3, 2)[:, 0].tolist() == seen
    with GymnasiumVectorEnvironment(source, spaces, 2, num_workers=1) as envs:
        envs.reset()
        assert np.allclose(envs.step(np.zeros(2, np.int64)).rewards, 0.3) and (envs.own_rewards == 3).all()


class InAnArray(Rising):
    """Gives its reward as an array with one number, infinity in the second step."""

    def step(self, action: Any) -> Any:
        observation, reward, *rest = super().step(action)
        return observation, np.array([reward if self.n == 1 else np.inf]), *rest


@pytest.mark.parametrize("wrapper", ["FlattenObservation", "RepeatAction(1)", "ScaleReward(1)"])
def test_a_reward_may_be_an_array_with_one_number_within_wrappers_too(wrapper):
    stepper = Stepper(make_environment(configured(InAnArray, {}, [wrapper])), None)
    stepper.begin(0)
    assert stepper.step(np.int64(0)) == (1.0, False, False) and stepper.own_reward == 1.0


def test_an_infinite_reward_that_a_wrapper_hides_is_a_fault_all_the_same():
    stepper = Stepper(make_environment(configured(InAnArray, {}, ["ClipReward(-1, 1)"])), None)
    stepper.begin(0)
    stepper.step(np.int64(0))
    with pytest.raises(WrongReturn, match=r"step returned float inf as a reward.*a finite number .*test_wrappers"):
        stepper.step(np.int64(0))


def test_a_run_keeps_both_and_evaluates_records_and_resumes_with_them(tmp_path):
    options = {"root": tmp_path, "store": "none"}
    settings = {**SETTINGS, "wrappers": SKIPPING, "eval_every": 100}
    train("run", env=Rising, env_kwargs={"start": 5}, total_steps=128, settings=settings, **options)
    identity = json.loads((tmp_path / "run/run.json").read_text())
    assert identity["env_kwargs"] == {"start": 5} and identity["config"]["wrappers"] == SKIPPING
    # Four steps of two each: 1 + 2 + ... + 8.
    assert evaluate("run", env=Rising, episodes=3, **options).returns.tolist() == [36, 36, 36]
    episode = record("run", env=Rising, **options)
    assert episode["reward"].tolist() == [3, 7, 11, 15] and episode.length == 4
    policy = load_policy("run", **options)
    assert policy(np.zeros((3, 2))) in (0, 1)  # as the wrapped environment gives it
    assert "Rising (start=5)" in repr(policy) and SKIPPING[1] in policy._repr_html_()
    before = (tmp_path / "run/run.json").read_bytes()
    with pytest.raises(UsageError, match=r"env_kwargs start is 5, not 6; nothing was changed"):
        train("run", env=Rising, env_kwargs={"start": 6}, **options)
    with pytest.raises(UsageError, match=r"wrappers is .* not "):
        train("run", env=Rising, settings={"wrappers": SKIPPING[1:]}, **options)
    assert (tmp_path / "run/run.json").read_bytes() == before
    assert train("run", env=Rising, total_steps=256, **options).step >= 256
    branch = train("more", env=Rising, origin="run", total_steps=400, **options)
    assert branch.finished and json.loads((tmp_path / "more/run.json").read_text())["env_kwargs"] == {"start": 5}


def test_a_run_json_without_keyword_arguments_is_read(tmp_path):
    train("run", env="CartPole-v1", total_steps=64, settings=SETTINGS, root=tmp_path, store="none")
    path = tmp_path / "run/run.json"
    content = json.loads(path.read_text())
    del content["env_kwargs"], content["identity_sha256"], content["config"]["wrappers"]
    path.write_text(json.dumps({**content, "identity_sha256": checksum(content)}))
    assert evaluate("run", episodes=1, root=tmp_path, store="none").returns[0] > 0


def test_the_command_line_reads_values_as_python_or_json_write_them(tmp_path):
    given = {"a=False": False, "b=true": True, "c=-1.5": -1.5, "d=text": "text", "e=[1, 2]": [1, 2], "f=None": None,
             "g=null": None, 'h={"x": 1}': {"x": 1}, "i=": "", "j={{}}": "{{}}", "k={[1]: 2}": "{[1]: 2}"}
    assert parse_keywords(list(given)) == dict(zip("abcdefghijk", given.values(), strict=True))
    arguments = ["--root", str(tmp_path), "--store", "none", "train", "lander"]
    assert main([*arguments, "--env", "LunarLander-v3", "--env-set", "continuous=True", "gravity=-5", "--total-steps",
                 "64", "--set", *TINY]) == 0
    identity = json.loads((tmp_path / "lander/run.json").read_text())
    assert identity["env_kwargs"] == {"continuous": True, "gravity": -5} and not identity["spaces"]["discrete"]
    assert main([*arguments, "--env-set", "gravity=-6"]) == 2
    assert main(arguments) == 0


@pytest.mark.parametrize(("options", "words"), [
    ({"env": "LunarLander-v3", "env_kwargs": {"continous": 1}}, "no keyword argument 'continous'; did you mean 'con"),
    ({"env": Rising, "env_kwargs": {"begin": 1}}, "Rising takes no keyword argument 'begin'.*takes: start"),
    ({"env_kwargs": {"render_mode": "human"}}, "colab_rl sets render_mode itself"),
    ({"env_kwargs": {"a": print}}, "run.json keeps env_kwargs"),
    ({"env": "LunarLander-v3", "env_kwargs": {"gravity": 5}}, "could not be made"),
    ({"settings": {"wrappers": "FrameStakObservation"}}, "unknown wrapper 'FrameStakObservation'; did you mean 'Fra"),
    ({"settings": {"wrappers": "RepeatActions"}}, "did you mean 'RepeatAction'.*, RepeatAction and Scale"),
    ({"settings": {"wrappers": "RecordVideo"}}, "RecordVideo is left out: it shows or writes .* render films"),
    ({"settings": {"wrappers": "NumpyToTorch"}}, "NumpyToTorch is left out: it gives arrays of other libraries"),
    ({"settings": {"wrappers": "TransformReward(3)"}}, "TransformReward is left out: .*ScaleReward"),
    ({"settings": {"wrappers": ['ScaleReward("x")']}}, r"""wrapper ScaleReward\("x"\) does not fit: scale is a num"""),
    ({"settings": {"wrappers": ["ScaleReward(scale=None)"]}}, "scale is a number, not None"),
    ({"settings": {"wrappers": ["ScaleReward([1])"]}}, r"scale is a number, not \[1\]"),
    ({"settings": {"wrappers": ['ClipReward(0, "x")']}}, "does not fit: max_reward is a number, not 'x'"),
    ({"settings": {"wrappers": ['TimeLimit("x")']}}, "does not fit: max_episode_steps is a whole number, not 'x'"),
    ({"settings": {"wrappers": '["FrameStackObservation(size=2)"]'}}, "takes no 'size'; did you mean 'stack_size'"),
    ({"settings": {"wrappers": '["TimeLimit(exit(3))"]'}}, "a wrapper is a name, or a name with plain values"),
    ({"settings": {"wrappers": ["TimeLimit(5)(6)"]}}, "a wrapper is a name"),
    ({"settings": {"wrappers": ["TimeLimit(*[5])"]}}, "a wrapper is a name"),
    ({"settings": {"wrappers": "GrayscaleObservation"}}, "does not fit: GrayscaleObservation requires an image"),
    ({"env": "CarRacing-v3", "settings": {"wrappers": ["ResizeObservation(7)"]}}, "does not fit: ResizeObservation"),
    ({"settings": {"wrappers": "NormalizeReward"}}, "use the setting normalize_rewards"),
    ({"settings": {"wrappers": "[3]"}}, 'takes a list of texts such as'),
    ({"settings": {"wrappers": '["TimeLimit(5)"'}}, "takes a list of texts such as"),
], ids=str)
def test_what_cannot_be_is_told_in_one_line_before_anything_is_written(options, words, tmp_path):
    with pytest.raises(ColabRLError, match=words) as caught:
        train("new", **{"env": "CartPole-v1", "root": tmp_path, "store": "none", **options})
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_every_wrapper_is_one_of_gymnasiums_and_none_begins_episodes_itself():
    assert {"MaxAndSkipObservation", "ResizeObservation", "TimeLimit", "ClipReward"} <= set(WRAPPERS)
    assert not {"Autoreset", "RecordVideo", "HumanRendering"} & set(WRAPPERS)
    left_out = {name for name in gymnasium.wrappers.__all__ if name not in WRAPPERS and name != "vector"}
    assert left_out == set(LEFT_OUT) & set(gymnasium.wrappers.__all__)
    for name in left_out:
        with pytest.raises(UsageError, match=f"{name} is left out: "):
            parsed(f"{name}()")
    assert parsed("ResizeObservation((84, 84))") == ("ResizeObservation", [(84, 84)], {})


def test_envpool_takes_the_keyword_arguments_that_it_has_and_no_wrappers():
    pytest.importorskip("envpool")
    hardcore = configured("BipedalWalker-v3", {"hardcore": True}, [])
    assert reason_not_available("envpool", hardcore, describe(hardcore)) is None
    windy = configured("LunarLander-v3", {"enable_wind": True}, [])
    assert reason_not_available("envpool", windy, describe(windy)) == "its LunarLander-v3 takes no enable_wind"
    short = configured("CartPole-v1", {}, ["TimeLimit(9)"])
    assert reason_not_available("envpool", short, describe(short)) == "it takes no wrappers"
    assert choose_backend("auto", "CarRacing-v3", describe("CarRacing-v3")) == "gymnasium"
