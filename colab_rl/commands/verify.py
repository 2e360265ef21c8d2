"""`verify`: every file of a run, compared with its manifests."""

from __future__ import annotations

from dataclasses import dataclass

from colab_rl.arguments import checked
from colab_rl.checkpoints import Damaged
from colab_rl.checkpoints.layout import RUN_JSON
from colab_rl.commands.result import Result
from colab_rl.commands.status import is_there
from colab_rl.errors import ColabRLError, StorageError
from colab_rl.progress import progress_bar
from colab_rl.runs.identity import Identity
from colab_rl.runs.places import Location, Places
from colab_rl.storage import NotFound


@dataclass(frozen=True)
class Verification(Result):
    """How many copies of checkpoints and files were read, here and in the store, and a line for each that is bad."""

    run: str
    checkpoints: int
    files: int
    bad: list[str]

    def summary(self) -> str:
        """The bad ones, and a line with the counts."""
        return "\n".join([*self.bad, f"{self.run}: {self.checkpoints} copies of checkpoints, {self.files} files read, "
                                      f"{len(self.bad)} bad"])


@checked
def verify(run: str, *, root: Location = None, store: Location = None) -> Verification:
    """Checks every file of every checkpoint, here and in the store, against its manifest.

    Raises UsageError for an unknown run.
    """
    places = Places(root, store)
    identity = places.require(run)
    bad: list[str] = []
    checkpoints = files = 0
    local, remote = places.tiers(identity)
    for tier in filter(None, (local, remote)):
        seen: set[str] = set()
        names = tier.names()
        if tier is not remote and not names and not tier.storage.list(""):
            continue  # a bare machine
        for name in progress_bar(len(names), f"reading {tier.storage.place}", "checkpoint", iterable=names):
            try:
                manifest = tier.read(name)
            except NotFound:  # a run that trains removes its oldest while they are read
                continue
            except (Damaged, StorageError) as error:
                checkpoints += 1
                bad.append(f"{tier.storage.place}: {error}")
                continue
            checkpoints += 1
            for file, record in {**manifest.files, **manifest.history}.items():
                if file not in seen:
                    seen.add(file)
                    try:
                        record.check(file, tier.storage.get(file))
                    except (Damaged, StorageError) as error:
                        if is_there(tier, name):
                            bad.append(f"{tier.storage.place}: {error}")
        try:
            Identity.from_bytes(tier.storage.get(RUN_JSON), tier.storage.place)
        except ColabRLError as error:
            bad.append(f"{tier.storage.place}: {error}")
        files += len(seen) + 1
    return Verification(run, checkpoints, files, bad)
