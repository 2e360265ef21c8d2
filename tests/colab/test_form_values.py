"""What a person may type into the forms of 01_train."""

from __future__ import annotations

import types
from typing import Any

import pytest
from helpers import TINY

import colab_rl
from colab_rl import UsageError
from colab_rl.colab import cells, change
from colab_rl.settings import parse_settings
from colab_rl.training import session


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
    origins = []

    def train(*arguments: Any, origin: str, **options: Any) -> Any:
        origins.append(origin)
        raise Reached

    monkeypatch.setattr(colab_rl, "train", train)
    for checkpoint in ("middle", "best", "latest", 3, 3.0, " 3 "):
        with pytest.raises(Reached):
            change.change_one_thing("run", "gamma=0.9", checkpoint, "none", tmp_path)
    assert origins == ["run:3", "run:best", "run:latest", "run:3", "run:3", "run:3"]
    with pytest.raises(UsageError, match="checkpoint is middle, best, latest or a generation's number, not 'bset'"):
        change.change_one_thing("run", "gamma=0.9", "bset", "none", tmp_path)
