"""Files that people name, reports and videos: written whole here, and copied to the store beside the checkpoints."""

from __future__ import annotations

import hashlib
import os
import unicodedata
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from colab_rl.checkpoints import FileRecord, Tier
from colab_rl.checkpoints.layout import RUN_JSON
from colab_rl.errors import ColabRLError, StorageError, UsageError
from colab_rl.runs.identity import Identity
from colab_rl.runs.places import Places

LONGEST_NAME = 255  # bytes, in nearly every file system


def check_file_name(path: Path) -> None:
    """Raises UsageError if no file can lie there, or be called so."""
    for part in path.parts:
        size = len(os.fsencode(part))
        if size > LONGEST_NAME:
            raise UsageError(f"{part[:40]}... has {size} bytes, and a file's name has {LONGEST_NAME} at most: "
                             "give a shorter one with --out")
        if "\0" in part:
            raise UsageError(f"{part!r} holds a zero byte, which no file's name does: give another one with --out")


def fitting_name(stem: str, suffix: str) -> str:
    """`stem` and `suffix`, if a file can be named so; else as much of the stem as fits, and a hash of all of it."""
    if len(os.fsencode(stem + suffix)) <= LONGEST_NAME:
        return stem + suffix
    end = f"-{hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]}{suffix}"
    return os.fsencode(stem)[:LONGEST_NAME - len(os.fsencode(end))].decode(errors="ignore") + end


def temporary_beside(path: Path, suffix: str = "") -> Path:
    """A name for what becomes `path`, in its folder. It is short, and means nothing to FFmpeg and to globs."""
    return path.absolute().with_name(f".tmp-{uuid.uuid4().hex[:8]}{suffix}")


def try_writing(folder: Path) -> None:
    """Raises OSError if no file can be made in the folder, or in the one above it that exists. It leaves nothing."""
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    probe = temporary_beside(there / "file")
    probe.touch()
    probe.unlink()


def check_can_be_written(path: Path) -> None:
    """Raises StorageError if `write_whole` could not make the file."""
    try:
        try_writing(path.parent)
    except OSError as error:
        raise _cannot_be_written(path, error) from error


def write_whole(path: Path, data: bytes) -> None:
    """Makes the file whole, or leaves the one that was there. Raises StorageError."""
    temporary = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_be_written(path, error) from error


def _cannot_be_written(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path} cannot be written: {error.strerror}; give another file with --out")


class StoreCopy(NamedTuple):
    """The copy of a result in the store.

    place: None if there is none. state: `verified`, `written` or `absent`. error: why it failed, None if it did not.
    """

    place: str | None
    state: str
    error: str | None


def keep_in_store(places: Places, identity: Identity, name: str, path: Path, files: Sequence[str] = ()) -> StoreCopy:
    """Copies a file, or these files of a folder in this order, to `name` in the run's folder in the store, and reads
    each back. It raises nothing: the result is on this machine.
    """
    tier = None
    try:
        for file in files or [""]:
            tier = copy_to_store(places, identity, f"{name}/{file}" if file else name, (path / file).read_bytes())
    except (ColabRLError, OSError) as error:
        return StoreCopy(None, "absent", str(error))
    if tier is None:
        return StoreCopy(None, "absent", None)
    return StoreCopy(f"{tier.storage.place}/{name}", "verified" if tier.storage.proves else "written", None)


def copy_to_store(places: Places, identity: Identity, name: str, data: bytes) -> Tier | None:
    """Writes a file into the run's folder in the store and reads it back; None if there is no store.

    A run that never came to the store gets its run.json there first: without it the folder would be no run's, and
    the run would be refused from then on.
    Raises StorageError if it fails.
    """
    local, remote = places.tiers(identity)
    if remote is None:
        return None
    # What no storage takes: control characters, and bytes that are no text.
    name = "".join("_" if unicodedata.category(character) in ("Cc", "Cs") else character for character in name)
    if not remote.storage.stats([RUN_JSON]):
        run_json = local.storage.get(RUN_JSON)
        remote.write(RUN_JSON, run_json, FileRecord.of(run_json))
    remote.write(name, data, FileRecord.of(data))
    return remote
