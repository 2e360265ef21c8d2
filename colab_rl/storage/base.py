"""What a place for files does, be it a folder or a Drive."""

from __future__ import annotations

import contextlib
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from colab_rl.errors import StorageError

AT_ONCE = 16  # calls to a place that answers slowly, and to several at a time
SECOND_LOOKS = (0.5, 1.5)  # seconds before each, where a listing may be an old one

T = TypeVar("T")


class Stat(NamedTuple):
    """What the place itself says of a file."""

    size: int  # bytes
    md5: str   # hexadecimal


class NotFound(StorageError):
    """There is no file of that name."""


class Storage(ABC):
    """Files by name; a name is a relative path with forward slashes. Knows nothing of checkpoints.

    Every method raises StorageError where the place does not do what it should; what can
    be said of the reason is in its text.
    """

    place: str  # for people: where this is
    # Whether what it reads back has arrived. A mount answers from this machine's cache: there a
    # file that reads back is written, and no more is known.
    proves: bool
    # Whether what it lists is all there is. A Drive and a mount may answer with an old listing.
    consistent: bool
    # Another way to the same files, that proves what it says, where this one does not: Drive itself behind its mount.
    witness: Storage | None = None

    @abstractmethod
    def put(self, name: str, data: bytes) -> None:
        """Writes a whole file, or nothing under that name. A file that is there is replaced."""

    @abstractmethod
    def get(self, name: str) -> bytes:
        """The file's content. Raises NotFound where there is none."""

    @abstractmethod
    def list(self, prefix: str) -> dict[str, int]:
        """Size in bytes of every file whose name begins with the folder `prefix` (such as `checkpoints/`)."""

    @abstractmethod
    def stat(self, name: str) -> Stat:
        """Size and MD5 of what the place holds, read there and then. Raises NotFound where there is no file."""

    @abstractmethod
    def set_aside(self, name: str) -> None:
        """Renames a damaged file to `name.bad` (`name.2.bad` ...), where nothing takes it for whole."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Removes a file; one that is not there is no error."""

    @abstractmethod
    def folders(self) -> Sequence[str]:
        """Names of the folders that lie directly in it."""

    @abstractmethod
    def at(self, path: str) -> Storage:
        """The storage of a folder in this one, made when a file is put there; this one must be there for that."""

    def stats(self, names: Iterable[str]) -> dict[str, Stat]:
        """`stat` of many files at once; those that are not there are left out."""
        def stat_of(name: str) -> tuple[str, Stat] | None:
            with contextlib.suppress(NotFound):
                return name, self.stat(name)
            return None

        return dict(filter(None, self.each(stat_of, names)))

    def each(self, function: Callable[[str], T], names: Iterable[str]) -> Iterator[T]:
        """The function's answer for each name, in their order; many at a time where the place is a slow one."""
        if self.proves and self.consistent:  # a disk
            yield from map(function, names)
            return
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="storage") as pool:
            yield from pool.map(function, names)

    def free_bytes(self) -> int | None:
        """Bytes that are left in the place, None where it has no limit of its own."""
        return None

    def remove_temporary_files(self, folders: Iterable[str]) -> None:  # noqa: B027
        """Clears what writers that were killed left half written in these folders, where that stays."""

    def look_anew(self) -> None:  # noqa: B027
        """Forgets which folder is which, where that is remembered: a person may have renamed or moved one."""


def looked_again(look: Callable[[], T], enough: Callable[[T], object] = bool) -> T:
    """What `look` finds, asked again where that is not `enough`: nothing is begun, made or brought again because one
    listing was empty or lacked a file.
    """
    found = look()
    for pause in SECOND_LOOKS:
        if enough(found):
            break
        time.sleep(pause)
        found = look()
    return found


def check_name(name: str) -> None:
    """Raises ValueError for a name that could lead out of the storage."""
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", name, re.ASCII) or not {".", ".."}.isdisjoint(name.split("/")):
        raise ValueError(f"not a file name for a storage: {name!r}")
