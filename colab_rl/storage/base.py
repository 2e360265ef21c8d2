"""What a place for files does, be it a folder or a Drive."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import NamedTuple

from colab_rl.errors import StorageError


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


def check_name(name: str) -> None:
    """Raises ValueError for a name that could lead out of the storage."""
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", name, re.ASCII) or not {".", ".."}.isdisjoint(name.split("/")):
        raise ValueError(f"not a file name for a storage: {name!r}")
