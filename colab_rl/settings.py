"""The settings of a run: one flat dataclass an algorithm, checked when it is made.

`Config` holds what every algorithm has; each algorithm adds its own. `--set key=value`
and the notebook's SETTINGS take exactly these fields.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from colab_rl.errors import UsageError, nearest

ACTIVATIONS = ("relu", "tanh", "elu", "gelu", "silu", "leaky_relu", "selu", "softplus")
SCHEDULES = ("constant", "linear")


def setting(default: Any, help: str, *, low: float = -math.inf, high: float = math.inf,
            above: float = -math.inf, choices: tuple[str, ...] = ()) -> Any:
    """A dataclass field with its range: low <= value <= high and value > above, or one of `choices`."""
    limits = {"help": help, "low": low, "high": high, "above": above, "choices": choices}
    return dataclasses.field(default=default, metadata=limits)


@dataclass(frozen=True, kw_only=True)
class Config:
    """What every algorithm has. Raises UsageError where a value has the wrong type or range."""

    total_steps: int = setting(1_000_000, "environment steps to train for, over all environments", low=1)
    seed: int = setting(0, "seed of networks, actions and environments", low=0, high=2**31 - 1)
    num_envs: int = setting(16, "environments stepped together", low=1, high=4096)
    hidden_sizes: tuple[int, ...] = setting((64, 64), "units of each hidden layer, policy and value network alike",
                                            low=1, high=8192)
    activation: str = setting("tanh", "activation of the hidden layers", choices=ACTIVATIONS)
    learning_rate: float = setting(3e-4, "Adam's step size at the start", above=0, high=1)
    learning_rate_schedule: str = setting("constant", "constant, or linear down to 0 at total_steps",
                                          choices=SCHEDULES)
    gamma: float = setting(0.99, "discount a step", low=0, high=1)
    normalize_observations: bool = setting(True, "observations less their running mean, over their deviation")
    checkpoint_every: int = setting(20, "iterations between checkpoints", low=1)
    keep_last: int = setting(5, "newest verified checkpoints that retention keeps", low=2)
    keep_every: int = setting(10, "every so many generations one is kept for good (a milestone)", low=1)
    eval_every: int = setting(20, "iterations between evaluations", low=1)
    eval_episodes: int = setting(20, "episodes of an evaluation", low=1, high=10_000)
    best_by: str = setting("mean", "which return of an evaluation's episodes makes a checkpoint the best",
                           choices=("mean", "median", "min"))
    target_score: float | None = setting(None, "stop when the mean of 100 evaluation episodes less two "
                                         "standard errors reaches it (20 are evaluated first)")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _checked(field, getattr(self, field.name), type(self)))


@dataclass(frozen=True, kw_only=True)
class PPOConfig(Config):
    """Proximal Policy Optimization (Schulman et al. 2017, arXiv:1707.06347)."""

    num_steps: int = setting(512, "steps each environment takes in an iteration", low=2)
    minibatch_size: int = setting(1024, "transitions of one gradient step", low=2)
    update_epochs: int = setting(8, "passes over an iteration's transitions", low=1)
    gae_lambda: float = setting(0.95, "lambda of generalised advantage estimation", low=0, high=1)
    clip_range: float = setting(0.2, "how far the probability ratio may leave 1", above=0, high=10)
    ent_coef: float = setting(0.0, "weight of the entropy bonus at the start", low=0)
    ent_coef_schedule: str = setting("constant", "constant, or linear down to 0 at total_steps", choices=SCHEDULES)
    vf_coef: float = setting(0.5, "weight of the value loss", low=0)
    max_grad_norm: float = setting(0.5, "each network's gradient is clipped to this norm", above=0)
    target_kl: float | None = setting(None, "an update ends after the epoch whose KL divergence exceeds it", above=0)
    normalize_rewards: bool = setting(True, "rewards over the running deviation of the discounted return")
    log_std_init: float = setting(0.0, "log of the initial standard deviation of continuous actions",
                                  low=-5, high=2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 8 <= self.num_envs * self.num_steps <= 2**22:
            raise UsageError(f"num_envs * num_steps = {self.num_envs * self.num_steps}: an iteration has between "
                             f"8 and {2**22} transitions")


@dataclass(frozen=True, kw_only=True)
class SACConfig(Config):
    """Soft Actor-Critic (Haarnoja et al. 2018, arXiv:1812.05905)."""

    num_envs: int = setting(8, "environments stepped together", low=1, high=4096)
    hidden_sizes: tuple[int, ...] = setting((256, 256), "units of each hidden layer, policy and Q networks alike",
                                            low=1, high=8192)
    activation: str = setting("relu", "activation of the hidden layers", choices=ACTIVATIONS)
    normalize_observations: bool = setting(False, "observations less their running mean, over their deviation")
    checkpoint_every: int = setting(50, "iterations between checkpoints", low=1)
    eval_every: int = setting(50, "iterations between evaluations", low=1)

    num_steps: int = setting(32, "steps each environment takes in an iteration", low=1)
    minibatch_size: int = setting(256, "transitions of one gradient step", low=1)
    replay_ratio: float = setting(0.5, "gradient steps for each environment step", above=0, high=100)
    buffer_size: int = setting(1_000_000, "newest transitions that are learned from", low=2, high=10**12)
    learning_starts: int = setting(10_000, "steps with random actions before learning begins", low=0)
    random_hold: float = setting(1.0, "steps for which a random action is held, on average", low=1)
    tau: float = setting(0.005, "how far the target networks follow in a gradient step", above=0, high=1)
    initial_temperature: float = setting(1.0, "weight of the entropy at the start", above=0)
    target_entropy: float | None = setting(None, "entropy that the temperature aims at, in nats; none is minus the "
                                           "number of action dimensions")
    layer_norm: bool = setting(False, "normalises each hidden layer of the Q networks")
    reward_clip: float | None = setting(None, "rewards beyond plus or minus this are learned from as this; scores are "
                                        "the environment's", above=0)

    @property
    def gradient_steps(self) -> int:
        """Of an iteration."""
        return round(self.replay_ratio * self.num_steps * self.num_envs)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.minibatch_size > self.buffer_size:
            raise UsageError(f"minibatch_size = {self.minibatch_size} is more than the buffer holds "
                             f"(buffer_size = {self.buffer_size})")
        if self.buffer_size < self.num_envs * self.num_steps:
            raise UsageError(f"buffer_size = {self.buffer_size} holds less than an iteration (num_envs * num_steps = "
                             f"{self.num_envs * self.num_steps})")
        if self.learning_starts >= self.total_steps:
            raise UsageError(f"learning_starts = {self.learning_starts} is after the end (total_steps = "
                             f"{self.total_steps}): nothing would be learned")
        if self.minibatch_size > self.total_steps:
            raise UsageError(f"minibatch_size = {self.minibatch_size} is more than all steps (total_steps = "
                             f"{self.total_steps}): nothing would be learned")
        if self.gradient_steps < 1:
            raise UsageError(f"replay_ratio * num_steps * num_envs = "
                             f"{self.replay_ratio * self.num_steps * self.num_envs:g}: an iteration has at least one "
                             "gradient step")


CONFIGS: dict[str, type[Config]] = {"ppo": PPOConfig, "sac": SACConfig}


def config_class(algorithm: str) -> type[Config]:
    """The config dataclass of an algorithm. Raises UsageError for an unknown one."""
    if algorithm not in CONFIGS:
        raise UsageError(f"unknown algorithm {algorithm!r}{nearest(algorithm, CONFIGS)} "
                         f"(there is: {', '.join(CONFIGS)})")
    return CONFIGS[algorithm]


def make_config(algorithm: str, settings: Mapping[str, Any]) -> Config:
    """A checked config. Raises UsageError that names the nearest settings where one is unknown."""
    kind = config_class(algorithm)
    names = [field.name for field in dataclasses.fields(kind)]
    for name in settings:
        if name not in names:
            raise UsageError(f"unknown setting {name!r} of {algorithm}{nearest(name, names)} "
                             f"(all of them: python -m colab_rl presets)")
    return kind(**settings)


def to_json(config: Config) -> dict[str, Any]:
    """The config as plain JSON values; `make_config` reads it back."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def parse_settings(assignments: list[str]) -> dict[str, str]:
    """`["gamma=0.9"]` as a dict; the values stay text, and the config turns them into their types."""
    settings = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set takes key=value, not {assignment!r}")
        settings[name.strip()] = value.strip()
    return settings


def _checked(field: dataclasses.Field, value: Any, config: type) -> Any:
    """`value` in the field's type, within its range."""
    kind = typing.get_type_hints(config)[field.name]
    try:
        value = _converted(value, kind)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"setting {field.name} takes {_type_name(kind)}, not {value!r}") from None
    limits = field.metadata
    if limits["choices"]:
        value = value.lower()
        if value not in limits["choices"]:
            raise UsageError(f"setting {field.name} is one of {', '.join(limits['choices'])}, not {value!r}")
    elif isinstance(value, (int, float, tuple)) and not isinstance(value, bool):
        for number in value if isinstance(value, tuple) else (value,):
            if not (limits["low"] <= number <= limits["high"] and number > limits["above"]):
                raise UsageError(f"setting {field.name} = {number} is out of range ({_range_name(limits)})")
    return value


def _converted(value: Any, kind: Any) -> Any:
    """`value`, which may be text from a command line, as an instance of `kind`."""
    if typing.get_origin(kind) is types.UnionType:  # float | None
        if value is None or (isinstance(value, str) and value.lower() in ("none", "null", "")):
            return None
        return _converted(value, typing.get_args(kind)[0])
    if typing.get_origin(kind) is tuple:
        if isinstance(value, str):
            value = [part for part in value.strip("[]() ").split(",") if part.strip()]
        return tuple(_converted(part, int) for part in value)
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
    if typing.get_origin(kind) is tuple:
        return "whole numbers such as 64,128,256"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}[kind]


def _range_name(limits: Mapping[str, Any]) -> str:
    words = {"above": "above", "low": "at least", "high": "at most"}
    return ", ".join(f"{words[which]} {limits[which]}" for which in words if math.isfinite(limits[which]))
