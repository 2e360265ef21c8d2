"""A folder: this machine's disk, a mounted Drive, any other disk."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from colab_rl.errors import StorageError, StorageRefused
from colab_rl.storage.base import NotFound, Stat, Storage
from colab_rl.storage.names import bad_name, check_name

TEMPORARY = ".tmp-"
MOUNT_CONCURRENCY = 16  # calls to a mount at a time: each waits for a network
# What does not pass by itself, and what to do about it.
OS_ADVICE = {number: advice for advice, numbers in {
    "free space there": (errno.ENOSPC, errno.EDQUOT),
    "make it writable, or choose another folder": (errno.EROFS, errno.EACCES, errno.EPERM),
    "a file lies where a folder should be: move it away, or choose another name": (errno.ENOTDIR,),
}.items() for number in numbers}


class FolderStorage(Storage):
    """Files below `root`, each written in restic's order.

    Temporary file in the same folder, length check, fsync, rename, fsync of the folder:
    after a power cut a file is there whole, or not at all.
    """

    def __init__(self, root: Path, within: Path | None = None):
        """`within`: a folder above `root` that must be there; only what lies below it is ever made."""
        self.root = root
        self.within = within
        self.place = str(root)
        is_disk = not is_fuse(root)
        self.proves = self.consistent = is_disk
        self.concurrency = 1 if is_disk else MOUNT_CONCURRENCY

    def put(self, name: str, data: bytes) -> None:
        """See Storage."""
        target = self._path(name)
        temporary = target.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")  # its own length: the target's may be the limit
        with self._explained("written", name):
            self._check_there()
            _make_folder(target.parent)
            try:
                with open(temporary, "xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                    if os.fstat(file.fileno()).st_size != len(data):
                        raise OSError(errno.EIO, "the file is shorter than what was written")
                os.replace(temporary, target)
                _fsync_folder(target.parent)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
                raise

    def get(self, name: str) -> bytes:
        """See Storage."""
        with self._explained("read", name):
            self._check_there()
            return self._path(name).read_bytes()

    def list(self, prefix: str) -> dict[str, int]:
        """See Storage. A folder that is not there holds no files."""
        sizes: dict[str, int] = {}
        if prefix:
            check_name(prefix.removesuffix("/"))
        with self._explained("listed", prefix):
            self._check_there()
            for folder, _, files in os.walk(self.root / prefix, onerror=_raise_unless_missing):
                for file in files:
                    if not file.startswith(TEMPORARY):
                        path = Path(folder, file)
                        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                            sizes[path.relative_to(self.root).as_posix()] = path.stat().st_size
        return sizes

    def list_files(self, folders: Iterable[str]) -> dict[str, Stat]:
        """See Storage. A disk and a mount list no hashes."""
        def listed(folder: str) -> dict[str, Stat]:
            check_name(folder)
            found = {}
            with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.root / folder) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                        if entry.is_file() and not entry.name.startswith(TEMPORARY):
                            found[f"{folder}/{entry.name}"] = Stat(entry.stat().st_size, None)
            return found

        with self._explained("listed", self.place):
            self._check_there()
            return {name: stat for files in self.map(listed, folders) for name, stat in files.items()}

    def stat(self, name: str) -> Stat:
        """See Storage. Reads the file, past this machine's cache of it if the system allows."""
        digest, size = hashlib.md5(usedforsecurity=False), 0
        with self._explained("read", name), self._opened(name) as file:
            if hasattr(os, "posix_fadvise"):
                with contextlib.suppress(OSError):
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                size += len(chunk)
        return Stat(size, digest.hexdigest())

    def delete(self, name: str) -> None:
        """See Storage."""
        with self._explained("deleted", name):
            self._check_there()
            self._path(name).unlink(missing_ok=True)

    def set_aside(self, name: str) -> None:
        """See Storage."""
        path = self._path(name)
        with self._explained("set aside", name), contextlib.suppress(FileNotFoundError):
            self._check_there()
            path.rename(path.with_name(bad_name(path.name, os.listdir(path.parent))))

    def remove_temporary_files(self, folders: Iterable[str]) -> None:
        """See Storage. A writer that lives must put its file again."""
        with self._explained("cleared", self.place):
            for folder in folders:
                for path in (self.root / folder).glob(TEMPORARY + "*"):
                    path.unlink(missing_ok=True)

    def folders(self) -> Sequence[str]:
        """See Storage."""
        with self._explained("listed", self.place):
            self._check_there()
            try:
                return sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir())
            except FileNotFoundError:
                return []

    def subfolder(self, path: str) -> FolderStorage:
        """See Storage."""
        check_name(path)
        storage = FolderStorage(self.root / path, within=self.root)
        storage.witness = self.witness and self.witness.subfolder(path)
        return storage

    def free_bytes(self) -> int | None:
        """Free bytes of the disk that holds it."""
        with self._explained("asked for its free space", self.place):
            return shutil.disk_usage(self.root).free

    def _opened(self, name: str) -> io.FileIO:
        self._check_there()
        return open(self._path(name), "rb", buffering=0)

    def _check_there(self) -> None:
        """Raises OSError if the folder above is gone, or the mount that it lay on. A mount that ended leaves an empty
        folder of this machine, which is no store.
        """
        if self.within and not self.within.is_dir():
            raise FileNotFoundError(errno.ENOENT, f"{self.within} no longer exists")
        if not self.proves and not is_fuse(self.root):
            raise OSError(errno.ENOTCONN, "it is no longer mounted")

    def _path(self, name: str) -> Path:
        check_name(name)
        return self.root / name

    @contextlib.contextmanager
    def _explained(self, done: str, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if self.within and not self.within.is_dir():
                raise StorageError(f"{self.within} no longer exists") from error
            raise NotFound(f"{name} is not in {self.place}") from error
        except OSError as error:
            text = f"{name} could not be {done} in {self.place}: {error.strerror or error}"
            if error.errno in OS_ADVICE:
                raise StorageRefused(f"{text}; {OS_ADVICE[error.errno]}") from error
            raise StorageError(text) from error


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _make_folder(folder: Path) -> None:
    """Makes a folder and those above it, each durable in the one that holds it."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _fsync_folder(folder.parent)


def is_fuse(folder: Path) -> bool:
    """Whether the folder lies on a FUSE mount, such as Colab's Drive."""
    try:
        lines = Path("/proc/mounts").read_bytes().split(b"\n")
        path = Path(os.path.realpath(folder))  # for a loop of links, `resolve` raises RuntimeError
    except OSError:
        return False
    kinds: dict[Path, bytes] = {}  # by mount point, in bytes of any encoding; of several at one point the last is seen
    for _, point, kind, *_ in (line.split(b" ") for line in lines if line):
        point = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), point)
        kinds[Path(os.fsdecode(point))] = kind
    above = [point for point in kinds if path.is_relative_to(point)]
    return bool(above) and kinds[max(above, key=lambda point: len(point.parts))].startswith(b"fuse")


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some mounts know no fsync of a folder
            raise
    finally:
        os.close(descriptor)
