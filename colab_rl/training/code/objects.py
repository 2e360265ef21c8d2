"""The code of an object: a function or a class of a notebook's cell, which has no file, and all that it uses.

A function is its bytecode with the constants in it, its defaults, what it encloses, and what it names of its module:
functions, classes and constants. A class is its bases and what its body defines. Addresses, names of files, lines and
docstrings are left out: the same cell in a fresh kernel gives the same hash. Nothing is called or imported.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
import itertools
import sys
import types
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from colab_rl.training.code.files import is_installed, is_ours

ATOMS = (type(None), bool, int, float, complex, str, bytes, bytearray, type(...), range, slice)
CONTAINERS = (list, tuple, set, frozenset, dict, types.MappingProxyType)
WRAPS = {staticmethod: ["__func__"], classmethod: ["__func__"], property: ["fget", "fset", "fdel"],
            types.MethodType: ["__func__", "__self__"], functools.cached_property: ["func"],
            functools.partial: ["func", "args", "keywords"], functools.partialmethod: ["func", "args", "keywords"]}
# Python itself keeps these in a class: where it stands, what it is called, and in an order that may differ each time.
OF_PYTHON = {"__module__", "__qualname__", "__dict__", "__weakref__", "__doc__", "__annotations__", "__annotate__",
             "__annotate_func__", "__annotations_cache__", "__firstlineno__", "__static_attributes__", "_abc_impl",
             "__slotnames__"}  # the last one from when an instance is first pickled
FLAGS = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR | inspect.CO_COROUTINE \
    | inspect.CO_ASYNC_GENERATOR
READ_GLOBAL = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}


class ObjectCode(NamedTuple):
    """The hash of an object's code, and the modules that it uses: they have files of their own."""

    digest: str
    modules: frozenset[str]


def is_own(module: str | None) -> bool:
    """Whether a module's code is a user's own: neither ours nor of an installed package."""
    if module in (None, "__main__"):
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return not is_ours(module) and module not in sys.builtin_module_names and not (file and is_installed(Path(file)))


def read_object(thing: object) -> ObjectCode:
    """The code of a function or a class, or of an object and its class. Raises what an object of the user's raises."""
    reader = _Reader()
    reader.read(thing)
    reader.read_waiting()
    return ObjectCode(reader.hash.hexdigest(), frozenset(reader.modules))


class _Reader:
    """Puts values into one hash. An object is read after what led to it, and once: then it is named by its number."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        self.modules: set[str] = set()
        # By address, which no other object takes while the object is held here.
        self._met: dict[int, tuple[int, object]] = {}
        self._waiting: deque[Any] = deque()
        self._within: list[int] = []  # the containers that are being read

    def read(self, value: Any) -> None:
        """Puts any value into the hash; of an object that can tell no more, its type's name."""
        kind = type(value)  # not by isinstance, which asks the value for its class: it may answer with code of its own
        if kind in ATOMS:
            self._put(kind.__name__, repr(value))
        elif issubclass(kind, (np.ndarray, np.generic)):
            self._put(value.dtype.str, value.shape)
            self.read(value.tolist() if value.dtype.hasobject else value.tobytes())
        elif issubclass(kind, torch.Tensor):
            self._put(str(value.dtype), tuple(value.shape))
            self._put(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
        elif issubclass(kind, CONTAINERS) and id(value) not in self._within:
            # Each time anew: whether two equal constants are one object is Python's choice.
            self._within.append(id(value))
            self._container(kind, value)
            self._within.pop()
        else:
            new = id(value) not in self._met
            number, _ = self._met.setdefault(id(value), (len(self._met), value))
            self._put(kind.__name__, number)
            if new and not issubclass(kind, CONTAINERS):
                self._waiting.append(value)

    def read_waiting(self) -> None:
        """Reads the objects that were met, and those that they lead to."""
        while self._waiting:
            value = self._waiting.popleft()
            kind = type(value)
            wrapped = next((names for wrapper, names in WRAPS.items() if issubclass(kind, wrapper)), ())
            if wrapped:
                for name in wrapped:
                    self.read(getattr(value, name))
            elif kind is types.FunctionType:
                self._function(value)
            elif issubclass(kind, type):
                self._class(value)
            elif issubclass(kind, types.ModuleType):
                self._name(value.__name__)
            else:
                self._instance(kind, value)

    def _put(self, *words: Any) -> None:
        self.hash.update(repr(words).encode())

    def _name(self, *names: str) -> None:
        """Names what lies in a module that is not read here: it is installed, or has a file that is read by itself."""
        self._put(*names)
        self.modules.add(names[0])

    def _function(self, function: types.FunctionType) -> None:
        if is_own(function.__module__):
            self._code(function.__code__, function.__globals__)
            self.read(function.__defaults__)
            self.read(function.__kwdefaults__)
        else:
            self._name(function.__module__, function.__qualname__)
        for cell in function.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:  # it was never set
                content = None
            self.read(content)

    def _class(self, kind: type) -> None:
        if not is_own(kind.__module__):
            self._name(kind.__module__, kind.__qualname__)
            return
        self.read(type(kind))
        self.read(kind.__bases__)
        for name in sorted(vars(kind).keys() - OF_PYTHON):
            self._put(name)
            self.read(vars(kind)[name])

    def _container(self, kind: type, value: Any) -> None:
        base: Any = next(base for base in CONTAINERS if issubclass(kind, base))
        if kind is not base:
            self.read(kind)
        self._put(base.__name__, base.__len__(value))
        items: Iterable[Any]
        if base in (set, frozenset):  # their order differs each time
            items = sorted(base.__iter__(value), key=_member)
            self._put(*map(_member, items))
            items = [item for item in items if issubclass(type(item), (type, types.FunctionType))]
        elif base in (list, tuple):
            items = base.__iter__(value)
        else:
            items = itertools.chain.from_iterable(base.items(value))
        for item in items:
            self.read(item)

    def _instance(self, kind: type, value: Any) -> None:
        """Its class. What it holds only if that is a user's own: a package's object may hold what differs each time."""
        self.read(kind)
        held: dict[str, Any] = {}
        if is_own(kind.__module__) or issubclass(kind, (types.SimpleNamespace, torch.nn.Module)):
            for base in kind.__mro__:
                for name, member in vars(base).items():
                    if type(member) is types.MemberDescriptorType:  # of __slots__
                        held[name] = _attribute(value, name)
            held |= _attribute(value, "__dict__") or {}
        else:  # of a built-in function, an enum's member, an lru_cache
            held = {name: _attribute(value, name) for name in ("__name__", "_name_", "__wrapped__")}
        for name in sorted(held):
            self._put(name)
            self.read(held[name])

    def _code(self, code: types.CodeType, names: Mapping[str, Any]) -> None:
        self._put(code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & FLAGS,
                  code.co_varnames, code.co_freevars, code.co_cellvars, code.co_exceptiontable)
        steps: list[tuple[str, Any]] = []
        for step in dis.get_instructions(code):
            if step.opname == "STORE_NAME" and step.argval in OF_PYTHON:
                steps.pop()  # what is stored
            elif step.opcode in dis.hasconst:  # not `argval`: Python 3.11 does not know it of KW_NAMES
                steps.append((step.opname, code.co_consts[step.arg or 0]))
            elif step.opcode in dis.hasname:
                steps.append((step.opname, step.argval))
            elif step.opname not in ("EXTENDED_ARG", "NOP"):
                steps.append((step.opname, step.arg))
        module = ""
        for opname, argument in steps:
            self._put(opname)
            if isinstance(argument, types.CodeType):
                self._code(argument, names)
            else:
                self.read(argument)
            if opname == "IMPORT_NAME":
                module = argument
                self.modules.add(module)
            elif opname == "IMPORT_FROM":
                self.modules.add(f"{module}.{argument}")
        for name in dict.fromkeys(argument for opname, argument in steps if opname in READ_GLOBAL):
            if name in names and not name.startswith("__"):
                self._put(name)
                self.read(names[name])


def _member(value: Any) -> str:
    """What is known of a member of a set, wherever it stands: a plain value, a function's name, else a type."""
    kind = type(value)
    if kind in (tuple, frozenset):
        members = list(map(_member, value))
        return repr(members if kind is tuple else sorted(members))
    if issubclass(kind, (type, types.FunctionType)):
        return f"{kind.__name__} {value.__qualname__}"
    return f"{kind.__name__} {value!r}" if kind in ATOMS else kind.__name__


def _attribute(value: Any, name: str) -> Any:
    """What an object holds by that name, None if nothing, without asking code of its own."""
    try:
        return object.__getattribute__(value, name)
    except AttributeError:
        return None
