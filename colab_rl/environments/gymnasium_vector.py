"""Gymnasium environments in a few worker processes.

    trainer: actions, seeds --> shared memory --> workers: step --> observations, rewards, flags
             one byte a step over a socket to each worker, and one back

Two workers on two cores hold half of the environments each, and the policy acts for one half while the
other steps; one process for every environment, as gymnasium's AsyncVectorEnv has, spends its time
switching between them.
An environment that is not the same in a worker process is stepped in this one: its function cannot be sent there, or
what it is made of was changed here after it was imported.
Episodes begin from seeds that the trainer chooses and depend on nothing else, so a
snapshot is each episode's seed and actions, and restoring replays them.
"""

from __future__ import annotations

import itertools
import os
import pickle
import weakref
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Any

import numpy as np

from colab_rl.environments.base import StepResult, VectorEnvironment, first_non_finite
from colab_rl.environments.channels import Channels
from colab_rl.environments.journal import Journal
from colab_rl.environments.likeness import packed
from colab_rl.environments.loaded_code import code_difference
from colab_rl.environments.make import EnvironmentSource, environment_name
from colab_rl.environments.repeats import unrepeatable
from colab_rl.environments.seeds import episode_seed
from colab_rl.environments.shared import Layout, SharedArrays, anonymous_file
from colab_rl.environments.spaces import Spaces
from colab_rl.environments.worker_process import WorkerHere, WorkerProcess
from colab_rl.errors import EnvironmentFault
from colab_rl.machine import cores
from colab_rl.progress import progress_bar, say
from colab_rl.user_code import with_cells

MOST_WORKERS = 8  # more of them only take memory
# What the environments that are open have said of why this process steps them.
_SAID: weakref.WeakKeyDictionary[GymnasiumVectorEnvironment, tuple[str, str]] = weakref.WeakKeyDictionary()


class GymnasiumVectorEnvironment(VectorEnvironment):
    """`num_envs` environments of one kind.

    seeds: gives the seed of the k-th episode of a slot, or -1 to leave the slot idle from then on; by default derived
        from `seed`. It may be changed before `reset`.
    description: the environments' channels, if their telemetry is wanted.
    own_rewards: (N,) float64, the newest step's, without what a run's wrappers make of them: the score is of these.
    channels, recorded: (N, description.width) float32, the telemetry of each environment for which `recorded`,
        (N,) bool, is set.
    Raises EnvironmentFault if an environment cannot be made.
    """

    backend = "gymnasium"

    def __init__(self, source: EnvironmentSource, spaces: Spaces, num_envs: int, seed: int = 0,
                 seeds: Callable[[int, int], int] | None = None, num_workers: int | None = None,
                 description: Channels | None = None):
        self.spaces = spaces
        self.num_envs = num_envs
        self.name = environment_name(source)
        self.seeds = seeds or (lambda slot, episode: episode_seed(seed, slot, episode))
        self.description = description
        self._source = source
        self._layout = Layout(num_envs, spaces.observation, spaces.action_shape, np.dtype(spaces.action_dtype).str,
                              description.width if description else 0)
        self._memory = anonymous_file(self._layout.size())
        self._arrays = SharedArrays(self._layout, self._memory)
        self.observations = self._arrays.observations
        self.ended = self._arrays.ended
        self.channels = self._arrays.channels
        self.recorded = self._arrays.recorded
        self.own_rewards = self._arrays.own_rewards
        self._journal = Journal(num_envs, spaces.action_shape, spaces.action_dtype)
        self._workers: list[WorkerProcess | WorkerHere] = []
        edges = np.linspace(0, num_envs, min(num_workers or min(MOST_WORKERS, cores()), num_envs) + 1).astype(int)
        self.groups = [slice(int(first), int(end)) for first, end in itertools.pairwise(edges)]
        self._worker_of = np.repeat(np.arange(len(self.groups)), np.diff(edges))
        self._processes = True
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        """Starts the workers: processes, or, if the environments are not the same in those, one in this process."""
        reason = self._start_processes() if self._processes else ""
        if reason:
            self._end_workers()
            self._processes = False
            self.groups, self._worker_of = [slice(0, self.num_envs)], np.zeros(self.num_envs, np.int64)
        if not self._processes:
            self._workers = [WorkerHere(self._source, self._layout, self.num_envs, self._memory)]
            self._answer(self._workers[0])
        if reason:
            self._say_why(reason)

    def _start_processes(self) -> str:
        """Starts the worker processes; returns in words why others have to step the environments, empty if not."""
        try:
            content = packed(self._source)
        except Exception as error:  # whatever an object raises that is asked for its content
            what = " ".join(f"{type(error).__name__}: {error}".split())
            return f"what makes them cannot be sent to other processes ({what})"
        for group in self.groups:
            self._workers.append(WorkerProcess(content, self._layout, group.start, group.stop - group.start,
                                               self._memory))
        answers = [self._received(worker) for worker in self._workers]
        if failed := next((answer for answer in answers if answer[:1] != b"d"), None):
            return f"other processes cannot make them ({with_cells(failed[1:].decode())})"
        changed = code_difference(self.spaces.code, pickle.loads(answers[0][1:])[0])
        return changed and f"{changed}; give a function that makes this change too, and worker processes step them"

    def _say_why(self, reason: str) -> None:
        if (self.name, reason) not in _SAID.values():  # training's environments have said it for an evaluation's
            say(f"environments of {self.name} are stepped in this process, which is slower: {reason}")
        _SAID[self] = self.name, reason

    def check_repeats(self) -> list[str]:
        """See VectorEnvironment."""
        self._workers[0].send(b"c")
        return [] if self._answer(self._workers[0]) == b"d" else [unrepeatable(self.name)]

    def reset(self) -> np.ndarray:
        """Begins the first episode everywhere; returns `observations`."""
        self._journal.episodes[:] = -1
        return self._begin_the_next()

    def _begin_the_next(self) -> np.ndarray:
        self._journal.lengths[:] = 0
        self.ended[:] = True
        self.step(np.zeros_like(self._arrays.actions))
        return self.observations

    def send(self, group: slice, actions: np.ndarray) -> None:
        """See VectorEnvironment. A group is a worker's environments."""
        arrays, journal, ended = self._arrays, self._journal, self.ended[group]
        journal.append(group, actions, ended)
        if ended.any():
            for slot in group.start + np.flatnonzero(ended):
                arrays.seeds[slot] = self.seeds(int(slot), int(journal.episodes[slot]))
        arrays.actions[group] = actions
        self._workers[self._worker_of[group.start]].send(b"s")

    def receive(self, group: slice) -> StepResult:
        """See VectorEnvironment."""
        self._answer(self._workers[self._worker_of[group.start]])
        arrays = self._arrays
        observations, rewards = arrays.observations[group], arrays.rewards[group]
        if found := first_non_finite(self.spaces.observation.numbers(observations), rewards):
            row, what = found
            slot = group.start + row
            raise EnvironmentFault(f"{self.name} returned {what} (environment {slot}, episode seed "
                                   f"{arrays.seeds[slot]}, step {self._journal.lengths[slot]})")
        return StepResult(observations, rewards, arrays.terminated[group], arrays.truncated[group])

    def snapshot(self) -> dict[str, Any]:
        """See VectorEnvironment. The workers are not asked: the journal is kept on this side."""
        return {"observations": self.observations.copy(), "ended": self.ended.copy(), **self._journal.state_dict()}

    def restore(self, snapshot: dict[str, Any]) -> list[str]:
        """Replays every unfinished episode. If one does not come out as it was, the next ones begin everywhere."""
        self._journal.load_state_dict(snapshot)
        self.ended[:] = snapshot["ended"]
        try:
            same = self._replay() and np.array_equal(self.observations[~self.ended],
                                                     snapshot["observations"][~self.ended])
        except EnvironmentFault:  # an action that was taken then is refused now, or ends the process
            self._end_workers(kill=True)
            self._start()
            same = False
        if same:
            self.observations[:] = snapshot["observations"]
            return []
        self._begin_the_next()
        return [unrepeatable(self.name)]

    def terrain(self, slot: int) -> list[np.ndarray]:
        """The lines of the ground where an environment stands, in m, see Drawing; between two steps of its group."""
        worker = self._workers[self._worker_of[slot]]
        worker.send(b"t", slot)
        return pickle.loads(self._answer(worker)[1:])

    def close(self) -> None:
        """Ends the workers."""
        self._end_workers()
        _SAID.pop(self, None)
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1

    def _end_workers(self, kill: bool = False) -> None:
        if not kill:
            for worker in self._workers:
                worker.connection.close()  # then they end beside each other
        for worker in self._workers:
            worker.kill() if kill else worker.close()
        self._workers = []

    def _replay(self) -> bool:
        """Whether every unfinished episode lasted as long as before."""
        queues: list[list[int]] = [[] for _ in self._workers]
        for slot in np.flatnonzero(~self.ended):
            queues[self._worker_of[slot]].append(int(slot))
        for worker, queue in zip(self._workers, queues, strict=True):
            self._replay_next(worker, queue)
        busy: dict[Any, tuple[WorkerProcess | WorkerHere, list[int]]] = {
            worker.connection: (worker, queue) for worker, queue in zip(self._workers, queues, strict=True)
            if worker.replaying}
        total, same = int(self._journal.lengths[~self.ended].sum()), True
        with progress_bar(total, "replaying episodes", "step") as progress:
            while busy:
                for connection in wait(list(busy)):
                    worker, queue = busy[connection]
                    same &= self._answer(worker) == b"d"
                    progress.update(worker.replaying)
                    if not self._replay_next(worker, queue):
                        del busy[connection]
        return same

    def _replay_next(self, worker: WorkerProcess | WorkerHere, queue: list[int]) -> bool:
        worker.replaying = 0
        if not queue:
            return False
        slot = queue.pop()
        actions = self._journal.actions(slot)
        self._arrays.seeds[slot] = seed = self.seeds(slot, int(self._journal.episodes[slot]))
        worker.replaying = len(actions) or 1
        worker.send(b"r", slot, seed, actions)
        return True

    def _answer(self, worker: WorkerProcess | WorkerHere) -> bytes:
        """Waits for a worker's answer, see worker.py. Raises EnvironmentFault if something went wrong."""
        answer = self._received(worker)
        if answer[:1] in (b"!", b"?"):
            failed = f"{self.name} failed: " if answer[:1] == b"!" else ""
            raise EnvironmentFault(failed + with_cells(answer[1:].decode()))
        return answer

    def _received(self, worker: WorkerProcess | WorkerHere) -> bytes:
        try:
            return worker.receive()
        except (EOFError, OSError):
            assert isinstance(worker, WorkerProcess)
            raise EnvironmentFault(f"a worker process of {self.name} is gone ({worker.cause_of_death()})") from None
