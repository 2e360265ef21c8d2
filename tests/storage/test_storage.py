"""What every storage does, and what a folder does when the system calls below it fail."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import memory_storage  # noqa: F401  it registers `memory:`
import pytest
from fake_drive import FakeDrive
from helpers import NAMES

from colab_rl.errors import StorageError, StorageRefused
from colab_rl.storage import FolderStorage, NotFound, Stat, Storage, open_store

# Every storage passes the same suite. It is entered by the name that a person gives to an empty store.
STORAGES = {"folder": "{folder}/store", "drive": "drive:colab_rl", "mount": "{mount}/store",
            "memory": "memory:{folder}"}

BAD_NAMES = ["", ".", "..", "../out", "a/../../out", "/etc/out", "a//b", "a/", "a\n", "a\0b", "\udcff"]


@pytest.fixture(params=STORAGES)
def reopen(request, tmp_path: Path, monkeypatch) -> Iterator[Callable[[], Storage]]:
    """Opens the test's storage, empty at first, as a new session does."""
    place = STORAGES[request.param].replace("{folder}", str(tmp_path))
    if "{mount}" in place:
        folder = request.getfixturevalue("mount").point / uuid.uuid4().hex
        folder.mkdir()
        place = place.replace("{mount}", str(folder))
    with FakeDrive() as drive:
        monkeypatch.setenv("COLAB_RL_DRIVE_ENDPOINT", drive.url)
        yield lambda: open_store(place, make=True)


@pytest.fixture
def storage(reopen) -> Storage:
    return reopen()


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 20_000], ids=["empty", "small", "5 MB"])
def test_what_is_put_can_be_got(storage, data):
    storage.put("checkpoints/a.bin", data)
    assert storage.get("checkpoints/a.bin") == data
    assert storage.stat("checkpoints/a.bin") == Stat(len(data), hashlib.md5(data).hexdigest())
    assert storage.list("checkpoints/") == {"checkpoints/a.bin": len(data)}


def test_put_replaces(storage):
    storage.put("run.json", b"a longer first content")
    storage.put("run.json", b"second")
    assert storage.get("run.json") == b"second"
    assert storage.stat("run.json").size == 6
    assert storage.list("") == {"run.json": 6}


def test_delete_removes_one_file_and_forgives_a_missing_one(storage):
    storage.put("a/1", b"1")
    storage.put("a/2", b"2")
    storage.delete("a/1")
    storage.delete("a/1")
    storage.delete("never/was")
    assert storage.list("") == {"a/2": 1}


@pytest.mark.parametrize("call", ["get", "stat"])
def test_a_missing_file_is_not_found(storage, call):
    storage.put("a/1", b"1")
    for name in ("a/2", "b/1", "run.json"):
        with pytest.raises(NotFound, match=name):
            getattr(storage, call)(name)


def test_list_takes_a_folder_at_any_depth(storage):
    for name in ("run.json", "a/1", "a/b/2", "ab/3"):
        storage.put(name, name.encode())
    assert storage.list("") == {"run.json": 8, "a/1": 3, "a/b/2": 5, "ab/3": 4}
    assert storage.list("a/") == {"a/1": 3, "a/b/2": 5}
    assert storage.list("a/b/") == {"a/b/2": 5}


def test_a_missing_folder_holds_no_files(storage):
    assert storage.list("") == {}
    storage.put("a/1", b"1")
    assert storage.list("b/") == {}


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("call", ["put", "get", "stat", "delete"])
def test_names_that_lead_out_are_refused(storage, call, name, tmp_path):
    with pytest.raises(ValueError, match="not a file name"):
        getattr(storage, call)(name, *([b"data"] if call == "put" else []))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_names_as_people_write_them(storage):
    for name in NAMES:
        storage.put(f"reports/{name}", name.encode())
    assert storage.list("reports/") == {f"reports/{name}": len(name.encode()) for name in NAMES}
    for name in NAMES:
        assert storage.get(f"reports/{name}") == name.encode() and storage.stat(f"reports/{name}").size
        storage.delete(f"reports/{name}")
    assert storage.list("reports/") == {}


@pytest.mark.parametrize("prefix", ["../", "a/../../", "/etc/"])
def test_list_does_not_lead_out(storage, prefix, tmp_path):
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(ValueError, match="not a"):
        storage.list(prefix)


def test_a_new_session_finds_what_the_one_before_wrote(storage, reopen):
    storage.put("checkpoints/a.json", b"one")
    storage.put("run.json", b"two")
    again = reopen()
    assert again.get("checkpoints/a.json") == b"one"
    assert again.list("") == {"checkpoints/a.json": 3, "run.json": 3}
    again.delete("checkpoints/a.json")
    with pytest.raises(NotFound):
        storage.get("checkpoints/a.json")


def test_stats_of_many_files_are_those_of_each(storage, reopen):
    names = {f"{folder}/{number}" for folder in ("a", "b/c") for number in range(4)}
    for name in names:
        storage.put(name, name.encode())
    for opened in (storage, reopen()):
        assert opened.stats({*names, "a/none", "none/none"}) == {name: storage.stat(name) for name in names}


def test_folders_are_named_and_entered(storage):
    storage.put("run.json", b"1")
    assert storage.folders() == []
    inner = storage.subfolder("walker")
    assert inner.list("") == {}
    inner.put("run.json", b"22")
    inner.put("checkpoints/a", b"333")
    storage.subfolder("lander").put("run.json", b"4444")
    assert storage.folders() == ["lander", "walker"]
    assert inner.list("") == {"run.json": 2, "checkpoints/a": 3}
    assert storage.subfolder("walker").get("checkpoints/a") == b"333"
    assert storage.get("run.json") == b"1"


def test_set_aside_renames_and_keeps_the_content(storage, reopen):
    for content in (b"old", b"new"):
        storage.put("a/file", content)
        storage.set_aside("a/file")
    storage.set_aside("a/file")
    for opened in (storage, reopen()):
        assert opened.list("") == {"a/file.bad": 3, "a/file.2.bad": 3}
        assert [opened.get(name) for name in ("a/file.bad", "a/file.2.bad")] == [b"old", b"new"]
        with pytest.raises(NotFound):
            opened.stat("a/file")


def test_what_is_deleted_can_be_put_again(storage):
    for content in (b"one", b"another"):
        storage.put("a/file", content)
        assert storage.get("a/file") == content
        storage.delete("a/file")
        with pytest.raises(NotFound):
            storage.get("a/file")


# A folder alone.

BREAKS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EROFS": errno.EROFS, "ENOTCONN": errno.ENOTCONN}


@pytest.fixture(params=BREAKS.values(), ids=list(BREAKS))
def error(request) -> OSError:
    return OSError(request.param, os.strerror(request.param))


@pytest.fixture
def folder(tmp_path) -> FolderStorage:
    storage = FolderStorage(tmp_path / "store")
    storage.put("a/file", b"old")
    return storage


def fail_at(monkeypatch, call: str, nth: int, error: OSError) -> None:
    """Makes the nth call of a function of `os` or `io` raise."""
    module = {"os": os, "io": io}[call.partition(".")[0]]
    name, count, real = call.partition(".")[2], [0], getattr(module, call.partition(".")[2])

    def broken(*args, **kw):
        count[0] += 1
        if count[0] == nth:
            raise error
        return real(*args, **kw)

    monkeypatch.setattr(module, name, broken)


class FullDisk(io.FileIO):
    """A file that takes a few bytes, and then no more."""

    error: OSError

    def write(self, data) -> int:
        super().write(bytes(data)[:2])
        raise self.error


def fail_to_open(monkeypatch, error):
    def broken(*args, **kw):
        raise error
    monkeypatch.setattr("colab_rl.storage.folder.open", broken, raising=False)


def fail_to_write(monkeypatch, error):
    def full(path, mode, **kw):
        file = FullDisk(path, mode.replace("b", ""))
        file.error = error
        return file
    monkeypatch.setattr("colab_rl.storage.folder.open", full, raising=False)


# The system calls of a put, in their order, up to the rename that commits it.
BEFORE_THE_RENAME = {
    "mkdir": lambda patch, error: fail_at(patch, "os.mkdir", 1, error),
    "open": fail_to_open,
    "write": fail_to_write,
    "fsync": lambda patch, error: fail_at(patch, "os.fsync", 1, error),
    "fstat": lambda patch, error: fail_at(patch, "os.fstat", 1, error),
    "replace": lambda patch, error: fail_at(patch, "os.replace", 1, error),
}
AFTER_THE_RENAME = {
    "open of the folder": lambda patch, error: fail_at(patch, "os.open", 1, error),
    "fsync of the folder": lambda patch, error: fail_at(patch, "os.fsync", 2, error),
}


@pytest.mark.parametrize(("call", "name"), [
    *[(call, "new/file") for call in BEFORE_THE_RENAME],
    *[(call, "a/file") for call in BEFORE_THE_RENAME if call != "mkdir"]])
def test_a_put_that_fails_changes_nothing(folder, monkeypatch, call, name, error):
    with monkeypatch.context() as patch:
        BEFORE_THE_RENAME[call](patch, error)
        with pytest.raises(StorageError, match=f"{name} could not be written in .*: {error.strerror}"):
            folder.put(name, b"something new")
    assert folder.list("") == {"a/file": 3}
    assert folder.get("a/file") == b"old"
    assert [path for path in folder.root.rglob(".*") if path.is_file()] == []


@pytest.mark.parametrize(("number", "advice"), [(errno.ENOSPC, "free space there"), (errno.EROFS, "make it writable"),
                                                (errno.EACCES, "make it writable")])
def test_what_a_person_must_change_is_told_from_what_passes(folder, monkeypatch, number, advice):
    fail_to_open(monkeypatch, OSError(number, os.strerror(number)))
    with pytest.raises(StorageRefused, match=f"{os.strerror(number)}; {advice}"):
        folder.put("a/file", b"new")
    fail_to_open(monkeypatch, OSError(errno.EIO, "Input/output error"))
    with pytest.raises(StorageError) as caught:
        folder.put("a/file", b"new")
    assert not isinstance(caught.value, StorageRefused)


@pytest.mark.parametrize("call", AFTER_THE_RENAME)
def test_a_put_that_may_not_last_is_no_success(folder, monkeypatch, call, error):
    with monkeypatch.context() as patch:
        AFTER_THE_RENAME[call](patch, error)
        with pytest.raises(StorageError, match=error.strerror):
            folder.put("a/file", b"new")
    assert folder.get("a/file") in (b"old", b"new")


def test_a_file_that_came_out_short_is_not_committed(folder, monkeypatch):
    class Short:
        st_size = 1
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", lambda descriptor: Short)
        # Path and open need fstat too; the storage asks last.
        patch.setattr("colab_rl.storage.folder.open", lambda path, mode: io.FileIO(os.open(
            path, os.O_CREAT | os.O_EXCL | os.O_WRONLY), "w"), raising=False)
        with pytest.raises(StorageError, match="shorter"):
            folder.put("a/file", b"new")
    assert folder.get("a/file") == b"old"
    assert folder.list("") == {"a/file": 3}


def test_a_mount_without_fsync_of_folders_will_do(folder, monkeypatch):
    fail_at(monkeypatch, "os.fsync", 2, OSError(errno.EINVAL, "Invalid argument"))
    folder.put("a/file", b"new")
    assert folder.get("a/file") == b"new"


@pytest.mark.parametrize(("call", "broken"), [
    (lambda storage: storage.get("a/file"), "io.open"), (lambda storage: storage.list("a/"), "os.scandir"),
    (lambda storage: storage.list(""), "os.scandir"), (lambda storage: storage.delete("a/file"), "os.unlink"),
    (lambda storage: storage.set_aside("a/file"), "os.rename"),
], ids=["get", "list a folder", "list all", "delete", "set_aside"])
def test_what_fails_says_why(folder, monkeypatch, call, broken, error):
    with monkeypatch.context() as patch:
        fail_at(patch, broken, 1, error)
        with pytest.raises(StorageError, match=error.strerror) as caught:
            call(folder)
    assert not isinstance(caught.value, NotFound)
    assert folder.get("a/file") == b"old"


def test_a_stat_that_fails_says_why(folder, monkeypatch, error):
    fail_to_open(monkeypatch, error)
    with pytest.raises(StorageError, match=error.strerror):
        folder.stat("a/file")


@pytest.mark.parametrize("call", [
    lambda storage: storage.put("a/file", b"new"), lambda storage: storage.get("a/file"),
    lambda storage: storage.stat("a/file"), lambda storage: storage.list(""), lambda storage: storage.list("a/"),
], ids=["put", "get", "stat", "list all", "list a folder"])
def test_a_file_in_the_folders_place_is_an_error(tmp_path, call):
    (tmp_path / "store").write_bytes(b"mine")
    with pytest.raises(StorageError):
        call(FolderStorage(tmp_path / "store"))
    assert (tmp_path / "store").read_bytes() == b"mine"


def test_temporary_files_are_never_listed_and_can_be_cleared(folder):
    (folder.root / "a/.tmp-1234-other").write_bytes(b"half")
    assert folder.list("") == {"a/file": 3}
    (folder.root / "b").mkdir()
    (folder.root / "b/.tmp-1234-other").write_bytes(b"half")
    (folder.root / ".tmp-1234-other").write_bytes(b"half")
    folder.remove_temporary_files(["", "a", "not there"])
    assert [path.name for path in (folder.root / "a").iterdir()] == ["file"]
    assert [path.name for path in folder.root.glob("*/.*")] == [".tmp-1234-other"]  # b's
    assert not list(folder.root.glob(".*"))


def test_an_interrupted_put_leaves_nothing(folder, monkeypatch):
    fail_at(monkeypatch, "os.fsync", 1, KeyboardInterrupt())
    with contextlib.suppress(KeyboardInterrupt):
        folder.put("a/file", b"new")
    assert [path.name for path in (folder.root / "a").iterdir()] == ["file"]
    assert folder.get("a/file") == b"old"


def test_a_store_that_is_gone_is_not_made_anew_on_this_disk(tmp_path):
    """An unmounted Drive: what would be written there would die with the machine."""
    (tmp_path / "drive").mkdir()
    storage = FolderStorage(tmp_path / "drive" / "walker", within=tmp_path / "drive")
    storage.put("run.json", b"1")
    (tmp_path / "drive").rename(tmp_path / "away")
    for call in (lambda: storage.put("run.json", b"2"), lambda: storage.get("run.json"), lambda: storage.list(""),
                 lambda: storage.stat("run.json")):
        with pytest.raises(StorageError, match=r"no longer exists|no such folder") as caught:
            call()
        assert not isinstance(caught.value, NotFound)
    assert not (tmp_path / "drive").exists()
    (tmp_path / "away").rename(tmp_path / "drive")
    assert storage.get("run.json") == b"1"


def test_a_real_mount_proves_nothing(mount):
    assert not FolderStorage(mount.point / "MyDrive").proves


def mounted(monkeypatch, mounts: bytes) -> None:
    """Lets /proc/mounts hold that."""
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: mounts if str(self) == "/proc/mounts" else read_bytes(self))


@pytest.mark.parametrize(("name", "shown"), [
    (b"my drive", rb"my\040drive"), (b"a\tb\nc", rb"a\011b\012c"), (b"back\\040slash", rb"back\134040slash"),
    (b"Donn\xe9es", b"Donn\xe9es"), (b"\xff\xfe", b"\xff\xfe"), ("läufer 🚶".encode(), "läufer\\040🚶".encode()),
    (b"# mine", rb"\043\040mine"), (b"a\rb\x0bc", b"a\rb\x0bc"), (b"Donn\xc3\xa9es", b"Donn\xc3\xa9es"),
], ids=repr)
def test_a_mount_is_known_by_whatever_bytes_its_name_has(tmp_path, monkeypatch, name, shown):
    above = os.fsencode(tmp_path)
    mounted(monkeypatch, b"/dev/vda / ext4 rw 0 0\n/dev/\xff /\xe9 ext4 rw 0 0\ndrive " + above + b"/" + shown
            + b" fuse.drive rw 0 0\n")
    assert not FolderStorage(Path(os.fsdecode(above + b"/" + name)) / "colab_rl").proves
    assert FolderStorage(tmp_path / "my").proves


def test_of_two_mounts_at_one_point_the_later_is_seen(tmp_path, monkeypatch):
    for kinds, proves in ((b"autofs fuse.drive", False), (b"fuse.drive ext4", True)):
        mounted(monkeypatch, b"".join(b"x %s %s rw 0 0\n" % (os.fsencode(tmp_path), kind) for kind in kinds.split()))
        assert FolderStorage(tmp_path / "colab_rl").proves == proves


def test_a_disk_proves_what_it_holds_and_a_fuse_mount_does_not(tmp_path, monkeypatch):
    assert FolderStorage(tmp_path).proves
    mounts = f"/dev/vda / ext4 rw 0 0\ndrive {tmp_path}/my\\040drive fuse.drive rw 0 0\n"
    mounted(monkeypatch, mounts.encode())
    assert not FolderStorage(tmp_path / "my drive" / "colab_rl").proves
    assert FolderStorage(tmp_path / "my drives").proves
