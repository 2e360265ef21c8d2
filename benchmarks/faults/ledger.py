"""What kills and faults cost a run: the checkpoint that it continued from after each, and good files deleted."""

from __future__ import annotations

import collections
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from faults.places import SWEPT

from colab_rl.checkpoints.layout import file_generation
from colab_rl.checkpoints.manifest import Damaged, Manifest

Files = Mapping[str, bytes]


def manifests(files: Files) -> dict[str, Manifest]:
    """Every manifest that can be read, by stem."""
    found = {}
    for name, data in files.items():
        if name.startswith("checkpoints/") and name.endswith(".json"):
            try:
                manifest = Manifest.from_bytes(name, data, json.loads(data)["run_id"])
            except (Damaged, ValueError, KeyError, TypeError):
                continue
            found[manifest.stem] = manifest
    return found


def whole(files: Files) -> dict[str, Manifest]:
    """Every checkpoint whose files are all there and unchanged, by stem."""
    return {stem: manifest for stem, manifest in manifests(files).items()
            if all(name in files and hashlib.sha256(files[name]).hexdigest() == record.sha256
                   for name, record in manifest.files.items())}


def newest(checkpoints: Mapping[str, Manifest]) -> tuple[int, int]:
    """Generation and iteration of the newest; zeros if there is none."""
    return max(((one.generation, one.iteration) for one in checkpoints.values()), default=(0, 0))


def leftovers(files: Files) -> list[str]:
    """Files of a run that nothing names, and second files of a name. What is set aside, or belongs to a generation
    whose manifest was damaged, is for a person to look at.
    """
    read = manifests(files)
    named = {name for manifest in read.values() for name in (manifest.name, *manifest.files, *manifest.history)}
    unreadable = {file_generation(name) for name in files if name.startswith("checkpoints/")
                  and name.endswith(".json") and name not in named}
    return [name for name in files
            if "#" in name or ".tmp-" in name or (
                name.startswith(SWEPT) and name not in named and not name.endswith(".bad")
                and file_generation(name) not in unreadable)]


class Ledger:
    """What each kill found, and what the session after it did with that.

    every: iterations between checkpoints. keep_last, keep_every: the run's retention.
    violations: what should never be.
    """

    def __init__(self, every: int, keep_last: int, keep_every: int):
        self.every, self.keep_last, self.keep_every = every, keep_last, keep_every
        self.kills: list[dict[str, Any]] = []
        self.violations: list[str] = []
        self._reached = (0, 0)  # the newest generation that was seen since a session continued, and its iteration
        self._seen: dict[str, dict[str, Manifest]] = {"local": {}, "store": {}}

    def killed(self, local: Files, store: Files, damaged: set[str], local_damaged: set[str],
               machine_lost: bool, troubled: bool) -> None:
        """Notes a kill. troubled: whether the store had trouble just before it.

        local, store: what either holds after it; local is what the machine held if it is lost.
        damaged, local_damaged: names of files that were damaged on purpose; those that are whole again are taken out.
        """
        here, there = whole(local), whole(store)
        reached = max(newest(manifests(local)), newest(manifests(store)), self._reached)
        self._check_retention("local", here, local_damaged)
        self._check_retention("store", there, damaged)
        for found, names in ((here, local_damaged), (there, damaged)):
            names -= {name for one in found.values() for name in (one.name, *one.files)}
        if machine_lost:
            self._seen["local"] = {}
        good = newest(there) if machine_lost else max(newest(here), newest(there))
        hurt = {file_generation(name) for name in damaged | local_damaged}
        self._reached = reached
        since = range(good[0] + 1, reached[0] + 1)
        if self.kills and "resumed" not in self.kills[-1]:  # nothing continued since: what that one cost is seen now
            machine_lost = machine_lost or self.kills[-1]["machine lost"]
            troubled = troubled or self.kills[-1]["troubled"]
        self.kills.append({"machine lost": machine_lost, "troubled": troubled, "reached": reached, "good": good,
                           "damaged since": sum(generation in hurt for generation in since)})

    def continued(self, generation: int, iteration: int) -> None:
        """Notes the checkpoint that a session continues from, 0 for none. It answers the kill just before it."""
        self._reached = (generation, iteration)
        kill = self.kills[-1] if self.kills else {"resumed": None}
        if "resumed" in kill:
            return
        kill["resumed"] = (generation, iteration)
        kill["intervals"] = max(0, kill["reached"][1] - iteration) / self.every
        if generation < kill["good"][0]:
            self.violations.append(f"a whole checkpoint was passed over: {kill}")
        # The store was in trouble when the last interval ended: training waited for it with one more checkpoint made.
        if kill["intervals"] > (2 if kill["machine lost"] and kill["troubled"] else 1):
            self.violations.append(f"more than one interval lost: {kill}")

    def _check_retention(self, tier: str, now: dict[str, Manifest], damaged: Collection[str]) -> None:
        """Whatever was whole at the kill before and is not now was damaged, or had to make room by the rules."""
        before = self._seen[tier]
        self._seen[tier] = now

        def is_damaged(manifest: Manifest) -> bool:
            return not {manifest.name, *manifest.files}.isdisjoint(damaged)

        known = {**before, **now}
        scored = [one for one in known.values() if one.criterion is not None and not is_damaged(one)]
        best = max(scored, key=lambda one: (one.criterion, one.generation), default=None)
        # One that was made and damaged since the kill before made room all the same, and may have been the best: its
        # score was never seen.
        made = {one.generation for one in known.values() if one.stem in now or is_damaged(one)}
        unseen = {file_generation(name) or 0 for name in damaged} - {one.generation for one in known.values()}
        unseen = {generation for generation in unseen if generation > newest(before)[0]}
        made |= unseen
        for stem in set(before) - set(now):
            gone = before[stem]
            newer = [generation for generation in made if generation > gone.generation]
            if not is_damaged(gone) and (gone.generation == 1 or gone.generation % self.keep_every == 0
                                         or (gone is best and not unseen) or len(newer) < self.keep_last):
                self.violations.append(f"{tier}: generation {gone.generation} was good and is gone, {newest(now)}")

    def summary(self) -> dict[str, Any]:
        """The kills, counted: whole intervals lost beside the one that was under way, by what was lost with them.
        Two are one and the one that had just ended, where training waited for the store (Trainer.save). A session
        that was killed before it continued leaves that to the next.
        """
        lost: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        for kill in self.kills:
            if "intervals" in kill:
                what = "machine lost" if kill["machine lost"] else "process killed"
                what += ", newest damaged too" if kill["damaged since"] else ""
                what += ", store in trouble just before" if kill["machine lost"] and kill["troubled"] else ""
                lost[what][f"{kill['intervals']:g}"] += 1
        return {"intervals lost beside the one under way": {what: dict(sorted(counts.items()))
                                                            for what, counts in sorted(lost.items())},
                "violations": self.violations}
