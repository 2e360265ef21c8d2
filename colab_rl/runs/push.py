"""Bringing a run to its store: beside training, at the end of a session, and on request."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from colab_rl.arguments import checked
from colab_rl.checkpoints import Replicator
from colab_rl.errors import ColabRLError, UsageError
from colab_rl.progress import progress_bar, say
from colab_rl.runs.identity import Identity, write_identity
from colab_rl.runs.lock import locked
from colab_rl.runs.places import Places

LAST_WAIT = 120.0    # seconds that the end of a session waits for a store that answers
FAILING_WAIT = 10.0  # and for one that does not


@dataclass(frozen=True)
class PushResult:
    """Where a run's newest checkpoint is after `push`.

    state: `verified`, or `written` if the store is a mount and nobody can ask what is behind it.
    """

    run: str
    generation: int
    state: str

    def summary(self) -> str:
        """The newest checkpoint and its state in the store, in a line."""
        return f"{self.run}: generation {self.generation} is {self.state} in the store"


@checked
def push(run: str, *, root: str | os.PathLike | None = None, store: str | os.PathLike | None = None) -> PushResult:
    """Copies everything of a run that the store lacks; waits, with progress, until the store has it.

    Raises ColabRLError if the store refuses it, UsageError if there is no such run or no store.
    """
    places = Places(root, store, make_store=True)
    identity = places.require(run)
    local, remote = places.tiers(identity)
    if remote is None:
        raise UsageError("there is no store to push to: give --store")
    newest = next(iter(local.whole()), None)
    there = next(iter(remote.whole()), None)
    if there and (newest is None or newest.generation < there.generation):
        # A session elsewhere has the run: it is not taken from it for what is older.
        return PushResult(run, there.generation, "verified" if remote.storage.proves else "written")
    if newest is None:
        raise ColabRLError(f"{run} has no whole checkpoint on this machine to copy to the store")
    with contextlib.ExitStack() as stack:
        stack.enter_context(locked(places.local(run)))
        content = write_identity(identity, places.local(run), remote.storage)
        replicator = stack.enter_context(replicating(identity, places, content))
        assert replicator is not None
        _wait(replicator, math.inf)
        if replicator.pending:
            raise ColabRLError(f"{replicator.pending} checkpoints of {run} are not in the store: "
                               f"{replicator.overtaken or replicator.error}; they are kept here")
        return PushResult(run, newest.generation, replicator.state(newest))


@contextlib.contextmanager
def replicating(identity: Identity, places: Places, content: bytes) -> Iterator[Replicator | None]:
    """While entered, a thread fills the store; what the store lacks is submitted first. None without a store.

    content: run.json, as write_identity returns it.
    """
    local, remote = places.tiers(identity)
    if remote is None:
        yield None
        return
    config = identity.make_config()
    replicator = Replicator(local, remote, content, config.keep_last, config.keep_every)
    with contextlib.closing(replicator):
        for manifest in reversed(local.whole()):
            replicator.submit(manifest)
        yield replicator


def finish_replicating(replicator: Replicator) -> None:
    """Waits, with progress, until nothing is pending, the store fails, or the time is up; says what is not verified."""
    _wait(replicator, LAST_WAIT)
    if replicator.unconfirmed:
        say(f"{replicator.unconfirmed} checkpoints are written to the mount and were not seen in {replicator.witness} "
            "itself yet: the mount continues by itself while this machine lives; python -m colab_rl push waits for it")


def _wait(replicator: Replicator, longest: float) -> None:
    """Waits until all is written, and then until all is confirmed; `longest` seconds for each."""
    _watch("copying to the store", lambda: replicator.pending, longest, replicator,
           replicator.wait, lambda: (replicator.error, replicator.refused))
    if not replicator.pending:
        _watch(f"waiting for {replicator.witness} to have it", lambda: replicator.unconfirmed, longest, replicator,
               replicator.wait_confirmed, lambda: (replicator.witness_error, replicator.witness_refused))


def _watch(description: str, left: Callable[[], int], longest: float, replicator: Replicator,
           wait: Callable[[float], bool], trouble: Callable[[], tuple[str | None, bool]]) -> None:
    """trouble: what is wrong with the place that is waited for, and whether it will not pass by itself."""
    waited, (error, refused) = 0.0, trouble()
    with progress_bar(left(), description, "checkpoint") as progress:
        while left() and not replicator.overtaken and not refused:
            if waited >= (min(FAILING_WAIT, longest) if error and longest < math.inf else longest):
                break
            wait(1.0)
            waited += 1.0
            error, refused = trouble()
            progress.set_postfix_str(error or "", refresh=False)
            progress.total = max(progress.total, left())
            progress.update(progress.total - progress.n - left())
