"""The score that a run ends with: how it was measured, and which checkpoint it belongs to.

It travels in the manifest of the run's last checkpoint, as `confirmed`. While a run trains there is none.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from colab_rl.checkpoints.manifest import Damaged, Manifest
from colab_rl.checkpoints.tier import Tier
from colab_rl.errors import StorageError


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The score of a run's best checkpoint, over episodes that chose nothing.

    generation, step, state_sha256: of that checkpoint.
    mean, std: of the returns. low, high: the 95 % interval of the mean.
    returns: of each episode, whose seeds are seed, seed + 1, ...
    environment: its id, and who stepped it, such as `gymnasium 1.3.0`. created: when.
    mishap: what an episode that went wrong is called, such as `falls`; empty if nobody knows how to tell.
    mishaps: the numbers of those episodes, from 0.
    candidates: the checkpoints that it was chosen from, each with its generation, step, and the mean of its own
        `episodes` from `seed` on. There is none if there was no choice.
    """

    generation: int
    step: int
    state_sha256: str
    mean: float
    std: float
    low: float
    high: float
    episodes: int
    seed: int
    environment: str
    created: str
    mishap: str = ""
    mishaps: list[int] = dataclasses.field(default_factory=list)
    returns: list[float] = dataclasses.field(default_factory=list)
    candidates: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def is_of(self, manifest: Manifest) -> bool:
        """Whether it is this checkpoint's score."""
        return self.state_sha256 == manifest.state_sha256

    def brief(self) -> str:
        """The score and its interval alone."""
        return f"{self.mean:.1f} ({self.low:.1f} to {self.high:.1f})"

    def summary(self) -> str:
        """The score in words."""
        return (f"{self.mean:.1f} (95 % interval {self.low:.1f} to {self.high:.1f}, "
                f"{self.episodes} fresh episodes of generation {self.generation})")

    def to_json(self) -> dict[str, Any]:
        """As a manifest keeps it."""
        return dataclasses.asdict(self)


def confirmation_of(manifests: Iterable[Manifest]) -> Confirmation | None:
    """What the newest of a run's checkpoints says; None while it trains, or if nobody confirmed it."""
    newest = max(manifests, key=lambda manifest: (manifest.generation, manifest.name), default=None)
    if newest is None or not newest.confirmed:
        return None
    return Confirmation(**{field.name: newest.confirmed[field.name] for field in dataclasses.fields(Confirmation)
                           if field.name in newest.confirmed})


def read_confirmation(tiers: Iterable[Tier]) -> Confirmation | None:
    """The same, from the newest manifest that can be read in any of the places. No other file is read."""
    found = []
    for tier in tiers:
        with contextlib.suppress(Damaged, StorageError):
            found += [tier.read(name) for name in tier.names()[:1]]
    return confirmation_of(found)
