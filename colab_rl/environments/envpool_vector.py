"""EnvPool's environments: gymnasium's, written in C++, stepped by threads of this process.

EnvPool can save no environment and takes seeds only when a pool is made, but a pool made with the
same seeds and given the same actions does the same again. So a snapshot is which pool it is
and the actions since. `renew` begins another pool now and then, to keep those few.
"""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np

from colab_rl.environments.base import StepResult, VectorEnvironment, first_non_finite
from colab_rl.environments.make import Configured, EnvironmentSource, bare, environment_name, keywords_of
from colab_rl.environments.spaces import Spaces
from colab_rl.environments.worker_process import changed_here
from colab_rl.errors import EnvironmentFault
from colab_rl.machine import cores, installed
from colab_rl.progress import progress_bar
from colab_rl.requirements import ENVPOOL

LIFE = 4  # time limits that a pool lasts at least: its end cuts episodes off, most of all long ones
INSTALL = f"pip install '{ENVPOOL}'"
OLDEST = (1, 2)  # with gymnasium's version of Box2D; policies trained on the one before fell more often there


class EnvPoolVectorEnvironment(VectorEnvironment):
    """`num_envs` environments of one kind. `reason_without_envpool` says beforehand whether there is such a pool."""

    backend = "envpool"

    def __init__(self, source: EnvironmentSource, spaces: Spaces, num_envs: int, seed: int = 0):
        self.spaces = spaces
        self.num_envs = num_envs
        self.groups = [slice(0, num_envs)]  # two pools of a half each, taking turns, were no faster
        self.name = environment_name(source)
        self._keywords = {"max_episode_steps": gymnasium.spec(self.name).max_episode_steps, **keywords_of(source)}
        self._seed = seed
        self._segment = 0  # which pool of the run it is
        self._taken = 0    # steps in it
        self._actions: np.ndarray = np.empty((1024, num_envs, *spaces.action_shape), spaces.action_dtype)
        self._pool: Any = None

    def reset(self) -> np.ndarray:
        """Begins the first episode everywhere; returns `observations`."""
        return self._begin(0)

    def send(self, group: slice, actions: np.ndarray) -> None:
        """See VectorEnvironment."""
        if self._taken == len(self._actions):
            self._actions = np.concatenate([self._actions, np.empty_like(self._actions)])
        self._actions[self._taken] = actions
        self._taken += 1
        if self.spaces.discrete:
            actions = (actions - self.spaces.first_action).astype(np.int32)
        self._pool.send(actions)

    def receive(self, group: slice) -> StepResult:
        """See VectorEnvironment."""
        self.observations, rewards, terminated, truncated, info = self._pool.recv()
        if found := first_non_finite(self.spaces.observation.numbers(self.observations), rewards):
            slot, what = found
            raise EnvironmentFault(f"{self.name} returned {what} (environment {slot}, "
                                   f"step {info['elapsed_step'][slot]})")
        self.ended = terminated | truncated
        return StepResult(self.observations, rewards.astype(np.float64), terminated, truncated)

    def renew(self, index: int) -> bool:
        """Begins other episodes everywhere, in a pool with seeds of its own, if this one has lasted long enough."""
        if self._taken < LIFE * (self._keywords["max_episode_steps"] or 0):
            return False
        self._begin(index)
        return True

    def snapshot(self) -> dict[str, Any]:
        """See VectorEnvironment."""
        return {"segment": self._segment, "actions": self._actions[:self._taken].copy(),
                "observations": self.observations.copy(), "ended": self.ended.copy()}

    def restore(self, snapshot: dict[str, Any]) -> list[str]:
        """Makes the snapshot's pool again and replays its actions. If that does not lead to where it stood, the pool
        after it begins.
        """
        self._begin(snapshot["segment"])
        actions = snapshot["actions"]
        try:
            with progress_bar(actions.shape[0] * self.num_envs, "replaying episodes", "step") as progress:
                for row in actions:
                    self.step(row)
                    progress.update(self.num_envs)
            same = np.array_equal(self.observations, snapshot["observations"]) \
                and np.array_equal(self.ended, snapshot["ended"])
        except EnvironmentFault:
            same = False
        if same:
            return []
        self._begin(snapshot["segment"] + 1)
        return [f"EnvPool does not repeat {self.name} from its seeds and actions"]

    def close(self) -> None:
        """Ends the pool's threads."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _begin(self, segment: int) -> np.ndarray:
        self.close()
        seeds = np.random.SeedSequence([self._seed, segment]).generate_state(self.num_envs) >> 1
        with _without_warnings():
            self._pool = _envpool().make(
                self.name, env_type="gymnasium", num_envs=self.num_envs, num_threads=min(cores(), self.num_envs),
                seed=seeds.tolist(), **self._keywords)
            self.observations = self._pool.reset()[0]
        self._segment, self._taken = segment, 0
        self.ended = np.zeros(self.num_envs, bool)
        return self.observations


def reason_without_envpool(source: EnvironmentSource, spaces: Spaces) -> str | None:
    """Why EnvPool cannot step an environment, in words; None if it can."""
    env_id, keywords = bare(source), keywords_of(source)
    if not isinstance(env_id, str):
        return "it steps no environments that are functions"
    if isinstance(source, Configured) and source.wrappers:
        return "it takes no wrappers"
    version = installed("envpool")  # None of a package that was half removed, too
    if not version:
        return f"it is not installed ({INSTALL} installs it)"
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        return f"{version} is installed, and 1.2 is needed ({INSTALL} installs it)"
    try:
        envpool = _envpool()
    except Exception as error:  # whatever a half-installed package raises
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return f"it cannot be imported ({what}; {INSTALL} installs it)"
    if env_id not in envpool.list_all_envs():
        return f"it has no {env_id}"
    with _without_warnings():
        unknown = [name for name in keywords if name not in envpool.make_spec(env_id)._config_keys]
        if unknown:
            return f"its {env_id} takes no {', '.join(unknown)}"
        try:
            spec = envpool.make_spec(env_id, **keywords)
        except Exception as error:  # whatever it checks a value by
            return f"its {env_id} refuses {keywords} ({' '.join(str(error).split())})"
        shape, actions = spec.observation_space.shape, spec.action_space
    if isinstance(actions, gymnasium.spaces.Discrete):
        same = spaces.discrete and spaces.action_dim == actions.n
    else:
        same = not spaces.discrete and isinstance(actions, gymnasium.spaces.Box) \
            and np.array_equal(actions.low, spaces.action_low) and np.array_equal(actions.high, spaces.action_high)
    if not same or shape != spaces.observation.shape:
        return f"its {env_id} has other spaces"
    changed = changed_here(source, spaces)
    return f"its {env_id} is not this one: {changed}" if changed else None


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Without those that EnvPool's own bounds cause in gymnasium: float64 cast to float32."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _envpool() -> Any:
    """The package; importing it imports every family of environments, so only when it is used."""
    return importlib.import_module("envpool")
