"""Which checkpoints a video shows, and the episode of each, recorded as `evaluate` runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from colab_rl.checkpoints import Manifest
from colab_rl.checkpoints.confirmation import Confirmation, read_confirmation
from colab_rl.checkpoints.recovery import Checkpoint, manifests_in
from colab_rl.environments import EnvironmentSource
from colab_rl.errors import ColabRLError, UsageError
from colab_rl.evaluation.episode import Episode
from colab_rl.policies.load import find_checkpoint, record_checkpoint
from colab_rl.progress import progress_bar, say
from colab_rl.runs.identity import Identity
from colab_rl.runs.places import Places
from colab_rl.views.values import text_of

MOST_COMPARED = 4
EVOLUTION_TAKES = 6


@dataclass(frozen=True, eq=False)
class Take:
    """One policy's episode, and its captions."""

    run: str
    manifest: Manifest
    episode: Episode
    confirmed: Confirmation | None = None  # of the run

    @property
    def caption(self) -> tuple[str, str, str, str]:
        """Run, checkpoint, steps, the score."""
        score = "" if self.manifest.score is None else f"evaluated {text_of(self.manifest.score)}"
        if self.confirmed and self.confirmed.is_of(self.manifest):
            score = f"score {text_of(self.confirmed.mean)}"
        return self.run, f"generation {self.manifest.generation}", f"{_count(self.manifest.step)} steps", score


def usual_seed(identity: Identity, places: Places) -> int:
    """The seed of the median among the episodes of a run's score; 0 before there is one."""
    confirmed = read_confirmation(filter(None, places.tiers(identity)))
    if confirmed is None:
        return 0
    return confirmed.seed + int(np.argsort(confirmed.returns, kind="stable")[(confirmed.episodes - 1) // 2])


def takes_of(form: str, identity: Identity, places: Places, checkpoint: str | int, against: Sequence[str],
             seed: int, source: EnvironmentSource) -> list[Take]:
    """The takes of a form, in their order. Raises UsageError or ColabRLError if a checkpoint cannot be had."""
    main = find_checkpoint(identity, places, checkpoint)
    chosen: list[tuple[Identity, Checkpoint]] = [(identity, main)]
    if form == "compare":
        chosen = _beside(identity, main, places, against)
    elif form == "evolution":
        earlier = [(identity, found) for found in _milestones(identity, places, main.manifest)]
        chosen = [*earlier, (identity, main)]
    bar = progress_bar(len(chosen), "recording episodes", "episode", iterable=chosen)
    confirmed = {whose.name: read_confirmation(filter(None, places.tiers(whose))) for whose, _ in chosen}
    return [Take(whose.name, found.manifest, record_checkpoint(whose, found, seed, source), confirmed[whose.name])
            for whose, found in bar]


def _beside(identity: Identity, main: Checkpoint, places: Places, against: Sequence[str]
            ) -> list[tuple[Identity, Checkpoint]]:
    """What `compare` shows: the checkpoint and those it is compared with, or the run's first one and the checkpoint."""
    if len(against) >= MOST_COMPARED:
        raise UsageError(f"compare shows at most {MOST_COMPARED} policies: one, and {MOST_COMPARED - 1} beside it")
    if not against:
        first = min((manifest.generation for manifest in _manifests(identity, places)),
                    default=main.manifest.generation)
        if first == main.manifest.generation:
            raise UsageError(f"{identity.name} has no other checkpoint to compare with: "
                             "name another run's with --against RUN:CHECKPOINT")
        return [(identity, find_checkpoint(identity, places, first)), (identity, main)]
    chosen = [(identity, main)]
    for words in against:
        name, _, which = words.partition(":")
        other = places.require(name)
        if _made_of(other) != _made_of(identity):
            made = [" in ".join([one.environment_words, *_made_of(one)[2]]) for one in (other, identity)]
            raise UsageError(f"{other.name} is on {made[0]} and {identity.name} on {made[1]}: "
                             "only runs on one environment can be compared")
        chosen.append((other, find_checkpoint(other, places, which or "best")))
    return chosen


def _made_of(identity: Identity) -> tuple[str, dict[str, Any], list[str]]:
    """What makes a run's environment: its id, its keyword arguments, its wrappers."""
    return identity.env_id, identity.env_kwargs, list(identity.config.get("wrappers", ()))


def _milestones(identity: Identity, places: Places, last: Manifest) -> list[Checkpoint]:
    """At most five checkpoints before `last`: the first, and others with a score, evenly chosen."""
    manifests = [manifest for manifest in _manifests(identity, places) if manifest.generation < last.generation]
    earlier = sorted({manifest.generation for manifest in manifests})
    scored = sorted({manifest.generation for manifest in manifests
                     if manifest.score is not None or manifest.generation == earlier[0]})
    if len(scored) >= 2:
        earlier = scored
    picked = np.unique(np.linspace(0, len(earlier), EVOLUTION_TAKES).round().astype(int))[:-1]
    found = []
    for generation in (earlier[i] for i in picked):
        try:
            found.append(find_checkpoint(identity, places, generation))
        except ColabRLError as error:
            say(f"left out: {error}")
    return found


def _manifests(identity: Identity, places: Places) -> list[Manifest]:
    return manifests_in(filter(None, places.tiers(identity)))


def _count(steps: int) -> str:
    """A number of steps, short: 950, 12k, 1.25M."""
    if steps < 10_000:
        return f"{steps:,}"
    return f"{steps / 1e3:.0f}k" if steps < 999_500 else f"{steps / 1e6:.2f}M"  # which rounds to 1.00M
