"""What every runner does: it gets runs, reports their progress, and stops them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Task:
    """A run to train.

    options: of `train`, except for the user's own code.
    own: the environment, and the user's own algorithms and networks, by `likeness.packed`.
    """

    run: str
    options: Mapping[str, Any]
    own: bytes


@dataclass(frozen=True)
class Progress:
    """A row of a run's metrics: all with a score, those of earlier sessions first, and some of the others.

    total_steps: of the run. earlier: whether the row was trained before the run was submitted.
    """

    run: str
    row: Mapping[str, float]
    total_steps: int
    earlier: bool = False


@dataclass(frozen=True)
class Ended:
    """A run has ended.

    kind: `finished`; `stopped`, with a checkpoint saved; `failed`, and would fail again; `refused`: it failed, and may
        continue if something outside is fixed; `died`: its process or its node is gone.
    reason: why, for people. facts: of a finished run, `step`, `state_sha256`, `pending` and its best `score`,
        as `status` prints it.
    """

    run: str
    kind: str
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


Event = Progress | Ended


class Runner(ABC):
    """Trains runs. A run that it was given ends with exactly one `Ended`.

    slots: how many runs it trains at a time. cores: of the machines that it trains on. words: where, for people.
    """

    slots: int
    cores: int
    words: str

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Begins to train a run, or continues it from its newest checkpoint."""

    @abstractmethod
    def events(self, timeout: float) -> Sequence[Event]:
        """What has happened since the last call; waits at most so many seconds for something to happen."""

    @abstractmethod
    def stop(self, run: str) -> None:
        """Lets a run save and leave. Its `Ended` comes when it has."""

    @abstractmethod
    def close(self) -> None:
        """Ends all that it trains, at once. Again it does nothing."""

    def notes(self) -> list[str]:
        """What a person should know before it begins."""
        return []
