"""Finding where a run continues: the newest checkpoint that is whole, on this machine or in the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple, TypeVar

from colab_rl.checkpoints.layout import CHECKPOINTS, METRICS, file_generation, manifest_generation
from colab_rl.checkpoints.manifest import Damaged, FileRecord, Manifest
from colab_rl.checkpoints.segments import Rows, read_segment, segments_in
from colab_rl.checkpoints.tier import Tier
from colab_rl.errors import ColabRLError, StorageError, UsageError
from colab_rl.progress import progress_bar
from colab_rl.storage import NotFound, retry_until

PAUSES = (0.1, 0.3, 1.0)  # seconds between tries to read
Say = Callable[[str], None]
T = TypeVar("T")


class Checkpoint(NamedTuple):
    """A checkpoint and the content of its files, verified."""

    manifest: Manifest
    contents: dict[str, bytes]

    @property
    def state(self) -> bytes:
        """The serialized training state."""
        return self.contents[self.manifest.state_file]


def newest_whole(local: Tier, remote: Tier | None, say: Say,
                 check: Callable[[Manifest], object] = lambda manifest: None) -> Checkpoint | None:
    """Walks back from the newest generation until one verifies; None if the run has no checkpoint yet.

    check: raises Damaged for a checkpoint that cannot be used, for example because of its replay segments.
    Raises ColabRLError if there are checkpoints and none is whole: a run never starts again over an old one. Raises
    StorageError if the store has a checkpoint and cannot give it, or if `check` does: an older one would cost work, and
    the newest may be readable a minute later.
    """
    tiers = {id(tier): (tier, _names(tier, say, optional=tier is remote and bool(local.names())))
             for tier in (local, remote) if tier is not None}
    names = {name for _, found in tiers.values() for name in found}
    for name in sorted(names, key=lambda name: (manifest_generation(name), name), reverse=True):
        unread: StorageError | None = None
        for tier, found in tiers.values():
            if name in found:
                try:
                    checkpoint = load(tier, name)
                except (Damaged, StorageError) as error:
                    if isinstance(error, StorageError) and not isinstance(error, NotFound) and tier is remote:
                        unread = error
                    else:  # a disk that cannot read a file now will not read it later
                        say(f"skipping a checkpoint: {error}")
                    continue
                try:
                    _patiently(partial(check, checkpoint.manifest))
                    return checkpoint
                except (Damaged, NotFound) as error:
                    say(f"skipping a checkpoint: {error}")
                except StorageError as error:
                    raise StorageError(f"generation {checkpoint.manifest.generation} was found, but not its replay "
                                       f"buffer ({error}); nothing was changed; run the same command "
                                       "again, once that is fixed") from error
        if unread:
            raise StorageError(f"generation {manifest_generation(name)} is in the store and could not be read "
                               f"({unread}); nothing was changed; run the same command again, once that is fixed; to "
                               f"continue from an older one, move {name} away") from unread
    # A state without a manifest is what a killed save leaves, but only of the first generation is it all there is.
    # Tables are looked at too: a person may have lost the one folder without the other.
    lost = {generation for tier, _ in tiers.values() for folder in (CHECKPOINTS, METRICS)
            for name in tier.storage.list(folder) if (generation := file_generation(name) or 0) > 1}
    if names or lost:
        raise ColabRLError(f"none of the {len(names) or len(lost)} checkpoints of this run is whole; nothing was "
                           "deleted; restore them from a copy, or begin a run of another name")
    return None


def check_segments(manifest: Manifest, local: Tier, remote: Tier | None) -> list[str]:
    """Names of a checkpoint's replay segments that the local tier lacks and the remote one has, whole.

    Raises Damaged if neither has one, or StorageError.
    """
    lacking = set(manifest.segments) - local.holding(manifest.segments)
    found = remote.holding({name: manifest.files[name] for name in lacking}) if lacking and remote else set()
    missing = sorted(lacking - found)
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise Damaged(f"generation {manifest.generation} needs {missing[0]}{more}, which is missing, cut or changed")
    return sorted(lacking)


def bring_segments(manifest: Manifest, local: Tier, remote: Tier | None) -> None:
    """Makes the local tier hold every replay segment of a checkpoint. Raises Damaged or StorageError."""
    missing = check_segments(manifest, local, remote)
    if remote is None or not missing:
        return
    contents = remote.storage.map(lambda name: remote.content(name, manifest.files[name]), missing)
    for name, data in progress_bar(len(missing), f"reading {remote.storage.place}", "segment",
                                   iterable=zip(missing, contents, strict=True)):
        local.storage.set_aside(name)
        local.write(name, data, manifest.files[name])


def read_segments(manifest: Manifest, local: Tier, remote: Tier | None) -> Iterator[Rows]:
    """The rows of a checkpoint's replay segments, from the tier that has each whole. Raises Damaged or StorageError."""
    segments = segments_in(manifest.files)
    for segment in progress_bar(len(segments), "reading past experience", "segment", iterable=segments):
        record = manifest.files[segment.name]
        try:
            data = local.content(segment.name, record)
        except Damaged:
            if remote is None:
                raise
            data = remote.content(segment.name, record)
        yield read_segment(segment, data)


def load_generation(local: Tier, remote: Tier | None, generation: int) -> Checkpoint:
    """The checkpoint of a generation.

    Raises UsageError that lists those there are if there is none of that generation, ColabRLError if it is not whole.
    """
    there: set[int] = set()
    problem = ""
    for tier in filter(None, (local, remote)):
        for name in tier.names():
            there.add(manifest_generation(name) or 0)
            if manifest_generation(name) == generation:
                try:
                    return load(tier, name)
                except (Damaged, StorageError) as error:
                    problem = str(error)
    if problem:
        raise ColabRLError(f"generation {generation} cannot be used: {problem}")
    raise UsageError(f"generation {generation} not found; available: {', '.join(map(str, sorted(there))) or 'none'}")


def manifests_in(tiers: Iterable[Tier], tell: Callable[[str], object] = lambda line: None) -> list[Manifest]:
    """The checkpoints that the places hold, oldest first, in the order in which `newest_whole` walks back.

    tell: gets a line about each place that cannot be read.
    """
    held: dict[str, Manifest] = {}
    for tier in tiers:
        try:
            held |= {manifest.name: manifest for manifest in tier.manifests()}
        except StorageError as error:
            tell(f"{tier.storage.place} cannot be read: {error}")
    return sorted(held.values(), key=lambda manifest: (manifest.generation, manifest.name))


def load_from_any(tiers: Iterable[Tier], manifest: Manifest) -> Checkpoint:
    """That very checkpoint, from the first place that has it whole. Raises Damaged or StorageError if none has."""
    problem: ColabRLError = Damaged(f"generation {manifest.generation} is gone")
    for tier in tiers:
        try:
            return load(tier, manifest.name)
        except NotFound:
            continue
        except (Damaged, StorageError) as error:
            problem = error
    raise problem


def load(tier: Tier, name: str) -> Checkpoint:
    """The checkpoint whose manifest is `name`. Raises Damaged, or StorageError if a few tries fail."""
    def read() -> Checkpoint:
        manifest = tier.read(name)
        return Checkpoint(manifest, tier.load(manifest))

    return _patiently(read)


def _patiently(function: Callable[[], T]) -> T:
    """What the function returns, tried a few times if the storage fails."""
    for pause in (*PAUSES, None):
        try:
            return function()
        except StorageError as error:  # it may pass, and an older checkpoint would cost work
            if pause is None or isinstance(error, NotFound):
                raise
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def restore_locally(checkpoint: Checkpoint, local: Tier, remote: Tier | None, say: Say) -> list[bytes]:
    """Makes the local tier hold `checkpoint`; returns the metrics tables up to it, oldest first.

    Local files of it that are damaged, and newer checkpoints that did not verify, are set
    aside as `NAME.bad`. A table that neither tier has whole is left out, and said.
    """
    manifest = checkpoint.manifest
    for name in local.names():
        if (manifest_generation(name) or 0) >= manifest.generation and _is_damaged(local, name):
            _set_aside(local, name)
    if manifest.name not in local.names():
        for name, record in manifest.files.items():
            if not local.holds(name, record):
                local.storage.set_aside(name)
        local.commit(manifest, checkpoint.contents)
    found = read_whole(local, manifest.history)
    if remote:
        def keep(name: str, data: bytes) -> None:
            local.storage.set_aside(name)
            local.write(name, data, manifest.history[name])

        lacking = {name: record for name, record in manifest.history.items() if name not in found}
        found |= read_whole(remote, lacking, keep)
    for name in manifest.history:
        if name not in found:
            say(f"{name} is missing or damaged: the run's curves have a gap there, and nothing else is lost")
    tables = [found[name] for name in manifest.history if name in found]
    tables += [data for name, data in checkpoint.contents.items() if name.startswith(METRICS)]
    return tables


def read_whole(tier: Tier, records: Mapping[str, FileRecord],
               keep: Callable[[str, bytes], None] = lambda name, data: None) -> dict[str, bytes]:
    """Those of the files that a tier has whole; each is given to `keep` as it comes."""
    def read(name: str) -> bytes | None:
        try:
            data = tier.storage.get(name)
            records[name].check(name, data)
        except (Damaged, StorageError):
            return None
        keep(name, data)
        return data

    contents = progress_bar(len(records), f"reading {tier.storage.place}", "file",
                            iterable=zip(records, tier.storage.map(read, records), strict=True))
    return {name: data for name, data in contents if data is not None}


def _is_damaged(tier: Tier, name: str) -> bool:
    """Whether a checkpoint is not whole. One that only cannot be read now is not damaged."""
    try:
        tier.check(tier.read(name))
    except (Damaged, NotFound):
        return True
    except StorageError:
        pass
    return False


def _set_aside(local: Tier, name: str) -> None:
    """Renames a manifest that does not verify, and the state beside it, so that nothing takes them for whole."""
    local.storage.set_aside(name)
    local.storage.set_aside(name.removesuffix(".json") + ".safetensors")


def _names(tier: Tier, say: Say, optional: bool) -> set[str]:
    try:
        return set(tier.names() if optional or tier.storage.consistent else retry_until(tier.names))
    except StorageError as error:
        if not optional:
            raise
        say(f"the store cannot be listed, continuing with what this machine holds: {error}")
        return set()
