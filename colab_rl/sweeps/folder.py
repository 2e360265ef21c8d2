"""Where a sweep's own files lie, the same on this machine and in the store.

    sweeps/walk/plan.json        the plan, hashed
    sweeps/walk/journal.jsonl    what has happened, a line each: it only grows
    sweeps/walk/best.json        the best trial's settings, for `train NAME --from walk`
    sweeps/walk/logs/            what each run's process printed; on this machine alone

A line of the journal is one of these:

    {"trial": 3, "settings": {...}}                               a search proposed it
    {"run": "walk-t003-s1", "state": "finished", "score": ..., "curve": [[step, seconds, score], ...], ...}
    {"run": "walk-t003-s1", "state": "failed", "reason": "..."}
    {"pruned": 3, "step": ..., "score": ...}
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from colab_rl.errors import ColabRLError, StorageError
from colab_rl.progress import say
from colab_rl.runs.best_settings import BEST_JSON
from colab_rl.runs.identity import PLAN_JSON, SWEEPS
from colab_rl.runs.places import Places
from colab_rl.storage import FolderStorage, NotFound, Storage
from colab_rl.sweeps.plan import DamagedPlan, Plan

JOURNAL, LOGS = "journal.jsonl", "logs"
STORE_EVERY = 20.0   # seconds between two copies of the journal to the store
LAST_WAIT = 60.0     # seconds that the end waits for the last one
JournalLine = dict[str, Any]


class SweepFolder:
    """A sweep's files. `root` is the folder on this machine."""

    def __init__(self, places: Places, name: str):
        self.name = name
        self.local = FolderStorage(places.root / SWEEPS / name)
        self.root: Path = self.local.root
        self.remote: Storage | None = places.store.subfolder(f"{SWEEPS}/{name}") if places.store else None
        self._courier = _Courier(self.remote) if self.remote else None

    def plan(self) -> Plan | None:
        """The plan, from here or the store: of two that one extends, the larger. None if neither has one.

        Raises DamagedPlan if no copy is whole, ColabRLError if the copies are plans of different sweeps.
        """
        found, damaged = [], None
        for storage in filter(None, (self.local, self.remote)):
            try:
                found.append(Plan.from_bytes(storage.get(PLAN_JSON), f"{storage.place}/{PLAN_JSON}"))
            except NotFound:
                continue
            except DamagedPlan as error:
                damaged = error
            except StorageError:
                if not found:
                    raise
        if damaged and not found:
            raise damaged
        if not found:
            return None
        largest = max(found, key=lambda plan: plan.total_runs)
        if any(plan.to_bytes() != largest.to_bytes() and not _extends(largest, plan) for plan in found):
            raise ColabRLError(f"{self.local.place} and {self.remote.place if self.remote else ''} hold plans of two "
                               "different sweeps; nothing was changed; move one of them away")
        return largest

    def write_plan(self, plan: Plan) -> None:
        """Makes both places hold the plan. Raises StorageError if this machine cannot; the store is tried again."""
        data = plan.to_bytes()
        self._write(PLAN_JSON, data)

    def write_best(self, content: JournalLine) -> None:
        """What `train --from` reads."""
        self._write(BEST_JSON, json.dumps(content, indent=1).encode())

    def journal(self) -> list[JournalLine]:
        """What has happened, in its order, each line once. A last line that a kill cut off is left out."""
        copies = []
        for storage in filter(None, (self.remote, self.local)):  # the store's may come from another machine, later ones
            try:
                copies.append(_lines_of(storage.get(JOURNAL)))
            except NotFound:
                continue
            except StorageError as error:
                if storage is self.local:
                    raise
                say(f"{storage.place} cannot be read: {error}; this machine's journal is taken")
        merged: dict[str, JournalLine] = {}
        for lines in sorted(copies, key=len):  # what the longer copy holds after a line has happened after it
            merged = {**{text: line for text, line in merged.items() if text not in lines}, **lines}
        return list(merged.values())

    def begin_journal(self, lines: Iterable[JournalLine]) -> None:
        """Makes this machine's journal hold exactly these lines, so that more can follow. The store gets them too."""
        self.root.mkdir(parents=True, exist_ok=True)
        data = "".join(json.dumps(line) + "\n" for line in lines).encode()
        try:
            before = self.local.get(JOURNAL)
        except NotFound:
            before = b""
        if data != before:
            self.local.put(JOURNAL, data)
        if data:
            self._send(JOURNAL)

    def add(self, line: JournalLine) -> None:
        """Appends a line, durably here, and soon in the store. Raises StorageError."""
        try:
            with open(self.root / JOURNAL, "ab") as file:
                file.write(json.dumps(line).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"the sweep's journal cannot be written in {self.root}: {error.strerror}; its runs are "
                               "kept; free space there, then give the same command again") from error
        self._send(JOURNAL)

    def close(self) -> None:
        """Waits for the store to have what this machine has; says if it does not."""
        if self._courier and (trouble := self._courier.close()):
            say(f"the sweep's plan and journal are kept in {self.root}, and the store lacks the newest: {trouble}; the "
                "same command tries again")

    def _write(self, name: str, data: bytes) -> None:
        with contextlib.suppress(NotFound):
            if self.local.get(name) == data:
                self._send(name)
                return
        self.local.put(name, data)
        self._send(name)

    def _send(self, name: str) -> None:
        if self._courier:
            self._courier.send(name, self.root / name)


class _Courier:
    """A thread that copies files to the store, each at most every `STORE_EVERY` seconds."""

    def __init__(self, remote: Storage):
        self._remote = remote
        self._waiting: dict[str, Path] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._trouble: str | None = None
        self._thread: threading.Thread | None = None

    def send(self, name: str, path: Path) -> None:
        """Copies the file, as it is by then, soon."""
        with self._changed:
            self._waiting[name] = path
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="sweep courier", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self) -> str | None:
        """Sends what waits, and ends. Returns what went wrong, None if nothing did."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is None:
            return None
        self._thread.join(LAST_WAIT)
        return "it is slow" if self._thread.is_alive() else self._trouble

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                waiting, self._waiting = self._waiting, {}
                last = self._closing
            self._trouble = None
            for name, path in waiting.items():
                try:
                    data = path.read_bytes()
                    if name != JOURNAL:
                        with contextlib.suppress(NotFound):
                            if self._remote.get(name) == data:
                                continue
                    self._remote.put(name, data)
                except (StorageError, OSError) as error:
                    self._trouble = str(error)
                    with self._changed:
                        self._waiting.setdefault(name, path)
            if last:
                return
            with self._changed:
                self._changed.wait_for(lambda: self._closing, STORE_EVERY)


def _lines_of(data: bytes) -> dict[str, JournalLine]:
    """The lines of a journal by their text. If a line is written again, the last one counts."""
    found: dict[str, JournalLine] = {}
    for text in data.decode(errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            found.pop(text, None)
            found[text] = json.loads(text)
    return {text: line for text, line in found.items() if isinstance(line, dict)}


def _extends(larger: Plan, smaller: Plan) -> bool:
    return ({**vars(larger), "seeds": 0, "trials": 0} == {**vars(smaller), "seeds": 0, "trials": 0}
            and set(smaller.seeds) <= set(larger.seeds) and smaller.trials <= larger.trials)
