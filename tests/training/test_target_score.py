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
from colab_rl.training import target
from colab_rl.training.metrics import from_csv

cloudpickle.register_pickle_by_value(sys.modules[__name__])
SETTINGS = {**parse_settings(TINY), "eval_every": 4, "total_steps": 1000, "learning_rate": 1e-9}


class Rewarded(gymnasium.Env):
    """Episodes of ten steps. Every step rewards an action beyond a half: noise earns 6 an episode, the mean nothing.

    An evaluation's first episodes earn ten more, and so does every fifth seed of the fresh ones.
    """

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        lucky = seed is not None and (EVALUATION_SEED <= seed < EVALUATION_SEED + 20 or
                                      (0 <= seed - target.FIRST_SEED < 100_000 and seed % 5 == 0))
        self.steps, self.gift = 0, 10.0 * lucky
        return np.zeros(2, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.steps += 1
        reward = float(abs(action[0]) > 0.5) + self.gift * (self.steps == 1)
        return np.zeros(2, np.float32), reward, self.steps == 10, False, {}


def rows_of(root: Path) -> list[dict[str, Any]]:
    return [row for table in sorted((root / "run" / "metrics").iterdir()) for row in from_csv(table.read_bytes())]


def evaluated(root: Path) -> list[int]:
    return [row["iteration"] for row in rows_of(root) if "evaluation/score" in row]


def test_a_run_stops_at_the_target_and_is_scored_on_other_episodes(tmp_path):
    result = train("run", env="CartPole-v1", backend="gymnasium", settings={**SETTINGS, "target_score": 8},
                   root=tmp_path)
    assert result.finished and result.step < 700
    assert evaluated(tmp_path)[-1] == result.iteration
    score = evaluate("run", checkpoint="latest", episodes=3, root=tmp_path)
    assert result.best_score == score.returns.mean() and result.confirmed.generation == result.generation
    assert train("run", root=tmp_path).iteration == result.iteration  # it stays finished


# Of 100 or 200 fresh episodes a fifth earns ten: their mean is 2, its standard error 0.40 or 0.28. A run of so few
# steps has at most 3 looks, so that t is 2.4.
@pytest.mark.parametrize(("sought", "stops"), [(0.9, True), (1.25, True), (1.45, False), (2.1, False)])
def test_the_lower_bound_over_fresh_episodes_decides(tmp_path, sought, stops):
    few = {"eval_every": 8, "total_steps": 320, "target_score": sought}
    result = train("run", env=Rewarded, settings={**SETTINGS, **few}, root=tmp_path)
    assert result.finished and (result.step < 320) is stops


def test_no_two_looks_share_an_episode_and_none_is_an_evaluations(tmp_path, monkeypatch):
    played: list[tuple[int, int]] = []
    original = target.Evaluator.evaluate

    def noted(self, act, episodes, seed, **options):
        played.append((seed, episodes))
        return original(self, act, episodes, seed, **options)

    monkeypatch.setattr(target.Evaluator, "evaluate", noted)
    train("run", env=Rewarded, settings={**SETTINGS, "total_steps": 250, "target_score": 1.95}, root=tmp_path)
    fresh = [seed + i for seed, episodes in played if seed >= target.FIRST_SEED for i in range(episodes)]
    assert len(fresh) == len(set(fresh)) > 100
    assert all(seed + episodes < target.FIRST_SEED for seed, episodes in played if seed < target.FIRST_SEED)


def test_every_look_that_there_can_be_counts(tmp_path, monkeypatch):
    """A look follows each evaluation: every second iteration, and every ninth, which is odd."""
    counted: list[int] = []

    def says_no(self, algorithm, iteration, step):
        counted.append(self._most_looks(iteration, step))
        return False

    monkeypatch.setattr(target.Target, "is_reached", says_no)
    train("run", env=Rewarded, settings={**SETTINGS, "eval_every": 9, "total_steps": 1280, "target_score": 0.001},
          root=tmp_path)
    assert {2, 4, 8, 9, 10, 18} <= set(evaluated(tmp_path))
    assert min(counted) >= len(counted) == len(evaluated(tmp_path))


def test_envpool_screens_and_a_pool_depends_on_its_seed_alone(tmp_path, monkeypatch):
    pytest.importorskip("envpool")
    pools: list[tuple[int, int, float]] = []
    original = target.Pool.play

    def noted(self, algorithm, episodes, seed):
        returns = original(self, algorithm, episodes, seed)
        assert np.array_equal(returns, original(self, algorithm, episodes, seed))
        pools.append((seed, episodes, float(returns.mean())))
        return returns

    monkeypatch.setattr(target.Pool, "play", noted)
    options = {"env": "CartPole-v1", "backend": "envpool", "root": tmp_path}
    assert train("run", **options, settings={**SETTINGS, "target_score": 8}).step < 700
    assert [episodes for _, episodes, _ in pools[-4:]] == [10, 20, 30, 60]
    assert min(mean for *_, mean in pools) > 5 and len({seed for seed, *_ in pools}) == len(pools)


def test_looks_in_envpool_come_between_evaluations_and_cost_none(tmp_path, monkeypatch):
    pytest.importorskip("envpool")
    looks: list[int] = []

    def says_no(self, algorithm, episodes, seed):
        if seed >= target.FIRST_SEED:  # the others choose the best checkpoint
            looks.append((seed - target.FIRST_SEED) // target.SEEDS_OF_A_LOOK)
        return np.zeros(episodes)

    monkeypatch.setattr(target.Pool, "play", says_no)
    result = train("run", env="CartPole-v1", backend="envpool", root=tmp_path, settings={**SETTINGS, "target_score": 8})
    assert result.finished and result.step >= 1000
    assert set(evaluated(tmp_path)) == {*range(4, result.iteration, 4), result.iteration}
    assert looks == list(range(looks[0], result.iteration + 1)) and looks[0] <= 4


@pytest.mark.parametrize(("level", "count", "t"), [(0.05, 100, 1.6604), (0.001, 100, 3.1746), (0.0005, 201, 3.3398)])
def test_the_lower_bound_is_students(level, count, t):
    values = np.random.default_rng(0).normal(300, 30, count)
    expected = values.mean() - t * values.std(ddof=1) / count**0.5
    assert target.lower_bound(values, level) == pytest.approx(expected, abs=0.05)


def test_a_policy_below_its_target_seldom_passes_many_looks():
    """By chance 16 looks at a policy whose mean is the target let it pass in some 5 of 100 runs."""
    generator = np.random.default_rng(5)
    sought = target.Target(0.0, 4, 64, None, None)  # type: ignore[arg-type]
    level = target.ERROR / 32
    passed = sum(any(sought._holds(lambda episodes, done: generator.normal(0, 1, episodes), target.GROUPS, level)
                     for _ in range(16)) for _ in range(200))
    assert passed <= 18


@pytest.mark.parametrize(("goal", "every"), [(100, 4), (6, 1)], ids=["far", "near"])
def test_evaluations_come_four_times_as_often_where_the_return_is_near_the_target(tmp_path, goal, every):
    result = train("run", env=Rewarded, settings={**SETTINGS, "target_score": goal}, root=tmp_path)
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


def test_a_return_that_a_wrapper_made_says_nothing_of_the_target(tmp_path):
    settings = {**SETTINGS, "target_score": 100, "wrappers": "ScaleReward(50)"}
    result = train("run", env=Rewarded, settings=settings, root=tmp_path)
    assert max(row.get("episode/return", 0) for row in rows_of(tmp_path)) > 200
    assert set(evaluated(tmp_path)) == {*range(4, result.iteration, 4), result.iteration}


class Punished(Rewarded):
    """Every episode earns -100."""

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        observation, _, *rest = super().step(action)
        return observation, -10.0, *rest


@pytest.mark.parametrize(("goal", "every", "stops"), [(-80, 4, False), (-92, 1, False), (-101, 1, True)],
                         ids=["far", "near", "reached"])
def test_a_negative_target_score_is_neared_and_reached_from_below(tmp_path, goal, every, stops):
    result = train("run", env=Punished, settings={**SETTINGS, "target_score": goal}, root=tmp_path)
    assert result.finished and (result.step < 1000) is stops
    ended = [row["iteration"] for row in rows_of(tmp_path) if "episode/return" in row]
    expected = sorted({number for number in range(1, result.iteration + 1)
                       if number % 4 == 0 or (number in ended and number % every == 0)} | {result.iteration})
    assert evaluated(tmp_path) == expected and len(ended) >= (1 if stops else 15)
