"""Arguments of the wrong type, as a form's fields may have them, end in a sentence."""

from typing import Any

import numpy as np
import pytest
from helpers import TINY

from colab_rl import UsageError, bench, evaluate, push, render, report, status, sweep, train, verify
from colab_rl.arguments import checked
from colab_rl.colab import session
from colab_rl.colab.cells import choose_run, set_up, show_dashboards, train_live
from colab_rl.settings import parse_settings


@pytest.mark.parametrize(("call", "sentence"), [
    (lambda: train(5), "run is text, not 5"),
    (lambda: train("a", env=3), "env is text or a function, not 3"),
    (lambda: train("a", seed=1.5), "seed is a whole number or text, not 1.5"),
    (lambda: train("a", seed=True), "seed is a whole number or text, not True"),
    (lambda: train("a", seed="x"), "setting seed takes a whole number"),
    (lambda: train("a", settings="gamma=1"), "settings is names and values in braces, not 'gamma=1'"),
    (lambda: train("a", settings={3: 3}), "unknown setting 3"),
    (lambda: status(5), "run is text, not 5"),
    (lambda: verify(5), "run is text, not 5"),
    (lambda: push(["a"]), "run is text"),
    (lambda: push("a", store=5), "store is text or a path, not 5"),
    (lambda: bench(5), "env is text or a function, not 5"),
    (lambda: train_live("a", "none", settings=["gamma"]), "settings is names and values"),
    (lambda: train_live(["a"], "none"), "run is text"),
    (lambda: train_live("a", 5), "store is text"),
    (lambda: session.connect(5), "store is text"),
    (lambda: set_up("none", verify="yes"), "verify is True or False, not 'yes'"),
    (lambda: choose_run(7, "none"), "run is text"),
    (lambda: show_dashboards("a", compare=3), "compare is text"),
    (lambda: report(["a", 3]), r"runs is text or a list of text, not \['a', 3\]"),
    (lambda: evaluate("a", episodes="many"), "episodes is a whole number"),
    (lambda: render("a", size="wide"), "size is a whole number, not 'wide'"),
    (lambda: render("a", speed="fast"), "speed is a number, not 'fast'"),
    (lambda: render("a", against="b:1"), "against is a list of text, not 'b:1'"),
    (lambda: render("a", checkpoint=1.5), "checkpoint is text or a whole number, not 1.5"),
    (lambda: session.finish("a", "none", "now"), "keep the machine or unmount Drive or give the machine back"),
])
def test_the_sentence(call, sentence, tmp_path, monkeypatch):
    monkeypatch.setenv("COLAB_RL_ROOT", str(tmp_path / "runs"))
    with pytest.raises(UsageError, match=sentence):
        call()
    assert not (tmp_path / "runs").exists()


def test_what_a_number_is_elsewhere_is_one_here(tmp_path):
    with pytest.raises(UsageError, match="no run 'a'"):
        evaluate("a", episodes=np.int64(3), seed=np.int64(0), root=tmp_path, store="none")


@pytest.mark.parametrize("number", [100.0, np.float64(1e2), np.int64(100)])
def test_a_whole_number_arrives_as_an_int_and_the_rest_as_it_was(number):
    @checked
    def function(a: int, b: int | None, *rest: Any, c: str | int = 0, d: float = 0.5, e: int | float = 0,
                 **options: Any) -> tuple:
        return a, b, rest, c, d, e, options

    found = function(number, None, number, 2.0, c=number, d=number, e=number, f=number)
    assert found == (100, None, (100, 2.0), 100, 100, 100, {"f": 100})
    assert type(found[0]) is type(found[3]) is int
    assert all(value is number for value in (found[2][0], *found[4:6], found[6]["f"]))
    assert function(b=number, a=3.0) == (3, 100, (), 0, 0.5, 0, {})


def test_a_whole_float_is_a_number_of_episodes_and_a_seed(tmp_path):
    train("a", env="CartPole-v1", total_steps=1e2, seed=3.0, root=tmp_path, store="none",
          settings={**parse_settings(TINY), "score_episodes": 0})
    assert len(evaluate("a", episodes=2e0, root=tmp_path, store="none").returns) == 2
    with pytest.raises(UsageError, match="CartPole-v1 takes no keyword argument 'x'"):
        sweep("s", env="CartPole-v1", env_kwargs={"x": 1}, seeds=3.0, root=tmp_path, store="none")
