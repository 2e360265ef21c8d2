"""The settings of a run: one flat dataclass an algorithm, checked when it is made.

`Config` holds what every algorithm has; each algorithm adds its own. `--set key=value`
and the notebook's SETTINGS take exactly these fields.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from colab_rl.errors import UsageError

ACTIVATION_NAMES = ("relu", "tanh", "elu", "gelu", "silu", "leaky_relu", "selu", "softplus")
SCHEDULES = ("constant", "linear")


def setting(default: Any, help: str, *, low: float = -math.inf, high: float = math.inf,
            above: float = -math.inf, choices: tuple[str, ...] = (), shapes_state: bool = False) -> Any:
    """A dataclass field with its range: low <= value <= high and value > above, or one of `choices`.

    shapes_state: whether it decides the shape or the random streams of the training state, or what the state was begun
        with. A run that begins from another's checkpoint keeps it.
    """
    limits = {"help": help, "low": low, "high": high, "above": above, "choices": choices, "shapes_state": shapes_state}
    return dataclasses.field(default=default, metadata=limits)


def with_default(kind: type, name: str, default: Any) -> Any:
    """A setting of another config, with another default."""
    field = next(field for field in dataclasses.fields(kind) if field.name == name)
    return dataclasses.field(default=default, metadata=field.metadata)


@dataclass(frozen=True, kw_only=True)
class Config:
    """What every algorithm has. Raises UsageError if a value has the wrong type or range."""

    total_steps: int = setting(1_000_000, "environment steps to train for, over all environments", low=1)
    seed: int = setting(0, "seed of networks, actions and environments", low=0, high=2**31 - 1,
                        shapes_state=True)
    wrappers: tuple[str, ...] = setting((), "gymnasium.wrappers around each environment, the innermost first, such as "
                                        '["GrayscaleObservation", "FrameStackObservation(stack_size=4)"]',
                                        shapes_state=True)
    num_envs: int = setting(16, "environments stepped together", low=1, high=4096, shapes_state=True)
    network: str = setting("auto", "auto (mlp, or cnn if there are images), mlp, cnn, gru, or your own: its name, or "
                           "module:Class", shapes_state=True)
    hidden_sizes: tuple[int, ...] = setting((64, 64), "units of each hidden layer of every network", low=1, high=8192,
                                            shapes_state=True)
    activation: str = setting("tanh", "activation of the hidden layers", choices=ACTIVATION_NAMES, shapes_state=True)
    layer_norm: bool = setting(False, "normalise each hidden layer", shapes_state=True)
    cnn_size: str = setting("nature", "convolutions of images", choices=("nature", "impala"), shapes_state=True)
    learning_rate: float = setting(3e-4, "Adam's step size at the start", above=0, high=1)
    learning_rate_schedule: str = setting("constant", "constant, or linear down to 0 at total_steps",
                                          choices=SCHEDULES)
    gamma: float = setting(0.99, "discount of each step", low=0, high=1)
    normalize_observations: bool = setting(True, "subtract the running mean from observations, divide by the deviation",
                                           shapes_state=True)
    checkpoint_every: int = setting(20, "iterations between checkpoints", low=1)
    keep_last: int = setting(5, "how many of the newest verified checkpoints to keep", low=2)
    keep_every: int = setting(10, "keep one of so many generations for good", low=1)
    eval_every: int = setting(20, "iterations between evaluations", low=1)
    eval_episodes: int = setting(20, "episodes of an evaluation", low=1, high=10_000)
    score_episodes: int = setting(100, "fresh episodes that score the best checkpoint when the run ends; 0 leaves "
                                  "that out", low=0, high=10_000)
    best_by: str = setting("mean", "which return of an evaluation's episodes decides the best checkpoint",
                           choices=("mean", "median", "min"))
    target_score: float | None = setting(None, "stop when the mean return reaches it for sure: by the lower "
                                         "bound over at least 100 fresh episodes")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _checked(field, getattr(self, field.name), type(self)))


def to_json(config: Config) -> dict[str, Any]:
    """The config as plain JSON values; `make_config` reads it back."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def as_text(value: Any) -> str:
    """A setting's value as `--set` takes it."""
    if isinstance(value, list | tuple):
        names = not value or any(isinstance(part, str) for part in value)
        return json.dumps(list(value)) if names else ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def one_setting(kind: type[Config], name: str, value: Any) -> Any:
    """A value of one setting as a config of that kind has it. Raises UsageError for a wrong type or range."""
    return _checked(next(field for field in dataclasses.fields(kind) if field.name == name), value, kind)


def parse_settings(assignments: list[str]) -> dict[str, str]:
    """`["gamma=0.9"]` as a dict; the values stay text, and the config turns them into their types."""
    return _assigned(assignments, "--set")


def parse_keywords(assignments: list[str]) -> dict[str, Any]:
    """`["continuous=False", "gravity=-5"]` as a dict: values as Python or JSON writes them, else text."""
    def value_of(text: str) -> Any:
        for read in (ast.literal_eval, json.loads):
            with contextlib.suppress(TypeError, ValueError, SyntaxError, MemoryError, RecursionError):
                return read(text)
        return text

    return {name: value_of(value) for name, value in _assigned(assignments, "--env-set").items()}


def keyword_text(value: Any) -> str:
    """An environment's keyword argument as `--env-set` takes it: `parse_keywords` reads the same value back."""
    return json.dumps(value, ensure_ascii=False)  # Python, which reads it first, knows no pairs of \u escapes


def _assigned(assignments: list[str], option: str) -> dict[str, str]:
    """Names and values. Raises UsageError for what is none, and for a name that is given twice."""
    found: dict[str, str] = {}
    for assignment in assignments:
        name, equals, value = (part.strip() for part in assignment.partition("="))
        if not equals or not name:
            raise UsageError(f"{option} takes key=value, not {assignment!r}")
        if name in found:
            raise UsageError(f"{option} gives {name} twice, as {found[name]} and as {value}")
        found[name] = value
    return found


_types = functools.cache(typing.get_type_hints)  # saves 0.5 ms a setting when many runs are listed


def _checked(field: dataclasses.Field, value: Any, config: type) -> Any:
    """`value` in the field's type, within its range."""
    kind = _types(config)[field.name]
    try:
        value = _converted(value, kind)
    except (TypeError, ValueError, OverflowError, SyntaxError, MemoryError, RecursionError):
        raise UsageError(f"setting {field.name} takes {_type_name(kind)}, not {value!r}"
                         f"{_hint_of_several(field.name, value, kind)}") from None
    limits = field.metadata
    if limits["choices"]:
        value = value.lower()
        if value not in limits["choices"]:
            raise UsageError(f"setting {field.name} is one of {', '.join(limits['choices'])}, not {value!r}")
    elif isinstance(value, (int, float, tuple)) and not isinstance(value, bool):
        for number in () if kind == tuple[str, ...] else value if isinstance(value, tuple) else (value,):
            if not (limits["low"] <= number <= limits["high"] and number > limits["above"]):
                raise UsageError(f"setting {field.name} = {number} is out of range ({_range_name(limits)})")
    return value


def _hint_of_several(name: str, value: Any, kind: Any) -> str:
    """What to do with several values, or several settings, in one text; empty if it is neither."""
    if not isinstance(value, str) or "," not in value:
        return ""
    parts = [part.strip() for part in value.split(",")]
    try:
        for part in parts:
            _converted(part, kind)
    except (TypeError, ValueError, OverflowError, SyntaxError, MemoryError, RecursionError):
        return "; on the command line, spaces separate settings" if "=" in value else ""
    return f"; to try several, train a sweep: sweep NAME --vary {name}={','.join(parts)}"


def _converted(value: Any, kind: Any) -> Any:
    """`value`, which may be text from a command line, as an instance of `kind`."""
    if typing.get_origin(kind) is types.UnionType:  # float | None
        if value is None or (isinstance(value, str) and value.lower() in ("none", "null", "")):
            return None
        return _converted(value, typing.get_args(kind)[0])
    if kind == tuple[str, ...]:
        if isinstance(value, str):  # a list as Python or JSON writes it, or one name alone
            value = ast.literal_eval(value) if value.strip().startswith("[") else [value] if value.strip() else []
        return tuple(_converted(part, str) for part in value)
    if typing.get_origin(kind) is tuple:
        if isinstance(value, str):
            value = [part for part in value.strip("[]() ").split(",") if part.strip()]
        return tuple(_converted(part, typing.get_args(kind)[0]) for part in value)
    if kind is bool:
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if isinstance(value, str) and value.lower() in words:
            return words[value.lower()]
        if isinstance(value, bool):
            return value
        raise ValueError(value)
    if kind is str:
        if isinstance(value, str):
            return value
        raise ValueError(value)
    if isinstance(value, bool):
        raise ValueError(value)
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    if kind is float:
        return number
    if isinstance(value, str) and value.strip().lstrip("+-").isdigit():
        return int(value)  # exact beyond 2**53
    if number != int(number):
        raise ValueError(value)
    return int(number) if not isinstance(value, int) else value


def _type_name(kind: Any) -> str:
    if typing.get_origin(kind) is types.UnionType:
        return _type_name(typing.get_args(kind)[0]) + " or none"
    if kind == tuple[str, ...]:
        return 'a list of texts such as ["GrayscaleObservation"]'
    if typing.get_origin(kind) is tuple:
        is_float = typing.get_args(kind)[0] is float
        return "numbers such as 0.9,0.999" if is_float else "whole numbers such as 64,128,256"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}[kind]


def _range_name(limits: Mapping[str, Any]) -> str:
    words = {"above": "above", "low": "at least", "high": "at most"}
    return ", ".join(f"{words[which]} {limits[which]}" for which in words if math.isfinite(limits[which]))
