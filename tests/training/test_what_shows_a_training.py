"""What shows a training never ends it: a watcher, telemetry or TensorBoard that fails is named in one line."""

from __future__ import annotations

import dataclasses
import inspect
import sys

import cloudpickle
import gymnasium
import numpy as np
import pytest
from helpers import TINY

from colab_rl import Channels, Drawing, train
from colab_rl.progress import Dispensable, Watcher
from colab_rl.settings import parse_settings
from colab_rl.training.stopping import StoppedAtOnce
from colab_rl.views.live import LivePlot

pytestmark = pytest.mark.usefixtures("one_core")
cloudpickle.register_pickle_by_value(sys.modules[__name__])
SETTINGS = parse_settings(TINY)


class Swing(gymnasium.Env):
    """Twenty steps of a swing, described."""

    observation_space = gymnasium.spaces.Box(-9, 9, (2,))
    action_space = gymnasium.spaces.Discrete(2)
    channels = Channels({"angle": "rad", "speed": "rad/s"})

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self._observation(), {}

    def step(self, action):
        self.t += 1
        return self._observation(), float(action), False, self.t == 20, {}

    def _observation(self):
        return self.np_random.normal(size=2).clip(-9, 9).astype(np.float32)


def fail(*_arguments):
    raise RuntimeError("the rope\nbroke")


def fail_later(swing, observation):
    return fail() if swing.t == 7 else observation


FAULTS = {"read": {"read": fail}, "later": {"read": fail_later}, "parts": {"reward_parts": fail},
          "terrain": {"drawing": Drawing({}, lambda swing: [], fail)}, "count": {"units": {"angle": "rad"}},
          "poses": {"drawing": Drawing({"a": np.eye(2)}, fail)}}


def trained(root, env=Swing, **options):
    options.setdefault("settings", SETTINGS)
    return train("swing", env=env, total_steps=400, backend="gymnasium", root=root, store="none", **options)


@pytest.fixture(scope="module")
def usual(one_core, tmp_path_factory):
    """The state that training ends in if nothing fails, with many environments and with one."""
    root = tmp_path_factory.mktemp("usual")
    return {count: trained(root / str(count), settings={**SETTINGS, "num_envs": count}).state_sha256
            for count in (2, 1)}


@pytest.mark.parametrize(("fault", "num_envs"), [*((fault, 2) for fault in FAULTS), ("later", 1), ("parts", 1)])
def test_telemetry_that_cannot_be_recorded_ends_no_training(tmp_path, capsys, usual, fault, num_envs):
    class Broken(Swing):
        channels = dataclasses.replace(Swing.channels, **FAULTS[fault])

    result = trained(tmp_path, Broken, settings={**SETTINGS, "num_envs": num_envs})
    assert result.finished and result.best_score is not None
    assert result.state_sha256 == usual[num_envs]
    told = [line for line in capsys.readouterr().err.splitlines() if "telemetry" in line]
    assert len(told) == 1 and told[0].startswith("telemetry is no longer recorded: ")
    assert told[0].endswith("; training continues without it")
    assert fault == "count" or "the rope broke" in told[0]
    assert not (tmp_path / "swing" / "telemetry").exists()


class Watching:
    """A watcher that raises in one of its calls."""

    def __init__(self, call, error):
        self.call, self.error, self.calls = call, error, 0

    def _told(self, call):
        self.calls += call == self.call
        if call == self.call:
            raise self.error

    def past(self, row):
        self._told("past")

    def goal(self, total_steps):
        self._told("goal")

    def row(self, row, where):
        self._told("row")


@pytest.mark.parametrize("call", ["past", "goal", "row"])
def test_a_watcher_that_fails_ends_no_training(tmp_path, capsys, usual, call):
    watcher = Watching(call, ValueError("no\ncolours"))
    if call == "past":
        train("swing", env=Swing, total_steps=100, backend="gymnasium", settings=SETTINGS, root=tmp_path, store="none")
    result = trained(tmp_path, watcher=watcher)
    assert result.finished and watcher.calls == 1
    assert call == "past" or result.state_sha256 == usual[2]
    told = [line for line in capsys.readouterr().err.splitlines() if "watcher" in line]
    assert told == ["the watcher shows nothing more of this session (ValueError: no colours); training continues "
                    "without it"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), StoppedAtOnce(15), SystemExit(3)])
def test_a_stop_gets_through_a_watcher(tmp_path, error):
    with pytest.raises(type(error)):
        trained(tmp_path, watcher=Watching("row", error))


def test_a_live_plot_whose_front_end_is_gone_ends_no_training(tmp_path, capsys, usual):
    def show(bundle):
        raise ConnectionError("the kernel's front end is gone")

    assert trained(tmp_path, watcher=LivePlot("swing", show)).state_sha256 == usual[2]
    assert capsys.readouterr().err.count("shows nothing more of this session") == 1


def test_what_guards_a_live_plot_is_a_watcher_for_every_python():
    """From Python 3.12 on, isinstance looks at a Protocol's methods so, and asks no __getattr__."""
    guarded = Dispensable(LivePlot("swing", print), "the live plot")
    assert isinstance(guarded, Watcher)
    for method in ("past", "goal", "row"):
        assert callable(inspect.getattr_static(guarded, method))


def test_a_tensorboard_that_cannot_be_imported_ends_no_training(tmp_path, capsys, monkeypatch, usual):
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.record_writer", None)
    assert trained(tmp_path).state_sha256 == usual[2]
    assert capsys.readouterr().err.count("TensorBoard shows nothing more of this session") == 1
