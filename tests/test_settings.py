"""Settings are read from text, held to their types and ranges, and come back from JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shlex

import pytest

from colab_rl.algorithms.ppo.config import PPOConfig
from colab_rl.algorithms.registry import ALGORITHMS, OTHER_NAMES, algorithm_class, make_config, preset
from colab_rl.errors import UsageError, near
from colab_rl.settings import Config, as_text, keyword_text, parse_keywords, parse_settings, setting, to_json

PRESETS = {(env_id, name): settings for name, algorithm in ALGORITHMS.items()
           for env_id, settings in algorithm.presets.items()}


def read(*assignments: str) -> PPOConfig:
    """What `--set` makes of these."""
    config = make_config("ppo", parse_settings(list(assignments)))
    assert isinstance(config, PPOConfig)
    return config


@pytest.mark.parametrize(("assignment", "value"), [
    ("num_envs=8", 8), ("num_envs= 8 ", 8), ("num_envs=8.0", 8), ("total_steps=1e6", 1_000_000),
    ("total_steps=2_000_000", 2_000_000), ("total_steps=9007199254740993", 2**53 + 1),
    ("learning_rate=1e-3", 1e-3), ("learning_rate=.5", 0.5), ("learning_rate=1", 1.0), ("log_std_init=-0.5", -0.5),
    ("gamma=0", 0.0), ("gamma=1", 1.0),
    ("normalize_rewards=true", True), ("normalize_rewards=TRUE", True), ("normalize_rewards=1", True),
    ("normalize_rewards=yes", True), ("normalize_rewards=False", False), ("normalize_rewards=0", False),
    ("normalize_rewards=no", False),
    ("activation=relu", "relu"), ("activation=ReLU", "relu"), ("best_by=median", "median"),
    ("hidden_sizes=[64, 128, 256]", (64, 128, 256)), ("hidden_sizes=64,128,256", (64, 128, 256)),
    ("hidden_sizes=(64, 128)", (64, 128)), ("hidden_sizes=64, 128,", (64, 128)), ("hidden_sizes=8", (8,)),
    ("target_kl=0.02", 0.02), ("target_kl=none", None), ("target_kl=None", None), ("target_kl=null", None),
    ("target_kl=", None), ("target_score=-200", -200.0),
])
def test_text_becomes_the_fields_type(assignment, value):
    found = getattr(read(assignment), assignment.partition("=")[0])
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("assignment", "says"), [
    ("num_envs=8.5", "a whole number"), ("num_envs=many", "a whole number"), ("num_envs=", "a whole number"),
    ("num_envs=true", "a whole number"), ("num_envs=inf", "a whole number"), ("num_envs=none", "a whole number"),
    ("num_envs=1e999", "a whole number"), ("gamma=high", "a number"), ("gamma=nan", "a number"),
    ("gamma=none", "a number"), ("gamma=0,9", "a number"), ("normalize_rewards=maybe", "true or false"),
    ("normalize_rewards=2", "true or false"), ("hidden_sizes=64,x", "whole numbers such as 64,128,256"),
    ("hidden_sizes=64,1.5", "whole numbers"), ("hidden_sizes=none", "whole numbers"),
    ("target_kl=low", "a number or none"),
])
def test_a_wrong_type_is_said(assignment, says):
    name, _, value = assignment.partition("=")
    with pytest.raises(UsageError, match=f"setting {name} takes {says}.*, not '{value}'"):
        read(assignment)


@pytest.mark.parametrize(("name", "value"), [
    ("num_envs", True), ("num_envs", None), ("num_envs", 2.5), ("num_envs", [1]), ("total_steps", 10**400),
    ("gamma", False), ("gamma", "x"), ("normalize_rewards", 1), ("activation", 3), ("activation", None),
    ("hidden_sizes", 64), ("hidden_sizes", [64, True]), ("hidden_sizes", None), ("target_kl", {}),
], ids=lambda value: str(value)[:12])
def test_a_wrong_type_from_python_is_said(name, value):
    with pytest.raises(UsageError, match=f"setting {name} "):
        make_config("ppo", {name: value})


@pytest.mark.parametrize(("assignment", "hint"), [
    ("gamma=.9, .99", "; to try several, train a sweep: sweep NAME --vary gamma=.9,.99"),
    ("learning_rate=1e-3, gamma=.9", "; on the command line, spaces separate settings"),
    ("num_envs=8,fast", ""), ("num_envs=8,", ""), ("gamma=high", "")])
def test_a_text_of_several_values_says_what_to_do_only_if_that_works(assignment, hint):
    with pytest.raises(UsageError, match=rf"^setting \w+ takes a (whole )?number, not '.*'{re.escape(hint)}$"):
        read(assignment)


@pytest.mark.parametrize(("assignment", "limits"), [
    ("num_envs=0", "at least 1, at most 4096"), ("num_envs=4097", "at most 4096"), ("total_steps=0", "at least 1"),
    ("seed=-1", "at least 0"), ("seed=2147483648", "at most 2147483647"), ("gamma=1.01", "at least 0, at most 1"),
    ("gamma=-0.1", "at least 0"), ("learning_rate=0", "above 0, at most 1"), ("clip_range=0", "above 0"),
    ("keep_last=1", "at least 2"), ("minibatch_size=1", "at least 2"), ("hidden_sizes=64,0", "at least 1"),
    ("hidden_sizes=8193", "at most 8192"), ("target_kl=0", "above 0"), ("eval_episodes=10001", "at most 10000"),
    ("log_std_init=-6", "at least -5, at most 2"), ("ent_coef=-1", "at least 0"),
])
def test_a_value_out_of_range_is_refused_with_the_range(assignment, limits):
    with pytest.raises(UsageError, match=f"setting {assignment.partition('=')[0]} = .* out of range .*{limits}"):
        read(assignment)


def test_a_buffer_larger_than_any_machine_is_out_of_range():
    with pytest.raises(UsageError, match=f"out of range .at least 2, at most {10**12}"):
        make_config("sac", {"buffer_size": 10**13})


@pytest.mark.parametrize("name", ["activation", "best_by", "learning_rate_schedule"])
def test_a_choice_lists_what_there_is(name):
    choices = next(field for field in dataclasses.fields(PPOConfig) if field.name == name).metadata["choices"]
    with pytest.raises(UsageError, match=", ".join(choices) + ", not 'nothing'"):
        read(f"{name}=nothing")
    for choice in choices:
        assert getattr(read(f"{name}={choice}"), name) == choice


@pytest.mark.parametrize(("name", "near"), [
    ("learning_rat", "learning_rate"), ("Gamma", "gamma"), ("n_envs", "num_envs"), ("clip", "clip_range"),
    ("hidden_size", "hidden_sizes")])
def test_an_unknown_setting_names_the_nearest(name, near):
    with pytest.raises(UsageError, match=f"unknown setting '{name}' of ppo; did you mean .*'{near}'"):
        read(f"{name}=1")


def test_a_setting_of_another_algorithm_names_it():
    with pytest.raises(UsageError, match=r"unknown setting 'update_epochs' of sac; it is one of ppo \(all of them"):
        make_config("sac", {"update_epochs": 4})


def test_nothing_near_is_no_hint():
    with pytest.raises(UsageError, match=r"unknown setting 'zzzz' of ppo \(all of them"):
        read("zzzz=1")


def test_an_unknown_algorithm_lists_those_there_are():
    with pytest.raises(UsageError, match=r"unknown algorithm 'pp0'; did you mean 'ppo'\? \(choose from ppo"):
        algorithm_class("pp0")


@pytest.mark.parametrize("assignment", ["gamma", "=1", " =1", ""])
def test_set_takes_key_and_value(assignment):
    with pytest.raises(UsageError, match="key=value"):
        parse_settings([assignment])


def test_the_value_may_hold_an_equals_sign():
    assert parse_settings(["a = b=c ", "d="]) == {"a": "b=c", "d": ""}


@pytest.mark.parametrize(("env_id", "algorithm"), PRESETS)
def test_every_preset_is_a_valid_config(env_id, algorithm):
    config = make_config(algorithm, preset(env_id, algorithm))
    for name, value in preset(f"module:{env_id}", algorithm).items():
        assert getattr(config, name) == value


def test_what_is_far_is_not_suggested():
    assert near("nothing", ["tiny"]) == near("side", ["episode"]) == near("lam", ["gamma"]) == []
    assert near("size", ["stack_size", "sized"]) == ["sized", "stack_size"]
    assert near("gym", ["gymnasium"]) == ["gymnasium"]


def test_a_preset_cannot_be_changed_by_who_asks():
    before = dict(preset("CartPole-v1", "ppo"))
    preset("CartPole-v1", "ppo")["gamma"] = 0
    assert preset("CartPole-v1", "ppo") == before
    assert preset("Unknown-v0", "ppo") == {}


@pytest.mark.parametrize(("algorithm", "settings"), [
    ("ppo", {}), ("sac", {}), ("tqc", {}), *((algorithm, settings) for (_, algorithm), settings in PRESETS.items()),
    ("ppo", {"hidden_sizes": [], "target_score": 300, "target_kl": 0.015, "normalize_rewards": False}),
], ids=lambda value: value if isinstance(value, str) else str(len(value)))
def test_a_config_comes_back_from_json(algorithm, settings):
    config = make_config(algorithm, settings)
    assert make_config(algorithm, json.loads(json.dumps(to_json(config)))) == config


@pytest.mark.parametrize("kind", [algorithm.config_class for algorithm in ALGORITHMS.values()])
def test_every_setting_has_a_default_in_range_and_a_help_text(kind):
    kind()
    assert all(field.metadata["help"] for field in dataclasses.fields(kind))


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        read().gamma = 0.5  # type: ignore[misc]


@pytest.mark.parametrize(("name", "value"), [
    ("wrappers", ("TimeLimit(60)", "MaxAndSkipObservation(skip=2)")), ("wrappers", ()), ("hidden_sizes", (64, 32)),
    ("target_score", None), ("normalize_rewards", False), ("learning_rate", 3e-4)])
def test_a_value_as_text_is_read_back_as_the_same(name, value):
    config = make_config("ppo", {name: value})
    assert getattr(make_config("ppo", {name: as_text(getattr(config, name))}), name) == value
    assert getattr(make_config("ppo", {name: as_text(to_json(config)[name])}), name) == value


def test_a_setting_of_an_own_algorithm_holds_several_numbers():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Own(Config):
        betas: tuple[float, ...] = setting((0.9, 0.999), "of Adam", low=0, high=1)

    assert Own().betas == (0.9, 0.999) and Own(betas=as_text((0.5, 1.0))).betas == (0.5, 1.0)
    assert Own(**to_json(Own())) == Own() and type(Own(betas="[0, 1]").betas[0]) is float
    for wrong in ("0.9,x", "none", 0.9, [True]):
        with pytest.raises(UsageError, match=r"setting betas takes numbers such as 0\.9,0\.999, not "):
            Own(betas=wrong)
    with pytest.raises(UsageError, match=r"betas = 1\.5 is out of range"):
        Own(betas="0.5,1.5")


@pytest.mark.parametrize("value", [
    [5], "5", "true", "None", " a b ", "", "it's \"x\"\n\\", "8x8", "ä€\U0001f600\x7f\u2028", [], ["a", None, True], {},
    {"5": [1.0, "1"]}, True, None, 5, 1e-9, -5.0, math.inf, [-math.inf]], ids=repr)
def test_a_keyword_argument_as_text_is_read_back_as_the_same(value):
    found = parse_keywords(shlex.split(shlex.join([f"name={keyword_text(value)}"])))["name"]
    assert found == value and type(found) is type(value)


def test_every_setting_that_a_foreign_name_leads_to_is_one():
    ours = {field.name for algorithm in ALGORITHMS.values() for field in dataclasses.fields(algorithm.config_class)}
    assert {name for names in OTHER_NAMES.values() for name in names} <= ours and ours.isdisjoint(OTHER_NAMES)
