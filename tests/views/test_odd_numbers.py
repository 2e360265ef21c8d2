"""Every view with every kind of number: constant, huge, tiny, NaN, infinite, one, or none. None may fail or warn."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import warnings

import numpy as np
import pytest
from browser import CHROMIUM, visit
from figures import curves, make_walk, pole

from colab_rl import dashboards
from colab_rl.environments import describe
from colab_rl.evaluation import episode as telemetry
from colab_rl.views.live import LivePlot
from colab_rl.views.report.page import Section, page
from colab_rl.views.values import LARGEST, text_of
from colab_rl.views.video.drawing import draw_text, text_width
from colab_rl.views.video.overlay import Overlay, free_share
from colab_rl.views.video.panels import PANELS, Scene

GREATEST = float(np.finfo(np.float64).max)
NUMBERS = {"zero": 0.0, "five": 5.0, "huge": 1e16, "minus huge": -1e16, "float32 max": 3.4e38, "1e300": 1e300,
           "greatest": GREATEST, "least": -GREATEST, "tiny": 1e-300, "denormal": 5e-324, "nan": np.nan, "inf": np.inf,
           "minus inf": -np.inf}
SOME = np.array(list(NUMBERS.values()))
# By name, what makes (count,) numbers of a kind.
KINDS = {
    **{f"all {name}": lambda count, random, value=value: np.full(count, value) for name, value in NUMBERS.items()},
    **{f"one {name}": lambda count, random, value=value: np.where(
        np.arange(count) == random.integers(max(count, 1)), value, random.normal(size=count))
       for name, value in NUMBERS.items()},
    "nearly equal": lambda count, random: 1e16 + 2 * random.integers(0, 2, count),
    "far from zero": lambda count, random: 1.7e9 + np.arange(count),
    "plus and minus": lambda count, random: GREATEST * random.choice([-1, 1], count),
    "tiny steps": lambda count, random: 5e-324 * np.arange(count),
    "all kinds": lambda count, random: random.choice(SOME, count),
}
kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


def some_of(names, kind, seed):
    """Generator, and which of the names get numbers of the kind: all with seed 0, else some."""
    random = np.random.default_rng([seed, list(KINDS).index(kind)])
    return random, [name for name in names if not seed or random.random() < 0.3]


def check(figure):
    """What Plotly gets is finite, every range has a width, and no text holds a number of dozens of digits."""
    content = json.loads(figure.to_json(), parse_constant=lambda word: pytest.fail(word))

    def walk(value, name=""):
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, key)
        elif isinstance(value, list):
            if name.endswith("range"):
                assert len(value) == 2 and value[0] < value[1], (name, value)
            for inner in value:
                walk(inner, name)
        elif isinstance(value, str):
            assert not re.search(r"\d{20}", value), value
        elif isinstance(value, float):
            assert abs(value) <= 1.1 * LARGEST, (name, value)

    walk(content)


@kinds
@pytest.mark.parametrize(("rows", "seed"), [(40, 0), (40, 1), (1, 0)])
def test_learning_and_optimizer(kind, rows, seed):
    run = curves(rows=rows)
    random, odd = some_of(run.table, kind, seed)
    table = {**run.table, **{name: KINDS[kind](rows, random) for name in odd}}
    score = float(KINDS[kind](1, random)[0])
    marks = [dataclasses.replace(mark, score=score, seconds=score) for mark in run.checkpoints]
    odd_run = dashboards.Curves("odd", table, marks)
    for draw in (dashboards.learning, dashboards.optimizer):
        check(draw(odd_run if seed else [odd_run, curves("usual", rows=20)]))


@kinds
@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_scores_and_their_comparison(kind, count):
    random, _ = some_of((), kind, 1)
    run = curves(**{"evaluation/score": KINDS[kind](400, random)})
    contenders = [dashboards.Contender("odd", KINDS[kind](count, random), (), run, 10**9, 1e300),
                  dashboards.Contender("usual", np.arange(5.0), (), curves(), 1000, 200.0)]
    check(dashboards.scores(contenders))
    check(dashboards.scores(contenders[:1]))
    assert not re.search(r"\d{20}", dashboards.comparison(contenders).html())


@pytest.fixture(scope="module")
def episodes():
    walk = make_walk()
    return {"walk": cut(walk, 12), "pole": cut(pole(), 9), "one step": cut(walk, 1)}


def cut(episode, steps):
    series = {name: values[:steps + len(values) - episode.length] for name, values in episode.series.items()}
    return dataclasses.replace(episode, series=series, poses=episode.poses[:steps + 1], steps=steps)


def odd_episode(episode, kind, seed):
    """An episode with such numbers: in its channels (float32 as they are recorded), rewards, values, actions, poses."""
    random, odd = some_of([*episode.series, "poses"], kind, seed)
    with np.errstate(all="ignore"):
        series = {name: KINDS[kind](len(values), random).astype(values.dtype)
                  if name in odd and values.dtype.kind == "f" else values for name, values in episode.series.items()}
        poses = episode.poses
        if "poses" in odd:
            poses = KINDS[kind](poses.size, random).reshape(poses.shape).astype(np.float32)
        total = float(series["reward"].sum())
    return dataclasses.replace(episode, series=series, poses=poses, total_return=total)


@kinds
@pytest.mark.parametrize(("name", "seed"), [("walk", 0), ("walk", 1), ("pole", 0), ("pole", 1), ("one step", 0)])
def test_gait_and_phase_portraits(episodes, kind, name, seed):
    episode = odd_episode(episodes[name], kind, seed)
    both = {"odd": episode, "usual": episodes[name]}
    for draw in (dashboards.gait, dashboards.phase_portraits):
        check(draw(both, overlay=bool(seed)))


@pytest.mark.parametrize("seconds", [None, 1e-300, 5e-324, 1e16, 1e300])
def test_a_step_may_take_any_time(episodes, seconds):
    for episode in episodes.values():
        check(dashboards.gait(dataclasses.replace(episode, step_seconds=seconds)))


BOUNDS = {"fixed": (0, 0), "fixed at five": (5, 5), "float32": (-3.4e38, 3.4e38), "none": (-np.inf, np.inf),
          "below": (-np.inf, 2), "above": (1e30, np.inf), "tiny": (0, 1e-40), "usual": (-1, 1)}


@kinds
@pytest.mark.parametrize(("name", "width"), [("walk", 600), ("walk", 240), ("pole", 480), ("one step", 80)])
def test_every_panel_of_a_video(episodes, kind, name, width, monkeypatch):
    episode = odd_episode(episodes[name], kind, seed=width == 240)
    spaces = describe(episode.environment if name == "pole" else "BipedalWalker-v3")
    random, _ = some_of((), kind, 1)
    returns = KINDS[kind](3, random)
    bounds = list(BOUNDS.values())[:4] if width == 600 else list(BOUNDS.values())[4:]
    if name != "pole":
        low, high = np.array(bounds, np.float32).T
        spaces = dataclasses.replace(spaces, action_low=low, action_high=high)
    scene = Scene(episode, spaces, ("odd", "generation 3", "82k steps", text_of(returns[0])), [episode], 0.02,
                  list(enumerate(returns)), 1)
    drawn = []
    monkeypatch.setattr("colab_rl.views.video.panels.draw_text", lambda image, x, y, text, size, color, anchor="left":
                        drawn.append((x, y, text, size, anchor)) or draw_text(image, x, y, text, size, color, anchor))
    overlay = Overlay(scene, (600, 400), free_share([episode]), PANELS, width, width / 600)
    picture = np.full((400, 600, 3), 77, np.uint8)
    for t in (0, 1, episode.length):
        frame = overlay(picture, t)
    assert overlay.ended("ended").shape == frame.shape == (*overlay.size[::-1], 3)
    assert {len(text) <= 60 for _, _, text, _, _ in drawn} == {True}
    for panel, _, still in overlay._panels if width >= 240 else ():  # in less no text fits
        drawn.clear()
        panel.still(still)
        panel.frame(still.copy(), episode.length)
        boxes = [(x - text_width(text, size) * (anchor == "right"), y, x + text_width(text, size) * (anchor == "left"),
                  text) for x, y, text, size, anchor in drawn if anchor != "center"]
        for i, one in enumerate(boxes):
            for other in boxes[:i]:
                assert one[2] <= other[0] or other[2] <= one[0] or one[1] != other[1], (one, other)


@kinds
@pytest.mark.parametrize("rows", [1, 2, 450])
def test_the_live_plot(kind, rows):
    shown = []
    random, _ = some_of((), kind, 1)
    columns = {name: KINDS[kind](rows, random) for name in ("episode/return", "evaluation/score")}
    with np.errstate(all="ignore"):
        seconds = np.abs(KINDS[kind](rows, random)).cumsum() if kind.startswith("all") else np.arange(rows) * 0.5
    plot = LivePlot("odd", shown.append, itertools.count().__next__)
    plot.goal(10**9)
    for number in range(rows):
        plot.row({"step": 100.0 * number, "seconds": float(seconds[number]),
                  **{name: float(values[number]) for name, values in columns.items()}}, "checkpoint 1: local")
    plot.close()
    page = shown[-1]["text/html"]
    assert not re.search(r"\d{20}", shown[-1]["text/plain"] + page)
    numbers = [float(number) for points in re.findall('points="(.*?)"', page) for number in re.split("[ ,]", points)
               if number]
    assert all(0 <= number <= 720 for number in numbers), numbers
    labels = re.findall('text-anchor="end">(.*?)<', page)
    assert len(set(labels)) == len(labels) and (len(labels) >= 2 or "<svg" not in page)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_draws_them_too(tmp_path, episodes):
    figures = []
    for kind in ("all kinds", "nearly equal", "tiny steps"):
        random, odd = some_of(curves().table, kind, 0)
        run = dashboards.Curves(kind, {name: KINDS[kind](40, random) for name in odd})
        episode = odd_episode(episodes["walk"], kind, 0)
        figures += [dashboards.learning(run), dashboards.optimizer(run), dashboards.gait({"": episode, "b": episode}),
                    dashboards.phase_portraits(episode),
                    dashboards.scores([dashboards.Contender(kind, KINDS[kind](20, random))])]
    (tmp_path / "page.html").write_text(page("odd", [], [Section("all", "", figures)]))
    (plots, ticks), errors = visit(tmp_path / "page.html", [
        "document.querySelectorAll('.figure .cartesianlayer .subplot').length",
        "Math.max(...[...document.querySelectorAll('.yaxislayer-above')].map(e => e.querySelectorAll('text').length))"],
        tmp_path / "profile")
    assert errors == [] and plots > 100 and ticks <= 20


@kinds
def test_a_telemetry_file(episodes, kind):
    for name, episode in episodes.items():
        odd = odd_episode(episode, kind, 0)
        read, = telemetry.from_npz(telemetry.to_npz([odd]))
        assert read.length == odd.length and np.array_equal(read["reward"], odd["reward"], equal_nan=True), name
        check(dashboards.gait(read))
