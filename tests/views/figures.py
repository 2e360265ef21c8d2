"""Tables, curves and walks to be drawn, and what can be read of a figure."""

from __future__ import annotations

import dataclasses
import html

import gymnasium
import numpy as np

from colab_rl import dashboards
from colab_rl.environments import describe
from colab_rl.evaluation.replay import record_episode
from colab_rl.views.report.page import Section, page

EVIL = '</script><script>document.title="taken"</script><img src=x onerror=\'document.title="taken"\'>'


def table(rows=400, **changes):
    """Metrics of a run that learns."""
    t = np.arange(1, rows + 1, dtype=float)
    made = {"iteration": t, "step": t * 4096, "seconds": t * 1.5, "episode/return": 300 - 400 * np.exp(-t / 80),
            "episode/length": 1000 + t, "evaluation/score": np.where(t % 50 == 0, 300 - 300 * np.exp(-t / 80), np.nan),
            "evaluation/std": np.where(t % 50 == 0, 10, np.nan), "loss/policy": -0.01 + 0 * t, "loss/value": 1 / t,
            "policy/entropy": 5 / t, "policy/approx_kl": 0.01 + 0 * t, "policy/clip_fraction": 0.1 + 0 * t,
            "value/explained_variance": 1 - 1 / t, "optimizer/learning_rate": 1e-3 + 0 * t,
            "session/resumed": np.where(t == 100, 1, np.nan), "time/collect": 1 + 0 * t, "time/update": 0.5 + 0 * t,
            "time/steps_per_second": 4000 + 0 * t}
    for network in ("policy", "value"):
        made |= {f"optimizer/{network}/{kind}": value + 0 * t for kind, value in {
            "gradient_norm": 0.4, "clipped_gradient_norm": 0.4, "parameter_norm": 15.0, "update_norm": 0.2,
            "adam_first_moment_norm": 0.05, "adam_second_moment_norm": 0.01, "dead_units": 0.0}.items()}
    return made | changes


def curves(label="run", rows=400, **changes):
    marks = [dashboards.Mark(g, 40 * g, 4096 * 40 * g, 60.0 * g, 100.0 if g % 2 else None) for g in range(1, 6)]
    return dashboards.Curves(label, table(rows, **changes), marks)


def make_walk():
    """A walker that kicks and falls."""
    spaces = describe("BipedalWalker-v3")
    environment = gymnasium.make("BipedalWalker-v3", max_episode_steps=150)
    episodes = [record_episode(
        environment, spaces, lambda obs, seed=seed: np.sin(obs[:, :4] * 9 + seed),
        lambda obs: obs[:, 0] * 10, seed, "walker")
        for seed in range(3)]
    return max(episodes, key=lambda episode: episode.length)


def traces(figure, name):
    return [trace for trace in figure.data if trace.name == name]


def texts(figure):
    return html.unescape(" ".join(" ".join(annotation.text for annotation in figure.layout.annotations).split()))


def pole():
    spaces = describe("CartPole-v1")
    return record_episode(gymnasium.make("CartPole-v1"), spaces, lambda obs: (obs[:, 2] > 0).astype(int),
                          lambda obs: np.ones(len(obs)), 0, "CartPole-v1")


def long(walk, steps=2000):
    series = {name: np.resize(values, steps + len(values) - walk.length) for name, values in walk.series.items()}
    series["reward"] = np.random.default_rng(0).normal(size=steps)
    return dataclasses.replace(walk, series=series, steps=steps, poses=np.resize(
        walk.poses, (steps + 1, *walk.poses.shape[1:])))


def large_page(walk):
    """The report of 100,000 rows and six episodes of 2,000 steps."""
    run = curves(rows=100_000, **{"evaluation/score": np.random.default_rng(0).normal(size=100_000)})
    episodes = {f"generation {i}": long(walk) for i in range(6)}
    return page("large", [], [Section("all", "", [
        dashboards.learning(run), dashboards.optimizer(run), dashboards.gait(episodes),
        dashboards.phase_portraits(episodes)])])
