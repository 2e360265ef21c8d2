"""The report: the dashboards of a run, or of several beside each other, as one HTML file."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import gymnasium
import numpy as np
import plotly.graph_objects as go

from colab_rl.algorithms.registry import algorithm_class
from colab_rl.arguments import checked
from colab_rl.checkpoints import Manifest
from colab_rl.checkpoints.layout import REPORTS
from colab_rl.checkpoints.recovery import Checkpoint
from colab_rl.checkpoints.retention import best
from colab_rl.environments import EnvironmentSource, describe
from colab_rl.errors import ColabRLError, StorageError, UsageError
from colab_rl.evaluation.episode import Episode
from colab_rl.evaluation.evaluator import EvaluationResult
from colab_rl.policies.load import evaluate_checkpoint, find_checkpoint
from colab_rl.progress import say
from colab_rl.runs.places import Location, Places
from colab_rl.storage import absolute_path
from colab_rl.views import dashboards
from colab_rl.views.dashboards import Contender
from colab_rl.views.files import check_file_name, copy_to_store, fitting_name, temporary_beside
from colab_rl.views.history import History
from colab_rl.views.report.page import Section, page

MOST_CONTENDERS = 6   # colours that are told apart
MOST_CHECKPOINTS = 6  # on the slider of the gait
RECORDINGS = 5        # episodes behind speed, energy and stride frequency
MARK = "made by colab_rl report"


class Choice(NamedTuple):
    """A run and the checkpoint of it that is looked at, which is the one that `evaluate` takes."""

    history: History
    checkpoint: Checkpoint | None
    source: EnvironmentSource | None

    @property
    def manifest(self) -> Manifest | None:
        """Of the checkpoint."""
        return self.checkpoint.manifest if self.checkpoint else None

    @property
    def label(self) -> str:
        """`walker:12`."""
        name = self.history.identity.name
        return f"{name}:{self.manifest.generation}" if self.manifest else name


@checked
def report(runs: str | Sequence[str], *, out: Location = None, checkpoint: str | int = "best", episodes: int = 100,
           env: EnvironmentSource | None = None, root: Location = None, store: Location = None) -> Path:
    """Writes the dashboards as one HTML file that opens offline; a copy goes to `reports/` of the (first) run's store.

    runs: names, or `NAME:CHECKPOINT` (best, latest or a generation); several are compared.
    out: the file, `NAME-report.html` in the current folder where not given.
    checkpoint: of runs that are given without one. episodes: behind each score; 0 leaves the scores out.
    Raises UsageError for what is not there, StorageError where the copy fails; the file is written by then.
    """
    names = [runs] if isinstance(runs, str) else list(runs)
    named = Path(out or fitting_name("-".join(name.replace(":", "-") for name in names), "-report.html"))
    target = absolute_path(named, "out")
    _check_target(target)
    places = Places(root, store)
    data = _page_of(names, places, checkpoint, episodes, env).encode()
    try:
        _write(target, data)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror}; give another file with --out") from error
    identity = places.require(names[0].partition(":")[0])
    try:
        copy_to_store(places, identity, REPORTS + target.name, data)
    except (StorageError, ValueError) as error:
        raise StorageError(f"the report is in {target}, but no copy of it is in the store: {error}") from error
    return named if named.exists() else target


def build_page(names: Sequence[str], *, checkpoint: str | int = "best", episodes: int = 100,
               env: EnvironmentSource | None = None, root: Location = None, store: Location = None) -> str:
    """The page of `report`, as text."""
    return _page_of(names, Places(root, store), checkpoint, episodes, env)


def _page_of(names: Sequence[str], places: Places, checkpoint: str | int, episodes: int, env: EnvironmentSource | None
             ) -> str:
    if not 1 <= len(set(names)) <= MOST_CONTENDERS or len(set(names)) < len(names):
        raise UsageError(f"one to {MOST_CONTENDERS} different runs can be looked at beside each other")
    if not 0 <= episodes <= 1_000_000:
        raise UsageError(f"episodes must be between 0 and 1,000,000, not {episodes}")
    named: dict[str, tuple[str, Choice]] = {}
    for name in names:
        choice = _choose(name, checkpoint, env, places)
        named.setdefault(choice.label, (name, choice))  # `walker` and `walker:best` are one checkpoint
    choices = [choice for _, choice in named.values()]
    missing = [sentence for choice in choices for sentence in choice.history.missing]
    environments = list(dict.fromkeys(choice.history.identity.env_id for choice in choices))
    if len(environments) > 1:
        missing.append(f"These runs have different environments ({', '.join(environments)}): their scores are not of "
                       "one kind, and only channels that all of them have are compared.")
    contenders = [_contend(choice, episodes, missing) for choice in choices]
    sections = _alone(choices[0], contenders[0]) if len(choices) == 1 else _beside(choices, contenders)
    missing += [sentence for choice in choices for sentence in choice.history.missing if sentence not in missing]
    made = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    title = " and ".join(name for name, _ in named.values()) if len(named) > 1 else choices[0].history.identity.name
    return page(title, _facts(choices), sections, list(dict.fromkeys(missing)), f"{MARK}, {made}")


def _choose(name: str, checkpoint: str | int, env: EnvironmentSource | None, places: Places) -> Choice:
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
        source = history.identity.environment(env, "report")
        describe(source)
    except ColabRLError as error:
        history.missing.append(f"{run} cannot be played here: {error}")
        source = None
    return Choice(history, found, source)


def _contend(choice: Choice, episodes: int, missing: list[str]) -> Contender:
    """Evaluates a checkpoint as the command `evaluate` does."""
    identity = choice.history.identity
    result = EvaluationResult(np.zeros(0), np.zeros(0, np.int64))
    if choice.checkpoint and choice.source is not None and episodes:
        say(f"{choice.label}: {episodes} episodes")
        try:
            result = evaluate_checkpoint(identity, choice.checkpoint, episodes, 0, choice.source,
                                         min(RECORDINGS, episodes))
        except ColabRLError as error:
            missing.append(f"{choice.label} could not be evaluated: {error}")
    goal = None
    with contextlib.suppress(gymnasium.error.Error, ImportError):
        goal = gymnasium.spec(identity.env_id).reward_threshold
    return Contender(choice.label, result.returns, result.episodes, choice.history.curves,
                     choice.manifest.step if choice.manifest else 0, goal)


def _alone(choice: Choice, contender: Contender) -> list[Section]:
    """One run: how it learned, and how its gait came about."""
    history = choice.history
    sections = [_score_section([contender])] if len(contender.returns) else []
    sections += [_learning_section([choice]), _optimizer_section([choice])]
    shown = history.spread(MOST_CHECKPOINTS)
    if choice.manifest and choice.manifest not in shown:
        shown = sorted([*shown[:1], *shown[2:], choice.manifest], key=lambda manifest: manifest.generation)
    episodes = history.episodes(shown, choice.source)
    label = history.label(choice.manifest) if choice.manifest else None
    walks = _walks(episodes.values())
    return [*sections, Section(
        "Gait" if walks else "Episode", "One evaluation episode of each checkpoint, "
        f"{'on the same terrain' if walks else 'from the same seed'}. Play it, drag the time through all "
        f"curves, and drag the checkpoint to see how {'the gait' if walks else 'what the policy does'} came about."
        + _value_note([choice]),
        [dashboards.gait(episodes, _gamma(history), first=label), dashboards.phase_portraits(episodes, first=label)])]


def _beside(choices: Sequence[Choice], contenders: Sequence[Contender]) -> list[Section]:
    """Several runs or checkpoints, over each other."""
    episodes = {}
    for choice in choices:
        if choice.manifest:
            for episode in choice.history.episodes([choice.manifest], choice.source).values():
                episodes[choice.label] = episode
    return [_score_section(contenders), _learning_section(choices), _optimizer_section(choices), Section(
        "Gait" if _walks(episodes.values()) else "Episode",
        "One evaluation episode each, in the colours of the table above." + _value_note(choices),
        [dashboards.gait(episodes, _gamma(choices[0].history), overlay=True),
         dashboards.phase_portraits(episodes, overlay=True)])]


def _value_note(choices: Sequence[Choice]) -> str:
    """Whose value estimates are of more or less than the rewards of the return that they are drawn beside."""
    sentences = ""
    for identity in {choice.history.identity.name: choice.history.identity for choice in choices}.values():
        algorithm = algorithm_class(identity.algorithm)
        clip = identity.config.get("reward_clip") if algorithm.off_policy else None
        if clip or algorithm.entropy_bonus:
            rewards = f"rewards clipped to ±{clip:g}" if clip else "rewards"
            bonus = " and of the bonus for entropy" if algorithm.entropy_bonus else ""
            where = ", least of all before a fall" if clip else ""
            sentences += (f" {identity.name}'s value estimate is of {rewards}{bonus}; the return "
                          f"beside it is of the environment's rewards alone: the two need not meet{where}.")
    return sentences


def _walks(episodes: Iterable[Episode]) -> bool:
    """Whether there is a body over a terrain to be shown, or nothing at all."""
    return all(episode.outlines for episode in episodes)


def _score_section(contenders: Sequence[Contender]) -> Section:
    figures: list[go.Figure | dashboards.Table] = [dashboards.comparison(contenders)]
    if any(len(contender.returns) for contender in contenders):
        figures.append(dashboards.scores(contenders))
    return Section("Score", "Deterministic episodes on stock gymnasium, as the command evaluate plays them, and what "
                   "their telemetry says.", figures)


def _curves(choices: Sequence[Choice]) -> list[dashboards.Curves]:
    """Each run's curves once, under its name."""
    return list({choice.history.identity.name: choice.history.curves for choice in choices}.values())


def _learning_section(choices: Sequence[Choice]) -> Section:
    return Section("Learning", "Is it learning? The buttons switch between steps, wall time and iterations.",
                   [dashboards.learning(_curves(choices))])


def _optimizer_section(choices: Sequence[Choice]) -> Section:
    curves = _curves(choices)
    return Section("Optimizer", "Is the optimizer healthy? What is not is said first, and marked in the curves."
                   + (" Why, and what helps, is said in the report of a run alone." if len(curves) > 1 else ""),
                   [dashboards.optimizer(curves)])


def _gamma(history: History) -> float:
    return float(history.identity.config.get("gamma", 0.99))


def _facts(choices: Sequence[Choice]) -> list[tuple[str, str]]:
    if len(choices) > 1:
        return [(choice.label, f"{choice.history.identity.env_id}, {choice.history.identity.algorithm}, "
                 f"seed {choice.history.identity.config.get('seed')}") for choice in choices]
    history, manifest = choices[0].history, choices[0].manifest
    identity, newest = history.identity, history.newest
    best_one = best(history.checkpoints)
    facts = [("Environment", identity.env_id), ("Algorithm", identity.algorithm),
             ("Seed", str(identity.config.get("seed")))]
    if newest:
        facts += [("Steps", f"{newest.step:,} of {newest.total_steps:,}"),
                  ("Trained for", f"{newest.seconds / 60:.1f} minutes"),
                  ("Saved", newest.created[:16].replace("T", " ") + " UTC")]
    if best_one and best_one.score is not None:
        facts.append(("Best score", f"{best_one.score:.1f}"))
    if manifest:
        facts.append(("Shown", f"generation {manifest.generation}"))
    return facts


def _write(target: Path, data: bytes) -> None:
    """Makes the file whole, or leaves the one that was there. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(target)
    try:
        temporary.write_bytes(data)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _check_target(target: Path) -> None:
    """Raises UsageError before any work where the file is there and no report."""
    check_file_name(target)
    try:
        if target.is_dir():
            raise UsageError(f"{target} is a folder: give a file with --out")
        if target.exists() and f"<footer>{MARK}".encode() not in target.read_bytes():
            raise UsageError(f"{target} is there and is no report: it was left alone; give another file with --out")
    except OSError as error:
        raise StorageError(f"{target} cannot be read: {error.strerror}") from error
