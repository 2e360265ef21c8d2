"""One environment, stepped alike wherever it is: in a worker process, recorded, or played again.

An action arrives as the environment's space samples it. What the environment returns is checked here alone.
"""

from __future__ import annotations

import contextlib
import inspect
import math
from typing import Any

import gymnasium
import numpy as np

from colab_rl.environments.guard import WrongReturn
from colab_rl.environments.misfit import in_words, misfit
from colab_rl.environments.nested import Observed, acted
from colab_rl.environments.own_reward import as_float, own_reward_of
from colab_rl.environments.seeds import begin_episode


class Stepper:
    """An environment, and `observation`, the (*obs_shape,) row that takes its newest observation (see nested.py).

    None takes none: what the environment returns as one is not looked at.

    strict: whether it refuses images that uint8 would cut off, see Observed.

    own_reward: the newest step's, without what a run's wrappers make of it.

    Both calls raise what the environment raises, and WrongReturn if it returns what Gymnasium does not expect.
    """

    def __init__(self, environment: gymnasium.Env, observation: np.ndarray | None, strict: bool = False):
        self.environment = environment
        self.observation = observation
        self.own_reward = 0.0
        self._own = own_reward_of(environment)
        self._observed = None if observation is None else Observed(environment.observation_space, strict)
        self._space = space = environment.action_space
        self._dtype = np.dtype(space.dtype)
        self._discrete = isinstance(space, gymnasium.spaces.Discrete)
        self._is_flat_box = isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1
        self._plain: bool | None = None  # whether it takes Python's own int alone; None before its first step
        self._bounds: tuple[np.ndarray, np.ndarray] | None = None
        if isinstance(space, gymnasium.spaces.Box) and self._dtype.itemsize > 4:
            with np.errstate(all="ignore"):  # a policy's bounds are these, rounded to float32
                if not all(np.array_equal(bound.astype(np.float32), bound) for bound in (space.low, space.high)):
                    self._bounds = space.low, space.high

    def begin(self, seed: int) -> None:
        """Begins the episode that the seed names."""
        self._seed = seed
        try:
            result = begin_episode(self.environment, seed)
        except TypeError as error:
            parameters = inspect.signature(self.environment.unwrapped.reset).parameters
            if "seed" in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
                raise
            raise WrongReturn(self.environment, "reset", "reset takes no seed, and Gymnasium expects reset(self, *, "
                              "seed=None, options=None)") from error
        # An observation of two numbers is not taken for observation and info.
        if not isinstance(result, (tuple, list)) or len(result) != 2 or not isinstance(result[1], (dict, type(None))):
            raise self._wrong("reset", result, "observation and info")
        self._observe("reset", result[0])

    def step(self, action: Any, sampled: bool = False) -> tuple[float, bool, bool]:
        """Takes a policy's action, () or (action_dim,) int64 or (action_dim,) float32; returns reward, terminated and
        truncated.

        sampled: whether the environment's action space gave it.
        """
        result: Any
        try:
            result = self.environment.step(self._taken(action, sampled))
        except Exception:
            if self._plain is not None or not self._discrete:
                raise
            with contextlib.suppress(Exception):  # its first step: some refuse a NumPy integer
                begin_episode(self.environment, self._seed)
                result = self.environment.step(int(action))
                self._plain = True
            if not self._plain:
                raise
        if self._plain is None:
            self._plain = False
        if not isinstance(result, (tuple, list)) or len(result) != 5:
            raise self._wrong("step", result, "observation, reward, terminated, truncated and info")
        observation, reward, terminated, truncated, _ = result
        self._observe("step", observation)
        if type(reward) is not float:
            try:
                reward = as_float(reward)
            except (TypeError, ValueError, OverflowError):
                raise self._wrong("step", reward, "a number", "a reward") from None
        self.own_reward = self._own.take() if self._own else reward
        if self._own and not math.isfinite(self.own_reward):  # a wrapper may hide it, and the score counts it
            raise self._wrong("step", self.own_reward, "a finite number", "a reward")
        try:
            return reward, bool(terminated), bool(truncated)
        except (TypeError, ValueError):
            raise self._wrong("step", [terminated, truncated], "True or False", "terminated and truncated") from None

    def _taken(self, action: Any, sampled: bool) -> Any:
        """The action as the space samples it: a number of its type, or an array that the environment may keep."""
        if self._discrete:
            return int(action) if self._plain else self._dtype.type(action)
        if not self._is_flat_box:
            return action if sampled else acted(self._space, np.atleast_1d(action))
        taken = np.array(action, self._dtype)
        return taken if self._bounds is None else np.minimum(np.maximum(taken, self._bounds[0]), self._bounds[1])

    def _observe(self, method: str, observation: Any) -> None:
        if self._observed is None or self.observation is None:
            return
        try:
            self._observed.write(observation, self.observation)
        except (FloatingPointError, RuntimeWarning):  # beyond float32, and the user has made an error of that
            with np.errstate(all="ignore"):
                self._observed.write(observation, self.observation)
        except (TypeError, ValueError, LookupError):
            raise self._told(method, *misfit(self.environment.observation_space, observation)) from None

    def _wrong(self, method: str, returned: Any, expected: str, what: str = "") -> WrongReturn:
        return self._told(method, f"{in_words(returned)}{what and f' as {what}'}", expected)

    def _told(self, method: str, returned: str, expected: str) -> WrongReturn:
        return WrongReturn(self.environment, method, f"{method} returned {returned}, and Gymnasium expects {expected}")
