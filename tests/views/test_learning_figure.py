"""The figures of learning: what they draw, and what they say is unhealthy."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from figures import curves, texts, traces

from colab_rl import dashboards, train
from colab_rl.views.dashboards.named import curves_of
from colab_rl.views.dashboards.plots import thinned


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
    empty, second = dashboards.Contender("first", np.zeros(0)), dashboards.Contender("second", np.ones(2))
    without = dashboards.scores([empty, second])
    assert without.data[0].marker.color == figure.data[2].marker.color  # the second one's, as in the table


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


@pytest.mark.parametrize("figure", [dashboards.learning, dashboards.optimizer])
def test_a_line_of_one_number_is_seen(figure):
    lonely = {name: np.where(np.arange(400) == 7, 1.0, np.nan) for name in (
        "policy/entropy", "optimizer/policy/gradient_norm")}
    for run in (curves(rows=1), curves(**lonely)):
        for trace in figure(run).data:
            numbers = sum(y is not None and np.isfinite(y) for y in trace.y)
            assert trace.mode == "markers" or ("markers" in trace.mode) == (numbers == 1)


def test_the_optimizer_is_judged_only_by_rows_in_which_it_worked():
    """SAC collects before it learns: its first rows have no numbers of the optimizer."""
    worked = np.arange(400) >= 398
    waiting = {f"optimizer/{network}/{kind}": np.where(worked, value, np.nan) for network in ("policy", "value")
               for kind, value in {"gradient_norm": 1e9, "clipped_gradient_norm": 1e9, "parameter_norm": 1.0,
                                   "update_norm": 50.0, "adam_first_moment_norm": 0.1,
                                   "adam_second_moment_norm": 0.1, "dead_units": 0.9}.items()}
    said = texts(dashboards.optimizer(curves(**waiting)))
    assert "Too few rows yet" in said and "Nothing unhealthy" not in said
    said = texts(dashboards.optimizer([curves("early", **waiting), curves("later")]))
    assert "Nothing unhealthy in the last fifth of the run: later" in said and "health: early" in said
    assert "infinite" in texts(dashboards.optimizer(curves(**waiting, **{"loss/value": np.full(400, np.inf)})))


def test_what_the_dashes_of_several_runs_mean_is_said():
    t = np.arange(1.0, 11)
    q = {"iteration": t, "step": t, "seconds": t, "q/mean": t, "q/target": t + 1, "q/policy": t + 2, "q/max": t + 3}
    runs = [dashboards.Curves("one", q), dashboards.Curves("two", {**q, "q/mean": t * np.nan})]
    figure = dashboards.learning(runs)
    said = " ".join(re.sub("<[^>]*>", " ", texts(figure)).split())
    assert "— Q, ··· target, - - of the policy's actions, -·- largest" in said
    dashes = {(trace.name, trace.line.dash) for trace in figure.data if trace.legendgroup}
    assert len(dashes) == 4  # also if a run has no numbers in the first column
    assert "—" not in texts(dashboards.learning(runs[0]))
