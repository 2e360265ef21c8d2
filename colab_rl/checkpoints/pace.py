"""How training keeps pace with its store: a checkpoint waits a moment for a store that falls behind."""

from __future__ import annotations

import time
from collections.abc import Callable

from colab_rl.checkpoints.manifest import Manifest
from colab_rl.checkpoints.replication import Replicator
from colab_rl.progress import say

LONGEST_WAIT = 20.0  # seconds that a checkpoint waits for the one before it to reach the store
UNSAID_WAIT = 2.0    # after which the progress line says why training waits
STOP_LOOK = 0.2      # seconds between looks whether a stop was asked meanwhile


class StorePace:
    """Hands the checkpoints of a session to the store.

    every: iterations from one regular checkpoint to the next.
    stopping: whether a stop was asked.
    """

    def __init__(self, replicator: Replicator, every: int, stopping: Callable[[], bool]):
        self._replicator = replicator
        self._every = every
        self._stopping = stopping
        self._since_regular: list[Manifest] = []  # checkpoints from the newest regular one on
        self._behind = False                      # whether a wait had no success, and the store has not caught up since
        self._said_slow = False                   # that the store is slower than the checkpoints come

    def resume_from(self, manifest: Manifest) -> None:
        """The checkpoint before the next one; it was handed over already."""
        self._since_regular = [manifest] if manifest.iteration else []

    def submit(self, manifest: Manifest) -> None:
        """Queues a checkpoint that the local tier holds; a regular one waits for the store before."""
        if manifest.iteration % self._every == 0:
            if not manifest.finished:
                self._wait()
            self._since_regular = []
        self._replicator.submit(manifest)
        if manifest.iteration:  # with the beginning nothing is lost, and a slow store takes longest for it
            self._since_regular.append(manifest)

    def _wait(self) -> None:
        """Waits until the store has the regular checkpoint before or a newer one, LONGEST_WAIT seconds at most.

        It also waits while the store fails in a way that may pass. After a failed wait it waits again only once the
        store has caught up. At the end of a session it does not wait: `finish` waits for all that is queued by then.
        """
        replicator = self._replicator
        if not self._since_regular or self._stopping():
            return
        began, longest, said = time.monotonic(), 0.0 if self._behind else LONGEST_WAIT, False
        while not replicator.wait_for_any(self._since_regular, min(STOP_LOOK, longest)):
            waited = time.monotonic() - began
            if waited >= longest or replicator.refused or replicator.overtaken or self._stopping():
                self._behind = True
                return
            if waited >= UNSAID_WAIT and not said:
                said = True
                self._say_waiting(longest, replicator.error)
        self._behind = False

    def _say_waiting(self, longest: float, error: str | None) -> None:
        """Prints once a session that the store is slow, and each time what is wrong with it."""
        if error or not self._said_slow:
            self._said_slow = self._said_slow or not error
            say(f"waiting for the store, {longest:.0f} s at most: "
                f"{error or 'it takes longer for a checkpoint than training for the next one'}")
