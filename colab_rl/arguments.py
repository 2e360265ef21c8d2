"""What people call, forms of notebooks above all, says in a sentence that an argument has the wrong type."""

from __future__ import annotations

import functools
import inspect
import numbers
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from colab_rl.errors import UsageError, warnings_raise_nothing

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
        bound = signature.bind(*arguments, **options)
        for name, value in bound.arguments.items():
            parameter = signature.parameters[name]
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                allowed = _types(parameter.annotation, function)
                if not any(_is_a(value, kind) for kind in allowed):
                    words = dict.fromkeys(_word(kind) for kind in allowed if kind is not type(None))
                    made = "a function" in words and hasattr(value, "reset") and hasattr(value, "step")
                    hint = f": give what makes it, such as {name}=lambda: ..." if made else ""
                    raise UsageError(f"{name} is {' or '.join(words)}, not {value!r}{hint}")
                bound.arguments[name] = _as_whole(value, allowed)
        with warnings_raise_nothing():
            return function(*bound.args, **bound.kwargs)

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


def _as_whole(value: Any, allowed: list[Any]) -> Any:
    """A number as an int if no float is allowed, since `range` takes no 1e2; anything else as it is."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return int(value) if is_number and int in allowed and float not in allowed else value


def _word(kind: Any) -> str:
    bare, inside = typing.get_origin(kind) or kind, typing.get_args(kind)
    return f"a list of {_word(inside[0])}" if bare is Sequence else WORDS.get(bare, str(kind))
