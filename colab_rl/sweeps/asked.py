"""What was asked of a sweep, as the parts of a plan that a person named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from colab_rl.algorithms.registry import algorithm_class, register_algorithm
from colab_rl.environments import EnvironmentSource, environment_name
from colab_rl.environments.make import kept_keywords
from colab_rl.errors import UsageError
from colab_rl.networks.registry import register_network
from colab_rl.sweeps.choices import Range, parse_search, parse_seeds, parse_vary
from colab_rl.sweeps.plan import normalized
from colab_rl.user_code import import_path


class OwnCode:
    """The user's own algorithms and networks, for the runs' processes."""

    def __init__(self) -> None:
        self.algorithms: list[Any] = []
        self.networks: list[Any] = []

    def algorithm(self, given: Any) -> str:
        """The name of an algorithm."""
        if isinstance(given, type):
            self.algorithms.append(given)
            return register_algorithm(given)
        algorithm_class(given)
        return given

    def named(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings, or lists of them, with networks by their names."""
        found = dict(settings)
        if "network" in found and not isinstance(found["network"], Range):  # `_values_of` refuses a range
            values = found["network"] if isinstance(found["network"], list) else [found["network"]]
            names = [one if isinstance(one, str) else self._network(one) for one in values]
            found["network"] = names if isinstance(found["network"], list) else names[0]
        return found

    def of(self, source: EnvironmentSource) -> Any:
        """What `packed` takes."""
        return source, self.algorithms, self.networks

    def _network(self, make: Any) -> str:
        name = register_network(make)
        self.networks.append(make)
        return name


def asked_parts(env: Any, env_kwargs: Any, algo: Any, seeds: Any, settings: Any, vary: Any, search: Any, trials: Any,
           prune: Any, total_steps: Any, own: OwnCode) -> dict[str, Any]:
    """The parts of a plan that a person named."""
    found: dict[str, Any] = {}
    if env is not None:
        found |= {"env_id": environment_name(env), "env_is_function": callable(env), "env_path": import_path(env)}
    if env_kwargs is not None:
        found["env_kwargs"] = kept_keywords(env_kwargs)
    if algo is not None:
        names = tuple(own.algorithm(one) for one in (algo if isinstance(algo, (list, tuple)) else [algo]))
        if not names or len(set(names)) < len(names):
            raise UsageError(f"algo names one or more different algorithms, not {algo!r}")
        found["algorithms"] = names
    if seeds is not None:
        found["seeds"] = parse_seeds(seeds)
    if settings or total_steps is not None:
        merged = own.named(settings or {})
        if total_steps is not None and str(merged.setdefault("total_steps", total_steps)) != str(total_steps):
            raise UsageError(f"total_steps is given twice, as {merged['total_steps']} and as {total_steps}")
        found["settings"] = merged
    if vary:
        found["grid"] = own.named(parse_vary(vary))
    if search:
        found["space"] = own.named(parse_search(search))
    if trials is not None:
        if trials < 1:
            raise UsageError(f"trials is at least 1, not {trials}")
        found["trials"] = trials
    if prune is not None:
        found["prune"] = prune
    _check_together(found)
    return found


def _check_together(asked: Mapping[str, Any]) -> None:
    """Raises UsageError for options that contradict each other."""
    grid, space, settings = (asked.get(name, {}) for name in ("grid", "space", "settings"))
    if grid and space:
        raise UsageError("a sweep is a grid (vary) or a search, and not both; a search takes values too: key=v1,v2")
    varied = {**grid, **space}
    if "seed" in {**varied, **settings}:
        raise UsageError("seeds have an option of their own: --seeds 0-4")
    if twice := sorted(varied.keys() & settings.keys()):
        raise UsageError(f"{twice[0]} is given twice, as a setting of all trials and as one that varies")
    if len(asked.get("algorithms", ())) > 1 and space:
        raise UsageError("a search takes one algorithm: begin a sweep for each")


def with_values(algorithms: tuple[str, ...], asked: Mapping[str, Any]) -> dict[str, Any]:
    """With every value as a config has it, so that plans compare. Raises UsageError for a wrong one."""
    found = dict(asked)
    if "settings" in asked:
        found["settings"] = normalized(algorithms, asked["settings"])
    for part in ("grid", "space"):
        if part in asked:
            found[part] = {name: _values_of(algorithms, name, one) for name, one in asked[part].items()}
    return found


def _values_of(algorithms: tuple[str, ...], name: str, said: Range | list[Any]) -> Range | list[Any]:
    if isinstance(said, Range):
        values_alone = UsageError(f"search cannot take {name} from a range: give it values, {name}=v1,v2")
        if name == "network":
            raise values_alone
        low, high = (normalized(algorithms, {name: end})[name] for end in (said.low, said.high))
        if isinstance(low, bool) or not isinstance(low, (int, float)):
            raise values_alone
        return Range(low, high, said.log)
    values = [normalized(algorithms, {name: value})[name] for value in said]
    if len({json.dumps(value) for value in values}) < len(values):
        raise UsageError(f"{name} has the same value twice: {said!r}")
    return values
