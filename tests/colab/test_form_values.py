"""What a person may type into the forms of 01_train."""

from __future__ import annotations

import types
from functools import partial
from typing import Any

import gymnasium
import pytest
from helpers import TINY, changed

import colab_rl
from colab_rl import UsageError, status
from colab_rl.colab import cells, change
from colab_rl.settings import parse_settings
from colab_rl.training import session
from colab_rl.views.live import LivePlot


class Reached(Exception):
    """Training would begin now."""


@pytest.mark.parametrize(("target", "goal"), [
    ("none", 475.0), (None, 475.0), (0.0, 0.0), ("0", 0.0), ("1e2", 100.0)])
def test_the_live_plot_takes_a_target_as_the_settings_do(tmp_path, monkeypatch, target, goal):
    goals = []

    def plot(run: str, goal: float | None) -> Any:
        goals.append(goal)
        return types.SimpleNamespace(close=lambda: None)

    def train(*arguments: Any, **options: Any) -> Any:
        raise Reached

    monkeypatch.setattr(cells, "LivePlot", plot)
    monkeypatch.setattr(session, "train", train)
    with pytest.raises(Reached):
        cells.train_live("a", "none", tmp_path, env="CartPole-v1", settings={"target_score": target})
    assert goals == [goal]
    with pytest.raises(UsageError, match="setting target_score takes a number or none, not 'high'"):
        cells.train_live("a", "none", tmp_path, env="CartPole-v1", settings={"target_score": "high"})


def test_a_branch_begins_at_any_checkpoint_that_a_run_has_a_word_for(tmp_path, monkeypatch):
    colab_rl.train("run", env="CartPole-v1", backend="gymnasium", total_steps=200, settings=parse_settings(TINY),
                   root=tmp_path, store="none")
    origins, names = [], []

    def train(branch: str, origin: str, **options: Any) -> Any:
        origins.append(origin)
        names.append(branch)
        raise Reached

    monkeypatch.setattr(colab_rl, "train", train)
    for checkpoint in ("middle", "best", "latest", 3, 3.0, " 3 "):
        with pytest.raises(Reached):
            change.change_one_thing("run", "gamma=0.9", checkpoint, "none", tmp_path)
    assert origins == ["run:3", "run:best", "run:latest", "run:3", "run:3", "run:3"]
    assert names == ["run-gamma-0.9", *(f"run-gamma-0.9-from-{which}" for which in ("best", "latest", 3, 3, 3))]
    with pytest.raises(UsageError, match="checkpoint is middle, best, latest or a generation's number, not 'bset'"):
        change.change_one_thing("run", "gamma=0.9", "bset", "none", tmp_path)
    with pytest.raises(UsageError, match=r"CHANGE takes one setting, and .* has a second one, gamma: leave one out"):
        change.change_one_thing("run", "learning_rate=1e-3, gamma=.9", "middle", "none", tmp_path)


@pytest.fixture
def goals(monkeypatch) -> list[float | None]:
    """The lines that the live plots of branches show."""
    shown = []

    def plot(run: str, goal: float | None, beside: Any) -> Any:
        shown.append(goal)
        return LivePlot(run, show=lambda _: None, goal=goal, beside=beside)

    monkeypatch.setattr(change, "LivePlot", plot)
    return shown


def test_each_checkpoint_has_a_branch_of_its_own_and_again_continues_it(tmp_path, goals, capsys):
    settings = parse_settings(changed(TINY, "keep_last=9", "target_score=400"))
    name = "run" + 85 * "x"  # with the setting, its branches have names of 100 characters
    colab_rl.train(name, env="CartPole-v1", backend="gymnasium", total_steps=300, settings=settings, root=tmp_path,
                   store="none")
    capsys.readouterr()
    changes = [change.change_one_thing(name, "gamma=0.95", which, "none", tmp_path, episodes=2)
               for which in ("middle", 2, "2", "middle")]
    assert changes[0] == changes[3] != changes[1] == changes[2]
    assert "is a new run" not in capsys.readouterr().err
    for found, origin in zip(changes[:2], (3, 2), strict=True):
        assert f'"generation": {origin}' in (tmp_path / found.branch / "run.json").read_text()
    change.change_one_thing(name, "target_score=300", "middle", "none", tmp_path, episodes=2)
    assert goals == [400.0, 400.0, 400.0, 400.0, 300.0]


def test_the_steps_may_be_what_is_changed(tmp_path, goals):
    for total_steps in (200, 320):
        colab_rl.train("run", env="CartPole-v1", backend="gymnasium", total_steps=total_steps,
                       settings=parse_settings(TINY), root=tmp_path, store="none")
    found = change.change_one_thing("run", "total_steps=512", "middle", "none", tmp_path, episodes=2)
    assert found.steps[0] < 512 <= found.steps[1]
    assert "With total_steps=512, run-total_steps-512 scores" in found.summary()
    assert status(found.branch, root=tmp_path, store="none")[0].finished
    with pytest.raises(UsageError, match="run has total_steps=320 already"):
        change.change_one_thing("run", "total_steps=320", "middle", "none", tmp_path)


def pole(render_mode: str | None = None) -> Any:
    """An environment in a module, which other notebooks find."""
    return gymnasium.make("CartPole-v1", render_mode=render_mode)


@pytest.mark.parametrize(("own", "elsewhere"), [(False, True), (True, False)])
def test_what_a_cell_defines_is_filmed_here_and_no_other_notebook_is_named(tmp_path, monkeypatch, capsys, own,
                                                                            elsewhere):
    env = (lambda render_mode=None: pole(render_mode)) if own else pole
    shown, filmed = [], []
    monkeypatch.setattr(cells, "LivePlot", partial(LivePlot, show=lambda _: None))
    monkeypatch.setattr("IPython.display.display", lambda *widgets: shown.extend(widgets))
    monkeypatch.setattr(cells, "show_video", filmed.append)
    cells.train_live("run", "none", tmp_path, env=env, total_steps=64, settings=parse_settings(TINY))
    assert ("03_render.ipynb films it" in (said := capsys.readouterr().out)) == elsewhere
    assert ("film it in this notebook" in said) != elsewhere
    monkeypatch.setattr(colab_rl, "render", lambda run, **options: (run, options["env"]), raising=False)
    shown[0].click()
    assert filmed == [("run", env)]
