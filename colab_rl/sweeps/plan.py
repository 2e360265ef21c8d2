"""A sweep's plan: which trials there are, and with which seeds each is trained.

It is written when the sweep begins, and again only if more seeds or trials extend it.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from colab_rl.algorithms.own import check_algorithm
from colab_rl.algorithms.registry import algorithm_class, check_names, make_config, preset
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import ColabRLError, OwnCodeFault, UsageError
from colab_rl.progress import say
from colab_rl.runs.identity import check_run_name
from colab_rl.sealed import sealed, unsealed
from colab_rl.settings import Config, one_setting
from colab_rl.sweeps.choices import Range, seeds_to_text, space_from_json, space_to_json

FORMAT = 1
MOST_SHAPES = 100  # of trials that would be trained in networks or buffers of different sizes, so many are tried
GROWING = ("seeds", "trials")  # parts of a plan that more may come to


class DamagedPlan(ColabRLError):
    """A plan.json that is not whole."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a sweep trains.

    env_path: the `module:function` by which another process finds a function. env_kwargs: keyword arguments for
        gymnasium.make, or for the function.
    settings: of every trial, over those of the preset, as plain JSON values.
    grid: the values of each varied setting. space: what a search may choose. At most one of both has settings.
    trials: how many there are, numbered from 0. at_once: how many of them a search has under way, so that what it
        proposes for a trial depends only on those that are at least so many before it.
    judges: how many of a trial's seeds, the first ones, decide whether it is pruned.
    """

    sweep: str
    env_id: str
    env_is_function: bool
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    algorithms: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, list[Any]] = field(default_factory=dict)
    space: dict[str, Range | list[Any]] = field(default_factory=dict)
    trials: int
    seeds: tuple[int, ...]
    prune: bool = False
    at_once: int = 1
    judges: int = 1
    env_path: str | None = None

    @property
    def searches(self) -> bool:
        """Whether a search proposes the trials' settings."""
        return bool(self.space)

    @property
    def total_runs(self) -> int:
        """Runs of all trials."""
        return self.trials * len(self.seeds)

    def run_name(self, trial: int, seed: int) -> str:
        """`walk-t003-s1`."""
        return f"{self.sweep}-t{trial:03d}-s{seed}"

    def runs_of(self, trial: int) -> list[str]:
        """The trial's runs, in the order of its seeds."""
        return [self.run_name(trial, seed) for seed in self.seeds]

    def settings_of(self, trial: int) -> dict[str, Any]:
        """What sets a trial of a grid apart: its varied settings, and `algo` if several are compared."""
        axes = {**({"algo": list(self.algorithms)} if len(self.algorithms) > 1 else {}), **self.grid}
        found = {}
        for name, values in reversed(axes.items()):  # the last axis changes fastest, as in itertools.product
            trial, position = divmod(trial, len(values))
            found[name] = values[position]
        return dict(reversed(found.items()))

    def middle(self) -> dict[str, Any]:
        """Of a search: the middle of every range, and the first value of every list."""
        return {name: one.middle if isinstance(one, Range) else one[0] for name, one in self.space.items()}

    def training_of(self, own: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The algorithm and all settings that `train` is given for a trial, but for the seed. own: `settings_of`."""
        varied = dict(own)
        return varied.pop("algo", self.algorithms[0]), {**self.settings, **varied}

    def config_of(self, own: Mapping[str, Any], seed: int = 0) -> Config:
        """The config of a trial's runs. Raises UsageError if there is none of these settings."""
        algorithm, settings = self.training_of(own)
        return make_config(algorithm, {**preset(self.env_id, algorithm), **settings, "seed": seed})

    def to_bytes(self) -> bytes:
        """The content of plan.json."""
        content = {"format": FORMAT, **dataclasses.asdict(self), "space": space_to_json(self.space)}
        return sealed(json.loads(json.dumps(content)), "plan")

    @classmethod
    def from_bytes(cls, data: bytes, place: str) -> Plan:
        """Reads plan.json. Raises DamagedPlan, or NewerFormat."""
        try:
            content = unsealed(data, "plan", FORMAT, place)
            del content["format"]
            for name in ("algorithms", "seeds"):
                content[name] = tuple(content[name])
            return cls(**{**content, "space": space_from_json(content["space"])})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DamagedPlan(f"{place} is damaged ({error}); nothing was changed; restore a whole copy of the file "
                              "back, or begin a sweep of another name") from error


def normalized(algorithms: tuple[str, ...], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as a config has them, so that `"0.9"` and `0.9` are one. Raises UsageError for a wrong one.

    Each is judged alone: whether all of them go together is known when a trial's config is made.
    """
    found = {}
    for algorithm in algorithms:
        kind = algorithm_class(algorithm).config_class
        check_names(algorithm, settings)
        found.update({name: one_setting(kind, name, value) for name, value in settings.items()})
    return json.loads(json.dumps(found))


def check_plan(plan: Plan, spaces_in: Callable[[tuple[str, ...]], Spaces]) -> None:
    """Raises UsageError if a trial's settings cannot be trained, before anything starts.

    spaces_in: the environment's spaces in the wrappers of a config. It tries the environment out.
    Of a search, the ends of every range and every value are tried, each with `Plan.middle` of the others.
    """
    check_run_name(max(plan.runs_of(plan.trials - 1), key=len))
    shapes: set[tuple[Any, ...]] = set()
    for number, own in _all_settings(plan):
        try:
            config = plan.config_of(own)
            shape = _shape_of(config)
            if shape not in shapes and len(shapes) < MOST_SHAPES:
                shapes.add(shape)
                check_algorithm(plan.training_of(own)[0], config, spaces_in(config.wrappers), "")
        except (UsageError, OwnCodeFault) as error:
            which = f"trial {number}: " if plan.trials > 1 and not plan.searches else ""
            raise type(error)(f"{which}{error}; nothing was started") from error


def agreed(plan: Plan, asked: Mapping[str, Any]) -> Plan:
    """A plan that exists, extended by more seeds or trials if these are asked for.

    asked: parts of a plan that a person named. Those that the plan holds already ask for nothing new.
    Says if these are fewer. Raises UsageError that names every other difference.
    """
    differing = [f"{_words(name)} is {_shown(getattr(plan, name))}, not {_shown(value)}"
                 for name, value in asked.items()
                 if name not in (*GROWING, "settings", "env_path") and value != getattr(plan, name)]
    varied = {**plan.grid, **plan.space}
    differing += [f"{name} is {_shown(plan.settings.get(name, 'varied' if name in varied else 'left out'))}, not "
                  f"{_shown(value)}" for name, value in asked.get("settings", {}).items()
                  if name not in plan.settings or value != plan.settings[name]]
    if "trials" in asked and asked["trials"] != plan.trials and not plan.searches:
        differing.append(f"trials is {plan.trials}, as its settings make, not {asked['trials']}")
    if differing:
        raise UsageError(f"sweep {plan.sweep} exists and differs: {'; '.join(differing)}; nothing was changed; leave "
                         "the options out to continue it, or give a new name")
    if set(asked.get("seeds", plan.seeds)) < set(plan.seeds):
        say(f"{plan.sweep} keeps its seeds {seeds_to_text(plan.seeds)}: fewer change nothing")
    if asked.get("trials", plan.trials) < plan.trials:
        say(f"{plan.sweep} keeps its {plan.trials:,} trials: fewer change nothing")
    seeds = (*plan.seeds, *(seed for seed in asked.get("seeds", ()) if seed not in plan.seeds))
    return dataclasses.replace(plan, seeds=seeds, trials=max(plan.trials, asked.get("trials", 0)))


def grid_size(algorithms: tuple[str, ...], grid: Mapping[str, list[Any]]) -> int:
    """How many trials a grid has."""
    return len(algorithms) * math.prod(len(values) for values in grid.values())


def _all_settings(plan: Plan) -> Iterator[tuple[int, dict[str, Any]]]:
    if not plan.searches:
        yield from ((number, plan.settings_of(number)) for number in range(plan.trials))
        return
    middle = plan.middle()
    for name, one in plan.space.items():
        for value in (one.low, one.high) if isinstance(one, Range) else one:
            yield 0, normalized(plan.algorithms, {**middle, name: value})


def _shape_of(config: Config) -> tuple[Any, ...]:
    """What decides the sizes of networks and buffers: all settings but the fractions and the seed."""
    return tuple(itertools.chain([type(config)], (
        value for name, value in dataclasses.asdict(config).items()
        if name != "seed" and not isinstance(value, float))))


def _words(name: str) -> str:
    return {"env_id": "env", "algorithms": "algo", "grid": "vary", "space": "search"}.get(name, name)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={_shown(one)}" for name, one in value.items()) or "nothing"
    if isinstance(value, (list, tuple)):
        return ",".join(map(_shown, value))
    return str(value)
