"""How a sweep stands: what its journal says of its trials and their runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from colab_rl.runs.identity import check_run_name
from colab_rl.runs.places import Places
from colab_rl.settings import as_text
from colab_rl.sweeps.folder import JournalLine, SweepFolder
from colab_rl.sweeps.plan import Plan
from colab_rl.sweeps.pruning import Curve, Pruned
from colab_rl.sweeps.search import PastTrial
from colab_rl.sweeps.statistics import iqm, iqm_interval

OPEN, FINISHED, PRUNED, FAILED = "open", "finished", "pruned", "failed"
ENDED = (FINISHED, PRUNED, FAILED)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """How a run of a sweep ended.

    score: of its best checkpoint, as `status` prints it: over fresh episodes (training/scoring.py), or if
        score_episodes is 0, over those of its evaluation.
    curve: (step, seconds of training, score) of each evaluation.
    final: whether nothing is left to do. If not, the next session continues it: it may not fail again, or its copy is
        not in the store yet. reason: why it failed, or is not final.
    """

    run: str
    state: str
    score: float | None = None
    step: int = 0
    curve: Curve = ()
    reason: str = ""
    final: bool = True

    def to_line(self) -> JournalLine:
        """As the journal has it."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class TrialResult:
    """A trial.

    settings: what sets it apart.
    state: `open` (the journal lacks the end of a run), `finished`, `pruned` or `failed` (a run of it failed).
    scores: the score that each run ended with, None if it has not finished.
    iqm, low, high: the interquartile mean of the scores and its 95 % interval. None before the trial has finished;
        the interval is None with one seed.
    """

    trial: int
    settings: dict[str, Any]
    state: str
    runs: list[str]
    scores: list[float | None]
    iqm: float | None = None
    low: float | None = None
    high: float | None = None

    def words(self) -> str:
        """Its settings, in a line."""
        return " ".join(f"{name}={as_text(value)}" for name, value in self.settings.items()) or "the preset"

    def line(self) -> str:
        """A row of the table."""
        score = "" if self.iqm is None else f"{self.iqm:.1f}"
        between = "" if self.low is None else f"[{self.low:.1f}, {self.high:.1f}]"
        return f"t{self.trial:03d}  {self.state:9} {score:>9} {between:>20}  {self.words()}"


HEAD = f"{'trial':5} {'state':9} {'IQM score':>9} {'95 % over seeds':>20}  settings"


@dataclass(frozen=True)
class SweepResult:
    """A sweep, and how it stands.

    finished: whether all trials have ended, and nothing is left for the next session.
    best_trial: the finished one with the highest interquartile mean, None before there is one.
    best_command: begins a run with its settings. preset_line: its settings as the command `presets` prints them.
    signal_number: of the signal that stopped this session. problems: what is left undone, and why.
    """

    sweep: str
    finished: bool
    trials: list[TrialResult]
    best_trial: int | None
    best_command: str = ""
    preset_line: str = ""
    signal_number: int | None = None
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {"sweep": self.sweep, "finished": self.finished,
                "trials": [dataclasses.asdict(trial) for trial in self.trials], "best_trial": self.best_trial}

    def counts(self) -> str:
        """How many trials there are in each state."""
        states = [trial.state for trial in self.trials]
        return ", ".join(f"{states.count(state)} {state}" for state in (FINISHED, OPEN, PRUNED, FAILED)
                         if state in states)

    def summary(self) -> str:
        """How it stands, in two lines, and what to do with the best."""
        state = "finished" if self.finished else "not finished, the same command continues"
        lines = [f"{self.sweep}: {state}; trials: {self.counts()}"]
        if self.best_trial is not None:
            lines += [f"best: {self.trials[self.best_trial].line()}", self.best_command,
                      self.preset_line and f"as a preset: {self.preset_line}"]
        return "\n".join(filter(None, lines))

    def table(self, most: int = 50) -> str:
        """The trials, the best first, a line each."""
        ranked = sorted(self.trials, key=lambda one: (one.iqm is None, -(one.iqm or 0), one.trial))
        lines = [HEAD, *(trial.line() for trial in ranked[:most])]
        if len(ranked) > most:
            lines.append(f"... and {len(ranked) - most:,} more; --json prints all")
        return "\n".join(lines)


RECORD_FIELDS = [field.name for field in dataclasses.fields(RunRecord)]  # a later version may write more


class Record:
    """What a journal says, and what has happened since.

    runs: how they ended, by name. proposed: settings of a search's trials. pruned: by trial.
    options: what a command needs to find the sweep again (`Places.options`).
    """

    def __init__(self, plan: Plan, lines: Iterable[JournalLine], options: str = ""):
        self.plan, self.options = plan, options
        self.runs: dict[str, RunRecord] = {}
        self.proposed: dict[int, dict[str, Any]] = {}
        self.pruned: dict[int, Pruned] = {}
        for line in lines:
            if "run" in line:
                ended = RunRecord(**{name: line[name] for name in RECORD_FIELDS if name in line})
                if ended.final or ended.run not in self.runs or not self.runs[ended.run].final:
                    self.runs[ended.run] = ended
            elif "trial" in line:
                self.proposed[line["trial"]] = line["settings"]
            elif "pruned" in line:
                self.pruned[line["pruned"]] = Pruned(line["step"], line["score"])

    def settings_of(self, trial: int) -> dict[str, Any] | None:
        """What sets a trial apart; None if the search has not proposed it yet."""
        return self.proposed.get(trial) if self.plan.searches else self.plan.settings_of(trial)

    def state_of(self, trial: int) -> str:
        """See TrialResult."""
        names = self.plan.runs_of(trial)
        states = [self.runs[name].state for name in names if name in self.runs]
        if trial in self.pruned:
            return PRUNED
        if len(states) == len(names):
            return FAILED if FAILED in states else FINISHED
        return OPEN

    def curves_of(self, trial: int) -> list[Curve]:
        """Of the runs of a finished trial that judged it (`Plan.judges`)."""
        return [self.runs[name].curve for name in self.plan.runs_of(trial)[:self.plan.judges]]

    def forget_unfinished(self, is_there: Container[str]) -> None:
        """Leaves out what has to be done again: what is not final, and runs whose folder is gone."""
        self.runs = {name: run for name, run in self.runs.items()
                     if run.final and (name in is_there or run.state == FAILED)}

    def told(self, trial: int) -> PastTrial:
        """A trial that has ended, for the search."""
        settings = self.settings_of(trial) or {}
        if trial in self.pruned:
            return PastTrial(settings, PRUNED, self.pruned[trial].score, self.pruned[trial].step)
        score = self.iqm_of(trial)
        return PastTrial(settings, FAILED if score is None else FINISHED, score)

    def iqm_of(self, trial: int) -> float | None:
        """The interquartile mean of a finished trial's scores; None of another."""
        scores = self._scores_of(trial)
        return None if scores is None else float(iqm(np.array(scores)))

    def rank_of(self, trial: int) -> tuple[float, int] | None:
        """The best trial has the highest rank: of equal scores the lower number. None if it has not finished."""
        score = self.iqm_of(trial)
        return None if score is None else (score, -trial)

    def result(self) -> SweepResult:
        """All trials."""
        trials = [self.trial(number) for number in range(self.plan.trials)]
        ranks = {rank: trial for trial in trials if (rank := self.rank_of(trial.trial))}
        best = ranks[max(ranks)] if ranks else None
        unfinished = [self.runs[name] for trial in trials if trial.state != PRUNED for name in trial.runs
                      if name in self.runs and not self.runs[name].final]
        problems = [f"{run.run}: {run.reason}" for run in unfinished]
        finished = not unfinished and all(trial.state in ENDED for trial in trials)
        if finished and all(trial.state == FAILED for trial in trials):
            reason = next(run.reason for run in self.runs.values() if run.state == FAILED)
            problems = [f"all {len(trials)} trials failed; the first with: {reason}" if len(trials) > 1
                        else f"the only trial failed: {reason}"]
        return SweepResult(
            self.plan.sweep, finished, trials, best.trial if best else None,
            self._best_command() if best else "", self._preset_line(best) if best else "", problems=problems)

    def best_content(self, trial: int) -> JournalLine:
        """best.json, if a trial is the best one (runs/best_settings.py)."""
        plan = self.plan
        algorithm, settings = plan.training_of(self.settings_of(trial) or {})
        return {"sweep": plan.sweep, "trial": trial, "score": self.iqm_of(trial), "env_id": plan.env_id,
                "env_is_function": plan.env_is_function, "env_path": plan.env_path, "env_kwargs": plan.env_kwargs,
                "algorithm": algorithm, "settings": settings, "ended_runs": len(self.runs)}

    def trial(self, number: int) -> TrialResult:
        """One trial."""
        names, scores = self.plan.runs_of(number), self._scores_of(number)
        found: Sequence[float | None] = (None, None, None)
        if scores is not None:
            found = [None if np.isnan(one) else float(one) for one in iqm_interval(np.array(scores)[:, None])]
        # Of a pruned trial, which run had ended by then is chance.
        each = [self.runs[name].score if name in self.runs and number not in self.pruned else None for name in names]
        return TrialResult(number, self.settings_of(number) or {}, self.state_of(number), names, each, *found)

    def _scores_of(self, trial: int) -> list[float] | None:
        """Of all runs of a finished trial; None of another."""
        if self.state_of(trial) != FINISHED:
            return None
        scores = [self.runs[name].score for name in self.plan.runs_of(trial)]
        known = [score for score in scores if score is not None]
        return known if len(known) == len(scores) else None

    def _best_command(self) -> str:
        env = f" --env {self.plan.env_path}" if self.plan.env_path else ""
        return (f"python -m colab_rl train NAME --from {self.plan.sweep}{env}{self.options} begins a run with its "
                "settings")

    def _preset_line(self, best: TrialResult) -> str:
        algorithm, settings = self.plan.training_of(best.settings)
        words = " ".join(f"{name}={as_text(value)}" for name, value in settings.items())
        return f"{self.plan.env_id}, {algorithm}: {words}" if words else ""


def record_of(name: str, places: Places) -> Record | None:
    """What is written of a sweep, here or in the store. None if there is none of that name."""
    check_run_name(name)
    folder = SweepFolder(places, name)
    plan = folder.plan()
    return Record(plan, folder.journal(), places.options) if plan else None
