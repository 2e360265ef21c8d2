"""What every storage does, be it a folder, Drive, or one that a person has registered."""

from __future__ import annotations

import contextlib
import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from colab_rl.errors import StorageError
from colab_rl.storage.names import bad_name

RETRY_PAUSES = (0.5, 1.5)  # seconds before a listing that may be an old one is asked for again

S = TypeVar("S")
T = TypeVar("T")


class Stat(NamedTuple):
    """What the storage itself says of a file."""

    size: int        # bytes
    md5: str | None  # hexadecimal; None in a listing without it

    def matches(self, size: int, md5: str) -> bool:
        """Whether this says nothing against a file being that one."""
        return self.size == size and self.md5 in (md5, None)


class NotFound(StorageError):
    """There is no file of that name."""


class Storage(ABC):
    """Files by name. A name is a relative path with forward slashes. A storage knows nothing of checkpoints.

    A new storage sets the attributes that have no value here, and implements the abstract methods. It overrides the
    others if it can do with fewer calls. Several threads call it. Every method raises StorageError if trying again
    later may help, StorageRefused if a person has to change something first, and ValueError for a name that
    `check_name` refuses.
    """

    place: str                  # where this is, for people
    service: str = "the store"  # who keeps the files, in sentences: "Drive" does not have them yet
    # Whether a file that reads back has arrived. A mount answers from this machine's cache: what reads back there is
    # written, and no more is known.
    proves: bool
    # Whether a listing shows all that is there. Drive and mounts now and then answer with an old one.
    consistent: bool
    concurrency: int            # calls that it takes at a time
    # Another way to the same files that proves what it says, if this one does not: Drive itself, behind its mount.
    witness: Storage | None = None

    @abstractmethod
    def put(self, name: str, data: bytes) -> None:
        """Writes a whole file, or nothing under that name. A file that is there is replaced."""

    @abstractmethod
    def get(self, name: str) -> bytes:
        """The file's content. Raises NotFound if there is none."""

    @abstractmethod
    def list(self, prefix: str) -> dict[str, int]:
        """Size in bytes of every file below the folder `prefix`, such as `checkpoints/`; of all for an empty one."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Removes a file. It is no error if there is none."""

    @abstractmethod
    def subfolder(self, path: str) -> Storage:
        """The storage of a folder in this one. Its first file makes that folder, but never this one."""

    def folders(self) -> Sequence[str]:
        """Names of the folders that lie directly in it, sorted."""
        return sorted({name.partition("/")[0] for name in self.list("") if "/" in name})

    def stat(self, name: str) -> Stat:
        """Size and MD5 of what the storage holds, read there and then. Raises NotFound if there is no file."""
        data = self.get(name)
        return Stat(len(data), hashlib.md5(data, usedforsecurity=False).hexdigest())

    def set_aside(self, name: str) -> None:
        """Renames a damaged file to `name.bad` (`name.2.bad` ...), so that nothing takes it for whole."""
        with contextlib.suppress(NotFound):
            data = self.get(name)
            self.put(bad_name(name, self.list(name[:name.rfind("/") + 1])), data)
            self.delete(name)

    def stats(self, names: Iterable[str]) -> dict[str, Stat]:
        """`stat` of many files. Those that are not there are left out."""
        def stat_of(name: str) -> tuple[str, Stat] | None:
            with contextlib.suppress(NotFound):
                return name, self.stat(name)
            return None

        return dict(filter(None, self.map(stat_of, names)))

    def list_files(self, folders: Iterable[str]) -> dict[str, Stat]:
        """What a listing says of every file that lies directly in one of the folders, such as `walker/metrics`.

        Nothing is read. A folder that is not there has no files.
        """
        def listed(folder: str) -> dict[str, Stat]:
            return {name: Stat(size, None) for name, size in self.list(f"{folder}/").items()
                    if name.rpartition("/")[0] == folder}

        return {name: stat for files in self.map(listed, folders) for name, stat in files.items()}

    def map(self, function: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
        """The function's result for each item, in their order. As many calls run at a time as the storage takes."""
        if self.concurrency == 1:
            yield from map(function, items)
            return
        with ThreadPoolExecutor(self.concurrency, thread_name_prefix="storage") as pool:
            yield from pool.map(function, items)

    def free_bytes(self) -> int | None:
        """Bytes that are left in the storage, None if it has no limit of its own."""
        return None

    def remove_temporary_files(self, folders: Iterable[str]) -> None:  # noqa: B027
        """Removes what writers that were killed left half written in these folders."""

    def forget_listings(self) -> None:  # noqa: B027
        """Looks up folders anew from now on: a person may have renamed or moved one."""


def retry_until(look: Callable[[], T], is_enough: Callable[[T], object] = bool) -> T:
    """What `look` finds, asked again after pauses while that is not enough.

    So one listing that is empty, or lacks a file, starts, makes or sends nothing again.
    """
    found = look()
    for pause in RETRY_PAUSES:
        if is_enough(found):
            break
        time.sleep(pause)
        found = look()
    return found
