"""The code of an environment as a process has loaded it, so that two processes can be compared.

A notebook may patch a class of an installed package, or set a constant of a module. A worker process imports the
package anew and knows nothing of it.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

LONGEST = 40  # characters of a constant that a message shows as it is
LARGE = 100_000  # numbers in one that is left out
PLAIN = (int, float, complex, bool, str, bytes, types.NoneType, types.EllipsisType, range)
MAIN = "__main__"


def loaded_code(environment: gymnasium.Env, source: str | Callable) -> dict[str, str]:
    """By name, such as `package.module.Arm.step`, what all that the environment's code reaches is: functions as a hash
    of their bytecode, constants, what classes define. Of installed packages that none of its classes comes from, only
    what it uses by name. Nothing is called. Empty if an object does not let itself be looked at.

    What its own functions set (a counter of the class, say) is no constant but its state, and left out.
    """
    layers = [environment]
    while isinstance(layers[-1], gymnasium.Wrapper):
        layers.append(layers[-1].env)
    kinds = [kind for layer in layers for kind in type(layer).__mro__]
    reach = _Reach({MAIN, *(kind.__module__.partition(".")[0] for kind in kinds)} - sys.stdlib_module_names)
    try:
        reach.found["its class"] = " in ".join(_named(type(layer)) for layer in reversed(layers))
        for kind in kinds:
            reach.kind(kind)
        if not isinstance(source, str):
            reach.look(f"{source.__module__}.{getattr(source, '__qualname__', '')}", source)
        state = reach.state()
    except Exception:  # whatever an object raises that is asked for what it holds
        return {}
    return {name: text for name, text in reach.found.items() if name not in state}


def code_difference(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """What `loaded_code` found that differs in another process, in words; empty if nothing does.

    A name that only one of them has is no difference: of a notebook a worker process has only what it uses.
    """
    names = [name for name in here if here[name] != there.get(name, here[name])]
    if not names:
        return ""
    first, *more = sorted(names, key=lambda name: name.startswith("class "))  # a method says more than its class
    values = "" if (here[first] + there[first]).count("#") else f" ({here[first]} here, {there[first]} there)"
    return f"{first} is not what a new process imports{values}" + (f", and {len(more)} more" if more else "")


class _Reach:
    """What is reached from classes and functions: `found`, by name.

    packages: those that are followed; the user's files are too.
    """

    def __init__(self, packages: set[str]) -> None:
        self.found: dict[str, str] = {}
        self._constants: dict[str, str] = {}  # by name, the last part of it
        self._codes: list[types.CodeType] = []
        self._followed = dict.fromkeys(packages, True)
        self._seen: set[int] = set()
        self._setters: list[Callable] = []

    def state(self) -> set[str]:
        """The constants that are none: functions assign them, as globals or as attributes of a class."""
        names = set(self._constants.values())
        assigned = {name for code in self._codes if not names.isdisjoint(code.co_names) for name in _set_outside(code)}
        return {name for name, last in self._constants.items() if last in assigned}

    def look(self, name: str, thing: Any, constants: bool = True) -> None:
        """Notes what a name stands for, and follows it."""
        if isinstance(thing, property):
            for part in ("fget", "fset", "fdel"):
                self.look(f"{name}.{part}", getattr(thing, part))
        elif isinstance(thing, (staticmethod, classmethod, types.MethodType)):
            self._setters.append(thing.__func__)  # such as Arm.configure(gravity=1.6): somebody else calls it
            self.look(name, thing.__func__)
        elif isinstance(thing, (functools.cached_property, functools.partial)):
            self.look(name, thing.func)
        elif isinstance(thing, types.FunctionType):
            self._function(name, thing)
        elif isinstance(thing, type):
            self.found[name] = _named(thing)
            self.kind(thing)
        elif callable(thing):
            self.found[name] = f"{type(thing).__qualname__} {getattr(thing, '__qualname__', '')}"
            self.kind(type(thing))
        elif constants and type(thing) is dict:  # more keys are no difference: it may be a cache
            for key, value in thing.items():
                if type(value) is dict or _plain(value):
                    self.look(f"{name}[{key!r}]", value)
        elif constants and (text := _plain(thing)):
            self.found[name] = text if len(text) <= LONGEST else _hash(text)
            self._constants[name] = name.rpartition(".")[2]
        elif constants and (self._follows(type(thing).__module__) or isinstance(thing, types.SimpleNamespace)):
            for attribute, value in getattr(thing, "__dict__", {}).items():
                if _plain(value):
                    self.look(f"{name}.{attribute}", value)

    def kind(self, kind: type) -> None:
        """Notes what a class defines, and follows it."""
        if id(kind) in self._seen:
            return
        self._seen.add(id(kind))
        name, own = _named(kind), dict(vars(kind))
        functions = {attribute: value for attribute, value in own.items() if isinstance(value, FUNCTIONS)}
        if not self._follows(kind.__module__):
            codes = [(attribute, _of_code(value.__code__)) for attribute, value in sorted(functions.items())
                     if isinstance(value, types.FunctionType)]
            self.found[f"class {name}"] = _hash(repr(codes))
            return
        constants = {attribute: value for attribute, value in own.items() if not attribute.startswith("__")}
        self.found[f"class {name}"] = _hash(" ".join(sorted(
            [*functions, *(attribute for attribute, value in constants.items() if _plain(value))])))
        for base in kind.__bases__:
            self.kind(base)
        for attribute, value in (functions | constants).items():
            self.look(f"{name}.{attribute}", value)

    def _function(self, name: str, function: types.FunctionType) -> None:
        defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        self.found[name] = _hash(_of_code(function.__code__) + repr([_plain(value) for value in defaults]))
        module = function.__globals__.get("__name__", "")
        if id(function) in self._seen or not self._follows(module):
            return
        self._seen.add(id(function))
        if function not in self._setters:
            self._codes.append(function.__code__)
        names = set(_names(function.__code__))
        for used in sorted(names & function.__globals__.keys()):
            thing = function.__globals__[used]
            if not isinstance(thing, types.ModuleType):
                self.look(f"{module}.{used}", thing)
                continue
            constants = thing.__name__.partition(".")[0] not in sys.stdlib_module_names
            for attribute in sorted(names & vars(thing).keys()):
                self.look(f"{thing.__name__}.{attribute}", vars(thing)[attribute], constants)
        for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                self.look(f"{name}.{variable}", cell.cell_contents)
            except ValueError:  # nothing is in it yet
                continue

    def _follows(self, module: str) -> bool:
        top = module.partition(".")[0]
        if top not in self._followed:
            package = sys.modules.get(top)
            file = getattr(package, "__file__", None) or next(iter(getattr(package, "__path__", ())), "")
            self._followed[top] = bool(file) and top != "colab_rl" and top not in sys.stdlib_module_names \
                and {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts)
        return self._followed[top]


FUNCTIONS = (types.FunctionType, property, classmethod, staticmethod, functools.cached_property)


def _named(kind: type) -> str:
    return f"{kind.__module__}.{kind.__name__}"  # pickled by value a class keeps no longer name


def _plain(thing: Any) -> str:
    """A constant as text, empty if it is none."""
    if type(thing) in PLAIN or isinstance(thing, (np.generic, gymnasium.Space)):
        return repr(thing)
    if isinstance(thing, np.ndarray) and thing.dtype.kind in "biufcSU" and thing.size < LARGE:
        return f"{thing.dtype} {thing.shape} {_hash(thing.tobytes().hex())}"
    if type(thing) in (tuple, list, set, frozenset) and len(thing) < LARGE:
        parts = [_plain(part) for part in thing]
        if all(parts):
            return f"{type(thing).__name__}{sorted(parts) if isinstance(thing, (set, frozenset)) else parts}"
    return ""


def _of_code(code: types.CodeType) -> str:
    """What a function does, without the place where it stands."""
    constants = [_of_code(one) if isinstance(one, types.CodeType) else _plain(one) for one in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants))


def _names(code: types.CodeType) -> Iterator[str]:
    """What a function names of its module and of other modules, among other names."""
    yield from code.co_names
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            yield from _names(one)


def _set_outside(code: types.CodeType) -> Iterator[str]:
    """What a function assigns: the names of globals, and of attributes of other objects than `self` and what it has."""
    steps = list(dis.get_instructions(code))
    for i, step in enumerate(steps):
        owner = i - 1
        if steps[owner].opname == "SWAP":  # x.y += 1: the step before the copy of x
            while owner > 0 and (steps[owner].opname, steps[owner + 1].argval) != ("COPY", step.argval):
                owner -= 1
            owner -= 1
        of = steps[owner]
        inside = (of.opname.startswith("LOAD_FAST") and str(of.argval).rstrip("')").endswith("self")) \
            or (of.opname.startswith("LOAD_ATTR") and of.argval != "__class__")
        if step.opname == "STORE_GLOBAL" or (step.opname == "STORE_ATTR" and not inside):
            yield step.argval


def _hash(text: str) -> str:
    return "#" + hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()
