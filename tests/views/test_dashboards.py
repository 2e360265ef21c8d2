"""The figures of episodes and comparisons: what they draw, and what they say is missing."""

from __future__ import annotations

import dataclasses
import json

import gymnasium
import numpy as np
import plotly.graph_objects as go
import pytest
from figures import curves, long, make_walk, pole, texts, traces

from colab_rl import Channels, dashboards
from colab_rl.environments import describe
from colab_rl.environments.channels import Shown
from colab_rl.evaluation import episode as telemetry
from colab_rl.evaluation.replay import record_episode
from colab_rl.views.dashboards import measures
from colab_rl.views.dashboards.comparison import solved
from colab_rl.views.dashboards.gait import episode_plots
from colab_rl.views.dashboards.learning import smoothed
from colab_rl.views.dashboards.plots import thinned
from colab_rl.views.palette import BLUE, RED, colors_of


@pytest.fixture(scope="module")
def walk():
    return make_walk()


def test_an_environment_chooses_its_plots_and_portraits():
    class Crane(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1, 1, (3,))
        action_space = gymnasium.spaces.Discrete(2)
        channels = Channels({"rope_angle": "rad", "rope_speed": "rad/s", "load": "kg"}, choices=("pull", "rest"),
                            plots={"Rope": {"swing": "rope_angle", "rate": "rope_speed"}, "Load": "load"},
                            portraits={"Load over rope": ("rope_angle", "load")})

        def reset(self, seed=None, options=None):
            self.t = 0
            return np.zeros(3, np.float32), {}

        def step(self, action):
            self.t += 1
            return np.full(3, self.t, np.float32), 1.0, False, self.t == 5, {}

    def recorded(crane):
        return record_episode(crane, describe(Crane), lambda obs: np.zeros(1, np.int64), lambda obs: obs[:, 0], 0, "x")

    episode, plain = recorded(Crane()), dataclasses.replace(recorded(Crane()), shown=Shown())
    plots = {plot.title: [line.name for line in plot.lines] for plot in episode_plots(episode, 0.99)}
    assert list(plots)[:3] == ["Rope", "Load", "Actions"] and plots["Rope"] == ["swing", "rate"]
    actions = next(plot for plot in episode_plots(episode, 0.99) if plot.title == "Actions")
    assert list(actions.y_ticks[1]) == ["pull", "rest"]
    figure = dashboards.phase_portraits(episode)
    assert [list(trace.y) for trace in figure.data] == [list(range(6))] and "Load over rope" in texts(figure)
    # If it chooses nothing, each channel has a panel, and an angle is drawn over its rate.
    assert [plot.title for plot in episode_plots(plain, 0.99)][:3] == ["Rope angle", "Rope speed", "Load"]
    assert "rope speed over" in texts(dashboards.phase_portraits(plain))
    # An episode that lacks a channel, of another environment say, keeps the other portraits.
    lacking = {"a": episode, "b": dataclasses.replace(plain, series={"reward": plain["reward"]})}
    assert "no angles and speeds" in texts(dashboards.phase_portraits(lacking))


def test_the_gait_holds_every_part_and_its_frames_move_body_and_cursor(walk):
    figure = dashboards.gait({"early": walk, "late": dataclasses.replace(walk, total_return=123.4)}, gamma=0.9)
    titles = texts(figure)
    for words in ("late", "return 123.4", "Legs on the ground", "duty factor", "Hull angle", "Hip speed", "Knee angle",
                  "Actions", "Reward so far", "motors", "discounted by 0.9"):
        assert words in titles, words
    assert {trace.visible for trace in figure.data if trace.legendgroup == "early"} == {False}
    assert {trace.visible for trace in figure.data if trace.legendgroup == "late"} == {True}
    checkpoint = next(slider for slider in figure.layout.sliders if slider.name == "checkpoint")
    change, titles = checkpoint.steps[0].args
    assert len(change["visible"]) == len(figure.data)
    assert [trace.legendgroup for trace, seen in zip(figure.data, change["visible"], strict=True)
            if seen and trace.legendgroup] == ["early"] * sum(t.legendgroup == "early" for t in figure.data)
    assert f"return {walk.total_return:.1f}" in titles["annotations[0].text"]
    # The frame of a step holds the body as its pose is then: turned, and the camera at the hull.
    frame = next(frame for frame in figure.frames if frame.name == "60")
    hull = next(trace for trace in frame.data if trace.x and len(trace.x) == 6)
    outline = walk.outlines["hull"]
    angle = walk.poses[60, 0, 2]
    assert np.allclose(hull.x[:5], outline[:, 0] * np.cos(angle) - outline[:, 1] * np.sin(angle), atol=0.006)
    assert list(frame.data[-1].x) == [60 / 50] * 2
    assert len(frame.data) == len(frame.traces)
    joint = next(trace for trace in figure.data if trace.name == "leg 1" and trace.legendgroup == "late")
    places = thinned(walk["hip_1_angle"])
    assert np.allclose(joint.y, walk["hip_1_angle"][places], atol=0.01)
    assert np.allclose(joint.x0 + joint.dx * np.arange(len(joint.y)), walk.time[places])
    # The curves show three seconds, and the page of them that the cursor is on.
    assert list(figure.layout.xaxis2.range) == [0, 3]
    assert next(list(frame.layout.xaxis2.range) for frame in figure.frames if frame.name == "149") == [0, 3]


def test_walkers_of_unequal_length_are_compared(walk):
    short = dataclasses.replace(walk, poses=walk.poses[:41], series={
        name: values[:len(values) - walk.length + 40] for name, values in walk.series.items()})
    assert short.length == 40 and any(name.startswith("reward_") for name in short.series)
    figure = dashboards.gait({"long": walk, "short": short}, 0.98, overlay=True)
    assert {"long", "short"} <= {trace.legendgroup for trace in figure.data}


def test_a_score_is_reached_when_enough_episodes_say_so():
    def at(*scores, episodes=7, step=1e6):
        n = len(scores)
        rows = {"step": np.arange(1.0, n + 1), "seconds": np.arange(1.0, n + 1) * 60,
                "evaluation/score": np.array(scores), "evaluation/std": np.full(n, 5.0),
                "evaluation/episodes": np.full(n, float(episodes))}
        return solved(dashboards.Contender("x", np.zeros(0), (), dashboards.Curves("x", rows), step, 300))

    assert at(200.0, 310, 310, 310) == (2, 120)
    assert np.isnan(at(310.0, 310)).all()               # 14 episodes are too few
    assert at(320.0, 250, 310, 310, 310) == (3, 180)    # a lucky one does not count
    assert at(310.0, episodes=20) == (1, 60)
    assert np.isnan(at(310.0, 310, 310, step=2)).all()  # what came after the checkpoint says nothing of it


def test_numbers_that_count_no_limbs_have_a_colour_each():
    assert colors_of(["hip_1", "hip_2"]) == [RED, BLUE]
    assert len(set(colors_of([f"observation_{i}" for i in range(4)]))) == 4


def test_the_window_follows_the_cursor(walk):
    figure = dashboards.gait(long(walk, 400))
    ranges = {int(frame.name): list(frame.layout.xaxis2.range) for frame in figure.frames}
    assert ranges[100] == [0, 3] and ranges[200] == [3, 6] and ranges[400] == [6, 9]


@pytest.mark.parametrize(("steps", "step_seconds", "last"), [
    (150, 0.02, [0, 3]), (300, 0.02, [3, 6]), (90, 1 / 30, [0, 3]), (400, None, [0, 400]), (1, 0.02, [0, 0.02])])
def test_the_last_state_has_the_page_that_ends_with_it(walk, steps, step_seconds, last):
    episode = dataclasses.replace(long(walk, steps), step_seconds=step_seconds, outlines={})
    frame = dashboards.gait(episode).frames[-1]
    assert frame.name == str(steps) and list(frame.layout.xaxis.range) == last


@pytest.mark.parametrize(("steps", "step_seconds", "labels"), [
    (601, 0.02, ["11.94", "12.00", "12.02"]), (600, 0.02, ["11.92", "11.96", "12.00"]),
    (12_000, None, ["11,920", "11,960", "12,000"]), (1501, None, ["1,494", "1,500", "1,501"])])
def test_the_slider_of_time_ends_with_the_last_state_and_its_labels_differ(walk, steps, step_seconds, labels):
    episode = dataclasses.replace(long(walk, steps), step_seconds=step_seconds, outlines={})
    figure = dashboards.gait(episode)
    assert [step.label for step in figure.layout.sliders[0].steps][-3:] == labels
    assert [frame.name for frame in figure.frames] == [step.value for step in figure.layout.sliders[0].steps]


def test_the_stride_cycle_is_the_mean_over_strides_of_each_leg(walk):
    steps = np.arange(601)
    on = (steps % 50) < 30  # a stride takes a second
    angle = np.sin(2 * np.pi * steps / 50)
    series = {**{name: np.resize(values, 601 if len(values) > walk.length else 600)
                 for name, values in walk.series.items()},
              "contact_1": on.astype(float), "contact_2": (((steps + 25) % 50) < 30).astype(float),
              "hip_1_angle": angle, "hip_2_angle": np.sin(2 * np.pi * (steps + 25) / 50),
              "position_x": 0.1 * steps}
    strider = dataclasses.replace(walk, series=series, steps=600, poses=np.resize(walk.poses, (601, 5, 3)))
    figure = dashboards.stride_cycle(strider)
    first, second = (next(trace for trace in figure.data if trace.name == f"leg {leg}" and trace.line.color == color)
                     for leg, color in ((1, RED), (2, BLUE)))
    for leg in (first, second):  # each from its own landing on
        assert np.allclose(leg.y, np.sin(2 * np.pi * np.linspace(0, 1, 101)), atol=0.02)
    assert "strides averaged: 10" in texts(figure)
    both = dashboards.stride_cycle({"one": strider, "other": strider, "still": walk})
    assert {trace.legendgroup for trace in both.data} == {"one", "other"}
    assert dashboards.stride_cycle(walk) is None and dashboards.stride_cycle(pole()) is None
    portraits = dashboards.phase_portraits({"one": strider, "other": strider}, overlay=True)
    assert all(trace.x[0] == trace.x[-1] for trace in portraits.data)  # closed loops


def test_choices_are_stairs_between_their_names_and_what_is_left_out_is_said(walk):
    figure = dashboards.gait(pole())
    push = traces(figure, "push")[0]
    axis = figure.layout[push.yaxis.replace("y", "yaxis")]
    assert push.line.shape == "hv" and list(axis.ticktext) == ["left", "right"] and list(axis.tickvals) == [0, 1]
    many = dataclasses.replace(walk, series={**walk.series, **{f"action_{i}": walk["reward"] for i in range(13)}})
    assert "the first 6 of 17" in texts(dashboards.gait(many)) and "the first" not in texts(dashboards.gait(walk))


def test_the_names_of_choices_stand_at_the_numbers_that_are_recorded():
    class Shifted(gymnasium.Wrapper):
        action_space = gymnasium.spaces.Discrete(2, start=3)

        def step(self, action):
            return self.env.step(action - 3)

    environment = Shifted(gymnasium.make("CartPole-v1"))
    episode = record_episode(environment, describe(lambda: Shifted(gymnasium.make("CartPole-v1"))),
                             lambda obs: 3 + (obs[:, 2] > 0), lambda obs: np.ones(len(obs)), 0, "CartPole-v1")
    saved, = telemetry.from_npz(telemetry.to_npz([episode]))
    for one in (episode, saved):
        actions = next(plot for plot in episode_plots(one, 0.99) if plot.title == "Actions")
        assert set(actions.lines[0].y) == {3, 4} and actions.y_range == (2.6, 4.4)
        assert list(actions.y_ticks[0]) == [3, 4] and actions.y_ticks[1] == ("left", "right")


def test_gait_measures():
    contact = np.array([1, 1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1], float)  # a bounce, then two landings
    assert measures.touchdowns(contact, 0.02).tolist() == [9, 15]
    assert measures.duty_factor(contact) == pytest.approx(7 / 16)
    t = np.arange(11)
    episode = telemetry.Episode(
        "e", 0, False, 0.0, 10, 0.1, {"position_x": 2.0 * t, "hip_1_torque": -3.0 + 0 * t, "hip_1_speed": 4.0 + 0 * t,
                                      "reward": np.zeros(10), "value": np.zeros(11), "action_0": np.zeros(10)},
        {"position_x": "m"}, {}, np.zeros((11, 0, 3)), [])
    assert measures.speed(episode) == pytest.approx(20.0)
    assert measures.energy_per_metre(episode) == pytest.approx(12 * 1.0 / 20)
    assert np.isnan(measures.stride_frequency(episode))
    steps = {**episode.series, "contact_1": np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0], float)}
    assert measures.stride_frequency(dataclasses.replace(episode, series=steps)) == pytest.approx(5)
    still = dataclasses.replace(episode, series={**steps, "position_x": 0.09 * t})
    assert np.isnan(measures.stride_frequency(still)) and "strides" not in measures.contact_sentence(still)
    lander = dataclasses.replace(episode, series={name: values for name, values in episode.series.items()
                                                  if not name.startswith("hip")})
    assert np.isnan(measures.speed(lander)) and "m/s" not in measures.gait_sentence(lander)
    assert "first 10 of 500 steps" in measures.gait_sentence(dataclasses.replace(episode, steps=500))


def test_the_comparison_shows_the_numbers_of_its_returns(walk):
    returns = np.random.default_rng(1).normal(300, 10, 100)
    run = curves("a", **{"evaluation/episodes": np.full(400, 100.0)})
    contender = dashboards.Contender("a:3", returns, [walk], run, 1_300_000, 290.0)
    low, high = dashboards.bootstrap_interval(returns)
    assert low < returns.mean() < high and high - low == pytest.approx(2 * 1.96 * returns.std() / 10, rel=0.15)
    table = dashboards.comparison([contender, dashboards.Contender("b", np.zeros(0))])
    cells = {name: columns[0] for name, columns in table.rows}
    assert cells["Score ± deviation"] == f"{returns.mean():.1f} ± {returns.std():.1f}"
    assert cells["95 % interval of the mean"] == f"{low:.1f} to {high:.1f}"
    first = np.flatnonzero(run.column("evaluation/score") - 1.96 * 10 / 10 >= 290)[0]  # surely
    assert cells["Steps to 290"] == f"{run.column('step')[first]:,.0f}"
    early = dashboards.Contender("a:1", returns, [walk], run, int(run.column("step")[first]) - 1, 290.0)
    later = {name: columns for name, columns in dashboards.comparison([early, contender]).rows}
    assert later["Steps to 290"] == ["-", cells["Steps to 290"]] and later["Time to 290"][0] == "-"
    branch = dict(dashboards.comparison([contender, dataclasses.replace(contender, is_branch=True)]).rows)
    assert branch["Steps to 290"] == [cells["Steps to 290"]] * 2  # which include the origin's
    assert branch["Time to 290, not of a branch"] == [cells["Time to 290"], "-"]
    refuted = dashboards.comparison([dataclasses.replace(contender, returns=returns - 15)])
    assert "Steps to 290" not in dict(refuted.rows)
    assert len(dashboards.scores([contender]).data) == 2


@pytest.mark.parametrize("make", [
    lambda walk: dashboards.learning([]), lambda walk: dashboards.learning(dashboards.Curves("none", {})),
    lambda walk: dashboards.optimizer(dashboards.Curves("none", {})), lambda walk: dashboards.gait({}),
    lambda walk: dashboards.phase_portraits({}),
    lambda walk: dashboards.scores([]),
    lambda walk: dashboards.learning(curves(rows=1)), lambda walk: dashboards.optimizer(curves(rows=1)),
    lambda walk: dashboards.learning(curves(**{"episode/return": np.full(400, np.nan)})),
    lambda walk: dashboards.gait(walk), lambda walk: dashboards.phase_portraits(walk),
    lambda walk: dashboards.gait({"one": walk, "two": walk}, overlay=True),
    lambda walk: dashboards.gait({"walker": walk, "pole": pole()}, overlay=True),
    lambda walk: dashboards.gait(pole()), lambda walk: dashboards.phase_portraits({"walker": walk, "pole": pole()}),
    lambda walk: dashboards.gait(dataclasses.replace(walk, series={
        **walk.series, "value": np.full(walk.length + 1, np.nan), "hull_angle": np.full(walk.length + 1, np.nan)})),
])
def test_little_or_odd_data_gives_a_figure_all_the_same(walk, make):
    figure = make(walk)
    assert isinstance(figure, go.Figure)
    assert figure.data or "here" in texts(figure) or "no " in texts(figure).lower()
    json.loads(figure.to_json())


def test_thinning_keeps_the_peaks_and_smoothing_leaves_nan_out():
    y = np.random.default_rng(0).normal(size=100_000)
    y[[777, 50_001]] = 99, -99
    y[60_000:61_000] = np.nan
    chosen = thinned(y)
    assert len(chosen) <= 610 and {777, 50_001} <= set(chosen.tolist()) and np.isnan(y[chosen]).any()
    for start in range(0, 60_000, 1000):
        inside = chosen[(chosen >= start) & (chosen < start + 1000)]
        assert y[inside].max() == y[start:start + 1000].max() and y[inside].min() == y[start:start + 1000].min()
    assert smoothed(np.array([1, np.nan, 3, 5.0]), 2).tolist() == [1, 1, 3, 4]


def test_a_figure_shows_where_only_our_requirements_are_installed(walk, monkeypatch):
    """In a notebook Plotly wants nbformat, which Jupyter has and a kernel alone has not."""
    shown = []
    monkeypatch.setattr("plotly.io._renderers.nbformat", None)
    monkeypatch.setattr("plotly.io.renderers.default", "vscode")
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    figures = [dashboards.gait(walk), dashboards.learning(curves()), dashboards.optimizer(curves()),
               dashboards.phase_portraits(walk), dashboards.scores([])]
    for figure in figures:
        figure.show()
        figure._ipython_display_()  # as a cell's last line
    assert len(shown) == 2 * len(figures)
    assert all(len(bundle["application/vnd.plotly.v1+json"]["data"]) == len(figure.data)
               for bundle, figure in zip(shown[::2], figures, strict=True))
    with pytest.raises(ValueError, match="Invalid named renderer"):
        figures[0].show("no such renderer")


def test_nothing_to_compare_is_said():
    assert "nothing to compare" in dashboards.comparison([])._repr_html_()
