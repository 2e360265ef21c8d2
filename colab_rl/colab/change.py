"""The notebook's cell "Change one thing": a run beside a branch of it that differs in one setting."""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass

import numpy as np

import colab_rl
from colab_rl.algorithms.registry import algorithm_class
from colab_rl.arguments import checked
from colab_rl.checkpoints import Manifest
from colab_rl.environments.threshold import goal_of
from colab_rl.errors import ColabRLError, UsageError
from colab_rl.progress import Dispensable
from colab_rl.runs.identity import DerivedName
from colab_rl.runs.places import Places
from colab_rl.settings import one_setting, parse_settings
from colab_rl.views.dashboards import bootstrap_interval
from colab_rl.views.history import History
from colab_rl.views.live import LivePlot


@dataclass(frozen=True)
class Change:
    """What came of a changed setting: two runs that were trained to their end, scored on the same episodes.

    scores, steps: of the run and of its branch.
    difference: of the mean returns, the branch's less the run's. low, high: its 95 % interval, from the differences of
    the episodes that have the same seed.
    """

    run: str
    branch: str
    change: str
    scores: tuple[float, float]
    steps: tuple[int, int]
    episodes: int
    difference: float
    low: float
    high: float

    def summary(self) -> str:
        """The difference and its interval, in two sentences."""
        (before, after), (run_steps, branch_steps) = self.scores, self.steps
        verdict = ("is better" if self.low > 0 else "is worse" if self.high < 0 else
                   "makes no difference that these episodes could tell from chance")
        return (f"{self.run} scores {before:.1f} after {run_steps:,} steps. With {self.change}, {self.branch} scores "
                f"{after:.1f} after {branch_steps:,} steps. The difference is {self.difference:+.1f}, with a 95 % "
                f"interval of {self.low:+.1f} to {self.high:+.1f} over {self.episodes} episodes: {self.change} "
                f"{verdict}. Other seeds of training may say otherwise.")


@checked
def change_one_thing(run: str, change: str, checkpoint: str | int = "middle", store: str = "",
                     root: str | os.PathLike | None = None, episodes: int = 100) -> Change:
    """Trains a branch of a finished run with another setting to its end; prints and returns the difference.

    change: `setting=value`. checkpoint: where the branch begins, `best`, `latest`, a generation, or `middle` for the
    one that is nearest to half of the training. Each checkpoint and value has a branch of its own, which the same call
    continues. Raises ColabRLError if the run is not finished: two runs that were trained for different times differ in
    more than one thing. Raises UsageError for a setting that the run has already.
    """
    settings = parse_settings([change])
    place = store or None
    places = Places(root, place)
    identity = places.require(run)
    history = History(identity, places)
    newest = history.newest
    if newest is None or not newest.finished:
        raise ColabRLError(f"{run} is not finished: train it to its end first, then change one thing")
    which = str(checkpoint).strip()
    if not re.fullmatch("middle|best|latest|[0-9]+", which):
        raise UsageError(f"checkpoint is middle, best, latest or a generation's number, not {checkpoint!r}")
    (name, value), = settings.items()
    kind = algorithm_class(identity.algorithm).config_class
    names = "|".join(field.name for field in dataclasses.fields(kind))
    if second := re.search(rf"[,\s]({names})\s*=", value):
        raise UsageError(f"CHANGE takes one setting, and {change!r} has a second one, {second[1]}: leave one out")
    trained_with = {**identity.config, "total_steps": newest.total_steps}  # which may have grown
    if name in trained_with and one_setting(kind, name, value) == one_setting(kind, name, trained_with[name]):
        raise UsageError(f"{run} has {change} already: change it to another value")
    branch = _branch_name(run, name, value, which)
    curves = history.curves
    points = [(step, value) for step, value in zip(curves.column("step"), curves.column("episode/return"), strict=True)
              if np.isfinite(value)]
    target = one_setting(kind, "target_score", settings.get("target_score", identity.config.get("target_score")))
    plot = Dispensable(LivePlot(branch, goal=goal_of(identity.env_id, target), beside=(run, points)), "the live plot")
    began = which if which != "middle" else str(_middle(history.checkpoints).generation)
    origin = None if places.find(branch) else f"{run}:{began}"
    trained = colab_rl.train(branch, origin=origin, settings={"total_steps": newest.total_steps, **settings},
                             store=place, root=root, watcher=plot)
    plot.close()
    if not trained.finished:
        raise ColabRLError(f"{branch} was stopped at step {trained.step:,}: run this cell again to continue from there")
    before, after = (colab_rl.evaluate(one, checkpoint="latest", episodes=episodes, store=place, root=root).returns
                     for one in (run, branch))
    low, high = bootstrap_interval(after - before)
    found = Change(run, branch, change, (float(before.mean()), float(after.mean())),
                   (newest.step, trained.step), episodes, float((after - before).mean()), low, high)
    print(found.summary())
    return found


def _branch_name(run: str, setting: str, value: str, which: str) -> DerivedName:
    """Such as `walker-gamma-0.9`, or `walker-gamma-0.9-from-best` if the branch does not begin in the middle."""
    begins = "" if which == "middle" else f"-from-{which.lstrip('0') or '0'}"
    changed = re.sub("[^A-Za-z0-9_.-]+", "-", f"{run}-{setting}-{value}")[:100 - len(begins)].strip("-")
    return DerivedName(changed + begins)


def _middle(checkpoints: list[Manifest]) -> Manifest:
    """The checkpoint nearest to half of the steps of the newest."""
    return min(checkpoints, key=lambda manifest: abs(manifest.step - checkpoints[-1].step / 2))
