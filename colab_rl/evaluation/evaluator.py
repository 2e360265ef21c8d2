"""The score: deterministic episodes of gymnasium's own environment, one fresh environment seed an episode.

An episode depends on the policy and its seed alone: `Evaluator` in its worker processes, `record_episode`
in this one, and `replay` all give the same, to the last bit. `check_repeats` finds environments that depend on more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from colab_rl.environments import EnvironmentSource, environment_name
from colab_rl.environments.channels_of import describe_channels
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.environments.spaces import Spaces
from colab_rl.evaluation.episode import Episode, Recording
from colab_rl.evaluation.replay import LONGEST_EPISODE, endless

if TYPE_CHECKING:
    from colab_rl.algorithms.base import Act

MOST_SLOTS = 20


@dataclass(frozen=True)
class EvaluationResult:
    """Returns (E,) float64 and lengths (E,) int64 of the episodes with seeds seed, seed + 1, ...

    episodes: the recordings of the first of them, as many as were asked for.
    mishap: what an episode that went wrong is called (Channels.mishap). mishaps: (E,) bool, whether one did.
    """

    returns: np.ndarray
    lengths: np.ndarray
    episodes: tuple[Episode, ...] = ()
    mishap: str = ""
    mishaps: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    def and_then(self, more: EvaluationResult) -> EvaluationResult:
        """These episodes and those that follow them."""
        return EvaluationResult(np.concatenate([self.returns, more.returns]),
                                np.concatenate([self.lengths, more.lengths]), self.episodes + more.episodes,
                                self.mishap, np.concatenate([self.mishaps, more.mishaps]))

    def summary(self) -> dict[str, float | int]:
        """What `evaluate --json` prints."""
        return {"mean": float(self.returns.mean()), "std": float(self.returns.std()),
                "min": float(self.returns.min()), "max": float(self.returns.max()),
                "mean_length": float(self.lengths.mean()), "episodes": len(self.returns)}

    def criterion(self, best_by: str) -> float:
        """The number that makes a checkpoint the best: mean, median or min of the returns."""
        statistics: dict[str, Callable] = {"mean": np.mean, "median": np.median, "min": np.min}
        return float(statistics[best_by](self.returns))


class Evaluator:
    """Evaluation episodes in worker processes, which the first evaluation starts and the next ones use again.

    slots: how many environments it makes, at most MOST_SLOTS.
    lent: training's own environments, made with their channels, if there may be none beside them: they are stepped
        instead of others, and their owner restores them after an evaluation.
    """

    def __init__(self, source: EnvironmentSource, spaces: Spaces, slots: int = MOST_SLOTS,
                 lent: GymnasiumVectorEnvironment | None = None):
        self._source = source
        self._spaces = spaces
        self._queue: list[tuple[int, int]] = []  # (episode, seed) still to begin, the next one last
        self._running = np.full(lent.num_envs if lent else min(slots, MOST_SLOTS), -1)
        self.lent = lent
        self._envs = lent
        self._record = 0                               # how many episodes are recorded
        self._recordings: dict[int, Recording] = {}    # by slot
        self._memories = np.zeros((0, 0), np.float32)  # (slots, numbers) of the policy
        self._terrains: dict[int, list[np.ndarray]] = {}  # by seed: training evaluates the same ones again and again

    def check_repeats(self) -> list[str]:
        """Why a seed may give another return another time, see VectorEnvironment; an empty list if it will not."""
        return self._opened().check_repeats()

    def evaluate(self, act: Act, episodes: int, seed: int, ended: Callable[[int], object] = lambda episodes: None,
                 record: int = 0, values: Act | None = None, memory: int = 0) -> EvaluationResult:
        """Runs the episodes, several at a time.

        act: gives (B, ...) actions for (B, *obs_shape) observations, each row by itself. See Algorithm.act.
        ended: takes how many more episodes have ended, for a progress bar.
        memory: how many numbers the policy carries through an episode, if any: `act` takes them, too.
        record: the first so many episodes are recorded; values: gives (B,) value estimates for them.
        """
        envs, running = self._opened(), self._running
        channels = envs.description
        assert channels is not None
        self._queue = [(episode, seed + episode) for episode in reversed(range(episodes))]
        self._record, self._recordings = record, {}
        running[:] = -1
        self._memories = np.zeros((envs.num_envs, memory), np.float32)
        returns, lengths, mishaps = np.zeros(episodes), np.zeros(episodes, np.int64), np.zeros(episodes, bool)
        recorded: dict[int, Episode] = {}
        actions: np.ndarray = np.zeros((envs.num_envs, *envs.spaces.action_shape), envs.spaces.action_dtype)

        def send(group: slice) -> np.ndarray | None:
            """Begins a step; returns the slots in the middle of an episode, None if nothing is left to do."""
            live = group.start + np.flatnonzero(~envs.ended[group])
            if not len(live) and not self._queue:
                return None
            if len(live) and memory:
                memories = self._memories[live]
                actions[live] = act(envs.observations[live], memory=memories)
                self._memories[live] = memories
            elif len(live):
                actions[live] = act(envs.observations[live])
            for slot in self._recorded(live):
                recording = self._recordings[slot]
                if channels.drawing and recording.seed not in self._terrains:
                    self._terrains[recording.seed] = envs.terrain(slot)
                recording.state(envs.channels[slot], envs.observations[slot])
            envs.send(group, actions[group])
            return live

        def receive(group: slice, live: np.ndarray) -> None:
            step = envs.receive(group)
            returns[running[live]] += envs.own_rewards[live]
            lengths[running[live]] += 1
            if lengths[running[live]].max(initial=0) > LONGEST_EPISODE:
                raise endless()
            if channels.mishap:
                mishaps[running[live]] = (step.terminated[live - group.start]
                                          & (envs.own_rewards[live] <= channels.mishap_reward))
            for slot in self._recorded(live):
                recording = self._recordings[slot]
                recording.step(actions[slot], envs.own_rewards[slot])
                if envs.ended[slot]:
                    recording.state(envs.channels[slot], envs.observations[slot])
                    recorded[int(running[slot])] = recording.finish(
                        step.terminated[slot - group.start], values or _no_values,
                        self._terrains.get(recording.seed, []))

        lenders_seeds, envs.seeds = envs.seeds, self._next_seed
        try:
            envs.reset()
            steps = [(group, send(group)) for group in envs.groups]
            while steps:
                group, live = steps.pop(0)
                if live is not None:
                    receive(group, live)
                    ended(int(envs.ended[live].sum()))
                    steps.append((group, send(group)))  # while the other groups step
        except BaseException:
            self.close()  # whose workers may be in the middle of a step; the next evaluation starts others
            raise
        finally:
            envs.seeds = lenders_seeds
            envs.recorded[:] = False
        recordings = tuple(recorded[i] for i in sorted(recorded))
        return EvaluationResult(returns, lengths, recordings, channels.mishap, mishaps)

    def _recorded(self, slots: np.ndarray) -> list[int]:
        return [int(slot) for slot in slots if slot in self._recordings] if self._recordings else []

    def close(self) -> None:
        """Ends the worker processes that it started."""
        if self._envs is not None and self.lent is None:
            self._envs.close()
            self._envs = None

    def _opened(self) -> GymnasiumVectorEnvironment:
        if self._envs is None:
            self._envs = GymnasiumVectorEnvironment(self._source, self._spaces, len(self._running),
                                                    description=describe_channels(self._source))
        return self._envs

    def _next_seed(self, slot: int, _episode: int) -> int:
        envs = self._envs
        assert envs is not None and envs.description is not None
        self._recordings.pop(slot, None)
        envs.recorded[slot] = False
        self._memories[slot] = 0
        if not self._queue:
            return -1
        self._running[slot], seed = self._queue.pop()
        if self._running[slot] < self._record:
            envs.recorded[slot] = True
            self._recordings[slot] = Recording(envs.description, self._spaces, environment_name(self._source), seed)
        return seed


def _no_values(observations: np.ndarray) -> np.ndarray:
    return np.full(len(observations), np.nan, np.float32)


EVALUATION_SEED = 1_000_000  # of training's own evaluations, apart from those that `evaluate` uses by default
