"""What an algorithm of your own changes while it trains, and does not save: a resumed run would lose it.

An attribute that neither the class nor `__init__` sets is no such thing: a resumed run that read it would fail.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from colab_rl.algorithms.base import Algorithm
from colab_rl.errors import OwnCodeFault
from colab_rl.progress import say
from colab_rl.user_code import theirs

PLAIN = (type(None), bool, int, float, complex, str, bytes)
OF_MODULES = vars(torch.nn.Module()).keys()


class SavedStateCheck:
    """Looks at the first checkpoint of a session, at the second, the fourth, the eighth and so on: what changes late in
    training is found late.

    make: gives the algorithm as it begins. what: what people call it.
    """

    def __init__(self, make: Callable[[], Algorithm], what: str):
        self._make, self._what = make, what
        self._checkpoints = 0

    def reasons(self, algorithm: Algorithm, saved: Callable[[], dict[str, Any]], known: list[str]) -> list[str]:
        """The known reasons why a run is not exact, and the one that a state does not hold all. It says a new one.

        saved: gives the algorithm's state as a checkpoint holds it. Raises OwnCodeFault if no run could resume from it.
        """
        self._checkpoints += 1
        if self._checkpoints & (self._checkpoints - 1):
            return known
        resumed = self._make()
        try:
            resumed.load_state_dict(saved())
        except Exception as error:
            raise OwnCodeFault(f"{self._what} does not take its own state over, so that no run could resume: "
                               f"{theirs(error, type(algorithm))}") from error
        found = unsaved(algorithm, resumed)
        reason = f"the state of {self._what} does not hold {', '.join(found)}"
        if not found or reason in known:
            return known
        say(f"not bit-exact after a resume: {reason}; state_dict and load_state_dict must hold all that changes")
        return [*known, reason]


def unsaved(algorithm: Algorithm, resumed: Algorithm) -> list[str]:
    """The attributes, such as `weight` or `policy.epsilon`, in which an algorithm differs from one that took its state
    over. It compares numbers, texts, arrays, tensors, generators, networks, and collections and own objects of these.
    """
    comparison = _Comparison()
    comparison.attributes(_held(algorithm), _held(resumed))
    return comparison.found


class _Comparison:
    def __init__(self) -> None:
        self.found: list[str] = []
        self._met: dict[int, Any] = {}  # by address: networks share parts, and objects may hold each other

    def attributes(self, now: Mapping[str, Any], then: Mapping[str, Any], within: str = "") -> None:
        """Compares what two objects hold. The trainer saves `replay` itself."""
        for name, value in now.items():
            if name in then and name != "replay" and not self._same(value, then[name], f"{within}{name}"):
                self.found.append(f"{within}{name}")

    def _same(self, now: Any, then: Any, path: str) -> bool:
        """Whether two values are equal. What an object holds is compared, and found, by itself."""
        now, then = (value.item() if isinstance(value, np.generic) else value for value in (now, then))
        if isinstance(now, PLAIN):
            return isinstance(then, PLAIN) and (now == then or (now != now and then != then))  # two NaN
        if isinstance(now, torch.Tensor | np.ndarray):
            return _bytes_of(now) == _bytes_of(then)
        if isinstance(now, torch.Generator | np.random.Generator | np.random.RandomState | random.Random):
            return type(then) is type(now) and repr(_state_of(now)) == repr(_state_of(then))
        if now is then or id(now) in self._met:
            return True
        self._met[id(now)] = now
        if isinstance(now, Mapping):
            return isinstance(then, Mapping) and now.keys() == then.keys() and all(
                self._same(value, then[key], f"{path}.{key}") for key, value in now.items())
        if isinstance(now, set | frozenset):
            return now == then
        if isinstance(now, list | tuple | deque):
            return isinstance(then, list | tuple | deque) and len(then) == len(now) and all(
                self._same(one, other, f"{path}.{number}")
                for number, (one, other) in enumerate(zip(now, then, strict=True)))
        if type(now) is not type(then):
            return False
        if isinstance(now, torch.nn.Module) or not type(now).__module__.startswith(("colab_rl.", "torch.", "numpy.")):
            self.attributes(_held(now), _held(then), f"{path}.")
        elif hasattr(now, "state_dict"):
            return self._same(now.state_dict(), then.state_dict(), path)
        return True


def _held(thing: Any) -> dict[str, Any]:
    """What an object and its classes hold, by name. A network holds its parameters, buffers and parts by their own."""
    held = dict(getattr(thing, "__dict__", {}))
    if isinstance(thing, torch.nn.Module):
        held = {**{name: value for name, value in held.items() if name not in OF_MODULES},
                **held["_parameters"], **held["_buffers"], **held["_modules"]}
    classes = {name: value for kind in reversed(type(thing).__mro__) for name, value in vars(kind).items()
               if isinstance(value, PLAIN) and not name.startswith("__")}
    return classes | held


def _bytes_of(value: Any) -> Any:
    """Type, shape and bytes of a tensor or an array; of anything else, nothing that equals those."""
    if isinstance(value, torch.Tensor):
        plain = value.detach().cpu()
        plain = (plain if plain.layout is torch.strided else plain.to_dense()).contiguous()
        return str(plain.dtype), tuple(plain.shape), plain.reshape(-1).view(torch.uint8).numpy().tobytes()
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    return None


def _state_of(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state().tolist()
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.getstate() if isinstance(generator, random.Random) else generator.get_state(legacy=False)
