"""Making an environment, and checking that its spaces are supported.

An environment is named by its Gymnasium id (`BipedalWalker-v3`, `module:Id-v0`) or given as a function that makes
one; `configured` adds what a run makes of it. `make_environment` takes all three.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import itertools
import json
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from colab_rl.environments.guard import fault_in_one_line, prints_aside
from colab_rl.environments.loaded_code import loaded_code
from colab_rl.environments.nested import NotFlat, Observed, choices_of, count, in_line, leaves, outline
from colab_rl.environments.spaces import Spaces
from colab_rl.environments.wrappers import wrapped
from colab_rl.errors import EnvironmentFault, UsageError, near, nearest

EnvironmentSource = str | Callable[..., gymnasium.Env]
OF_MAKE = ("max_episode_steps",)  # what gymnasium.make takes itself and a run leaves to a person
OUR_KEYWORDS = ("render_mode", "disable_env_checker", "vectorization_mode")  # and what colab_rl sets
# By wrapper the setting that takes its place.
RUNNING_STATISTICS: dict[type[gymnasium.Wrapper], str] = {
    gymnasium.wrappers.NormalizeObservation: "normalize_observations",
    gymnasium.wrappers.NormalizeReward: "normalize_rewards (of ppo)"}


@dataclass(frozen=True)
class Configured:
    """An id or a function, with what a run makes of it: a function of its own.

    keywords: of gymnasium.make, or of the function, as JSON. wrappers: see wrappers.py.
    """

    bare: EnvironmentSource
    keywords: str
    wrappers: tuple[str, ...]

    def __call__(self, render_mode: str | None = None) -> gymnasium.Env:
        """A new environment; `make_environment` calls it."""
        return wrapped(_made(self.bare, render_mode, keywords_of(self)), self.wrappers)


@prints_aside()
def make_environment(source: EnvironmentSource, render_mode: str | None = None) -> gymnasium.Env:
    """A new environment. Raises UsageError for an unknown id or a function that makes none, EnvironmentFault if
    making it fails.

    render_mode: what its `render` shall give. A function is given it if it takes an argument
        of that name, or any (`**kwargs`). Raises EnvironmentFault if the environment does not have it.
    """
    try:
        return _made(source, render_mode, {})
    except gymnasium.error.DependencyNotInstalled as error:
        raise EnvironmentFault(f"{environment_name(source)} needs a package that is missing: {error}") from error
    except (UsageError, EnvironmentFault):
        raise
    except (Exception, SystemExit) as error:  # a module may leave when it is imported
        raise EnvironmentFault(f"{environment_name(source)} could not be made: {fault_in_one_line(error)}") from error


def _made(source: EnvironmentSource, render_mode: str | None, keywords: Mapping[str, Any]) -> gymnasium.Env:
    """See `make_environment`."""
    if not isinstance(source, str):
        if keywords:
            _check_keywords(environment_name(source), source, keywords)
        return _rendering(_checked(_called(source, render_mode, keywords), source), source, render_mode)
    name = import_module_of(source)
    if name not in gymnasium.registry:
        raise UsageError(_why_unknown(source, name))
    if keywords:
        entry_point = gymnasium.registry[name].entry_point
        _check_keywords(source, gymnasium.envs.registration.load_env_creator(entry_point)
                        if isinstance(entry_point, str) else entry_point, keywords, OF_MAKE)
    if render_mode is None:
        return gymnasium.make(source, disable_env_checker=True, **keywords)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a missing mode: `_rendering` raises for it
        return _rendering(gymnasium.make(source, disable_env_checker=True, render_mode=render_mode, **keywords), source,
                          render_mode)


def _called(source: Callable[..., gymnasium.Env], render_mode: str | None, keywords: Mapping[str, Any]) -> Any:
    """What a function makes, with the mode if it takes that or any keyword arguments."""
    parameters = inspect.signature(source).parameters if render_mode else {}
    if "render_mode" in parameters:
        return source(render_mode=render_mode, **keywords)
    if takes_any(parameters):
        with contextlib.suppress(Exception):  # what it hands its arguments on to may refuse this one
            return source(render_mode=render_mode, **keywords)
    return source(**keywords)


def takes_any(parameters: Mapping[str, inspect.Parameter]) -> bool:
    """Whether one of them is `**kwargs`."""
    return any(one.kind is one.VAR_KEYWORD for one in parameters.values())


def _why_unknown(source: str, name: str) -> str:
    """That an id, or a function in a module, is unknown, and those near it."""
    module, _, attribute = source.rpartition(":")
    unknown, inside = f"unknown environment {source!r}", vars(sys.modules[module]) if module else {}
    if attribute in inside:
        return f"{source} is a {type(inside[attribute]).__name__}, and no function that makes an environment"
    functions = near(attribute, [one for one, value in inside.items() if callable(value) and one[0] != "_"])
    if functions and attribute.isidentifier():
        return f"{unknown}; did you mean {' or '.join(repr(f'{module}:{one}') for one in functions)}?"
    return f"{unknown}{nearest(name, gymnasium.registry)}"


def _check_keywords(name: str, made_by: Any, keywords: Mapping[str, Any], more: tuple[str, ...] = ()) -> None:
    """Raises UsageError that names an argument which is not taken, and those near it."""
    parameters = inspect.signature(made_by).parameters
    known = [*parameters, *more]
    for given in keywords:
        if given in OUR_KEYWORDS:
            raise UsageError(f"colab_rl sets {given} itself: leave it out of env_kwargs (--env-set)")
        if given not in known and not takes_any(parameters):
            taken = ", ".join(one for one in known if one not in OUR_KEYWORDS) or "none"
            raise UsageError(f"{name} takes no keyword argument {given!r}{nearest(given, known)} (it takes: {taken})")


def configured(source: EnvironmentSource, keywords: Mapping[str, Any], wrappers: Sequence[str]) -> EnvironmentSource:
    """An environment with these keyword arguments of gymnasium.make, or of the function, in these wrappers."""
    if not keywords and not wrappers:
        return source
    return Configured(bare(source), json.dumps(dict(keywords), sort_keys=True), tuple(wrappers))


def kept_keywords(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments as a file keeps them. Raises UsageError for those that it cannot keep."""
    try:
        return json.loads(json.dumps(dict(keywords)))
    except (TypeError, ValueError) as error:
        raise UsageError(f"run.json keeps env_kwargs, and takes None, True, False, numbers, text, lists and names "
                         f"with values: {error}; a function can make the environment from others") from error


def bare(source: EnvironmentSource) -> EnvironmentSource:
    """The id, or the function."""
    return source.bare if isinstance(source, Configured) else source


def keywords_of(source: EnvironmentSource) -> dict[str, Any]:
    """The keyword arguments that it is made with."""
    return json.loads(source.keywords) if isinstance(source, Configured) else {}


def describe(source: EnvironmentSource, trial: Callable[[gymnasium.Env, str], None] | None = None) -> Spaces:
    """The spaces of an environment. Raises UsageError if they, or what it is wrapped in, are not supported.

    trial: is given the environment and its name then.
    """
    environment = make_environment(source)
    try:
        name = environment_name(source)
        _check_wrappers(environment, name)
        spaces = _spaces_of(environment, name, loaded_code(environment, bare(source)))
        if trial:
            trial(environment, name)
        return spaces
    finally:
        close_environment(environment)


def _spaces_of(environment: gymnasium.Env, name: str, code: Mapping[str, str]) -> Spaces:
    observations: Any = getattr(environment, "observation_space", None)
    actions: Any = getattr(environment, "action_space", None)
    for what, space in (("observation", observations), ("action", actions)):
        if not isinstance(space, gymnasium.Space):
            kind = "None" if space is None else f"a {type(space).__name__} of {type(space).__module__}"
            raise UsageError(f"{name} has {kind} as its {what}_space, which is no space of gymnasium: make one of "
                             "gymnasium.spaces")
    try:
        observed = Observed(observations)
        inner = [leaf for _, leaf in leaves(actions)]
    except NotFlat as kind:
        raise UsageError(f"{name} has {in_line(observations)} and {in_line(actions)} as its spaces, and {kind} has no "
                         "fixed number of values: colab_rl takes Box, Discrete, MultiDiscrete, MultiBinary, and Dict "
                         "and Tuple of them; gymnasium.wrappers.FlattenObservation makes one Box of a Text, "
                         "TransformObservation and TransformAction of what you choose") from None
    for what, empty in (("observation", 0 in observed.spec.shape), ("action", not sum(map(count, inner)))):
        if empty:
            raise UsageError(f"{name} has {what}s of length 0: there is nothing to learn from")
    seen = None if observed.as_it_is else outline(observations)
    none = np.zeros(0, np.float32)
    if isinstance(actions, gymnasium.spaces.Discrete):
        return Spaces(observed.spec, True, int(actions.n), int(actions.start), none, none, code, str(actions.dtype),
                      observation_space=seen)
    if not any(isinstance(leaf, gymnasium.spaces.Box) for leaf in inner):
        counts, firsts = (tuple(itertools.chain(*numbers)) for numbers in zip(*map(choices_of, inner), strict=True))
        return Spaces(observed.spec, True, len(counts), 0, none, none, code, "int64", choices=counts,
                      first_choices=firsts, observation_space=seen, action_space=outline(actions))
    if all(isinstance(leaf, gymnasium.spaces.Box) and np.issubdtype(leaf.dtype, np.floating) for leaf in inner):
        own = [np.concatenate([getattr(leaf, bound).ravel() for leaf in inner]) for bound in ("low", "high")]
        with np.errstate(all="ignore"):  # a bound beyond float32 is none
            low, high = (bound.astype(np.float32) for bound in own)
            exact = np.array_equal(low, own[0]) and np.array_equal(high, own[1])
        bounds = () if exact else (tuple(own[0].tolist()), tuple(own[1].tolist()))
        flat = isinstance(actions, gymnasium.spaces.Box) and len(actions.shape) == 1
        return Spaces(observed.spec, False, len(low), 0, low, high, code, str(own[0].dtype), *bounds,  # type: ignore[misc]
                      observation_space=seen, action_space=None if flat else outline(actions))
    if any(isinstance(leaf, gymnasium.spaces.Box) and leaf.dtype.kind != "f" for leaf in inner):
        raise UsageError(f"{name} has actions {in_line(actions)}, and colab_rl takes no Box of whole numbers as an "
                         "action: make it MultiDiscrete if these are choices, or a Box of a float type, which `step` "
                         "rounds; gymnasium.wrappers.TransformAction does both")
    raise UsageError(f"{name} has actions {in_line(actions)}: colab_rl takes choices (Discrete, MultiDiscrete, "
                     "MultiBinary) or numbers (Box of a float type), and Dict and Tuple of one kind, not both in one "
                     "action; gymnasium.wrappers.TransformAction makes one of the other")


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
        raise UsageError(f"environment {env_id!r}: no module named {error.name!r} is found; give the command in its "
                         "folder, or put that folder into PYTHONPATH") from error
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


def environment_title(environment: gymnasium.Env) -> str:
    """What people call an environment: its id, or the name of its class."""
    return environment.spec.id if environment.spec else type(environment.unwrapped).__name__


def registered_as(source: EnvironmentSource) -> str:
    """What gymnasium's registry holds of an id; empty for a function."""
    source = bare(source)
    return repr(gymnasium.registry.get(import_module_of(source))) if isinstance(source, str) else ""


@prints_aside()
def close_environment(environment: gymnasium.Env) -> None:
    """Closes it. What it raises then is passed over: nobody uses it afterwards."""
    with contextlib.suppress(Exception, SystemExit):
        environment.close()


def environment_name(source: EnvironmentSource) -> str:
    """The id, or a function's own name behind `custom:`."""
    source = bare(source)
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
