"""What makes a worker process look to an environment like the process that started it.

A worker inherits the working folder, environment variables, umask, priority and resource limits. `python_command` gives
it the interpreter's options (`-O`, `-W`, `-X`, ...), `packed` and `unpacked` bring it the rest: `sys.path` and
`sys.argv`, warnings filters, locale, NumPy's error state, limits of the interpreter, gymnasium's registry, and
`__main__` with the functions and classes of it that the environment uses.

What differs all the same:

- Standard input is empty, standard output is standard error, and there is no terminal, Ctrl-C or IPython.
- `OMP_NUM_THREADS` is 1: the workers have the cores already.
- `random` and `np.random` begin from seeds of their own, and so do the hashes that order a set of texts. What an
  episode draws comes from `self.np_random`. PYTHONHASHSEED fixes the hashes of all processes.
- What was set in a library by a call (logging, `torch.set_default_dtype`, `np.set_printoptions`) is set here alone. A
  function that makes the environment can set it.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import io
import locale
import multiprocessing
import pickle
import subprocess
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import cloudpickle
import gymnasium
import numpy as np

from colab_rl.environments.make import EnvironmentSource, bare

MAIN = "__main__"
# By name: how this process reads it, and how a worker takes it over.
STATE: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "path": (lambda: sys.path, lambda value: _replace(sys.path, value)),
    "arguments": (lambda: sys.argv, lambda value: _replace(sys.argv, value)),
    "warning options": (lambda: sys.warnoptions, lambda value: _replace(sys.warnoptions, value)),
    "recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
    "digits of an int": (sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    "locale": (lambda: locale.setlocale(locale.LC_ALL), lambda value: locale.setlocale(locale.LC_ALL, value)),
    "start method": (lambda: multiprocessing.get_start_method(allow_none=True),
                     lambda value: multiprocessing.set_start_method(value, force=True)),
    "NumPy's errors": (np.geterr, lambda value: np.seterr(**value)),
    "main module": (lambda: _main_module(), lambda value: vars(sys.modules[MAIN]).update(value)),
}


def python_command(program: str) -> list[str]:
    """The command of a Python like this one, that runs `program`."""
    options = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
    options += [f"-X{name}" if value is True else f"-X{name}={value}" for name, value in sys._xoptions.items()]
    places = [place for place in sys.path if isinstance(place, str)]  # import looks at no others
    return [sys.executable, *options, "-c", f"import sys; sys.path[:] = {places!a}; {program}"]


def packed(source: EnvironmentSource) -> bytes:
    """`source` and this process's state, for `unpacked`. Raises what an object raises that cannot be pickled."""
    state = _dumped({name: read() for name, (read, _) in STATE.items()})
    filters = [(getattr(one[2], "__module__", ""), _dumped(one)) for one in warnings.filters]
    plain = {name: spec for name, spec in gymnasium.registry.items()
             if isinstance(spec.entry_point, str) and not spec.kwargs}
    parts = [plain, *({name: spec} for name, spec in gymnasium.registry.items() if name not in plain)]
    # What an environment uses of `__main__` is the very same there: its own part comes last.
    env = bare(source)
    parts.sort(key=lambda part: isinstance(env, str) and env.rpartition(":")[2] in part)
    registry = []
    for part in parts:
        with contextlib.suppress(Exception):  # whatever an object raises that is asked for its content
            registry.append(_dumped_with_main(part))
    return pickle.dumps((state, filters, registry, _dumped_with_main(source)))


def unpacked(content: bytes) -> tuple[EnvironmentSource, dict[str, Any]]:
    """Takes over the state; returns what `packed` was given, and the environments that were registered there."""
    state, filters, parts, rest = pickle.loads(content)
    for name, value in pickle.loads(state).items():
        with contextlib.suppress(locale.Error):
            STATE[name][1](value)
    registry: dict[str, Any] = {}
    for part in parts:
        with contextlib.suppress(Exception):  # of a module that cannot be imported here
            registry |= _loaded_with_main(part)
    source = _loaded_with_main(rest)
    warnings.resetwarnings()
    # Nothing is raised of a category whose module is not loaded, and it need not be imported for this.
    warnings.filters[:] = [pickle.loads(one) for module, one in filters  # type: ignore[index]
                           if module in sys.modules]
    return source, registry


class _Pickler(cloudpickle.Pickler):
    """Notes in `of_main` the functions and classes of `__main__` that it meets, by name."""

    def __init__(self, file: io.BytesIO):
        super().__init__(file)
        self.of_main: dict[str, Any] = {}

    def reducer_override(self, thing: Any) -> Any:
        """See pickle.Pickler."""
        name = getattr(thing, "__name__", "")
        if isinstance(thing, types.CodeType):
            make, arguments = self.dispatch_table[types.CodeType](thing)
            # Some versions of cloudpickle leave out the file, which a person needs to find a line.
            return make, tuple(thing.co_filename if isinstance(one, str) and one == "<dynamic-code>" else one
                               for one in arguments)
        if isinstance(thing, (type, types.FunctionType)) and thing.__module__ == MAIN \
                and vars(sys.modules[MAIN]).get(name) is thing:
            self.of_main[name] = thing
        return super().reducer_override(thing)


def _dumped(thing: Any) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(thing)
    return file.getvalue()


def _dumped_with_main(thing: Any) -> bytes:
    """It pickled, and what it uses of `__main__`."""
    pickler = _Pickler(io.BytesIO())
    pickler.dump(thing)
    return _dumped((pickler.of_main, thing))


def _loaded_with_main(data: bytes) -> Any:
    of_main, thing = pickle.loads(data)
    vars(sys.modules[MAIN]).update(of_main)
    return thing


def _main_module() -> dict[str, Any]:
    """What `__main__` says of itself."""
    main = vars(sys.modules[MAIN])
    found: dict[str, Any] = {name: main[name] for name in ("__file__", "__package__", "__doc__") if name in main}
    if spec := main.get("__spec__"):
        found["__spec__"] = importlib.machinery.ModuleSpec(spec.name, None, origin=spec.origin)
    return found


def _replace(there: list, by: list) -> None:
    there[:] = by
