"""A runner that computes a run's scores in place of training it: for tests of what lies around a runner."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping, Sequence

from colab_rl.sweeps.driver import Driver, Picture
from colab_rl.sweeps.folder import SweepFolder
from colab_rl.sweeps.plan import Plan
from colab_rl.sweeps.runners import Ended, Event, Progress, Runner, Task
from colab_rl.sweeps.trials import Record, SweepResult
from colab_rl.training.stopping import StopRequest

TOTAL, EVALUATIONS = 1000, 10


class Killed(Exception):
    """The driver ends here, in the middle of its work."""


class FormulaRunner(Runner):
    """Runs advance one evaluation at a time, in an order that `salt` decides.

    score: of a run's settings (the seed among them) and the share of its steps. kill_after: evaluations of all runs.
    """

    def __init__(self, score: Callable[[Mapping, float], float], slots: int = 2, salt: int = 0,
                 kill_after: float = float("inf")):
        self.slots, self.cores, self.words = slots, slots, "by a formula"
        self._score, self._kill_after = score, kill_after
        self._random = random.Random(salt)
        self._here: dict[str, tuple[Task, int]] = {}
        self._stopping: set[str] = set()
        self.submitted: list[str] = []

    def submit(self, task: Task) -> None:
        assert task.run not in self._here and len(self._here) < self.slots
        self._here[task.run] = task, 0
        self.submitted.append(task.run)

    def events(self, timeout: float) -> Sequence[Event]:
        run = self._random.choice(sorted(self._here))
        task, done = self._here[run]
        if run in self._stopping:
            del self._here[run]
            return [Ended(run, "stopped")]
        self._kill_after -= 1
        if self._kill_after < 0:
            raise Killed
        done += 1
        self._here[run] = task, done
        step, score = done * TOTAL // EVALUATIONS, self._score(task.options["settings"], done / EVALUATIONS)
        row = {"step": step, "seconds": float(step), "evaluation/score": score}
        found: list[Event] = [Progress(run, row, TOTAL)]
        if done == EVALUATIONS:
            del self._here[run]
            digest = f"{zlib.crc32(repr(sorted(task.options['settings'].items())).encode()):08x}"
            found.append(Ended(run, "finished", facts={"step": step, "state_sha256": digest, "score": score,
                                                       "pending": 0}))
        return found

    def stop(self, run: str) -> None:
        self._stopping.add(run)

    def close(self) -> None:
        self._here.clear()


class Silent:
    """A driver.SweepWatcher that shows nothing."""

    def show(self, picture: Picture) -> None:
        pass

    def ended(self, trial: int, record: Record) -> None:
        pass

    def close(self) -> None:
        pass


def drive(plan: Plan, folder: SweepFolder, runner: Runner) -> SweepResult:
    """A session of a sweep, from its files, until it ends or is killed."""
    lines = folder.journal()
    folder.begin_journal(lines)
    folder.write_plan(plan)
    return Driver(plan, folder, Record(plan, lines), runner, {}, b"", Silent()).run(StopRequest())
