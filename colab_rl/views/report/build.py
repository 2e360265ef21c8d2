"""The report: the dashboards of a run, or of several beside each other, as one HTML file."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import gymnasium
import numpy as np

from colab_rl.arguments import checked
from colab_rl.checkpoints.confirmation import Confirmation, confirmation_of
from colab_rl.checkpoints.layout import REPORTS
from colab_rl.checkpoints.recovery import Checkpoint
from colab_rl.environments import EnvironmentSource, describe
from colab_rl.environments.threshold import score_threshold
from colab_rl.errors import ColabRLError, StorageError, UsageError
from colab_rl.evaluation.episode import Episode
from colab_rl.policies.load import evaluate_checkpoint, find_checkpoint
from colab_rl.progress import say
from colab_rl.runs.identity import SWEEPS
from colab_rl.runs.places import Location, Places
from colab_rl.storage import absolute_path
from colab_rl.sweeps.trials import Record, record_of
from colab_rl.views.dashboards import Contender, Table, comparison
from colab_rl.views.files import check_can_be_written, check_file_name, copy_to_store, fitting_name, write_whole
from colab_rl.views.history import History
from colab_rl.views.report.films import record_telling
from colab_rl.views.report.page import page
from colab_rl.views.report.sections import Subject, facts_of, opening_of, sections_of
from colab_rl.views.report.sweep import score_table, sweep_page
from colab_rl.views.report.verdict import Judged

MOST_CONTENDERS = 10   # colours that people can tell apart
RECORDINGS = 5        # episodes behind speed, energy and stride frequency
MARK = "made by colab_rl report"


@checked
def report(runs: str | Sequence[str], *, out: Location = None, checkpoint: str | int = "best", episodes: int = 100,
           env: EnvironmentSource | None = None, root: Location = None, store: Location = None) -> Path:
    """Writes the dashboards as one HTML file that opens offline, and copies it to `reports/` of the first run's store.

    runs: one or more of `NAME` and `NAME:CHECKPOINT` (best, latest or a generation). Or the name of a sweep.
    out: the file. By default `NAME-report.html` in the current folder.
    checkpoint: of runs that you name without one. episodes: behind each score; 0 leaves the scores out.

    Raises UsageError for an unknown run or checkpoint. Raises StorageError if the copy fails, after it wrote the file.
    """
    return write_report(runs, out=out, checkpoint=checkpoint, episodes=episodes, env=env, root=root, store=store).path


class WrittenReport(NamedTuple):
    """Where a report lies, and the table of scores in it."""

    path: Path
    scores: Table


def write_report(runs: str | Sequence[str], *, out: Location = None, checkpoint: str | int = "best",
                 episodes: int = 100, env: EnvironmentSource | None = None, root: Location = None,
                 store: Location = None) -> WrittenReport:
    """See `report`."""
    names = [runs] if isinstance(runs, str) else list(runs)
    named = Path(out or fitting_name("-".join(name.replace(":", "-") for name in names), "-report.html"))
    target = absolute_path(named, "out")
    _check_target(target)
    places = Places(root, store)
    record = _sweep_of(names, places)
    if record:
        text, scores = sweep_page(record, places, MARK), score_table(record)
    else:
        text, contenders = _page_of(names, places, checkpoint, episodes, env)
        scores = comparison(contenders)
    data = text.encode(errors="replace")
    write_whole(target, data)
    try:
        if record and places.store:
            places.store.subfolder(f"{SWEEPS}/{names[0]}").put(REPORTS + target.name, data)
        elif record is None:
            copy_to_store(places, places.require(names[0].partition(":")[0]), REPORTS + target.name, data)
    except ColabRLError as error:
        raise StorageError(f"the report is in {target}, but no copy of it is in the store: {error}") from error
    return WrittenReport(named if named.exists() else target, scores)


def build_page(names: Sequence[str], *, checkpoint: str | int = "best", episodes: int = 100,
               env: EnvironmentSource | None = None, root: Location = None, store: Location = None) -> str:
    """The page of `report`, as text."""
    places = Places(root, store)
    record = _sweep_of(names, places)
    return sweep_page(record, places, MARK) if record else _page_of(names, places, checkpoint, episodes, env)[0]


def _sweep_of(names: Sequence[str], places: Places) -> Record | None:
    """The sweep that is asked for, None if it is a run or several."""
    if len(names) != 1 or ":" in names[0] or places.find(names[0]):
        return None
    return record_of(names[0], places)


def _page_of(names: Sequence[str], places: Places, checkpoint: str | int, episodes: int, env: EnvironmentSource | None
             ) -> tuple[str, list[Contender]]:
    """The page, and what it compares."""
    if not 1 <= len(set(names)) <= MOST_CONTENDERS or len(set(names)) < len(names):
        raise UsageError(f"one to {MOST_CONTENDERS} different runs can be looked at beside each other")
    if not 0 <= episodes <= 1_000_000:
        raise UsageError(f"episodes must be between 0 and 1,000,000, not {episodes}")
    named: dict[str, tuple[str, Subject]] = {}
    for name in names:
        subject = _subject_of(name, checkpoint, env, places, alone=len(names) == 1)
        named.setdefault(subject.label, (name, subject))  # `walker` and `walker:best` are one checkpoint
    subjects = [subject for _, subject in named.values()]
    missing = [sentence for subject in subjects for sentence in subject.history.missing]
    environments = list(dict.fromkeys(subject.identity.environment_words for subject in subjects))
    if len(environments) > 1:
        missing.append(f"These runs have different environments ({', '.join(environments)}): their scores are not of "
                       "one kind, and only channels that all of them have are compared.")
    if _differ_in_seeds_alone(subjects):
        missing.append("These runs differ in their seed alone. A sweep draws their mean with its interval: "
                       "python -m colab_rl sweep NAME --seeds 0-4.")
    judged = [_contend(subject, episodes, missing, alone=len(subjects) == 1) for subject in subjects]
    subjects, contenders = [subject for subject, _ in judged], [contender for _, contender in judged]
    sections = sections_of(subjects, contenders)
    missing += [sentence for subject in subjects for sentence in subject.history.missing if sentence not in missing]
    made = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    title = " and ".join(name for name, _ in named.values()) if len(named) > 1 else subjects[0].identity.name
    text = page(title, facts_of(subjects), sections, list(dict.fromkeys(missing)), f"{MARK}, {made}",
                opening_of(subjects, places.options))
    return text, contenders


def _differ_in_seeds_alone(subjects: Sequence[Subject]) -> bool:
    """Whether the subjects are three runs or more that the same command begins, but for the seed."""
    runs = {subject.identity.name: subject.identity for subject in subjects}.values()
    made = [(one.env_id, one.env_kwargs, one.algorithm, one.origin, {**one.config, "seed": None}) for one in runs]
    return len(made) > 2 and all(one == made[0] for one in made)


def _subject_of(name: str, checkpoint: str | int, env: EnvironmentSource | None, places: Places, alone: bool
                ) -> Subject:
    """env: of several runs, it is for those that train on a function."""
    run, _, which = name.partition(":")
    history = History(places.require(run), places)
    found: Checkpoint | None = None
    if history.checkpoints:
        try:
            found = find_checkpoint(history.identity, places, which or checkpoint, history.missing.append)
        except UsageError:
            raise
        except ColabRLError as error:
            history.missing.append(f"{run}:{which or checkpoint} cannot be shown: {error}")
    source: EnvironmentSource | None = None
    try:
        source = history.identity.environment(env if alone or history.identity.trains_on_function else None, "report")
        describe(source)
    except ColabRLError as error:
        history.missing.append(f"{run} cannot be played here: {error}")
        source = None
    return Subject(history, found, source)


def _contend(subject: Subject, episodes: int, missing: list[str], alone: bool) -> tuple[Subject, Contender]:
    """Judges a checkpoint by the episodes that its run ended with, else by those of the command `evaluate`.

    alone: whether it is the only one, of which the most telling episodes are recorded too.
    """
    identity, checkpoint, source = subject.identity, subject.checkpoint, subject.source
    returns, recordings = np.zeros(0), list[Episode]()
    if checkpoint and episodes:
        confirmed = confirmation_of(subject.history.checkpoints)
        known = confirmed if confirmed and confirmed.is_of(checkpoint.manifest) and confirmed.episodes >= episodes \
            else None
        try:
            if source is not None:
                count = min(RECORDINGS, episodes) if known else episodes
                say(f"{'recording' if known else 'evaluating'} {count} episode{'s' if count > 1 else ''} of "
                    f"{subject.label}")
                result = evaluate_checkpoint(identity, checkpoint, count, 0, source, min(RECORDINGS, episodes))
                recordings, returns = list(result.episodes), result.returns
                if not known:
                    subject = subject._replace(judged=Judged(
                        returns, result.mishap, result.mishaps, 0, f"for this report, on gymnasium "
                        f"{gymnasium.__version__}"))
            if known:
                returns = np.array(known.returns)
                subject = subject._replace(judged=_judged(known))
            if alone and source is not None and subject.judged:
                subject = subject._replace(telling=record_telling(identity, checkpoint, source, subject.judged))
        except ColabRLError as error:
            missing.append(f"{subject.label} could not be evaluated: {error}")
    return subject, Contender(subject.label, returns, recordings, subject.history.curves,
                              subject.manifest.step if subject.manifest else 0, score_threshold(identity.env_id),
                              bool(identity.origin and "run" in identity.origin))


def _judged(known: Confirmation) -> Judged:
    """The episodes that a run ended with."""
    wrong = np.zeros(known.episodes, bool)
    wrong[known.mishaps] = True
    return Judged(np.array(known.returns), known.mishap, wrong, known.seed,
                  f"{known.environment}, {known.created[:10]}", known.candidates)


def _check_target(target: Path) -> None:
    """Before any work: raises UsageError if the file exists and is no report, StorageError if it cannot be written."""
    check_file_name(target)
    try:
        if target.is_dir():
            raise UsageError(f"{target} is a folder: give a file with --out")
        if target.exists() and f"<footer>{MARK}".encode() not in target.read_bytes():
            raise UsageError(f"{target} is there and is no report: it was left alone; give another file with --out")
    except OSError as error:
        raise StorageError(f"{target} cannot be read: {error.strerror}") from error
    check_can_be_written(target)
