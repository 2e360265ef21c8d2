"""Making an environment, and checking that its spaces are supported.

An environment is named by its Gymnasium id (`BipedalWalker-v3`, `module:Id-v0`) or given
as a function that makes one; `make_environment` takes both.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np

from colab_rl.environments.guard import in_one_line, prints_aside
from colab_rl.environments.loaded_code import loaded_code
from colab_rl.environments.spaces import ObservationSpec, Spaces
from colab_rl.errors import EnvironmentFault, UsageError, nearest

EnvironmentSource = str | Callable[..., gymnasium.Env]
# By wrapper the setting that takes its place.
RUNNING_STATISTICS: dict[type[gymnasium.Wrapper], str] = {
    gymnasium.wrappers.NormalizeObservation: "normalize_observations",
    gymnasium.wrappers.NormalizeReward: "normalize_rewards (of ppo)"}


@prints_aside()
def make_environment(source: EnvironmentSource, render_mode: str | None = None) -> gymnasium.Env:
    """A new environment. Raises UsageError for an unknown id or a function that makes none, EnvironmentFault where
    making it fails.

    render_mode: what its `render` shall give. A function is given it where it takes an argument
        of that name. Raises EnvironmentFault where the environment does not have it.
    """
    try:
        if not isinstance(source, str):
            takes_it = render_mode and "render_mode" in inspect.signature(source).parameters
            made = source(render_mode=render_mode) if takes_it else source()
            return _rendering(_checked(made, source), source, render_mode)
        name = import_module_of(source)
        if name not in gymnasium.registry:
            raise UsageError(f"unknown environment {source!r}{nearest(name, gymnasium.registry)}")
        if render_mode is None:
            return gymnasium.make(source, disable_env_checker=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a mode that is not there, which is said below
            return _rendering(gymnasium.make(source, disable_env_checker=True, render_mode=render_mode), source,
                              render_mode)
    except gymnasium.error.DependencyNotInstalled as error:
        raise EnvironmentFault(f"{source} needs a package that is missing: {error}") from error
    except (UsageError, EnvironmentFault):
        raise
    except (Exception, SystemExit) as error:  # a module may leave when it is imported
        raise EnvironmentFault(f"{environment_name(source)} could not be made: {in_one_line(error)}") from error


def describe(source: EnvironmentSource, trial: Callable[[gymnasium.Env, str], None] | None = None) -> Spaces:
    """The spaces of an environment. Raises UsageError if they, or what it is wrapped in, are not supported.

    trial: is given the environment and its name then.
    """
    environment = make_environment(source)
    try:
        name = environment_name(source)
        _check_wrappers(environment, name)
        spaces = _spaces_of(environment, name, loaded_code(environment, source))
        if trial:
            trial(environment, name)
        return spaces
    finally:
        close_environment(environment)


def _spaces_of(environment: gymnasium.Env, name: str, code: Mapping[str, str]) -> Spaces:
    observations, actions = (getattr(environment, which, None) for which in ("observation_space", "action_space"))
    for what, space in (("observation", observations), ("action", actions)):
        if not isinstance(space, gymnasium.Space):
            kind = "None" if space is None else f"a {type(space).__name__} of {type(space).__module__}"
            raise UsageError(f"{name} has {kind} as its {what}_space, which is no space of gymnasium: make one of "
                             "gymnasium.spaces")
        if space.shape == (0,):
            raise UsageError(f"{name} has {what}s of length 0: there is nothing to learn from")
    if not isinstance(observations, gymnasium.spaces.Box) or len(observations.shape) != 1:
        raise UsageError(f"{name} has observations {observations}: only flat Box observations are supported "
                         "(gymnasium.wrappers.FlattenObservation makes them flat)")
    observation, none = ObservationSpec(observations.shape), np.zeros(0, np.float32)
    if isinstance(actions, gymnasium.spaces.Discrete):
        return Spaces(observation, True, int(actions.n), int(actions.start), none, none, code, str(actions.dtype))
    if isinstance(actions, gymnasium.spaces.Box) and len(actions.shape) == 1 \
            and np.issubdtype(actions.dtype, np.floating):
        with np.errstate(all="ignore"):  # a bound beyond float32 is none
            low, high = actions.low.astype(np.float32), actions.high.astype(np.float32)
            exact = np.array_equal(low, actions.low) and np.array_equal(high, actions.high)
        bounds = () if exact else (tuple(actions.low.tolist()), tuple(actions.high.tolist()))
        return Spaces(observation, False, actions.shape[0], 0, low, high, code, str(actions.dtype), *bounds)
    raise UsageError(f"{name} has actions {actions}: only Discrete and flat floating-point Box actions are supported")


def import_module_of(env_id: str) -> str:
    """Imports the module that an id such as `module:Id-v0` names; returns the id in it. Raises UsageError if there is
    no such module.
    """
    module, colon, name = env_id.rpartition(":")
    if not colon:
        return name
    if not all(module.split(".")):
        raise UsageError(f"environment {env_id!r} names no module before its colon")
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(f"environment {env_id!r}: no module named {error.name!r} is found") from error
    return name


@prints_aside()
def named_source(name: str) -> EnvironmentSource:
    """The function that `module:function` names; the name itself if it is an id, or if there is no such function."""
    module, _, attribute = name.rpartition(":")
    if not module or not attribute.isidentifier():
        return name
    with contextlib.suppress(Exception, SystemExit):  # make_environment says what is wrong with the module
        import_module_of(name)
    function = getattr(sys.modules.get(module), attribute, None)
    return function if callable(function) and attribute not in gymnasium.registry else name


def import_path(source: EnvironmentSource) -> str | None:
    """The `module:function` by which another process finds a function; None if there is none, as for a lambda."""
    module, name = getattr(source, "__module__", None), getattr(source, "__qualname__", "")
    found = getattr(sys.modules.get(module or ""), name, None)
    return f"{module}:{name}" if callable(source) and found is source and module != "__main__" else None


def environment_title(environment: gymnasium.Env) -> str:
    """What people call an environment: its id, or the name of its class."""
    return environment.spec.id if environment.spec else type(environment.unwrapped).__name__


def registered_as(source: EnvironmentSource) -> str:
    """What gymnasium's registry holds of an id; empty for a function."""
    return repr(gymnasium.registry.get(import_module_of(source))) if isinstance(source, str) else ""


@prints_aside()
def close_environment(environment: gymnasium.Env) -> None:
    """Closes it. What it raises then is passed over: nothing is wanted of it any more."""
    with contextlib.suppress(Exception, SystemExit):
        environment.close()


def environment_name(source: EnvironmentSource) -> str:
    """The id, or a function's own name behind `custom:`."""
    if isinstance(source, str):
        return source
    return "custom:" + getattr(source, "__qualname__", type(source).__name__)


def _checked(made: object, source: EnvironmentSource) -> gymnasium.Env:
    """What a function made, if that is an environment."""
    if isinstance(made, gymnasium.Env):
        return made
    if made is None:
        raise UsageError(f"{environment_name(source)} returned None, not a Gymnasium environment: "
                         "does it lack a return?")
    kinds = [f"{kind.__module__}.{kind.__name__}" for kind in type(made).__mro__[1:-1]]
    if not isinstance(made, type) and hasattr(made, "reset") and hasattr(made, "step"):
        raise UsageError(f"{environment_name(source)} returned {type(made).__name__}, an environment that is none of "
                         f"gymnasium's: it inherits {kinds[0] if kinds else 'nothing'}, not gymnasium.Env (the package "
                         "shimmy makes one of the other)")
    raise UsageError(f"{environment_name(source)} returned {type(made).__name__}, not a Gymnasium environment "
                     "(a gymnasium.Env)")


def metadata_of(environment: gymnasium.Env) -> Mapping[str, Any]:
    """Its `metadata`; empty if it has none."""
    return environment.metadata if isinstance(environment.metadata, Mapping) else {}


def _check_wrappers(environment: gymnasium.Env, name: str) -> None:
    """Raises UsageError for wrappers whose statistics run on: an episode would depend on those before it."""
    layer = environment
    while isinstance(layer, gymnasium.Wrapper):
        for kind, setting in RUNNING_STATISTICS.items():
            if isinstance(layer, kind) and getattr(layer, "update_running_mean", True):  # False freezes them
                raise UsageError(f"{name} is wrapped in {kind.__name__}, whose statistics change with every episode "
                                 "and are in no checkpoint; nothing was changed; leave the wrapper out and use the "
                                 f"setting {setting}")
        layer = layer.env


def _rendering(environment: gymnasium.Env, source: EnvironmentSource, render_mode: str | None) -> gymnasium.Env:
    """The environment, if it renders in that mode."""
    if render_mode is None or environment.render_mode == render_mode:
        return environment
    modes = metadata_of(environment).get("render_modes") or []
    close_environment(environment)
    hint = f"; give env=a function that makes it with render_mode={render_mode!r}" if render_mode in modes else ""
    raise EnvironmentFault(f"{environment_name(source)} does not render as {render_mode}{hint}; "
                           "nothing was written")
