"""The report of a sweep: what its trials reached, how sure that is, and which settings matter."""

from __future__ import annotations

import datetime

import numpy as np

from colab_rl.environments.threshold import score_threshold
from colab_rl.errors import ColabRLError
from colab_rl.runs.places import Places
from colab_rl.sweeps.plan import Plan
from colab_rl.sweeps.trials import FAILED, FINISHED, PRUNED, Record, SweepResult
from colab_rl.views.dashboards import trials as figures
from colab_rl.views.dashboards.comparison import NONE, Table
from colab_rl.views.dashboards.trials import TrialCurves
from colab_rl.views.history import History
from colab_rl.views.palette import COLORS
from colab_rl.views.report.page import Section, page
from colab_rl.views.report.trial_dashboards import dashboards_of
from colab_rl.views.report.trials_table import TrialsTable
from colab_rl.views.values import text_of

MOST_COMPARED = len(COLORS)  # trials in one figure, the best ones
MOST_READ = 64               # unfinished runs whose curves are read from their folders
FEW_SEEDS = 5                # below which an interval says little


def sweep_page(record: Record, places: Places, mark: str) -> str:
    """The page as text. mark: what its footer says first."""
    result = record.result()
    missing: list[str] = []
    curves = _curves_of(record, result, places, missing)
    ranked = sorted((one for one in curves if any(len(curve) for curve in one.curves)),
                    key=lambda one: (one.score is None, -(one.score or 0.0), one.trial))[:MOST_COMPARED]
    seeds = len(record.plan.seeds)
    if 1 < seeds < FEW_SEEDS:
        missing.append(f"There are {seeds} seeds: an interval over so few runs is itself uncertain.")
    if seeds == 1:
        missing.append("There is one seed: nothing says how much of a difference is chance. Give more, such as "
                       f"sweep {record.plan.sweep} --seeds 0-4.")
    failed = {trial: record.runs[run].reason for trial in range(record.plan.trials)
              for run in record.plan.runs_of(trial) if run in record.runs and record.runs[run].state == FAILED}
    made = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return page(record.plan.sweep, _facts(record.plan, result),
                _sections(record, result, curves, ranked, TrialsTable(
                    record.plan.sweep, result.trials, curves, failed, dashboards_of(ranked, places, missing))),
                missing, f"{mark}, {made}")


def score_table(record: Record) -> Table:
    """The best trials' scores."""
    scored = [trial for trial in record.result().trials if trial.iqm is not None]
    best = sorted(scored, key=lambda one: (-(one.iqm or 0.0), one.trial))[:MOST_COMPARED]
    return Table([f"t{one.trial:03d}" for one in best], [
        ("Score", [text_of(one.iqm or 0.0) for one in best]),
        ("95 % interval", [NONE if one.low is None or one.high is None else f"{text_of(one.low)} to {text_of(one.high)}"
                           for one in best]),
        ("Settings", [one.words() for one in best])])


def target_of(plan: Plan, result: SweepResult) -> float | None:
    """The score to reach: the plan's `target_score`, the environment's own, or nine tenths of the way to the best."""
    named = plan.settings.get("target_score")
    if named is not None:
        return float(named)
    known = None if plan.env_is_function else score_threshold(plan.env_id)
    if known is not None:
        return known
    scores = [trial.iqm for trial in result.trials if trial.iqm is not None]
    return None if not scores else max(scores) - 0.1 * abs(max(scores))


def _sections(record: Record, result: SweepResult, curves: list[TrialCurves], ranked: list[TrialCurves],
              table: TrialsTable) -> list[Section]:
    few = f"The {len(ranked)} best trials" if len(ranked) > 1 else "The trial"
    target = target_of(record.plan, result)
    sections = [
        Section("Trials", "A click on a head sorts. A click on a trial, here or in a figure, opens its own dashboards.",
                [table]),
        Section("Learning", f"{few}: the interquartile mean of the scores of all seeds, with its 95 % interval. A run "
                "that stopped early counts with its last score.", [figures.learning_with_intervals(ranked)]),
        Section("Performance profile", "The share of a trial's runs that score more than a value, with its 95 % "
                "interval. A line above another is better everywhere.", [figures.profiles(ranked)]),
        Section("Probability of improvement", "How likely a run of the row's trial scores more than one of the "
                "column's, with the 95 % interval. 0.5 is no difference.", [figures.improvement(ranked)])]
    if target is not None:
        sections.append(Section("Time to the target", f"The share of runs with a score of {text_of(target)} or more. "
                                "Runs that never got there count.", [figures.reaching(ranked, target)]))
    if any(one.values for one in curves):
        sections.append(Section("Settings", "Each trial's score over its settings, its settings side by side (the best "
                                "fifth in red), and the share of the scores' variance that lies between the values of "
                                "a setting alone.", [figures.settings_scatter(curves), figures.parallel(curves),
                                                     figures.importance(curves)]))
    return sections


def _facts(plan: Plan, result: SweepResult) -> list[tuple[str, str]]:
    environment = plan.env_id.removeprefix("custom:") if plan.env_is_function else plan.env_id
    facts = [("Environment", environment), ("Algorithm", ", ".join(plan.algorithms)),
             ("Trials", f"{plan.trials:,}"), ("Seeds", f"{len(plan.seeds):,}"), ("State", result.counts())]
    if result.best_trial is not None:
        best = result.trials[result.best_trial]
        facts.append(("Best trial", f"t{best.trial:03d}, score {text_of(best.iqm or 0.0)}"))
        if best.settings:
            facts.append(("Its settings", best.words()))
    return facts


def _curves_of(record: Record, result: SweepResult, places: Places, missing: list[str]) -> list[TrialCurves]:
    """Every trial's curves: of ended runs from the journal, of those under way from their folders."""
    unread = MOST_READ
    found = []
    for trial in result.trials:
        curves: dict[str, np.ndarray] = {}  # of the runs that have begun
        for name in trial.runs:
            if name in record.runs:
                curves[name] = np.array(record.runs[name].curve, np.float64).reshape(-1, 3)
            elif trial.state not in (FINISHED, FAILED) and unread and (places.store or (places.root / name).is_dir()):
                unread -= 1
                curves[name] = _read(name, places, missing)
        final = [score for score in trial.scores if score is not None]
        score = record.pruned[trial.trial].score if trial.state == PRUNED else trial.iqm
        found.append(TrialCurves(trial.trial, f"t{trial.trial:03d} {trial.words()}", list(curves.values()), final,
                                 score, trial.settings, list(curves)))
    return found


def _read(name: str, places: Places, missing: list[str]) -> np.ndarray:
    """(evaluations, 3) of a run that has not ended; empty if there is none yet."""
    try:
        identity = places.find(name)
        table = History(identity, places).curves if identity else None
    except ColabRLError as error:
        missing.append(f"{name} cannot be read: {error}")
        return np.zeros((0, 3))
    if table is None or not table.has("evaluation/score"):
        return np.zeros((0, 3))
    rows = np.column_stack([table.column(name) for name in ("step", "seconds", "evaluation/score")])
    return rows[np.isfinite(rows).all(1)]
