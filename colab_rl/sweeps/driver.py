"""The loop of a sweep: gives runs to a runner, in the order of the trials, and writes down how they end."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from colab_rl.errors import ColabRLError
from colab_rl.progress import say
from colab_rl.sweeps.folder import SweepFolder
from colab_rl.sweeps.plan import Plan
from colab_rl.sweeps.pruning import Curve, judge, rung_steps
from colab_rl.sweeps.runners import Ended, Event, Progress, Runner, Task
from colab_rl.sweeps.search import propose
from colab_rl.sweeps.trials import ENDED, FAILED, FINISHED, Record, RunRecord, SweepResult
from colab_rl.training.stopping import StopRequest

WAIT = 0.5          # seconds that the runner is listened to
SHOW_EVERY = 1.0    # seconds between two pictures of how it goes
MOST_DEATHS = 5     # of a run's processes, one after another without a new checkpoint
MOST_REFUSALS = 10  # trials that fail one after another, for what does not lie in their training


@dataclass
class Live:
    """A run that trains now. step, score: its newest. speed: steps a second, of its newest row."""

    run: str
    trial: int
    step: int = 0
    total_steps: int = 0
    score: float | None = None
    speed: float = 0.0
    curve: list[tuple[float, float, float]] = field(default_factory=list)

    @property
    def seconds_left(self) -> float | None:
        """Seconds that it still takes, None before it is known."""
        return max(self.total_steps - self.step, 0) / self.speed if self.speed else None

    @property
    def share(self) -> str:
        """`34 %` of its steps, empty before it is known how many these are."""
        return f"{min(100, 100 * self.step // self.total_steps)} %" if self.total_steps else ""


class Picture(NamedTuple):
    """The progress of a sweep. live: the runs that train. left: seconds that all of it still takes, None if unknown."""

    record: Record
    live: list[Live]
    ended_trials: int
    left: float | None


@runtime_checkable
class SweepWatcher(Protocol):
    """What shows the progress of a sweep."""

    def show(self, picture: Picture) -> None:
        """At most once a second, and at the end."""

    def ended(self, trial: int, record: Record) -> None:
        """A trial has ended."""

    def close(self) -> None:
        """This session is over."""


class Driver:
    """Trains what a plan still lacks.

    options: of `train`, the same for all runs. own: see Task.
    """

    def __init__(self, plan: Plan, folder: SweepFolder, record: Record, runner: Runner, options: Mapping[str, Any],
                 own: bytes, shower: SweepWatcher):
        self.plan, self.folder, self.record, self.runner = plan, folder, record, runner
        self.options, self.own, self.shower = options, own, shower
        self._live: dict[str, Live] = {}
        self._again: list[tuple[int, int]] = []   # (trial, seed) whose process died
        self._reached: dict[str, int] = {}        # the step that a run had reached when its process last died
        self._judged: dict[int, int] = {}         # the rungs at which a trial was judged
        self._deaths: Counter[str] = Counter()
        self._refused_trials: set[int] = set()    # since a run finished
        self._best: tuple[float, int] | None = None  # the rank of the trial in best.json
        self._began = time.monotonic()
        self._steps = 0                           # trained in this session
        self._ended_trials: set[int] = set()
        self._all_ended = 0                       # trials from the first one on, none of which is open

    def run(self, stop: StopRequest) -> SweepResult:
        """Trains until all trials have ended, or until it is asked to stop: then each run saves and leaves."""
        self._note_ended()
        waiting = self._pending()
        upcoming = next(waiting, None)
        shown, stopping = 0.0, False
        while True:
            stop.hold()
            if stop.signal_number is not None and not stopping:
                stopping = True
                say(f"stopping: {len(self._live)} runs save and leave")
                for run in self._live:
                    self.runner.stop(run)
            while not stopping and len(self._live) < self.runner.slots:
                if self._again:
                    trial, seed = self._again.pop(0)
                    if trial not in self.record.pruned:
                        self._submit(trial, seed)
                    continue
                if upcoming is None or not self._is_ready(upcoming[0]):
                    break
                if self._is_open(*upcoming):
                    self._submit(*upcoming)
                upcoming = next(waiting, None)
            if not self._live and not self._again:
                break  # all has ended, or nothing more may begin
            if not self._live and stopping:
                break
            for event in self.runner.events(WAIT):
                self._hear(event, stopping)
            if time.monotonic() >= shown:
                self.shower.show(self.picture())
                shown = time.monotonic() + SHOW_EVERY
        self.shower.show(self.picture())
        result = self.record.result()
        if result.best_trial is not None:
            self.folder.write_best(self.record.best_content(result.best_trial))
        return dataclasses.replace(result, signal_number=stop.signal_number)

    def picture(self) -> Picture:
        """The progress now."""
        elapsed = time.monotonic() - self._began
        left, live = None, list(self._live.values())
        total = next((one.total_steps for one in live if one.total_steps), 0)
        if self._steps and elapsed > 5 and total:
            steps = sum(float(max(one.total_steps - one.step, 0)) for one in live)  # an int may fit no float
            left = (steps + float(total) * self._runs_to_begin()) * elapsed / self._steps
        return Picture(self.record, live, len(self._ended_trials), left)

    def _runs_to_begin(self) -> int:
        """Runs that neither train nor have ended."""
        trials = {live.trial for live in self._live.values()}
        ended = sum(name in self.record.runs for trial in trials for name in self.plan.runs_of(trial))
        return self.plan.total_runs - len(self._ended_trials) * len(self.plan.seeds) - len(self._live) - ended

    def _note_ended(self) -> None:
        """The trials that earlier sessions ended, and the best of them, before another can be called the best."""
        self._ended_trials = {trial for trial in range(self.plan.trials) if self.record.state_of(trial) in ENDED}
        if ranks := [rank for trial in self._ended_trials if (rank := self.record.rank_of(trial))]:
            self._note_best(-max(ranks)[1])

    def _pending(self) -> Iterator[tuple[int, int]]:
        """Every trial that is open, and seed, so that the seeds of a trial are trained together."""
        for trial in range(self.plan.trials):
            if trial not in self._ended_trials:
                yield from ((trial, seed) for seed in self.plan.seeds)

    def _is_ready(self, trial: int) -> bool:
        """Whether the trial may begin. Then its settings are known: a search proposes them now."""
        if self.plan.searches or self.plan.prune:  # what it depends on must be the same, whichever run is the fastest
            while self._all_ended in self._ended_trials:
                self._all_ended += 1
            if trial - self.plan.at_once >= self._all_ended:
                return False
        if self.record.settings_of(trial) is None:
            told = [self.record.told(other) for other in range(trial - self.plan.at_once + 1)]
            settings = propose(self.plan, trial, told)
            self.record.proposed[trial] = settings
            self.folder.add({"trial": trial, "settings": settings})
        return True

    def _is_open(self, trial: int, seed: int) -> bool:
        """Whether a run is still to be trained."""
        return trial not in self.record.pruned and self.plan.run_name(trial, seed) not in self.record.runs

    def _submit(self, trial: int, seed: int) -> None:
        run = self.plan.run_name(trial, seed)
        algorithm, settings = self.plan.training_of(self.record.settings_of(trial) or {})
        self._live[run] = Live(run, trial)
        try:
            self.plan.config_of(self.record.settings_of(trial) or {}, seed)
        except ColabRLError as error:  # a search may propose what does not go together
            self._end(RunRecord(run=run, state=FAILED, reason=str(error)))
            return
        self.runner.submit(Task(run, {**self.options, "algo": algorithm, "settings": {**settings, "seed": seed}},
                                self.own))

    def _hear(self, event: Event, stopping: bool) -> None:
        live = self._live.get(event.run)
        if live is None:
            return
        if isinstance(event, Progress):
            self._progress(live, event)
        elif event.kind == "finished":
            self._finished(live, event)
        elif event.kind == "failed":
            self._end(RunRecord(run=live.run, state=FAILED, reason=event.reason, curve=tuple(live.curve)))
        elif event.kind == "refused":
            self._refused(live, event)
        else:
            self._gone(live, event, stopping)

    def _progress(self, live: Live, event: Progress) -> None:
        row, before = event.row, live.step
        live.step, live.total_steps = int(row["step"]), event.total_steps
        live.speed = row.get("time/steps_per_second", live.speed)
        if not event.earlier:
            self._steps += live.step - before
        if "evaluation/score" in row:
            live.score = row["evaluation/score"]
            if not live.curve or row["step"] > live.curve[-1][0]:
                live.curve.append((row["step"], row["seconds"], live.score))
        self._judge(live.trial)

    def _finished(self, live: Live, event: Ended) -> None:
        self._refused_trials.clear()
        live.step = event.facts["step"]
        self._judge(live.trial)
        self._end(RunRecord(run=live.run, state=FINISHED, score=event.facts["score"], step=live.step,
                            curve=tuple(live.curve), reason=event.reason, final=not event.facts["pending"]))

    def _refused(self, live: Live, event: Ended) -> None:
        self._refused_trials.add(live.trial)
        self._end(RunRecord(run=live.run, state=FAILED, reason=event.reason, final=False))
        if len(self._refused_trials) >= MOST_REFUSALS:
            raise ColabRLError(f"{MOST_REFUSALS} trials failed one after another, the last one with: {event.reason}; "
                               "what was trained is kept; fix that, then give the same command again")

    def _gone(self, live: Live, event: Ended, stopping: bool) -> None:
        """A run's process died, or was asked to stop."""
        del self._live[live.run]
        if stopping or live.trial in self.record.pruned:
            return
        self._deaths[live.run] = self._deaths[live.run] + 1 if live.step <= self._reached.get(live.run, -1) else 1
        self._reached[live.run] = live.step
        if self._deaths[live.run] >= MOST_DEATHS:
            self._live[live.run] = live
            self._end(RunRecord(run=live.run, state=FAILED, final=False, curve=tuple(live.curve), reason=(
                f"its process died {MOST_DEATHS} times at step {live.step:,}, the last time: {event.reason}")))
            return
        say(f"{live.run}: {event.reason or 'it stopped'}; it continues from its newest checkpoint")
        seed = next(seed for seed in self.plan.seeds if self.plan.run_name(live.trial, seed) == live.run)
        self._again.append((live.trial, seed))

    def _end(self, ended: RunRecord) -> None:
        """Writes down how a run ended, and its trial if that was the last one."""
        live = self._live.pop(ended.run)
        if live.trial in self.record.pruned:
            return
        self.record.runs[ended.run] = ended
        self.folder.add(ended.to_line())
        if ended.state == FAILED:
            say(f"{ended.run} failed: {ended.reason}")
        self._close(live.trial)

    def _close(self, trial: int) -> None:
        if trial in self._ended_trials or self.record.state_of(trial) not in ENDED:
            return
        self._ended_trials.add(trial)
        self._note_best(trial)
        self.shower.ended(trial, self.record)

    def _judge(self, trial: int) -> None:
        """Prunes the trial if its judging runs say so. All that it is compared with have ended."""
        if not self.plan.prune or trial in self.record.pruned or trial in self._ended_trials:
            return
        curves: list[Curve] = []
        reached = []
        for name in self.plan.runs_of(trial)[:self.plan.judges]:
            if name in self._live:
                curves.append(self._live[name].curve)
                reached.append(self._live[name].step)
            elif name in self.record.runs and self.record.runs[name].state == FINISHED:
                curves.append(self.record.runs[name].curve)
                reached.append(self.record.runs[name].step)
            else:
                return
        total_steps = self.plan.config_of(self.record.settings_of(trial) or {}).total_steps
        rungs = sum(step <= min(reached) for step in rung_steps(total_steps))
        if rungs == self._judged.get(trial, 0):
            return
        self._judged[trial] = rungs
        earlier = [self.record.curves_of(other) for other in range(trial - self.plan.at_once + 1)
                   if self.record.state_of(other) == FINISHED]
        found = judge(curves, min(reached), earlier, total_steps)
        if found is None:
            return
        self.record.pruned[trial] = found
        self.folder.add({"pruned": trial, "step": found.step, "score": found.score})
        for name in self.plan.runs_of(trial):
            if name in self._live:
                self.runner.stop(name)
        self._close(trial)

    def _note_best(self, trial: int) -> None:
        """Keeps best.json."""
        rank = self.record.rank_of(trial)
        if rank and (self._best is None or rank > self._best):
            self._best = rank
            self.folder.write_best(self.record.best_content(trial))
