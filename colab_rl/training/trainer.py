"""The loop: collect, update, evaluate, record, checkpoint.

Everything that decides how training continues is in `Trainer.state_dict`; a checkpoint is
that state, written at the boundary between two iterations. Wall times and metrics travel
beside it and decide nothing.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import time
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

from colab_rl.algorithms import Algorithm
from colab_rl.algorithms.own import check_returned
from colab_rl.algorithms.unsaved import SavedStateCheck
from colab_rl.arithmetic import seed_global_generators
from colab_rl.checkpoints import FileRecord, Manifest, Replicator, Tier
from colab_rl.checkpoints.layout import CHECKPOINTS, METRICS, TELEMETRY, numbered_name
from colab_rl.checkpoints.pace import StorePace
from colab_rl.checkpoints.retention import candidates, earlier_of, may_be_candidate, prune
from colab_rl.checkpoints.segments import Rows, extend_segments
from colab_rl.checkpoints.serialization import deserialize, serialize, state_sha256
from colab_rl.environments import VectorEnvironment
from colab_rl.errors import ColabRLError
from colab_rl.evaluation.episode import to_npz
from colab_rl.evaluation.evaluator import EVALUATION_SEED, EvaluationResult, Evaluator
from colab_rl.progress import Watcher, progress_bar, say
from colab_rl.settings import Config
from colab_rl.training.metrics import Row, to_csv
from colab_rl.training.scoring import Scorer, Stopped
from colab_rl.training.stopping import StopRequest
from colab_rl.training.target import Target
from colab_rl.training.tensorboard import TensorBoardView

RECORDED_EPISODES = 2        # of an evaluation, its first ones


class Recorder(NamedTuple):
    """Where a run is written, and who watches it in place of a progress bar."""

    run_id: str
    local: Tier
    replicator: Replicator | None
    tensorboard: TensorBoardView
    versions: dict[str, str]
    watcher: Watcher | None = None


class Trainer:
    """Trains one run from the checkpoint that `load` restored, or from the start.

    manifest: of the newest checkpoint, None before the first.
    inexact: why the run is not bit-exact from here on, empty if it is.
    """

    def __init__(self, name: str, config: Config, total_steps: int, algorithm: Algorithm, envs: VectorEnvironment,
                 evaluator: Evaluator, recorder: Recorder, scorer: Scorer,
                 target: Target | None = None, saved_state_check: SavedStateCheck | None = None):
        self.name = name
        self.config = config
        self.total_steps = total_steps
        self.algorithm = algorithm
        self.envs = envs
        self.evaluator = evaluator
        self.recorder = recorder
        self.scorer = scorer
        self.target = target
        self.saved_state_check = saved_state_check
        self.iteration = 0
        self.step = 0
        self.target_reached = False
        self.score: float | None = None  # of the newest evaluation
        self.manifest: Manifest | None = None
        self.inexact: list[str] = []
        self._evaluated: tuple[int, EvaluationResult] | None = None  # iteration, result
        self._rows: list[Row] = []                       # since the newest checkpoint
        self._verified: dict[str, Manifest] = {}         # local checkpoints known to be whole, by stem
        self._seconds_before = 0.0                       # trained in earlier sessions
        self._began = time.perf_counter()
        self._checkpoint_seconds = 0.0                   # spent since the newest row
        self._resumed = False                            # whether the next row is the first one of a later session
        self._recorded = RECORDED_EPISODES
        self._stop: StopRequest | None = None            # of the session that trains
        self._pace = StorePace(recorder.replicator, config.checkpoint_every, lambda: self._stopping) \
            if recorder.replicator else None

    def load(self, state: dict[str, Any], experience: Iterable[Rows], manifest: Manifest | None,
             changes: list[str]) -> None:
        """Continues from a state.

        experience: what its replay segments hold, empty for an algorithm that keeps none.
        manifest: of the state's checkpoint if it is this run's own.
        changes: why continuing from it is not bit-exact, so far as is known.
        """
        self.algorithm.load_state_dict(state["algorithm"])
        if self.algorithm.replay:
            self.algorithm.replay.restore(experience)
        then = state["envs"]
        if then["backend"] == self.envs.backend:
            reasons = self.envs.restore(then)
        else:
            self.envs.reset()
            reasons = [f"backend {then['backend']} -> {self.envs.backend}"]
        self.inexact = changes
        self._began_others(reasons)
        self.iteration, self.step = state["iteration"], state["step"]
        self.score = state.get("score")  # the first checkpoints, the example's among them, do not have it
        if manifest:
            self.manifest = manifest
            if self._pace:
                self._pace.resume_from(manifest)
            self._resumed = True
            self.target_reached = manifest.finished and manifest.step < manifest.total_steps == self.total_steps
            self._seconds_before = manifest.seconds
            self._verified = {other.stem: other for other in self.recorder.local.whole()}

    def _began_others(self, reasons: list[str]) -> None:
        """Notes why other episodes have begun than those that ran, if there are reasons."""
        if reasons:
            self.algorithm.cut_episodes()
        self.inexact = list(dict.fromkeys([*self.inexact, *reasons]))

    def state_dict(self) -> dict[str, Any]:
        """The whole training state."""
        return {"algorithm": self.algorithm.state_dict(),
                "envs": {"backend": self.envs.backend, **self.envs.snapshot()},
                "iteration": self.iteration, "step": self.step, "score": self.score}

    @property
    def finished(self) -> bool:
        """Whether every step is taken, or the target score reached."""
        return self.step >= self.total_steps or self.target_reached

    @property
    def _overtaken(self) -> bool:
        """Whether a newer session has the run."""
        return bool(self.recorder.replicator and self.recorder.replicator.overtaken)

    @property
    def _stopping(self) -> bool:
        """Whether a stop was asked."""
        return self._stop is not None and self._stop.signal_number is not None

    @property
    def seconds(self) -> float:
        """Wall time of training so far, over all sessions."""
        return self._seconds_before + time.perf_counter() - self._began

    def run(self, stop: StopRequest) -> None:
        """Trains until finished or asked to stop; a checkpoint holds the state on return."""
        self._began, self._stop = time.perf_counter(), stop
        begun_at = self.iteration
        if self.manifest is None or self.manifest.total_steps != self.total_steps:
            self.save()  # that the disk can be written shows before hours are spent, and an extension is kept
        watcher = self.recorder.watcher
        with progress_bar(self.total_steps, self.name, "step", initial=min(self.step, self.total_steps), delay=0,
                          smoothing=0.1, disable=watcher is not None) as progress:
            while not self.finished and not self._stopping and not self._overtaken:
                stop.hold()
                before = self.step
                row = self._iterate()
                if watcher:
                    watcher.row(row, self._where())
                else:
                    episode_return = f"return {row['episode/return']:.1f}, " if "episode/return" in row else ""
                    progress.set_postfix_str(episode_return + self._where(), refresh=False)
                    progress.update(min(self.step, self.total_steps) - min(before, self.total_steps))
        # A score that failed in this session is left to a later one.
        unscored = self.manifest is not None and self.manifest.confirmed == {} and self.iteration == begun_at
        if self.manifest is None or self.manifest.iteration != self.iteration or (
                unscored and not self._stopping and not self._overtaken):
            self.save()

    def save(self) -> None:
        """Commits a checkpoint here, hands it to the store, and makes room. Raises StorageError."""
        started = time.perf_counter()
        manifest, contents = self._checkpoint()
        if self.finished and self.config.score_episodes:
            manifest = dataclasses.replace(manifest, confirmed=self._confirmed(manifest))
        self.recorder.local.commit(manifest, contents)
        self.manifest = manifest
        self._rows = []
        self._verified[manifest.stem] = manifest
        prune(self.recorder.local, self._verified, self.config.keep_last, self.config.keep_every)
        if self._pace:
            self._pace.submit(manifest)
        self._checkpoint_seconds += time.perf_counter() - started

    def _checkpoint(self) -> tuple[Manifest, dict[str, bytes]]:
        """The state as it stands: its manifest, and the new files that it names."""
        parent, recorder = self.manifest, self.recorder
        state = self.state_dict()
        data, table = serialize(state), to_csv(self._rows)
        if self.saved_state_check:
            self.inexact = self.saved_state_check.reasons(self.algorithm, lambda: deserialize(data)["algorithm"],
                                                          self.inexact)
        generation = parent.generation + 1 if parent else 1
        data_name = numbered_name(CHECKPOINTS, generation, FileRecord.of(data).sha256, "safetensors")
        table_name = numbered_name(METRICS, generation, FileRecord.of(table).sha256, "csv")
        result = self._evaluated[1] if self._evaluated and self._evaluated[0] == self.iteration else None
        contents = {table_name: table, data_name: data}
        segments: dict[str, FileRecord] = {}
        if self.algorithm.replay:
            segments, new_segments = extend_segments(parent.files if parent else {}, self.algorithm.replay)
            contents |= new_segments
        telemetry = b""
        try:
            telemetry = to_npz(result.episodes) if result else b""
        except Exception as error:
            self._record_no_more(error)
        if telemetry:
            contents[numbered_name(TELEMETRY, generation, FileRecord.of(telemetry).sha256, "npz")] = telemetry
        history = {name: record for name, record in (parent.files if parent else {}).items()
                   if name.startswith(METRICS)}
        files = {**segments, **{name: FileRecord.of(content) for name, content in contents.items()}}
        history = {**(parent.history if parent else {}), **history}
        return Manifest(
            run_id=recorder.run_id, generation=generation, parent=parent.stem if parent else None,
            iteration=self.iteration, step=self.step, total_steps=self.total_steps, finished=self.finished,
            score=float(result.returns.mean()) if result else None,
            criterion=result.criterion(self.config.best_by) if result else None,
            state_sha256=state_sha256(state), seconds=self.seconds,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            versions=recorder.versions, exact=not self.inexact, inexact=self.inexact,
            files=files, history=history,
            earlier=earlier_of(parent, {**files, **history}, self.config.keep_last, self.config.keep_every)), contents

    def _known(self) -> list[Manifest]:
        """The run's checkpoints, here or in the store, as far as this machine and the newest one tell."""
        newest = self.manifest
        told = [manifest for _, manifest in newest.earlier_manifests.values()] if newest else []
        return [*told, *self._verified.values()]

    def _confirmed(self, last: Manifest) -> dict[str, Any]:
        """The score that the run ends with, as a manifest keeps it; empty if it is still to be measured.

        last: of the state as it stands, not yet committed. If that reached the target score, it is the only candidate.
        """
        lent = self.envs.snapshot() if self.evaluator.lent is self.envs else None
        ranked = [last] if self.target_reached else candidates([*self._known(), last]) or [last]
        own = {last.state_sha256: self.algorithm.on_cpu()}
        try:
            return self.scorer.score(ranked, own, lambda: self._stopping or self._overtaken).to_json()
        except Stopped:
            return {}
        except ColabRLError as error:
            say(f"the final score could not be measured: {error}; the same command tries again")
            return {}
        finally:
            if lent is not None:
                self.envs.restore(lent)

    def _iterate(self) -> Row:
        """One iteration, its evaluation and its checkpoint if they are due."""
        config = self.config
        started = time.perf_counter()
        seed_global_generators(config.seed, self.iteration)
        steps = self.algorithm.collect(self.envs)
        collected = time.perf_counter()
        metrics = self.algorithm.update(self.step / self.total_steps)
        updated = time.perf_counter()
        check_returned(steps, metrics)
        self.iteration += 1
        self.step += steps
        row: Row = {"iteration": self.iteration, "step": self.step, **self.algorithm.episodes.metrics(), **metrics}
        may_be_best = False
        if result := self._judge():
            criterion = result.criterion(config.best_by)
            may_be_best = may_be_candidate(criterion, self._known())
            summary = result.summary()
            self.score = summary["mean"]
            row |= {"evaluation/score": summary["mean"], "evaluation/std": summary["std"],
                    "evaluation/min": summary["min"], "evaluation/max": summary["max"],
                    "evaluation/length": summary["mean_length"], "evaluation/episodes": summary["episodes"]}
        ended = time.perf_counter()
        row |= {"seconds": self.seconds, "time/collect": collected - started, "time/update": updated - collected,
                "time/evaluate": ended - updated, "time/checkpoint": self._checkpoint_seconds,
                "time/steps_per_second": steps / (ended - started + self._checkpoint_seconds)}
        if self._resumed:
            row["session/resumed"] = 1
        self._resumed = False
        self._checkpoint_seconds = 0.0
        self._rows.append(row)
        self.recorder.tensorboard.add(row)
        if self.iteration % config.checkpoint_every == 0 and self.envs.renew(self.iteration):
            self.algorithm.cut_episodes()
        if self.iteration % config.checkpoint_every == 0 or may_be_best or self.finished:
            self.save()
        return row

    def _judge(self) -> EvaluationResult | None:
        """The evaluation, and the look at the target score, if they are due.

        An evaluation is due every `eval_every` iterations, at the end, and before each look that follows one.
        """
        config, target = self.config, self.target
        due = target is not None and target.is_due(self.iteration, self.step, self._nearest)
        follows = target is not None and target.follows_evaluations
        if target and due and not follows:
            self._look(target)
        if not (self.finished or self.iteration % config.eval_every == 0 or (due and follows)):
            return None
        lent = self.envs.snapshot() if self.evaluator.lent is self.envs else None
        result = self._evaluate()
        if target and follows and result.returns.mean() >= target.score:
            self._look(target)
        if lent is not None:
            self._began_others(self.envs.restore(lent))
        self._evaluated = self.iteration, result
        return result

    @property
    def _nearest(self) -> float:
        """The score before, or training's return if that is higher: its noisy actions fall where the score's do not.

        With wrappers, whose rewards may be others than the score's, the score alone.
        """
        score = -math.inf if self.score is None else self.score
        return score if self.config.wrappers else max(
            score, self.algorithm.episodes.metrics().get("episode/return", -math.inf))

    def _look(self, target: Target) -> None:
        self.target_reached = target.is_reached(self.algorithm.on_cpu(), self.iteration, self.step)

    def _evaluate(self) -> EvaluationResult:
        judged, episodes = self.algorithm.on_cpu(), self.config.eval_episodes
        evaluate = partial(self.evaluator.evaluate, judged.acting(), memory=judged.memory)
        try:
            return evaluate(episodes, EVALUATION_SEED, record=self._recorded, values=judged.values)
        except Exception as error:
            if not self._recorded:
                raise
            result = evaluate(episodes, EVALUATION_SEED)  # if it fails again, recording does not
            self._record_no_more(error)
            return result

    def _record_no_more(self, error: Exception) -> None:
        """Training continues without telemetry, which only shows it."""
        self._recorded = 0
        say(f"telemetry is no longer recorded: {' '.join(str(error).split())}; training continues without it")

    def _where(self) -> str:
        """The newest checkpoint, its place, and what is wrong with the store."""
        assert self.manifest is not None
        where = "local"
        replicator = self.recorder.replicator
        if replicator:
            where = replicator.state(self.manifest)
            where += f", {replicator.pending} pending" if replicator.pending else ""
            where += f", {replicator.unconfirmed} not yet in {replicator.witness}" if replicator.unconfirmed else ""
            trouble = replicator.error or replicator.witness_error
            where += f" ({trouble})" if trouble else ""
        return f"checkpoint {self.manifest.generation}: {where}"
