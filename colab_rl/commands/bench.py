"""`bench`: how fast this machine trains an environment, and which settings suit it.

Three speeds, each of them the median of several parts after a warm-up:

    environments  random actions, by backend and number of environments
    update        one whole PPO update of real experience, by device and threads
    training      collect and update with the preset, by backend; no evaluations, no checkpoints

Nothing here changes how training runs: it measures and recommends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from colab_rl.algorithms.ppo.config import PPOConfig
from colab_rl.algorithms.ppo.ppo import PPO
from colab_rl.algorithms.registry import preset
from colab_rl.algorithms.rollout import Rollout
from colab_rl.arguments import checked
from colab_rl.arithmetic import THREADS, plain_torch
from colab_rl.commands.result import Result
from colab_rl.environments import EnvironmentSource, VectorEnvironment, describe, environment_name
from colab_rl.environments.backends import BACKENDS, make_vector_environment, reason_not_available
from colab_rl.environments.make import configured, named_source
from colab_rl.environments.spaces import Spaces
from colab_rl.machine import versions
from colab_rl.progress import progress_bar
from colab_rl.training.request import DEFAULT_ENVIRONMENT
from colab_rl.user_code import import_path

SECONDS = 1.0                # for which each speed is measured
SHORT_PARTS = 10             # parts of it, if a call is short
LONG_PARTS = 3               # and if it is a whole update
NUM_ENVS = (8, 16, 32, 64)   # the numbers of environments that are tried
CPU_THREADS = (1, 2)
WORTH_IT = 1.15              # how much faster another setting must be to be recommended


@dataclass(frozen=True)
class EnvironmentSpeed:
    """Transitions that `num_envs` environments take a second."""

    backend: str
    num_envs: int
    steps_per_second: float

    def __str__(self) -> str:
        return _line(f"{self.backend}, {self.num_envs} environments", self.steps_per_second, "steps/s, random actions")


@dataclass(frozen=True)
class UpdateSpeed:
    """Transitions of a rollout that pass through a whole update a second, all of its epochs."""

    device: str
    threads: int
    transitions_per_second: float

    def __str__(self) -> str:
        return _line(f"update on {self.device}, threads {self.threads}", self.transitions_per_second, "transitions/s")


@dataclass(frozen=True)
class TrainingSpeed:
    """Transitions collected and learned from a second, by the preset."""

    backend: str
    device: str
    steps_per_second: float

    def __str__(self) -> str:
        return _line(f"training on {self.backend}, {self.device}", self.steps_per_second, "steps/s, collect and update")


@dataclass(frozen=True)
class Measurements:
    """All speeds of one machine. Those of a GPU are there if it has one."""

    environments: list[EnvironmentSpeed]
    updates: list[UpdateSpeed]
    training: list[TrainingSpeed]


@dataclass(frozen=True)
class Recommendation:
    """The settings that suit a machine.

    threads: of torch on the CPU; a training always takes `arithmetic.THREADS`.
    estimated_seconds: all of the preset's steps at the preset's measured training speed with
        this backend and device; evaluations are not counted.
    """

    backend: str
    device: str
    threads: int
    num_envs: int
    num_steps: int
    estimated_seconds: float


@dataclass(frozen=True)
class Benchmark(Result):
    """How fast a machine trains an environment.

    env_path: the `module:function` that names a function; None for an id, and for a function that has no such name.
    tuned: whether there is a preset for the environment, or these are the default settings.
    num_envs, num_steps, total_steps: the preset's.
    missing: why a backend was not measured, by its name. versions: of this machine.
    """

    env_id: str
    env_path: str | None
    tuned: bool
    num_envs: int
    num_steps: int
    total_steps: int
    environments: list[EnvironmentSpeed]
    updates: list[UpdateSpeed]
    training: list[TrainingSpeed]
    missing: dict[str, str]
    recommendation: Recommendation
    versions: dict[str, str]

    def summary(self) -> str:
        """The speeds, a line each, the command that is recommended, and an estimate."""
        preset = "tuned preset" if self.tuned else "no tuned preset, the default settings"
        lines = [f"{self.env_id}, {preset}: num_envs={self.num_envs} num_steps={self.num_steps}",
                 *map(str, self.environments),
                 *(f"  {backend:30} not measured: {reason}" for backend, reason in self.missing.items()),
                 *map(str, self.updates), *map(str, self.training)]
        best = self.recommendation
        settings = "".join(f" {name}={getattr(best, name)}" for name in ("num_envs", "num_steps")
                           if getattr(best, name) != getattr(self, name))
        nameless = self.env_path is None and self.env_id.startswith("custom:")
        begin = ("train(NAME, env=that function), from Python, with" if nameless else
                 f"python -m colab_rl train NAME --env {self.env_path or self.env_id}")
        lines.append(f"Recommended: {begin} --algo ppo --backend {best.backend} --device {best.device}"
                     f"{' --set' if settings else ''}{settings}")
        if best.threads > 1:
            lines.append(f"  updates are faster on {best.threads} threads, but a training takes one")
        lines.append(f"Estimate: {best.estimated_seconds / 60:.1f} min for all {self.total_steps:,} steps of "
                     f"PPO's preset on {best.backend}, {best.device}; evaluations not counted")
        return "\n".join(lines)


@checked
def bench(env: EnvironmentSource | None = None) -> Benchmark:
    """Measures how fast this machine trains an environment with its PPO preset. It takes less than a minute.

    env: a Gymnasium id (default BipedalWalker-v3), or a function that makes an environment.
    Raises UsageError for an unknown environment or spaces that are not supported, EnvironmentFault
    if the environment fails.
    """
    source = DEFAULT_ENVIRONMENT if env is None else named_source(env) if isinstance(env, str) else env
    env_id, env_path = environment_name(source), import_path(source)
    settings = preset(env_id, "ppo")
    config = PPOConfig(**settings)
    source = configured(source, {}, config.wrappers)
    spaces = describe(source)
    reasons = {backend: reason_not_available(backend, source, spaces) for backend in BACKENDS if backend != "auto"}
    measurements = measure(source, spaces, config, [name for name, reason in reasons.items() if reason is None],
                           SECONDS)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Benchmark(
        env_id=env_id, env_path=env_path, tuned=bool(settings), num_envs=config.num_envs,
        num_steps=config.num_steps, total_steps=config.total_steps, **vars(measurements),
        missing={name: reason for name, reason in reasons.items() if reason is not None},
        recommendation=recommend(measurements, config, tuned=bool(settings)),
        versions=versions(device, THREADS, "envpool"))


def recommend(measurements: Measurements, config: PPOConfig, tuned: bool) -> Recommendation:
    """The settings that these speeds speak for; `config` is the preset's, or the defaults if none is tuned.

    The backend is the one that trains faster. Device, threads and number of environments leave
    what the preset and training's defaults have only for something more than 15 % faster:
    the device by the speed of training, the threads by that of the update, the number by that of
    the environments alone. Another number keeps the transitions of an iteration. A tuned preset
    keeps its number, which decides how it learns: CartPole's 8 end at 500, and the fastest, 64, at 260 and 346.
    """
    training = {(speed.backend, speed.device): speed.steps_per_second for speed in measurements.training}
    on_cpu = {backend: speed for (backend, device), speed in training.items() if device == "cpu"}
    backend = max(on_cpu, key=on_cpu.__getitem__)
    device = _worthwhile({device: speed for (name, device), speed in training.items() if name == backend}, "cpu")
    threads = _worthwhile({speed.threads: speed.transitions_per_second for speed in measurements.updates
                           if speed.device == "cpu"}, THREADS)
    transitions = config.num_envs * config.num_steps
    num_envs = config.num_envs
    if not tuned:
        num_envs = _worthwhile({speed.num_envs: speed.steps_per_second for speed in measurements.environments
                                if speed.backend == backend and transitions % speed.num_envs == 0
                                and transitions // speed.num_envs > 1}, num_envs)
    return Recommendation(backend, device, threads, num_envs, transitions // num_envs,
                          config.total_steps / training[backend, device])


def measure(source: EnvironmentSource, spaces: Spaces, config: PPOConfig, backends: Sequence[str],
            seconds: float) -> Measurements:
    """All speeds, each measured for about that many seconds, with a progress bar."""
    gpu = ["cuda"] if torch.cuda.is_available() else []
    numbers = sorted({*NUM_ENVS, config.num_envs})
    processors = [*(("cpu", threads) for threads in CPU_THREADS), *((device, THREADS) for device in gpu)]
    total = (len(backends) * len(numbers) * SHORT_PARTS
             + (len(backends) + len(gpu) + len(processors)) * LONG_PARTS)
    with plain_torch(THREADS), progress_bar(total, "measuring", "part") as progress:
        environments = [speed for backend in backends
                        for speed in environment_speeds(source, spaces, backend, numbers, seconds, progress)]
        fastest = max(environments, key=lambda speed: speed.steps_per_second).backend
        trainings = [*((backend, "cpu") for backend in backends), *((fastest, device) for device in gpu)]
        training = training_speeds(source, spaces, config, trainings, seconds, progress)
        experience = collect_experience(source, spaces, config, fastest)
        return Measurements(environments, update_speeds(spaces, config, experience, processors, seconds, progress),
                            training)


def environment_speeds(source: EnvironmentSource, spaces: Spaces, backend: str, numbers: Sequence[int],
                       seconds: float, progress: tqdm) -> list[EnvironmentSpeed]:
    """Random actions, for each of the numbers of environments."""
    def stepper(envs: VectorEnvironment) -> Callable[[], int]:
        actions = itertools.cycle(random_actions(spaces, envs.num_envs))
        envs.reset()

        def step() -> int:
            transitions = envs.num_envs - int(envs.ended.sum())  # a row that only resets is none
            envs.step(next(actions))
            return transitions

        return step

    progress.set_postfix_str(f"environments on {backend}")
    with contextlib.ExitStack() as stack:
        steps = [stepper(stack.enter_context(make_vector_environment(backend, source, spaces, number, seed=0)))
                 for number in numbers]
        return [EnvironmentSpeed(backend, number, speed)
                for number, speed in zip(numbers, rates(steps, SHORT_PARTS, seconds, progress), strict=True)]


def training_speeds(source: EnvironmentSource, spaces: Spaces, config: PPOConfig, trainings: Sequence[tuple[str, str]],
                    seconds: float, progress: tqdm) -> list[TrainingSpeed]:
    """The first iterations of training, for each of the pairs of backend and device."""
    def iterator(envs: VectorEnvironment, device: str) -> Callable[[], int]:
        algorithm = PPO(config, spaces, torch.device(device))
        envs.reset()

        def iterate() -> int:
            transitions = algorithm.collect(envs)
            algorithm.update(progress=0.0)
            return transitions

        return iterate

    progress.set_postfix_str("training")
    with contextlib.ExitStack() as stack:
        iterations = [iterator(stack.enter_context(make_vector_environment(backend, source, spaces, config.num_envs,
                                                                           config.seed)), device)
                      for backend, device in trainings]
        return [TrainingSpeed(*training, speed)
                for training, speed in zip(trainings, rates(iterations, LONG_PARTS, seconds, progress), strict=True)]


def collect_experience(source: EnvironmentSource, spaces: Spaces, config: PPOConfig, backend: str) -> Rollout:
    """A rollout of the policy that training begins with."""
    with make_vector_environment(backend, source, spaces, config.num_envs, config.seed) as envs:
        envs.reset()
        algorithm = PPO(config, spaces, torch.device("cpu"))
        algorithm.collect(envs)
        return algorithm.rollout


def update_speeds(spaces: Spaces, config: PPOConfig, experience: Rollout, processors: Sequence[tuple[str, int]],
                  seconds: float, progress: tqdm) -> list[UpdateSpeed]:
    """Updates from the same experience again and again, for each of the pairs of device and threads."""
    transitions = int(experience.valid.sum())

    def updater(device: str, threads: int) -> Callable[[], int]:
        algorithm = standing_still(spaces, config, experience, device)

        def update() -> int:
            with plain_torch(threads):
                algorithm.update(progress=0.0)
            return transitions

        return update

    progress.set_postfix_str("updates")
    updates = [updater(device, threads) for device, threads in processors]
    return [UpdateSpeed(*processor, speed)
            for processor, speed in zip(processors, rates(updates, LONG_PARTS, seconds, progress), strict=True)]


def standing_still(spaces: Spaces, config: PPOConfig, experience: Rollout, device: str) -> PPO:
    """PPO that updates in full from this experience, in steps too small to change anything.

    With real ones the policy would run away on a single rollout, and target_kl would end updates early.
    """
    algorithm = PPO(dataclasses.replace(config, learning_rate=1e-12), spaces, torch.device(device))
    algorithm.rollout = experience
    return algorithm


def random_actions(spaces: Spaces, num_envs: int, steps: int = 256) -> np.ndarray:
    """(steps, num_envs, ...) actions, uniform within finite bounds, and near 0 if there are none."""
    rng = np.random.default_rng(0)
    shape = (steps, num_envs, *spaces.action_shape)
    if spaces.choices:
        return np.array(spaces.first_choices) + rng.integers(spaces.choices, size=shape)
    if spaces.discrete:
        return rng.integers(spaces.first_action, spaces.first_action + spaces.action_dim, shape)
    bounded = np.isfinite(spaces.action_low) & np.isfinite(spaces.action_high)
    low, high = np.where(bounded, spaces.action_low, -1.0), np.where(bounded, spaces.action_high, 1.0)
    return np.clip(rng.uniform(low, high, shape), spaces.action_low, spaces.action_high).astype(spaces.action_dtype)


def rates(works: Sequence[Callable[[], int]], parts: int, seconds: float, progress: tqdm) -> list[float]:
    """How much each work does a second, by what it returns: the median of its parts, after a warm-up.

    They take turns, so that whatever else the machine does meanwhile slows all of them, not one.
    """
    for work in works:
        _rate(work, seconds / 5)
    measured: list[list[float]] = [[] for _ in works]
    for _ in range(parts):
        for work, found in zip(works, measured, strict=True):
            found.append(_rate(work, seconds / parts))
            progress.update()
    return [statistics.median(found) for found in measured]


def _rate(work: Callable[[], int], seconds: float) -> float:
    """How much the work does a second; it is called at least once, and until the time is over."""
    began, done = time.perf_counter(), 0
    while True:
        done += work()
        elapsed = time.perf_counter() - began
        if elapsed >= seconds:
            return done / elapsed


def _line(what: str, speed: float, unit: str) -> str:
    return f"  {what:30} {speed:>9,.0f} {unit}"


def _worthwhile(speeds: dict[Any, float], usual: Any) -> Any:
    """The fastest key if it is more than 15 % faster than the usual one, else the usual one."""
    fastest = max(speeds, key=speeds.__getitem__)
    return fastest if speeds[fastest] > WORTH_IT * speeds[usual] else usual
