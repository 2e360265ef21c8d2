"""`target_score`: when a run evaluates, and when it stops."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from helpers import TINY

from colab_rl import evaluate, train
from colab_rl.evaluation.evaluator import EVALUATION_SEED
from colab_rl.settings import parse_settings
from colab_rl.training.metrics import from_csv

cloudpickle.register_pickle_by_value(sys.modules[__name__])
SETTINGS = {**parse_settings(TINY), "eval_every": 4, "total_steps": 1000, "learning_rate": 1e-9}


class Rewarded(gymnasium.Env):
    """Episodes of ten steps. Every step rewards an action beyond a half: noise earns 6 an episode, the mean nothing.

    The seeds of an evaluation's first twenty episodes give ten more.
    """

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        self.steps, self.gift = 0, 10.0 * (seed in range(EVALUATION_SEED, EVALUATION_SEED + 20))
        return np.zeros(2, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.steps += 1
        reward = float(abs(action[0]) > 0.5) + self.gift * (self.steps == 1)
        return np.zeros(2, np.float32), reward, self.steps == 10, False, {}


def rows_of(root: Path) -> list[dict[str, Any]]:
    return [row for table in sorted((root / "run" / "metrics").iterdir()) for row in from_csv(table.read_bytes())]


def evaluated(root: Path) -> list[int]:
    return [row["iteration"] for row in rows_of(root) if "evaluation/score" in row]


def test_a_run_stops_where_100_episodes_reach_the_target(tmp_path):
    result = train("run", env="CartPole-v1", settings={**SETTINGS, "target_score": 8}, root=tmp_path)
    assert result.finished and result.step < 700
    assert evaluated(tmp_path)[-1] == result.iteration
    again = evaluate("run", checkpoint="latest", episodes=100, seed=EVALUATION_SEED, root=tmp_path)
    assert result.best_score == again.returns.mean() >= 8
    assert train("run", root=tmp_path).iteration == result.iteration  # it stays finished


@pytest.mark.parametrize(("target", "stops"), [(1.19, True), (1.21, False)])
def test_the_mean_of_100_episodes_less_two_standard_errors_decides(tmp_path, target, stops):
    result = train("run", env=Rewarded, settings={**SETTINGS, "target_score": target}, root=tmp_path)
    assert result.finished and (result.step < 1000) is stops
    assert result.best_score == 2.0  # twenty of 100 episodes earn ten: their deviation is 4, so the mean's is 0.4


@pytest.mark.parametrize(("target", "every"), [(100, 4), (6, 1)], ids=["far", "near"])
def test_evaluations_come_four_times_as_often_where_the_return_is_near_the_target(tmp_path, target, every):
    result = train("run", env=Rewarded, settings={**SETTINGS, "target_score": target}, root=tmp_path)
    rows = [row for row in rows_of(tmp_path) if row.get("episode/return", 0) >= 5.1]
    assert len(rows) > 4
    due = {row["iteration"] for row in rows if row["iteration"] % every == 0} | {result.iteration}
    due |= {row["iteration"] for row in rows_of(tmp_path) if row["iteration"] % 4 == 0}
    assert set(evaluated(tmp_path)) == due


def test_evaluations_come_as_often_where_the_score_is_near_the_target_after_a_resume_too(tmp_path):
    # The first evaluation scores 10, training's return never more than 7.
    settings = {**SETTINGS, "target_score": 10.5, "checkpoint_every": 3}
    train("run", env=Rewarded, settings={**settings, "total_steps": 400}, root=tmp_path)
    result = train("run", env=Rewarded, total_steps=1000, root=tmp_path)
    assert max(row.get("episode/return", 0) for row in rows_of(tmp_path)) < 9
    assert evaluated(tmp_path) == list(range(4, result.iteration + 1))


class Punished(Rewarded):
    """Every episode earns -100."""

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        observation, _, *rest = super().step(action)
        return observation, -10.0, *rest


@pytest.mark.parametrize(("target", "every", "stops"), [(-80, 4, False), (-92, 1, False), (-101, 1, True)],
                         ids=["far", "near", "reached"])
def test_a_negative_target_score_is_neared_and_reached_from_below(tmp_path, target, every, stops):
    result = train("run", env=Punished, settings={**SETTINGS, "target_score": target}, root=tmp_path)
    assert result.finished and (result.step < 1000) is stops
    ended = [row["iteration"] for row in rows_of(tmp_path) if "episode/return" in row]
    expected = sorted({number for number in range(1, result.iteration + 1)
                       if number % 4 == 0 or (number in ended and number % every == 0)} | {result.iteration})
    assert evaluated(tmp_path) == expected and len(ended) >= (1 if stops else 15)
