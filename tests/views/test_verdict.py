"""What a report opens with, what it films, and how it says that a run was made."""

from __future__ import annotations

import dataclasses
import html
import re
import shlex

import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv
from helpers import TINY, make_line

import colab_rl
from colab_rl.cli import main
from colab_rl.runs.identity import Identity
from colab_rl.runs.places import Places
from colab_rl.settings import parse_keywords, parse_settings
from colab_rl.views.report import build_page
from colab_rl.views.report.films import telling_episodes
from colab_rl.views.report.settings_table import command_of, made_of
from colab_rl.views.report.verdict import NO_GOAL, NOT_SOLVED, NOT_SURE, SOLVED, Judged, verdict_of

SHOWN, NEWEST = (one.manifest for one in make_line(2))


def judged(returns, mishaps=()) -> Judged:
    wrong = np.isin(np.arange(len(returns)), mishaps)
    return Judged(np.array(returns, float), "falls", wrong, 0, "today", [
        {"generation": 1, "step": 100, "mean": 311.2, "episodes": 20, "seed": 2_000_000},
        {"generation": 2, "step": 200, "mean": 299.0, "episodes": 20, "seed": 2_000_000}])


def identity_of(name="run", env_id="Walker", target=None, **changes) -> Identity:
    return Identity(**{**dict(
        name=name, run_id="1", created="", env_id=env_id, algorithm="ppo", backend="gymnasium", device="cpu", threads=1,
        config={"seed": 0, "target_score": target}, spaces={}, versions={}), **changes})


@pytest.mark.parametrize(("returns", "goal", "kind", "first"), [
    ([310.0, 312.0] * 50, 300, SOLVED,
     "Walker is solved: 311.0 (95 % interval 310.8 to 311.2, 100 episodes), and 300 is enough."),
    ([290.0, 292.0] * 50, 300, NOT_SOLVED, "Walker is not solved: 291.0"),
    ([305.0] * 90 + [-90.0] * 10, 300, NOT_SOLVED, "Walker is not solved: 265.5"),
    ([312.0] * 97 + [-90.0] * 3, 300, NOT_SURE, "Walker may be solved, and these episodes cannot tell"),
    ([310.0] * 100, None, NO_GOAL, "Score 310.0"),
])
def test_it_is_solved_only_if_the_interval_says_so(returns, goal, kind, first):
    verdict = verdict_of(identity_of(), SHOWN, NEWEST, judged(returns), goal)
    assert verdict.kind == kind and verdict.sentences[0].startswith(first)


def test_it_counts_what_went_wrong_and_says_where_it_stands_and_what_to_do():
    done = dataclasses.replace(NEWEST, finished=True)
    verdict = verdict_of(identity_of(), SHOWN, done, judged([310.0] * 90 + [-90.0] * 10, range(90, 100)), 300)
    text = " ".join(verdict.sentences)
    assert "Falls in 10 of 100 episodes, 10 of 100 below 300, the worst is -90.0." in text
    assert "This is generation 1, saved at step 100 of 200." in text
    assert "among the 2 best generations (1 with 311.2, 2 with 299.0, over 20 other episodes each)" in text
    assert text.endswith("`python -m colab_rl train run --total-steps 20000` trains it longer. Look below at an "
                         "episode that went wrong.")
    assert "has not ended" in verdict_of(identity_of(), SHOWN, NEWEST, judged([310.0] * 9), 300).sentences[-1]
    names = verdict_of(identity_of("<b>", env_id="<i>"), SHOWN, done, judged([310.0] * 9), 300).html()
    assert "<b>" not in names and "<i>" not in names
    assert "<code>python -m colab_rl render &#x27;&lt;b&gt;&#x27;</code>" in names


FUNCTION = {"env_id": "custom:make", "env_is_function": True}


@pytest.mark.parametrize(("identity", "goal", "options", "sentence"), [
    (identity_of(), 400, " --root '/tmp/my runs' --store none",
     "`python -m colab_rl train run --total-steps 20000 --root '/tmp/my runs' --store none` trains it longer."),
    (identity_of(), 300, " --store none", "`python -m colab_rl render run --store none` films it, and "
     "`python -m colab_rl export run --store none` makes a folder to take away."),
    (identity_of(**FUNCTION, env_path="mine:make"), 400, " --root r",
     "`python -m colab_rl train run --env mine:make --total-steps 20000 --root r` trains it longer."),
    (identity_of(**FUNCTION), 400, " --root 'my runs'",
     "`colab_rl.train('run', env=..., total_steps=20000, root='my runs')` in Python trains it longer."),
    (identity_of(**FUNCTION), 300, "", "`colab_rl.render('run', env=...)` in Python films it, and "
     "`colab_rl.export('run', env=...)` in Python makes a folder to take away."),
    (identity_of(target=250.0), 400, " --root r",
     "`python -m colab_rl train run-longer --from run:2 --set target_score=none --total-steps 20000 --root r` trains "
     "it longer, as a new run. run itself stops at once, since it reached its target_score of 250."),
    (identity_of(target=250.0, **FUNCTION), 400, "",
     "`colab_rl.train('run-longer', env=..., origin='run:2', settings={'target_score': None}, total_steps=20000)` in "
     "Python trains it longer, as a new run. run itself stops at once, since it reached its target_score of 250."),
])
def test_what_to_do_next_is_a_command_that_works(identity, goal, options, sentence):
    done = dataclasses.replace(NEWEST, finished=True)
    verdict = verdict_of(identity, SHOWN, done, judged([310.0, 312.0] * 9), goal, options)
    assert verdict.sentences[-1] == f"Next: {sentence}"


def test_a_run_that_reached_its_target_trains_longer_by_the_command_that_the_report_names(tmp_path):
    options = {"root": tmp_path, "store": "none"}
    settings = {**parse_settings(TINY), "target_score": 9.0, "eval_every": 1}
    first = colab_rl.train("pole", env="CartPole-v1", backend="gymnasium", total_steps=2000, settings=settings,
                           **options)
    page = html.unescape(build_page(["pole"], episodes=3, **options))
    command = re.search("Next: <code>python -m colab_rl (.*?)</code>", page)[1]
    assert main(shlex.split(command.replace("--total-steps 4000", f"--total-steps {first.step + 64}"))) == 0
    assert Places(**options).require("pole-longer").config["target_score"] is None


def test_a_function_is_called_by_its_name():
    own = identity_of(env_id="custom:make", env_is_function=True)
    for goal, words in ((None, "make names no score"), (300, "make is not solved")):
        first = verdict_of(own, SHOWN, NEWEST, judged([1.0, 2.0, 3.0]), goal).sentences[0]
        assert words in first and "custom:" not in first


def test_the_median_and_the_first_mishap_are_filmed_or_the_worst():
    assert telling_episodes(judged([5.0, 1.0, 4.0, 3.0, 2.0], [4, 1])) == {
        "the median episode": 3, "the first of 2 falls": 1}
    assert telling_episodes(judged([5.0, 1.0], [1])) == {"the median episode": 1, "the only episode with falls": 1}
    assert telling_episodes(judged([5.0, 1.0, 4.0, 3.0, 2.0])) == {"the median episode": 3, "the worst episode": 1}


def test_the_command_gives_the_environment_the_same_keyword_arguments():
    given = {"stiffness": [5], "size": "5", "flat": "true", "level": "8x8", "gravity": -9.8, "continuous": True}
    identity = Identity(name="pole", run_id="1", created="", env_id="Pole-v1", algorithm="ppo", backend="gymnasium",
                        device="cpu", threads=1, config={"seed": 0}, spaces={}, versions={}, env_kwargs=given)
    words = shlex.split(command_of(identity))
    assert parse_keywords(words[words.index("--env-set") + 1:words.index("--algo")]) == given
    [(_, [shown]), *_] = made_of([(identity, None)]).table.rows
    assert shown.startswith('Pole-v1 stiffness=[5] size="5" flat="true"')


def test_a_report_opens_with_the_verdict_and_ends_with_the_command_that_makes_the_run(tmp_path):
    settings = {**parse_settings(TINY), "gamma": 0.95}
    result = colab_rl.train("pole", env="CartPole-v1", backend="gymnasium", seed=5, total_steps=300, settings=settings,
                            root=tmp_path)
    page = html.unescape(build_page(["pole"], episodes=3, root=tmp_path))
    text = re.sub("<style>.*?</style>", "", page, flags=re.DOTALL)
    order = [text.index(words) for words in ("<h1>pole", "CartPole-v1 is not solved", "<dl>", ">Films</h2>",
                                             ">Score</h2>", ">Learning</h2>", ">Settings</h2>")]
    assert order == sorted(order)
    assert f"{result.confirmed.mean:.1f} (95 % interval {result.confirmed.low:.1f}" in text
    assert text.count("<video ") == 2 and "gamma</th><td>0.95 (not the preset's)" in text
    identity = Places(tmp_path).require("pole")
    command = command_of(identity)
    assert command in text
    words = command.split()
    again = colab_rl.train("again", env=words[words.index("--env") + 1], algo=words[words.index("--algo") + 1],
                           backend=words[words.index("--backend") + 1], seed=words[words.index("--seed") + 1],
                           settings=parse_settings(words[words.index("--set") + 1:]), root=tmp_path)
    assert again.state_sha256 == result.state_sha256


@pytest.mark.parametrize("schedule", ["constant", "linear"])
def test_the_command_of_an_extended_run_trains_as_far(tmp_path, schedule):
    settings = {**parse_settings(TINY), "learning_rate_schedule": schedule}
    colab_rl.train("pole", env="CartPole-v1", backend="gymnasium", total_steps=128, settings=settings, root=tmp_path)
    result = colab_rl.train("pole", total_steps=256, root=tmp_path)
    page = html.unescape(build_page(["pole"], episodes=0, root=tmp_path))
    command, _, note = re.search('<pre class="command">(.*?)</pre>', page)[1].partition("   # ")
    assert "total_steps=256 " in command and "total_steps</th><td>256 (not the preset's)" in page
    words = shlex.split(command)
    again = colab_rl.train("again", env="CartPole-v1", backend="gymnasium", root=tmp_path,
                           settings=parse_settings(words[words.index("--set") + 1:]))
    assert again.step == result.step
    assert (again.state_sha256 == result.state_sha256) is (schedule == "constant")
    assert note == ("" if schedule == "constant" else "the run began with total_steps=128 and was extended: "
                    "one command gives other bits")


class Generous(CartPoleEnv):
    """Each step is worth a hundred."""

    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, 100 * reward, *rest


def test_in_a_comparison_an_environment_is_for_the_runs_that_train_on_a_function(tmp_path):
    settings = {**parse_settings(TINY), "score_episodes": 0}
    for name, env in (("own", lambda: Generous()), ("pole", "CartPole-v1")):
        colab_rl.train(name, env=env, backend="gymnasium", total_steps=256, settings=settings, root=tmp_path)
    page = html.unescape(build_page(["own", "pole"], episodes=2, env=lambda: Generous(), root=tmp_path))
    scores = [colab_rl.evaluate(name, env=env, episodes=2, root=tmp_path).returns.mean()
              for name, env in (("own", lambda: Generous()), ("pole", None))]
    assert scores[0] >= 500 > scores[1] and all(f"{score:.1f}" in page for score in scores)
