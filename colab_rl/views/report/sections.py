"""What stands on a report's page: of one run how it learned, of several what sets them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import plotly.graph_objects as go

from colab_rl.algorithms.registry import algorithm_class
from colab_rl.checkpoints import Manifest
from colab_rl.checkpoints.confirmation import confirmation_of
from colab_rl.checkpoints.recovery import Checkpoint
from colab_rl.checkpoints.retention import best
from colab_rl.environments import EnvironmentSource
from colab_rl.environments.threshold import score_threshold
from colab_rl.errors import ColabRLError
from colab_rl.evaluation.episode import Episode
from colab_rl.runs.identity import Identity
from colab_rl.views import dashboards
from colab_rl.views.history import MOST_EPISODES, History
from colab_rl.views.report.films import films_of
from colab_rl.views.report.glance import Glance
from colab_rl.views.report.page import Section
from colab_rl.views.report.settings_table import made_of
from colab_rl.views.report.verdict import Judged, Verdict, verdict_of
from colab_rl.views.values import duration, text_of

UNNAMED = (" This environment does not name what it observes: give its class an attribute `channels`, as the guide on "
           "environments shows.")


class Subject(NamedTuple):
    """A run and the checkpoint of it that is looked at, which is the one that `evaluate` takes.

    judged: its episodes, None if nobody counted any. telling: those of them that say most, recorded, by what they are.
    """

    history: History
    checkpoint: Checkpoint | None
    source: EnvironmentSource | None
    judged: Judged | None = None
    telling: Mapping[str, Episode] = MappingProxyType({})

    @property
    def identity(self) -> Identity:
        """Of the run."""
        return self.history.identity

    @property
    def manifest(self) -> Manifest | None:
        """Of the checkpoint."""
        return self.checkpoint.manifest if self.checkpoint else None

    @property
    def label(self) -> str:
        """`walker:12`."""
        return f"{self.identity.name}:{self.manifest.generation}" if self.manifest else self.identity.name


def sections_of(subjects: Sequence[Subject], contenders: Sequence[dashboards.Contender]) -> list[Section]:
    """Scores, learning, optimizer and gait; without scores if there is one run that was not evaluated."""
    runs = list({subject.identity.name: subject.history.curves for subject in subjects}.values())
    evaluated = any(len(contender.returns) for contender in contenders)
    scores: list[go.Figure | dashboards.Table] = [dashboards.comparison(contenders)]
    sections = [
        Section("Score", "Deterministic episodes of gymnasium's own environment, as the command evaluate plays them. "
                "Their telemetry gives the rest.", scores + ([dashboards.scores(contenders)] if evaluated else [])),
        Section("Learning", "Is it learning? The buttons switch between steps, wall time and iterations.",
                [dashboards.learning(runs)]),
        Section("Optimizer", "Is the optimizer healthy? Problems come first. The curves mark them."
                + (" The report of one run alone says why, and what helps." if len(runs) > 1 else ""),
                [dashboards.optimizer(runs)]),
        _gait_of_one(subjects[0]) if len(subjects) == 1 else _gait_of_several(subjects),
        Section("Settings", "What made this run, and the command that makes it again." if len(runs) == 1 else
                "What sets these runs apart, and the commands that make them again.",
                [made_of(list({one.identity.name: (one.identity, one.history.newest) for one in subjects}.values()))])]
    if not evaluated and len(subjects) == 1:
        del sections[0]
    return [*_films(subjects[0]), *sections]


def _films(subject: Subject) -> list[Section]:
    """The episodes that say most, as films; none if that is not possible here. Then `missing` says why."""
    if not (subject.telling and subject.checkpoint and subject.source is not None):
        return []
    try:
        films = films_of(subject.identity, subject.checkpoint, subject.source, subject.telling,
                         confirmation_of(subject.history.checkpoints))
    except ColabRLError as error:
        subject.history.missing.append(f"{subject.label} is not filmed: {error}")
        return []
    return [Section("Films", "How it usually does, and how it does at its worst.", [films])]


def opening_of(subjects: Sequence[Subject], options: str = "") -> list[Verdict | Glance]:
    """The verdict on each checkpoint that was evaluated; of one beside its curve, of several only what it comes to.

    options: those by which a command finds the runs, see Places.
    """
    found: list[Verdict | Glance] = []
    for subject in subjects:
        if subject.manifest is not None and subject.judged is not None:
            identity, newest = subject.identity, subject.history.newest or subject.manifest
            verdict = verdict_of(identity, subject.manifest, newest, subject.judged, score_threshold(identity.env_id),
                                 options)
            found.append(Glance(verdict, subject.history.curves) if len(subjects) == 1
                         else verdict.brief(subject.label))
    return found


def facts_of(subjects: Sequence[Subject]) -> list[tuple[str, str]]:
    """The facts at the top: names and values."""
    if len(subjects) > 1:
        return [(subject.label, f"{subject.identity.title}, {subject.identity.algorithm}, "
                 f"seed {subject.identity.config.get('seed')}") for subject in subjects]
    identity, history, manifest = subjects[0].identity, subjects[0].history, subjects[0].manifest
    newest, confirmed = history.newest, confirmation_of(history.checkpoints)
    best_one = best(history.checkpoints)
    facts = [("Environment", identity.title), ("Algorithm", identity.algorithm),
             ("Seed", str(identity.config.get("seed")))]
    if newest:
        early = ", target reached" if newest.step < newest.total_steps else ""
        steps = f"{newest.step:,}{early}" if newest.finished else f"{newest.step:,} of {newest.total_steps:,}"
        facts += [("Steps", steps), ("Trained for", duration(newest.seconds)),
                  ("Saved", newest.created[:16].replace("T", " ") + " UTC")]
    if confirmed:
        facts.append(("Score", confirmed.brief()))
    elif best_one and best_one.score is not None:
        facts.append(("Best evaluation, not confirmed", text_of(best_one.score)))
    if manifest and subjects[0].judged is None:  # else the verdict says it
        facts.append(("Shown", f"generation {manifest.generation}"))
    return facts


def _gait_of_one(subject: Subject) -> Section:
    """How one run's gait came about."""
    history, manifest = subject.history, subject.manifest
    episodes = history.episodes(history.spread(MOST_EPISODES, manifest), subject.source)
    first = history.label(manifest) if manifest else None
    walks = bool(episodes) and all(episode.outlines for episode in episodes.values())
    return Section(
        "Gait" if walks else "Episode", "One evaluation episode of each checkpoint, "
        f"{'on the same terrain' if walks else 'from the same seed'}. Play it, drag the time through all "
        f"curves, and drag the checkpoint to see how {'the gait' if walks else 'the behaviour'} came about."
        + (UNNAMED if any("observation_0" in episode.series for episode in episodes.values()) else "")
        + _value_note(subject.identity),
        [dashboards.gait(episodes, _gamma(subject), first=first), *_cycles(episodes, first),
         *_portraits(episodes, first=first)])


def _gait_of_several(subjects: Sequence[Subject]) -> Section:
    """The gaits of several checkpoints, over each other."""
    episodes = {subject.label: episode for subject in subjects if subject.manifest
                for episode in subject.history.episodes([subject.manifest], subject.source).values()}
    identities = {subject.identity.name: subject.identity for subject in subjects}.values()
    return Section(
        "Gait" if all(episode.outlines for episode in episodes.values()) else "Episode",
        "One evaluation episode each, in the colours of the table above." + "".join(map(_value_note, identities)),
        [dashboards.gait(episodes, _gamma(subjects[0]), overlay=True), *_cycles(episodes),
         *_portraits(episodes, overlay=True)])


def _cycles(episodes: Mapping[str, Episode], only: str | None = None) -> list[go.Figure]:
    """The stride cycle of what strides; `only` of one of the episodes, if there is one of that label."""
    figure = dashboards.stride_cycle(episodes.get(only or "", episodes))
    return [figure] if figure else []


def _portraits(episodes: Mapping[str, Episode], **how: Any) -> list[go.Figure]:
    """The phase portraits, if there is anything to draw."""
    figure = dashboards.phase_portraits(episodes, **how)
    return [figure] if figure.data else []


def _gamma(subject: Subject) -> float:
    return float(subject.identity.config.get("gamma", 0.99))


def _value_note(identity: Identity) -> str:
    """What a run's value estimates count beyond the rewards of the return that they are drawn beside, or leave out."""
    algorithm = algorithm_class(identity.algorithm)
    clip = identity.config.get("reward_clip") if algorithm.off_policy else None
    if not clip and not algorithm.entropy_bonus:
        return ""
    rewards = f"rewards clipped to ±{clip:g}" if clip else "rewards"
    bonus = " and of the bonus for entropy" if algorithm.entropy_bonus else ""
    where = ", most of all before a fall" if clip else ""
    return (f" {identity.name}'s value estimate is of {rewards}{bonus}; the return beside it is of the environment's "
            f"rewards alone. So the two lines may differ{where}.")
