"""Policies are learned: real runs of the tuned presets reach their scores on gymnasium itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from colab_rl import evaluate, train

pytestmark = pytest.mark.slow  # only a label: these always run


@pytest.mark.parametrize(("env_id", "algorithm", "steps", "score"), [
    ("CartPole-v1", "ppo", 60_000, 475), ("Pendulum-v1", "ppo", 120_000, -250), ("Pendulum-v1", "sac", 10_000, -200),
    ("Pendulum-v1", "tqc", 4_500, -200)])
def test_a_preset_learns_its_environment(tmp_path: Path, env_id: str, algorithm: str, steps: int, score: float):
    places = {"root": tmp_path, "store": "none"}
    result = train("learner", env=env_id, algo=algorithm, total_steps=steps, **places)
    assert result.finished and result.step >= steps
    first = evaluate("learner", checkpoint=1, episodes=20, **places).summary()
    best = evaluate("learner", checkpoint="best", episodes=100, **places).summary()
    assert first["mean"] < score <= best["mean"]
