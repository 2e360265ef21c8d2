"""The figures: what they draw, what they say is missing or unhealthy, and that they stay light and harmless."""

import dataclasses
import html
import json
import re
import time

import gymnasium
import numpy as np
import plotly.graph_objects as go
import pytest
from browser import CHROMIUM, TEXTS, low_contrasts, visit

from colab_rl import Channels, dashboards, train
from colab_rl.environments import describe
from colab_rl.environments.channels import Shown
from colab_rl.evaluation import episode as telemetry
from colab_rl.evaluation.replay import record_episode
from colab_rl.views.dashboards import measures
from colab_rl.views.dashboards.comparison import solved
from colab_rl.views.dashboards.gait import episode_plots
from colab_rl.views.dashboards.learning import smoothed
from colab_rl.views.dashboards.named import curves_of
from colab_rl.views.dashboards.plots import thinned
from colab_rl.views.dashboards.style import TEMPLATE
from colab_rl.views.palette import (
    BLUE,
    COLORS,
    DARK,
    DARK_BACKS,
    DARK_TEXTS,
    LIGHT_BACKS,
    LIGHT_TEXTS,
    RED,
    colors_of,
    contrast,
)
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


@pytest.fixture(scope="module")
def walk():
    return make_walk()


def traces(figure, name):
    return [trace for trace in figure.data if trace.name == name]


def texts(figure):
    return html.unescape(" ".join(" ".join(annotation.text for annotation in figure.layout.annotations).split()))


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
    # If it chooses nothing, each channel has a panel, and an angle is held against its rate.
    assert [plot.title for plot in episode_plots(plain, 0.99)][:3] == ["Rope angle", "Rope speed", "Load"]
    assert "rope speed over" in texts(dashboards.phase_portraits(plain))
    # An episode that lacks a channel, of another environment say, keeps the other portraits.
    lacking = {"a": episode, "b": dataclasses.replace(plain, series={"reward": plain["reward"]})}
    assert "no angles and speeds" in texts(dashboards.phase_portraits(lacking))


def test_learning_draws_every_column_marks_checkpoints_and_resumes_and_switches_its_axis():
    run = curves()
    figure = dashboards.learning(run)
    titles = texts(figure)
    for words in ("Return", "Episode length", "Policy loss", "Entropy", "KL divergence", "clipped", "explained",
                  "Learning rate", "collecting 67 %", "updating 33 %", "Speed"):
        assert words in titles, words
    checkpoints = traces(figure, "checkpoints")[0]
    assert list(checkpoints.x) == [mark.step for mark in run.checkpoints]
    assert "generation 3" in checkpoints.text[2]
    assert traces(figure, "resumed")[0].x[0] == 100 * 4096
    assert "score" in traces(figure, "evaluation ± its deviation")[0].text[0]
    for button, column, scale in zip(figure.layout.updatemenus[0].buttons, ("step", "seconds", "iteration"),
                                     (1, 1 / 60, 1), strict=True):
        xs = button.args[0]["x"]
        assert len(xs) == len(figure.data)
        returns = next(i for i, trace in enumerate(figure.data) if trace.name == "training episodes")
        assert np.allclose(xs[returns], run.column(column)[thinned(run.column("episode/return"))] * scale)


@pytest.mark.parametrize("labels", [["w1"], ["w1", "w2"]])
def test_a_hovered_place_says_run_seed_value_and_generation(labels):
    marks = [dashboards.Mark(7, 100, 100_000, 1.0), dashboards.Mark(8, 200, 200_000, 2.0)]
    runs = [dataclasses.replace(curves(label), checkpoints=marks, seed=seed) for seed, label in enumerate(labels, 3)]
    figure = dashboards.learning(runs)
    for run in runs:
        smooth, = (trace for trace in traces(figure, "smoothed") if trace.legendgroup == run.label)
        generations = [re.fullmatch(rf"{run.label}, seed {run.seed}: smoothed [-\d.]+(?:, generation (\d))?", text)[1]
                       for text in smooth.text]
        assert list(dict.fromkeys(generations)) == [None, "7", "8"]
    losses = traces(figure, "policy loss") or traces(figure, labels[-1])
    assert losses and all(trace.hovertemplate.startswith(trace.legendgroup) for trace in losses if len(runs) > 1)


def test_the_first_of_several_scores_stands_on_top():
    figure = dashboards.scores([dashboards.Contender(label, np.arange(5.0)) for label in ("first", "second")])
    first, second = (note.y for note in figure.layout.annotations)
    assert first > second and min(figure.data[0].y) > max(figure.data[3].y)


def test_columns_of_another_algorithm_get_plots_too():
    t = np.arange(10.0)
    figure = dashboards.learning(dashboards.Curves("sac", {
        "iteration": t, "step": t, "seconds": t, "episode/return": t, "loss/actor": t, "loss/critic": t,
        "q/mean": t, "policy/temperature": t}))
    for words in ("Policy loss", "Critic loss", "Q of sampled transitions", "policy: temperature"):
        assert words in texts(figure)


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"optimizer/policy/gradient_norm": np.full(400, 1e-9)}, "policy network's gradient vanishes"),
    ({"optimizer/value/gradient_norm": np.where(np.arange(400) == 390, 900, 0.4)}, "value network's gradient explodes"),
    ({"optimizer/policy/gradient_norm": np.full(400, 5.0)}, "clipped always: its norm is 12.5 times"),
    ({"optimizer/value/update_norm": np.full(400, 4.5)}, "changes the value network by 30 %"),
    ({"optimizer/value/update_norm": np.full(400, 1e-6)}, "stands still"),
    ({"optimizer/policy/dead_units": np.full(400, 0.6)}, "60 % of the policy network's hidden units are dead"),
    ({"loss/value": np.full(400, np.inf)}, "infinite"),
])
def test_what_is_unhealthy_is_said_with_the_reason(changes, sentence):
    run = curves(**changes)
    found = [finding.sentence for finding in dashboards.diagnose(run)]
    assert len(found) == 1 and sentence in found[0]
    figure = dashboards.optimizer(run)
    assert " ".join(sentence.split()[:3]) in texts(figure)
    if sentence != "infinite":
        alarmed = "clipped" not in sentence  # which runs that learn well are too
        assert any("unhealthy" in trace.name for trace in figure.data) is alarmed
        assert ("Nothing unhealthy" in texts(figure)) is not alarmed


def test_a_constant_stands_at_its_value_and_what_is_not_clipped_has_one_line():
    t = np.arange(10.0)
    run = dashboards.Curves("sac", {
        "iteration": t, "step": t, "seconds": t, "optimizer/learning_rate": np.full(10, 7e-4), "loss/critic": t + 1,
        "optimizer/critic/gradient_norm": t, "optimizer/critic/clipped_gradient_norm": t})
    figure = dashboards.learning(run)
    rate = next(trace for trace in figure.data if trace.y[0] == 7e-4)
    low, high = figure.layout[f"yaxis{rate.yaxis[1:]}"].range
    assert low == 0 and 7e-4 < high < 1e-3
    assert "after clipping" not in texts(dashboards.optimizer(run))


def test_what_is_said_of_sac_is_said_of_its_networks_and_names_its_settings():
    sac = {f"optimizer/{network}/{kind}": np.full(400, value)
           for network, ratio in (("critic", 0.3), ("temperature", 0.33), ("policy", 0.01))
           for kind, value in {"gradient_norm": 0.4, "clipped_gradient_norm": 0.4, "parameter_norm": 1.0,
                               "update_norm": ratio, "dead_units": 0.0}.items()}
    del sac["optimizer/temperature/dead_units"]  # a single number, whose norm may be 0, has no units
    run = curves(**sac, **{"replay/ratio": np.full(400, 0.5)})
    finding, = dashboards.diagnose(run)
    assert finding.network == "critic" and "replay_ratio" in finding.sentence and "epochs" not in finding.sentence
    still = curves(**sac | {"optimizer/temperature/update_norm": np.full(400, 1e-7)})
    assert [(finding.network, "fewer update_epochs" in finding.sentence) for finding in dashboards.diagnose(still)] \
        == [("critic", True)]


def test_of_six_runs_it_is_said_in_a_few_lines_which_have_what():
    bad = {"optimizer/policy/gradient_norm": np.full(400, 5.0), "optimizer/value/update_norm": np.full(400, 4.5)}
    runs = [curves(f"seed-{i}", **(bad if i % 2 else {})) for i in range(5)] + [curves("young", rows=3)]
    lines = [annotation.text for annotation in dashboards.optimizer(runs).layout.annotations
             if not annotation.name.startswith("title")]
    said = re.sub("<[^>]*>", "", " ".join(" ".join(lines[len(runs):]).split()))
    assert said == ("✓ Nothing unhealthy in the last fifth of the run: seed-0, seed-2, seed-4 "
                    "· Too few rows yet to judge the optimizer&#x27;s health: young "
                    "! The value network forgets as it learns: seed-1, seed-3")
    assert len(lines) <= len(runs) + 2 * 4


def test_several_runs_have_a_colour_each_and_a_dash_for_each_network():
    figure = dashboards.optimizer([curves("one"), curves("two")])
    titles = [annotation.text for annotation in figure.layout.annotations if annotation.name.startswith("title")]
    assert all("— policy, ··· value" in title and "one" not in title for title in titles) and len(titles) == 7
    looks = {(trace.name, trace.line.color, trace.line.dash) for trace in figure.data}
    assert {trace.meta for trace in figure.data} == {"one", "two"}
    assert len(looks) == len({look[1:] for look in looks}) == 4
    assert sum("●" in annotation.text for annotation in figure.layout.annotations) == 2


@pytest.mark.parametrize("spread", [1.05, 3.0, 20.0, 1e3, 1e9])
def test_a_logarithmic_axis_always_has_ticks(spread):
    values = np.geomspace(0.03, 0.03 * spread, 400)
    figure = dashboards.optimizer(curves(**{"optimizer/policy/gradient_norm": values,
                                            "optimizer/policy/clipped_gradient_norm": values,
                                            "optimizer/value/gradient_norm": values,
                                            "optimizer/value/clipped_gradient_norm": values}))
    axis = figure.layout.yaxis
    assert axis.type == "log"
    powers = np.floor(np.log10(values[-1])) - np.ceil(np.log10(values[0])) + 1
    assert (powers >= 2) if axis.dtick in (1, 2) else axis.tickformat == "~g"


def test_every_colour_can_be_read_as_words_on_a_light_and_on_a_dark_page():
    for colors, texts_, backs in ((DARK, LIGHT_TEXTS, LIGHT_BACKS), (DARK.values(), DARK_TEXTS, DARK_BACKS)):
        for color in (*colors, *texts_):
            assert min(contrast(color, back) for back in backs) >= 4.5, color
    assert set(COLORS) < set(DARK) and len(set(DARK.values())) == len(DARK)
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)
    # What no page recolours is near the 4.5 of WCAG 2, which no grey has on both.
    assert min(contrast(TEMPLATE.layout.font.color, back) for back in ("#FFFFFF", "#15181C")) > 4


def test_a_trunk_that_two_networks_share_is_said_to_be_ill_once():
    dead = np.full(400, 0.6)
    columns = {**{f"optimizer/policy/{kind}": np.full(400, 0.4) for kind in (
        "gradient_norm", "clipped_gradient_norm", "update_norm")},
        "optimizer/policy/parameter_norm": np.full(400, 40.0),
        "optimizer/policy/dead_units": dead, "optimizer/value/dead_units": dead}
    table = {name: np.arange(400.0) for name in ("iteration", "step", "seconds")} | columns
    finding, = dashboards.diagnose(dashboards.Curves("shared", table))
    assert finding.sentence.startswith("60 % of the policy network's hidden units")
    found = dashboards.diagnose(dashboards.Curves("two", {**table, "optimizer/value/dead_units": dead + 0.1}))
    assert [one.network for one in found] == ["policy", "value"]


def test_units_that_were_dead_at_first_and_come_alive_are_no_alarm_and_those_that_die_are():
    falling = np.linspace(0.5, 0.4, 400)
    assert dashboards.diagnose(curves(**{"optimizer/policy/dead_units": falling})) == []
    finding, = dashboards.diagnose(curves(**{"optimizer/policy/dead_units": falling[::-1] - 0.15}))
    assert "units are dead" in finding.sentence


def test_the_trunk_of_a_real_run_is_one_network(tmp_path):
    train("pole", env="CartPole-v1", total_steps=640, root=tmp_path, store="none", settings={
        "num_envs": 2, "num_steps": 32, "minibatch_size": 32, "shared_trunk": True, "eval_every": 100})
    [run] = curves_of("pole", tmp_path, "none")
    dead = [run.column(f"optimizer/{network}/dead_units") for network in ("policy", "value")]
    assert np.array_equal(*dead, equal_nan=True) and np.isfinite(dead[0]).any()
    assert not run.has("optimizer/value/gradient_norm")


def test_a_healthy_optimizer_is_said_to_be_one_also_when_its_learning_rate_has_ended():
    assert dashboards.diagnose(curves()) == []
    assert "Nothing unhealthy" in texts(dashboards.optimizer(curves()))
    rate = np.linspace(1e-3, 0, 400) ** 3
    assert dashboards.diagnose(curves(**{"optimizer/learning_rate": rate,
                                         "optimizer/policy/update_norm": rate})) == []


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


def pole():
    spaces = describe("CartPole-v1")
    return record_episode(gymnasium.make("CartPole-v1"), spaces, lambda obs: (obs[:, 2] > 0).astype(int),
                          lambda obs: np.ones(len(obs)), 0, "CartPole-v1")


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


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_every_number_of_six_runs_can_be_read_on_a_phone(tmp_path):
    contenders = [dashboards.Contender(f"{EVIL if i == 2 else 'a_run_with_a_long_name' * i}:{i}",
                                       np.linspace(-1522, -0.7, 9) - i) for i in range(6)]
    (tmp_path / "page.html").write_text(page("t", [(c.label, "x") for c in contenders], [
        Section("Score", "", [dashboards.comparison(contenders), dashboards.scores(contenders)])]))
    (wide, cut, reached, outside, cells, title), errors = visit(tmp_path / "page.html", [
        "document.documentElement.scrollWidth",
        "[...document.querySelectorAll('.contenders :is(th, td)')].filter(e => e.scrollWidth > e.clientWidth)"
        ".map(e => e.textContent)",
        "(() => { const box = document.querySelector('.contenders'); box.scrollLeft = 1e6;"
        "return box.querySelector('tr').lastElementChild.getBoundingClientRect().right })()",
        "[...document.querySelectorAll('.figure text')].filter(e => { const {left, right} = e.getBoundingClientRect();"
        "return left < 0 || right > innerWidth; }).map(e => e.textContent)",
        "[...document.querySelectorAll('.contenders td')].map(e => e.textContent)",
        "document.title"], tmp_path / "profile", 400)
    assert errors == [] and title == "t"
    assert wide <= 400 and cut == [] and reached <= 400 and outside == []
    assert "-1522.0 to -0.7" in cells and "-1527.0 to -5.7" in cells


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


def test_a_report_of_a_large_run_stays_under_10_mb(walk):
    started = time.process_time()
    assert len(large_page(walk).encode()) < 10e6
    assert time.process_time() - started < 30


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize(("width", "dark"), [(1080, False), (480, True)])
def test_a_page_draws_everything_and_answers_to_clicks_offline(tmp_path, walk, width, dark):
    contenders = [dashboards.Contender(EVIL, np.arange(20.0), [walk], curves(EVIL)),
                  dashboards.Contender("b", np.arange(20.0), [walk])]
    runs = [curves(EVIL), curves("b")]
    text = page(EVIL, [(EVIL, EVIL)], [Section(EVIL, EVIL, [
        dashboards.learning(curves()), dashboards.optimizer(curves(**{"optimizer/policy/dead_units": np.ones(400)})),
        dashboards.gait({EVIL: walk, "late": walk}), dashboards.phase_portraits({EVIL: walk, "late": walk}),
        dashboards.learning(runs), dashboards.comparison(contenders), dashboards.scores(contenders)])], [EVIL], EVIL)
    (tmp_path / "page.html").write_text(text)
    click = "new MouseEvent('click', {bubbles: true})"
    answers, errors = visit(tmp_path / "page.html", [
        "[...document.querySelectorAll('.figure')].map(f => f.querySelectorAll("
        "'.js-line[d], .point').length)",
        "document.title",
        "document.documentElement.scrollWidth",
        f"document.querySelectorAll('#figure0 .updatemenu-button')[1].dispatchEvent({click})",
        "new Promise(f => setTimeout(() => f([document.querySelector('#figure0').data[0].x.at(-1), "
        "[...document.querySelectorAll('#figure0 .infolayer text')].map(t => t.textContent).join(' ')]), 500))",
        "(async () => { const f = document.querySelector('#figure2'); const hull = () => f._fullData.findLast("
        "t => t.fill == 'toself').x.slice(0, 3).join(); const before = hull();"
        "await Plotly.animate(f, ['60'], {frame: {duration: 0, redraw: false}, mode: 'immediate'});"
        "return [before == hull(), f._fullLayout.sliders[0].active, f._fullData.at(-1).x[0]]; })()",
        f"document.querySelectorAll('#figure2 .updatemenu-button')[0].dispatchEvent({click})",
        "new Promise(done => { const f = document.querySelector('#figure2'); const first = f._fullLayout.sliders[0]"
        ".active; const look = setInterval(() => { if (f._fullLayout.sliders[0].active > first + 2) {"
        "clearInterval(look); done('plays'); } }, 20); })",
        "getComputedStyle(document.body).backgroundColor",
        # The legend of two runs: a click hides one, a double click shows one alone, a click on each shows all.
        """(async () => {
          const f = document.querySelector('#figure4');
          const keys = f.previousElementSibling.querySelectorAll('.keys button');
          const shown = async () => {
            await new Promise(done => setTimeout(done, 300));
            return [...new Set(f.data.filter(t => t.meta && t.visible !== 'legendonly').map(t => t.meta))];
          };
          const found = [[...keys].map(key => key.textContent), await shown()];
          keys[0].click();
          found.push(await shown());
          keys[0].dispatchEvent(new MouseEvent('dblclick', {bubbles: true}));
          found.push(await shown());
          keys[1].click();
          found.push(await shown());
          return found;
        })()""",
        """(async () => {
          Plotly.Fx.hover(document.querySelector('#figure4'), {xval: 819200}, 'xy');
          await new Promise(done => setTimeout(done, 300));
          return [...document.querySelectorAll('#figure4 .hoverlayer text')].map(t => t.textContent).join(' | ');
        })()""",
        """(async () => {
          const saved = [], make = URL.createObjectURL;
          let blob;
          URL.createObjectURL = one => { if (one.type === 'text/csv') blob = one; return make(one); };
          HTMLAnchorElement.prototype.click = function () { saved.push(this); };
          const tools = document.querySelector('#figure4').previousElementSibling;
          for (const button of tools.querySelectorAll('.files button')) button.click();
          while (saved.length < 3) await new Promise(done => setTimeout(done, 50));
          return [saved.map(a => [a.download, a.href.slice(0, 14)]), await blob.text()];
        })()""",
        TEXTS,
    ], tmp_path / "profile", width, dark)
    assert errors == []
    drawn, title, wide, _, (last, axis), moved, _, plays, back, legend, hover, saved, found = answers
    names = [EVIL, "b"]
    assert legend == [[f"● {name}" for name in names], names, ["b"], [EVIL], names]
    assert "step" in hover and EVIL in hover and "b: " in hover
    assert low_contrasts(found) == []
    files, table = saved
    assert {name.rpartition(".")[2] for name, _ in files} == {"png", "svg", "csv"}
    assert ("data:image/png" in {href for _, href in files}) and table.startswith("plot,series,x,y\n")
    assert table.count("\n") > 1000 and "\nReturn," in table
    assert all(count > 0 for count in drawn)
    assert title == EVIL and wide <= width
    assert last == pytest.approx(400 * 1.5 / 60) and "minutes of training" in axis
    assert moved == [False, 60, 1.2] and plays == "plays"
    assert back == ("rgb(21, 24, 28)" if dark else "rgb(255, 255, 255)")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_text_is_there_at_once_and_the_figure_that_is_looked_at_is_drawn_first(tmp_path):
    figures = [dashboards.learning(curves()) for _ in range(4)]
    (tmp_path / "page.html").write_text(page("title", [], [Section("all", "", figures)]))
    watch = ("window.order = []; new MutationObserver(changes => { for (const {target} of changes)"
             "if (target.matches('.js-plotly-plot') && !order.includes(target.id)) { order.push(target.id);"
             "scrollTo(0, document.body.scrollHeight); } })"
             ".observe(document, {subtree: true, attributeFilter: ['class']});")
    (order, painted, library), errors = visit(tmp_path / "page.html", [
        "order", "performance.getEntriesByName('first-contentful-paint')[0].startTime",
        "performance.getEntriesByType('navigation')[0].domInteractive"], tmp_path / "profile", before=watch)
    assert errors == []
    assert order == ["figure0", "figure3", "figure2", "figure1"]
    assert painted < library / 2


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
@pytest.mark.parametrize(("width", "lines"), [(1280, 1), (400, 2)])
def test_a_sentence_over_a_figure_takes_the_width_there_is(tmp_path, width, lines):
    path = tmp_path / "page.html"
    path.write_text(page("run", [], [Section("Optimizer", "", [dashboards.optimizer([curves()])])]))
    (notes, over, under), errors = visit(path, [
        "document.querySelector('.figure').layout.annotations.filter(n => /^above/.test(n.name)).map(n => n.text)",
        "Math.max(...[...document.querySelectorAll('.updatemenu-button')].map(b => b.getBoundingClientRect().bottom))",
        "document.querySelector('.annotation[data-index=\"0\"]').getBoundingClientRect().top",
    ], tmp_path / "profile", width=width)
    assert not errors and len(notes) == lines and " ".join(notes).count("Nothing unhealthy in the last fifth") == 1
    assert 0 < under - over < 60 + 18 * lines  # no hole is left
