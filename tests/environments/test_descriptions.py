"""What an environment looks like is described, and what cannot be used is refused by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.classic_control import CartPoleEnv
from stepping import Small, describe_once

from colab_rl.environments import describe, make_environment
from colab_rl.environments.make import configured, named_source
from colab_rl.environments.seeds import begin_episode
from colab_rl.errors import EnvironmentFault, UsageError

# The environments defined below reach the workers by value, as those of a notebook's cell do.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def with_spaces(observations: spaces.Space, actions: spaces.Space) -> Callable[[], gymnasium.Env]:
    class Odd(Small):
        observation_space = observations
        action_space = actions

    return lambda: Odd()


FLAT, TWO = spaces.Box(-1, 1, (3,)), spaces.Discrete(2)


@pytest.mark.parametrize(("observations", "actions", "reason"), [
    (spaces.Text(5), TWO, "Text has no fixed number of values.*FlattenObservation"),
    (spaces.Dict({"a": FLAT, "b": spaces.Sequence(TWO)}), TWO, "Sequence has no fixed"),
    (spaces.Graph(FLAT, FLAT), TWO, "Graph has no fixed"),
    (FLAT, spaces.Tuple([TWO, spaces.Text(3)]), "Text has no fixed"),
    (spaces.Box(-1, 1, (0,)), TWO, "observations of length 0"),
    (spaces.Box(0, 255, (0, 3), np.uint8), TWO, "observations of length 0"),
    (FLAT, spaces.Box(0, 9, (2,), np.int64), "takes no Box of whole numbers as an action: make it MultiDiscrete"),
    (FLAT, spaces.Dict(a=FLAT, b=spaces.Box(0, 255, (2,), np.uint8)), "or a Box of a float type, which `step` rounds"),
    (FLAT, spaces.Box(np.arange(40), np.arange(40) + 9, (40,), np.int64), "Box of whole numbers"),
    (FLAT, spaces.Tuple([TWO, FLAT]), "not both in one action"),
    (FLAT, spaces.Box(-1, 1, (0,)), "actions of length 0"),
    (FLAT, spaces.Dict(), "actions of length 0"),
], ids=str)
def test_spaces_that_are_not_supported_are_refused_by_name(observations, actions, reason):
    with pytest.raises(UsageError, match=reason) as caught:
        describe(with_spaces(observations, actions))
    assert "\n" not in str(caught.value)


def test_an_environment_without_spaces_is_refused():
    class Bare(gymnasium.Env):
        pass

    with pytest.raises(UsageError, match="Bare has None as its observation_space"):
        describe(Bare)


def test_an_environment_that_cannot_be_closed_is_described():
    class Unclosable(CartPoleEnv):
        def close(self):
            raise RuntimeError("no closing")

    assert describe(Unclosable).observation.shape[0] == 4


@pytest.mark.parametrize(("made", "words"), [(None, "None, .*lack a return"), (3, "int, "), (Small, "ABCMeta|type, ")],
                         ids=["None", "number", "class"])
def test_a_function_that_makes_no_environment_is_named(made, words):
    with pytest.raises(UsageError, match=rf"<lambda> returned {words}") as caught:
        describe(lambda: made)
    assert "not a Gymnasium environment" in str(caught.value) and "\n" not in str(caught.value)


def test_descriptions_say_what_an_environment_looks_like():
    walker, pole = describe_once("BipedalWalker-v3"), describe_once("CartPole-v1")
    assert (walker.observation.shape[0], walker.discrete, walker.action_dim) == (24, False, 4)
    assert walker.action_low.tolist() == [-1] * 4 and walker.action_high.tolist() == [1] * 4
    assert (pole.observation.shape[0], pole.discrete, pole.action_dim, pole.first_action) == (4, True, 2, 0)


@pytest.mark.parametrize(("env_id", "near"), [
    ("BipedalWalke-v3", "BipedalWalker-v3"), ("bipedalwalker-v3", "BipedalWalker-v3"), ("CartPol-v1", "CartPole-v1"),
    ("LunarLander-v2", "LunarLander-v3"), ("CartPole-v9", "CartPole-v1"), ("Cart Pole!", "CartPole-v1"), ("", "''"),
    ("no_such_module_of_mine:Env-v0", "named 'no_such_module_of_mine' is found; give the command in its folder"),
    (":CartPole-v1", "':CartPole-v1' names no module before its colon"), (".mine:Env-v0", "names no module"),
])
def test_an_unknown_environment_names_what_is_near(env_id, near):
    with pytest.raises(UsageError, match=near):
        make_environment(env_id)


@pytest.mark.parametrize(("name", "words"), [
    ("mak", "unknown environment 'makers_of_mine:mak'; did you mean 'makers_of_mine:make'?"),
    ("Pol", "unknown environment 'makers_of_mine:Pol'; did you mean 'makers_of_mine:Pole'?"),
    ("KINDS", "makers_of_mine:KINDS is a dict, and no function that makes an environment"),
    ("Mine-v1", "unknown environment 'makers_of_mine:Mine-v1'; did you mean 'Mine-v0'"),
    ("zzz", "unknown environment 'makers_of_mine:zzz'")])
def test_what_a_module_does_not_have_names_what_is_near_in_it(tmp_path, monkeypatch, name, words):
    (tmp_path / "makers_of_mine.py").write_text(
        "import gymnasium\nKINDS = {}\n_mak = print\ndef make(): return gymnasium.make('CartPole-v1')\n"
        "class Pole: pass\ngymnasium.register('Mine-v0', make)\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        with pytest.raises(UsageError) as caught:
            make_environment(named_source(f"makers_of_mine:{name}"))
    finally:
        gymnasium.registry.pop("Mine-v0", None)
        sys.modules.pop("makers_of_mine")
    assert str(caught.value).startswith(words)


class Drawn(CartPoleEnv):
    metadata = {"render_modes": ["rgb_array"]}


def strict(**kwargs: Any) -> gymnasium.Env:
    assert not kwargs, "there is nothing to choose"
    return Drawn()


@pytest.mark.parametrize("source", [lambda **kwargs: Drawn(**kwargs),
                                    lambda **others: gymnasium.make("CartPole-v1", **others),
                                    lambda **kwargs: CartPoleEnv(**{**kwargs, "render_mode": "rgb_array"}),
                                    lambda **kwargs: CartPoleEnv("rgb_array", **kwargs),
                                    lambda render_mode=None: Drawn(render_mode=render_mode)])
def test_a_function_of_any_keyword_arguments_is_given_the_render_mode(source):
    assert make_environment(source, render_mode="rgb_array").render_mode == "rgb_array"
    wrapped = configured(source, {}, ["TimeLimit(5)"])
    assert make_environment(wrapped, render_mode="rgb_array").render_mode == "rgb_array"


@pytest.mark.parametrize("source", [strict, lambda **kwargs: Drawn(), lambda: Drawn()])
def test_one_that_does_not_take_it_is_told_what_to_give(source):
    with pytest.raises(EnvironmentFault, match=r"does not render as rgb_array; give env=a function that makes it"):
        make_environment(source, render_mode="rgb_array")


@pytest.mark.parametrize(("code", "words"), [
    ("import sys; sys.exit(3)", "SystemExit: 3"),
    ("import sys; sys.exit('usage:\\n  nothing')", "SystemExit: usage: nothing"),
    ("raise RuntimeError('no display here')", "RuntimeError: no display here")], ids=["code", "text", "error"])
def test_a_module_that_cannot_be_imported_says_why(tmp_path, monkeypatch, code, words):
    (tmp_path / "module_of_mine.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvironmentFault, match=rf"^module_of_mine:Env-v0 could not be made: {words} "
                       rf"\({tmp_path}/module_of_mine.py, line 1\)$"):
        make_environment("module_of_mine:Env-v0")


def test_a_fresh_world_keeps_the_gravity_of_its_environment():
    environment = make_environment("BipedalWalker-v3")
    environment.unwrapped.world.gravity = (0, -1)
    begin_episode(environment, 3)
    assert tuple(environment.unwrapped.world.gravity) == (0, -1)
