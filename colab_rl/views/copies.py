"""Copies of reports and videos in the store, beside the run's checkpoints."""

from __future__ import annotations

from colab_rl.checkpoints import FileRecord, Tier
from colab_rl.checkpoints.layout import RUN_JSON
from colab_rl.runs.identity import Identity
from colab_rl.runs.places import Places


def copy_to_store(places: Places, identity: Identity, name: str, data: bytes) -> Tier | None:
    """Writes a file into the run's folder in the store and reads it back; None where there is no store.

    A run that never came to the store gets its run.json there first: without it the folder would be no run's, and
    the run would be refused from then on.
    Raises StorageError where it fails.
    """
    local, remote = places.tiers(identity)
    if remote is None:
        return None
    if RUN_JSON not in remote.storage.list(""):
        run_json = local.storage.get(RUN_JSON)
        remote.write(RUN_JSON, run_json, FileRecord.of(run_json))
    remote.write(name, data, FileRecord.of(data))
    return remote
