"""`load_policy`: its actions are the evaluation's, and what it is given is looked at."""

import html.parser
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from policy_kinds import KINDS

from colab_rl import ColabRLError, UsageError, evaluate, load_policy, status, train
from colab_rl.evaluation.intervals import bootstrap_interval
from colab_rl.policies.load import score_of
from colab_rl.policies.policy import Score, as_sampled

OLD = Path(__file__).parents[1] / "data" / "runs-0.1.0"


def episode(policy, environment, seed):
    """The return of an episode in which the policy acts, one observation after another."""
    policy.reset()
    obs, _ = environment.reset(seed=seed)
    total, done = 0.0, False
    while not done:
        action = policy(obs)
        assert type(action) is type(environment.action_space.sample())
        assert action.dtype == environment.action_space.dtype and action in environment.action_space
        obs, reward, terminated, truncated, _ = environment.step(action)
        total += float(reward)
        done = terminated or truncated
    return total


@pytest.mark.parametrize("kind", ["discrete", "continuous", "sac", "own", "wide"])
def test_its_returns_are_those_of_evaluate(trained, kind):
    options = trained(kind)
    expected = evaluate(**options, episodes=20, seed=5).returns
    policy, environment = load_policy(**options), gymnasium.make(KINDS[kind][0])
    assert [episode(policy, environment, 5 + i) for i in range(20)] == list(expected)


def test_a_walker_is_loaded_with_the_returns_of_evaluate():
    """Box2D's world is fresh in each environment, as in each evaluation episode."""
    options = {"run": "ppo-gymnasium-walker", "root": OLD, "store": "none"}
    expected = evaluate(**options, episodes=2).returns
    policy = load_policy(**options)
    assert [episode(policy, gymnasium.make("BipedalWalker-v3"), seed) for seed in range(2)] == list(expected)


@pytest.mark.parametrize("kind", ["discrete", "continuous", "sac", "own"])
def test_a_row_of_a_batch_is_acted_on_as_if_alone(trained, kind):
    policy = load_policy(**trained(kind))
    rows = np.random.default_rng(0).normal(size=(17, *policy.spaces.observation.shape)).astype(np.float32)
    assert np.array_equal(policy(rows), np.stack([policy(row) for row in rows]))
    assert policy(rows).shape == (17, *policy.spaces.action_shape)
    assert policy(rows[:0]).shape == (0, *policy.spaces.action_shape)
    assert np.array_equal(policy(rows.astype(np.float64)), policy(rows))
    assert np.array_equal(policy(rows[0].tolist()), policy(rows[0]))
    values = policy.value(rows)
    assert values.shape == (17,) and policy.value(rows[3]) == pytest.approx(values[3], rel=1e-5)


def test_it_draws_if_asked_and_the_same_each_time(trained):
    rows = np.zeros((500, 4), np.float32)
    likeliest = load_policy(**trained("discrete"))
    drawing = load_policy(**trained("discrete"), deterministic=False)
    assert likeliest.deterministic and not drawing.deterministic
    drawn = drawing(rows)
    assert set(drawn) == {0, 1} and len(set(likeliest(rows))) == 1
    assert np.array_equal(likeliest(rows, deterministic=False), drawn)
    assert np.array_equal(drawing(rows, deterministic=True), likeliest(rows))


def test_which_checkpoint(trained):
    options = trained("discrete")
    latest = load_policy(**options, checkpoint="latest")
    number = latest.about["provenance"]["generation"]
    assert load_policy(**options, checkpoint=number).about == latest.about
    assert latest.about["provenance"]["step"] >= load_policy(**options).about["provenance"]["step"]
    with pytest.raises(UsageError, match="generation 99 not found"):
        load_policy(**options, checkpoint=99)


def test_the_score_says_over_which_episodes_it_was_confirmed(trained):
    options = trained("discrete")
    policy = load_policy(**options)
    score, result = policy.score, evaluate(**options, episodes=3)
    assert score == result.returns.mean() and score.std == result.returns.std()
    assert (score.episodes, score.seed) == (3, 0) and (score.low, score.high) == bootstrap_interval(result.returns)
    assert str(score) == (f"{score:.2f} +- {score.std:.2f} over 3 episodes, seeds 0 to 2, "
                          f"95 % interval {score.low:.2f} to {score.high:.2f}")
    assert load_policy(**options, checkpoint=1).score is None
    assert "not evaluated yet" in repr(load_policy(**options, checkpoint=1))


def test_a_score_whose_episodes_chose_the_checkpoint_says_that_it_is_not_confirmed(trained):
    options = trained("discrete")
    best = load_policy(**options).about["provenance"]["generation"]
    [found] = status(options["run"], root=options["root"], store="none")
    other = next(row.generation for row in found.checkpoints if row.score is not None and row.generation != best)
    score = load_policy(**options, checkpoint=other).score
    result = evaluate(**options, checkpoint=other, episodes=2, seed=1_000_000)
    assert score == result.returns.mean() and score.low is None and score.seed == 1_000_000
    assert str(score).endswith("seeds 1000000 to 1000001, not confirmed: evaluate scores it on fresh ones")


def test_the_score_of_an_old_run_with_a_target_leaves_out_what_was_not_kept():
    assert str(Score(1.5, 0.25)) == "1.50 +- 0.25"
    old = {"metrics/1.csv": b"evaluation/std\n0.25\n"}  # no column of how many episodes there were
    for target, episodes in ((None, 20), (0.0, None), (300.0, None)):
        identity: Any = SimpleNamespace(config={"target_score": target, "eval_episodes": 20})
        checkpoint: Any = SimpleNamespace(manifest=SimpleNamespace(score=1.5), contents=old)
        assert score_of(identity, checkpoint, None)["episodes"] == episodes


@pytest.mark.parametrize(("obs", "said"), [
    (np.zeros(5, np.float32), r"has shape \(4,\), a batch of them \(B, 4\), and this has \(5,\)"),
    (np.zeros((2, 3, 4)), r"this has \(2, 3, 4\)"), (3.0, r"this has \(\)"),
    (np.zeros(4, complex), "complex128"), (["a", "b", "c", "d"], "<U1"), (None, "object"),
    ([[1.0], [1.0, 2.0]], "object"),
    ([0, 0, np.nan, 0], "holds nan"), ([0, 0, -np.inf, 0], "holds -inf"), ([0, 1e300, 0, 0], "holds inf")])
def test_an_observation_that_is_none_is_refused_in_a_line(trained, obs, said):
    with pytest.raises(UsageError, match=said) as raised:
        load_policy(**trained("discrete"))(obs)
    assert "\n" not in str(raised.value)


def test_a_run_without_a_checkpoint_and_one_that_does_not_verify(trained, root, tmp_path):
    with pytest.raises(UsageError, match="no run 'nobody'"):
        load_policy("nobody", root=root, store="none")
    trained("discrete")
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "run.json").write_bytes((root / "discrete" / "run.json").read_bytes())
    with pytest.raises(ColabRLError, match="bare has no checkpoint yet"):
        load_policy("bare", root=tmp_path, store="none")
    copy = tmp_path / "cut"
    subprocess.run(["cp", "-r", root / "discrete", copy], check=True)
    for path in copy.glob("checkpoints/*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ColabRLError, match=r"none of the \d+ checkpoints of this run is whole"):
        load_policy("cut", root=tmp_path, store="none")


def test_loading_imports_no_box2d():
    program = ("import sys, colab_rl\n"
               f"policy = colab_rl.load_policy('ppo-gymnasium-walker', root={str(OLD)!r}, store='none')\n"
               "policy([0.0] * 24)\n"
               "sys.exit(any(name.lower().startswith(('box2d', 'pygame')) for name in sys.modules))")
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_notebook_shows_a_card_and_no_name_breaks_out_of_it(tmp_path):
    def made():
        return gymnasium.make("CartPole-v1")
    made.__qualname__ = "<script>alert(1)</script>"
    train("odd", env=made, total_steps=64, root=tmp_path, store="none", settings={"num_envs": 2, "num_steps": 32,
          "minibatch_size": 32, "hidden_sizes": (8,), "eval_every": 1, "eval_episodes": 2})
    shown = load_policy("odd", root=tmp_path, store="none")._repr_html_()
    tags, texts = [], []
    parser = html.parser.HTMLParser()
    parser.handle_starttag, parser.handle_data = lambda tag, _: tags.append(tag), texts.append
    parser.feed(shown)
    assert set(tags) == {"table", "caption", "tr", "th", "td"}
    assert {"custom:<script>alert(1)</script>", "mlp, 8, tanh", "4 numbers", "one of 2 choices, 0 to 1"} <= set(texts)


def test_an_action_at_a_bound_that_float32_has_not_is_in_the_space(trained):
    policy, space = load_policy(**trained("wide")), gymnasium.make(KINDS["wide"][0]).action_space
    for bound in (-0.1, 0.1):
        taken = as_sampled(np.array([[bound]], np.float32), policy.spaces.to_json())[0]
        assert taken in space and taken[0] == bound and taken.dtype == space.dtype
