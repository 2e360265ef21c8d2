"""What people call, forms of notebooks above all, says in a sentence that an argument has the wrong type."""

from __future__ import annotations

import functools
import importlib
import inspect
import numbers
import os
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from colab_rl.errors import OwnCodeFault, UsageError, nearest, warnings_raise_nothing
from colab_rl.user_code import theirs

P = ParamSpec("P")
R = TypeVar("R")

WORDS = {str: "text", int: "a whole number", float: "a number", bool: "True or False",
         Mapping: "names and values in braces", os.PathLike: "a path", Callable: "a function"}
NUMBERS = {int: numbers.Integral, float: numbers.Real}


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function; raises UsageError if an argument is of a type that its annotation does not name."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        for name, value in signature.bind(*arguments, **options).arguments.items():
            parameter = signature.parameters[name]
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                allowed = _types(parameter.annotation, function)
                if not any(_is_a(value, kind) for kind in allowed):
                    words = dict.fromkeys(_word(kind) for kind in allowed if kind is not type(None))
                    made = "a function" in words and hasattr(value, "reset") and hasattr(value, "step")
                    hint = f": give what makes it, such as {name}=lambda: ..." if made else ""
                    raise UsageError(f"{name} is {' or '.join(words)}, not {value!r}{hint}")
        with warnings_raise_nothing():
            return function(*arguments, **options)

    return call


def check_seed(seed: int) -> None:
    """Raises UsageError for what cannot be the seed of an episode."""
    if not 0 <= seed < 2**31:
        raise UsageError(f"the seed must be between 0 and {2**31 - 1}, not {seed}")


def _types(annotation: Any, function: Callable) -> list[Any]:
    """The types that an annotation names, each a class or one with brackets."""
    if isinstance(annotation, str):
        annotation = eval(annotation, function.__globals__)  # this package's own text, as typing.get_type_hints does
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [kind for one in typing.get_args(annotation) for kind in _types(one, function)]
    return [annotation]


def _is_a(value: Any, kind: Any) -> bool:
    bare, inside = typing.get_origin(kind) or kind, typing.get_args(kind)
    if bare is Any:
        return True
    if bare is Callable:
        return callable(value)
    if bare in NUMBERS:
        whole = bare is int and isinstance(value, float) and value.is_integer()  # 1e5, as the command line takes it
        return (isinstance(value, NUMBERS[bare]) or whole) and not isinstance(value, bool)
    if bare is Sequence:
        return (isinstance(value, Sequence) and not isinstance(value, str)
                and all(_is_a(one, inside[0]) for one in value))
    return isinstance(value, bare)


def _word(kind: Any) -> str:
    bare, inside = typing.get_origin(kind) or kind, typing.get_args(kind)
    return f"a list of {_word(inside[0])}" if bare is Sequence else WORDS.get(bare, str(kind))


def imported(name: str, what: str) -> Any:
    """What `module:Class` names. Raises UsageError that says which of both is not found, OwnCodeFault if importing the
    module raises.
    """
    module, _, attribute = name.partition(":")
    if not all(module.split(".")):
        raise UsageError(f"{what} {name!r} names no module before its colon")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(f"{what} {name!r}: no module named {error.name!r} is found; give the command in its "
                         "folder, or put that folder into PYTHONPATH") from error
    except (Exception, SystemExit) as error:  # a module may leave when it is imported
        raise OwnCodeFault(f"{what} {name!r} could not be imported: {theirs(error)}; nothing was changed; correct "
                           "the module, then give the same command again") from error
    if not hasattr(found, attribute):
        known = [one for one, value in vars(found).items() if callable(value)]
        raise UsageError(f"{what} {name!r}: the module has no {attribute!r}{nearest(attribute, known)}")
    return getattr(found, attribute)


def import_path(thing: Any) -> str | None:
    """The `module:name` by which another process finds a class or function; None if there is none, as for a cell's."""
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "")
    found = getattr(sys.modules.get(module or ""), name, None)
    return f"{module}:{name}" if callable(thing) and found is thing and module != "__main__" else None
