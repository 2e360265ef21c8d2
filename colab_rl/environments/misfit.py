"""Which part of an observation is not of its space, in words. nested.py finds, at every step, only that one is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Tuple

from colab_rl.environments.nested import Path, in_line, is_cut_off, is_image, width, write_numbers


def misfit(space: gymnasium.Space, observation: Any) -> tuple[str, str]:
    """What was returned, and what is expected, of the first part that is not of the space.

    A part inside a Dict or Tuple is named by its place, such as `robot/camera`.
    """
    return _misfit(space, observation, ()) or (f"{in_words(observation)} as an observation", _expected(space))


def in_words(returned: Any) -> str:
    """Such as `4 values (ndarray, float, bool, dict)`, or `int 7`."""
    if returned is None:
        return "None"
    if isinstance(returned, (tuple, list)):
        kinds = ", ".join(type(value).__name__ for value in returned[:8])
        return f"{len(returned)} value{'s' * (len(returned) != 1)} ({kinds})"
    if isinstance(returned, (bool, int, float, np.generic)):
        return f"{type(returned).__name__} {' '.join(str(returned).split())[:40]}"
    shape = getattr(returned, "shape", ())
    return type(returned).__name__ + (f" of shape {tuple(shape)}" if shape else "")


def _misfit(space: Any, value: Any, path: Path) -> tuple[str, str] | None:
    """See `misfit`; None if the value is of the space."""
    if not isinstance(space, Dict | Tuple):
        return _misfit_of_leaf(space, value, path)
    for key, inner in space.spaces.items() if isinstance(space, Dict) else enumerate(space.spaces):
        try:
            part = value[key]
        except (TypeError, ValueError, LookupError):
            if isinstance(space, Dict) != isinstance(value, Mapping):
                return f"{in_words(value)} as {_named(path)}", _expected(space)
            has = f"it has {', '.join(map(str, value)) or 'nothing'}" if isinstance(space, Dict) else in_words(value)
            return f"no {'/'.join(map(str, (*path, key)))} in an observation ({has})", _expected(inner)
        if found := _misfit(inner, part, (*path, key)):
            return found
    return None


def _misfit_of_leaf(space: Any, value: Any, path: Path) -> tuple[str, str] | None:
    shape = _shape(value)
    if shape == space.shape and is_image(space) and is_cut_off(value):
        array = np.asarray(value)
        numbers = array.dtype if array.dtype.kind == "f" else f"{array.dtype} from {array.min()} to {array.max()}"
        return (f"{in_words(value)} of {numbers} as {_named(path)}",
                "uint8 from 0 to 255, as in its observation_space: return that, or declare a Box of a float type")
    try:
        write_numbers(space, value, np.zeros(width(space), np.float32))
    except (TypeError, ValueError, LookupError):
        small = isinstance(value, np.ndarray) and value.size <= 8 and shape == space.shape
        holding = f" holding {value.tolist()}" if small else ""
        return f"{in_words(value)}{holding} as {_named(path)}", _expected(space)
    return None


def _shape(value: Any) -> tuple[int, ...] | None:
    try:
        return np.shape(value)
    except ValueError:  # lists of several lengths
        return None


def _named(path: Path) -> str:
    return f"an observation's {'/'.join(map(str, path))}" if path else "an observation"


def _expected(space: Any) -> str:
    """What a part has to be."""
    if isinstance(space, Dict):
        what = f"a dict of {', '.join(map(str, space.spaces))}"
    elif isinstance(space, Tuple):
        what = f"a tuple of {len(space.spaces)}"
    elif isinstance(space, Discrete):
        what = f"a whole number from {space.start} to {space.start + space.n - 1}"
    elif isinstance(space, Box | MultiBinary):
        what = f"an array of shape {space.shape}"
    else:
        what = f"whole numbers of shape {space.shape} within {in_line(space)}"
    return f"{what}, as in its observation_space"
