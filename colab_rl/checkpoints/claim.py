"""Which session a run in the store belongs to: the one that came last.

    sessions/00000003-<id>.json     written once by each session, its number above all before

No session waits for another: the other machine may have died. An older
one sees that it was overtaken before it writes, and stops.
"""

from __future__ import annotations

import datetime
import json
import platform
import re
import uuid

from colab_rl.checkpoints.layout import SESSIONS
from colab_rl.errors import ColabRLError
from colab_rl.storage import NotFound, Storage

NAME = re.compile(rf"{SESSIONS}(?P<number>\d{{8}})-[0-9a-f]{{8}}\.json", re.ASCII)


class Overtaken(ColabRLError):
    """A newer session has the run."""


class ClaimLost(ColabRLError):
    """The session's file is no longer in the store: its folder was emptied, or is another."""


class Claim:
    """One session's claim on the run in `storage`. Every method raises StorageError."""

    def __init__(self, storage: Storage):
        self._storage = storage
        self._id = uuid.uuid4().hex[:8]
        self._name: str | None = None

    def take(self) -> None:
        """Makes the run this session's, once; older sessions' claims are removed."""
        others = self._claims()
        if self._name is None:
            number = 1 + max((int(match["number"]) for name in others if (match := NAME.fullmatch(name))), default=0)
            self._name = f"{SESSIONS}{number:08d}-{self._id}.json"
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._storage.put(self._name, json.dumps({"host": platform.node(), "began": now}).encode())
        for name in others:
            if name < self._name:
                self._storage.delete(name)

    def check(self) -> None:
        """Raises Overtaken if a newer session has claimed the run, ClaimLost if this one's claim is gone."""
        assert self._name is not None
        names = self._claims()
        newest = max(names, default="")
        if newest > self._name:
            raise Overtaken(f"a newer session has the run now ({self._who(newest)})")
        if self._name not in names:
            raise ClaimLost(f"{self._storage.place} no longer holds this session's claim")

    def _claims(self) -> list[str]:
        return [name for name in self._storage.list(SESSIONS) if NAME.fullmatch(name)]

    def _who(self, name: str) -> str:
        try:
            claim = json.loads(self._storage.get(name))
            return f"on {claim['host']}, since {claim['began']}"
        except (NotFound, ValueError, KeyError, TypeError, RecursionError):
            return "on another machine"
