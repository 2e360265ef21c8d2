"""Gymnasium's own wrappers around a run's environment, by name, as the setting `wrappers` has them.

    wrappers=["RepeatAction(num_repeats=4)", "GrayscaleObservation", "FrameStackObservation(stack_size=4)"]

The first one is innermost. Arguments are Python's literals; nothing is executed. They wrap training's environments and
an evaluation's alike. The score is the environment's own reward all the same: `own_reward.py` counts it beneath them.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium

from colab_rl.environments.own_reward import OwnReward, as_float
from colab_rl.environments.repeat import RepeatAction
from colab_rl.errors import UsageError, nearest


def scale_reward(env: gymnasium.Env, scale: float) -> gymnasium.Env:
    """Rewards times `scale`: TransformReward takes a function, which no text can name."""
    return gymnasium.wrappers.TransformReward(env, lambda reward: scale * as_float(reward))


_PICTURES = "it shows or writes pictures, and training draws none: the command render films a run"
_ARRAYS = "it gives arrays of other libraries, and training takes NumPy's"
_FUNCTION = "it takes a function or a space, which no text can name: put it into a function that makes the environment"
_INSIDE = "gymnasium.make puts it around an environment itself"
LEFT_OUT = {"Autoreset": "it begins episodes itself, and colab_rl begins each one from a seed of its own",
            "RecordVideo": _PICTURES, "RenderCollection": _PICTURES, "HumanRendering": _PICTURES,
            "AddRenderObservation": _PICTURES, "ArrayConversion": _ARRAYS, "JaxToNumpy": _ARRAYS,
            "JaxToTorch": _ARRAYS, "NumpyToTorch": _ARRAYS, "PassiveEnvChecker": _INSIDE, "OrderEnforcing": _INSIDE,
            "TransformAction": _FUNCTION, "TransformObservation": _FUNCTION, "TransformReward": f"{_FUNCTION}; "
            "ScaleReward(0.1) scales rewards"}
WRAPPERS: dict[str, Callable[..., gymnasium.Env]] = {
    **{name: getattr(gymnasium.wrappers, name) for name in gymnasium.wrappers.__all__
       if name not in LEFT_OUT and isinstance(getattr(gymnasium.wrappers, name), type)}, "ScaleReward": scale_reward,
    "RepeatAction": RepeatAction}
# Ours, and gymnasium's own if its version has one.
REPEATING = (RepeatAction, getattr(gymnasium.wrappers, "RepeatAction", RepeatAction))
REWARD_ONLY = {"ClipReward", "NormalizeReward", "ScaleReward"}


def steps_at_once(environment: gymnasium.Env) -> int:
    """How many of its own steps an environment takes in one of what is around it."""
    steps = 1
    while isinstance(environment, gymnasium.Wrapper):
        if isinstance(environment, gymnasium.wrappers.MaxAndSkipObservation):
            steps *= environment._skip
        elif isinstance(environment, REPEATING):
            steps *= environment.num_repeats
        environment = environment.env
    return steps


def wrapped(environment: gymnasium.Env, wrappers: Sequence[str]) -> gymnasium.Env:
    """The environment in wrappers. Raises UsageError for one that is unknown, or does not fit."""
    calls = [parsed(text) for text in wrappers]
    environment = OwnReward(environment) if calls else environment
    for text, (name, positional, keywords) in zip(wrappers, calls, strict=True):
        make = WRAPPERS[name]
        signature = list(inspect.signature(make).parameters.values())[1:]
        parameters = [one.name for one in signature]
        for given in keywords:
            if given not in parameters:
                raise UsageError(f"wrapper {name} takes no {given!r}{nearest(given, parameters)} (it takes: "
                                 f"{', '.join(parameters) or 'nothing'})")
        values = {**dict(zip(parameters, positional, strict=False)), **keywords}
        for parameter in signature:
            if parameter.name in values:
                _check_argument(text, parameter, values[parameter.name])
        try:
            environment = make(environment, *positional, **keywords)
        except gymnasium.error.DependencyNotInstalled:
            raise
        except Exception as error:  # whatever gymnasium checks by
            what = " ".join(str(error).split()) or "its observations or actions are not what it takes"
            raise UsageError(f"wrapper {text} does not fit: {what}") from error
    return environment


def _check_argument(text: str, parameter: inspect.Parameter, value: Any) -> None:
    """Raises UsageError for what is no number, if it must be one: gymnasium notices some in the first step alone."""
    wanted = str(parameter.annotation)
    no_number = wanted == "float" and not isinstance(value, int | float)
    if no_number or (isinstance(value, str | dict) and not re.search("str|Any|Obs", wanted)):
        what = "a number" if "float" in wanted else "a whole number" if "int" in wanted else wanted
        raise UsageError(f"wrapper {text} does not fit: {parameter.name} is {what}, not {value!r}")


def parsed(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Name, positional and keyword arguments of a wrapper. Raises UsageError for what is none."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        call = tree if isinstance(tree, ast.Call) else ast.Call(tree, [], [])
        if not isinstance(call.func, ast.Name) or not all(keyword.arg for keyword in call.keywords):
            raise ValueError
        positional = [ast.literal_eval(argument) for argument in call.args]
        keywords = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise UsageError(f"a wrapper is a name, or a name with plain values such as "
                         f"FrameStackObservation(stack_size=4), not {text!r}") from None
    name = call.func.id
    if name in LEFT_OUT:
        raise UsageError(f"gymnasium's wrapper {name} is left out: {LEFT_OUT[name]}")
    if name not in WRAPPERS:
        raise UsageError(f"unknown wrapper {name!r}{nearest(name, WRAPPERS)} (there are gymnasium.wrappers, "
                         "RepeatAction and ScaleReward; a wrapper of your own goes into a function that makes the "
                         "environment)")
    return name, positional, keywords
