"""Gymnasium's own wrappers around a run's environment, by name, as the setting `wrappers` has them.

    wrappers=["RepeatAction(num_repeats=4)", "GrayscaleObservation", "FrameStackObservation(stack_size=4)"]

The first one is innermost. Arguments are Python's literals; nothing is executed. They wrap training's environments and
an evaluation's alike. The score is the environment's own reward all the same: `own_reward.py` counts it beneath them.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium

from colab_rl.environments.own_reward import OwnReward
from colab_rl.environments.repeat import RepeatAction
from colab_rl.errors import UsageError, nearest


def scale_reward(env: gymnasium.Env, scale: float) -> gymnasium.Env:
    """Rewards times `scale`: TransformReward takes a function, which no text can name."""
    return gymnasium.wrappers.TransformReward(env, lambda reward: scale * float(reward))


# These begin episodes themselves, show or write pictures, or give arrays of other libraries.
LEFT_OUT = {"Autoreset", "RecordVideo", "RenderCollection", "HumanRendering", "AddRenderObservation", "ArrayConversion",
            "JaxToNumpy", "JaxToTorch", "NumpyToTorch", "PassiveEnvChecker", "OrderEnforcing"}
WRAPPERS: dict[str, Callable[..., gymnasium.Env]] = {
    **{name: getattr(gymnasium.wrappers, name) for name in gymnasium.wrappers.__all__
       if name not in LEFT_OUT and isinstance(getattr(gymnasium.wrappers, name), type)}, "ScaleReward": scale_reward,
    "RepeatAction": RepeatAction}
# Ours, and gymnasium's own if its version has one.
REPEATING = (RepeatAction, getattr(gymnasium.wrappers, "RepeatAction", RepeatAction))
REWARD_ONLY = {"ClipReward", "NormalizeReward", "ScaleReward", "TransformReward"}


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
        parameters = list(inspect.signature(make).parameters)[1:]
        for given in keywords:
            if given not in parameters:
                raise UsageError(f"wrapper {name} takes no {given!r}{nearest(given, parameters)} (it takes: "
                                 f"{', '.join(parameters) or 'nothing'})")
        try:
            environment = make(environment, *positional, **keywords)
        except gymnasium.error.DependencyNotInstalled:
            raise
        except Exception as error:  # whatever gymnasium checks by
            what = " ".join(str(error).split()) or "its observations or actions are not what it takes"
            raise UsageError(f"wrapper {text} does not fit: {what}") from error
    return environment


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
    if name not in WRAPPERS:
        raise UsageError(f"unknown wrapper {name!r}{nearest(name, WRAPPERS)} (there are gymnasium.wrappers and "
                         "ScaleReward; a wrapper of your own goes into a function that makes the environment)")
    return name, positional, keywords
