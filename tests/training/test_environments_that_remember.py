"""Environments that do not repeat an episode, or of which one may be alive at a time, train, resume and score."""

import fcntl
import json
import sys
from pathlib import Path

import cloudpickle
import gymnasium
import numpy as np
import pytest
import safetensors.numpy
from gymnasium import spaces
from helpers import TINY

from colab_rl import UsageError, evaluate, export, record, render, status, train
from colab_rl.settings import parse_settings

pytestmark = pytest.mark.usefixtures("one_core")
cloudpickle.register_pickle_by_value(sys.modules[__name__])

SETTINGS = parse_settings(TINY)
REASON = "does not repeat an episode from its seed and actions"


class Walk(gymnasium.Env):
    """It repeats."""

    metadata = {"render_modes": ["rgb_array"]}
    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.look(), {}

    def step(self, action):
        self.steps += 1
        return self.look(), 1.0 - float(abs(action).sum()), self.steps == 20, False, {}

    def look(self):
        return self.np_random.normal(size=2).astype(np.float32)

    def render(self):
        return np.zeros((40, 60, 3), np.uint8)


class Market(Walk):
    """Its start is not seeded, and past the end of its prices it raises."""

    prices = np.random.default_rng(0).normal(size=60).astype(np.float32)

    def reset(self, *, seed=None, options=None):
        self.now, self.offset = int(np.random.randint(2, 50)), np.float32(np.random.normal())
        return super().reset(seed=seed)

    def step(self, action):
        self.now += 1
        reward = float(self.prices[self.now] * action[0])
        return self.look(), reward, self.now == len(self.prices) - 1, False, {}

    def look(self):
        return self.prices[self.now - 2:self.now] + self.offset


class Strict(Market):
    """It refuses to be stepped after its end."""

    def step(self, action):
        if self.now >= len(self.prices) - 1:
            raise RuntimeError("call reset() first")
        return super().step(action)


class Crashing(Market):
    """Its simulator ends the process."""

    def step(self, action):
        if self.now >= len(self.prices) - 1:
            sys.exit(3)
        return super().step(action)


class Foggy(Walk):
    """What it looks like is not seeded. What it is worth is."""

    def look(self):
        return np.random.normal(size=2).astype(np.float32)


def manifests(run: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(run.glob("checkpoints/*.json"))]


@pytest.mark.parametrize("kind", [Market, Strict, Crashing])
def test_an_environment_that_does_not_repeat_says_so_at_the_start_and_goes_on_each_time(tmp_path, capsys, kind):
    settings = {**SETTINGS, "num_envs": 8, "num_steps": 25, "eval_every": 100, "checkpoint_every": 10}
    steps = 400
    train("market", env=kind, total_steps=steps, settings=settings, root=tmp_path, store="none")
    assert f"not bit-exact: custom:{kind.__name__} {REASON}\n" in capsys.readouterr().err
    for _ in range(3):
        steps += 300
        assert train("market", env=kind, total_steps=steps, root=tmp_path, store="none").step >= steps
    found = manifests(tmp_path / "market")
    assert all(manifest["inexact"] == [f"custom:{kind.__name__} {REASON}"] for manifest in found)
    assert not status("market", root=tmp_path, store="none")[0]["exact"]


def test_what_repeats_is_exact_and_nothing_is_said(tmp_path, capsys):
    train("walk", env=Walk, total_steps=200, settings=SETTINGS, root=tmp_path, store="none")
    evaluate("walk", env=Walk, episodes=2, root=tmp_path, store="none")
    record("walk", env=Walk, root=tmp_path, store="none")
    assert all(manifest["exact"] for manifest in manifests(tmp_path / "walk"))
    assert "exact" not in (said := capsys.readouterr().err) and "does not repeat" not in said


def test_evaluate_record_and_render_say_that_a_seed_does_not_say_all(tmp_path, capsys):
    train("fog", env=Foggy, total_steps=200, settings=SETTINGS, root=tmp_path, store="none")
    for call, options in ((evaluate, {"episodes": 2}), (record, {}), (render, {"form": "evolution", "seconds": 0.2})):
        capsys.readouterr()
        call("fog", env=Foggy, root=tmp_path, store="none", **options)
        assert capsys.readouterr().err.count(
            f"custom:Foggy {REASON}: the same seed may give another return another time") == 1


def test_running_statistics_are_refused_before_anything_is_written(tmp_path):
    def make():
        return gymnasium.wrappers.NormalizeObservation(gymnasium.make("Pendulum-v1"))

    with pytest.raises(UsageError, match="use the setting normalize_observations"):
        train("swing", env=make, total_steps=200, settings=SETTINGS, root=tmp_path, store="none")
    assert not (tmp_path / "swing").exists()


def test_an_environment_without_metadata_trains_and_cannot_be_rendered_in_a_line(tmp_path):
    class NoMetadata(Walk):
        metadata = None

    class Renders(NoMetadata):
        def __init__(self):
            super().__init__("rgb_array")

    train("walk", env=NoMetadata, total_steps=100, settings=SETTINGS, root=tmp_path, store="none")
    assert render("walk", env=Renders, seconds=0.2, root=tmp_path, store="none").fps == 30
    with pytest.raises(Exception, match=r"^custom:.*bare does not render as rgb_array; nothing was written$"):
        def bare():
            return NoMetadata()
        render("walk", env=bare, root=tmp_path, store="none")


# ---- one at a time -------------------------------------------------------------------------------------------------


def limited(folder: Path, most: int) -> type:
    """An environment of which at most so many can be alive, in whatever process."""

    class Limited(Walk):
        def __init__(self, render_mode=None):
            super().__init__(render_mode)
            for number in range(most):
                self.place = open(folder / str(number), "w")  # noqa: SIM115
                try:
                    return fcntl.flock(self.place, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    self.place.close()
            raise RuntimeError(f"{most} of them are alive already")

        def close(self):
            self.place.close()

    return Limited


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_a_run_with_one_environment_never_has_a_second_one(tmp_path, algo):
    settings = {**SETTINGS, "num_envs": 1, "eval_episodes": 3, "eval_every": 2}
    if algo == "sac":
        del settings["update_epochs"]
        settings |= {"learning_starts": 64, "buffer_size": 400, "replay_ratio": 0.1}
    One, places = limited(tmp_path, 1), {"root": tmp_path / "runs", "store": "none"}
    train("one", env=One, algo=algo, total_steps=200, settings=settings, **places)
    train("one", env=One, total_steps=300, **places)
    result = evaluate("one", env=One, episodes=3, **places)
    assert record("one", env=One, seed=1, **places).total_return == result.returns[1]
    assert render("one", env=One, seconds=0.2, seed=2, **places).returns.popitem()[1] == result.returns[2]
    render("one", env=One, form="evolution", seconds=0.2, **places)
    assert export("one", env=One, out=tmp_path / "exported", **places)


def test_an_evaluation_makes_no_more_environments_than_it_has_episodes(tmp_path):
    most, places = limited(tmp_path, 4 + 2), {"root": tmp_path / "runs", "store": "none"}
    train("few", env=most, total_steps=200, settings={**SETTINGS, "num_envs": 4, "eval_episodes": 2}, **places)
    assert evaluate("few", env=most, episodes=6, **places).lengths.tolist() == [20] * 6


def test_an_evaluation_on_trainings_own_environment_changes_nothing(tmp_path):
    """Each one takes it away in the middle of an episode, and brings it back."""
    states = []
    for eval_every in (1, 100):
        settings = {**SETTINGS, "num_envs": 1, "num_steps": 17, "eval_every": eval_every, "checkpoint_every": 100}
        train(f"every-{eval_every}", env="BipedalWalker-v3", algo="ppo", total_steps=17 * 12, backend="gymnasium",
              settings=settings, root=tmp_path, store="none")
        newest = max((tmp_path / f"every-{eval_every}" / "checkpoints").glob("*.safetensors"))
        states.append(safetensors.numpy.load(newest.read_bytes()))
        assert manifests(tmp_path / f"every-{eval_every}")[-1]["exact"]
    assert states[0].keys() == states[1].keys()
    different = [name for name, array in states[0].items() if not np.array_equal(array, states[1][name])]
    assert different == []
