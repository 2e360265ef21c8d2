"""What befalls files that a store took, on each storage, to its expected outcome: the newest checkpoint that is whole
is found, nothing good is deleted, and colab_rl says so. A naive store fails the same.
"""

from __future__ import annotations

import dataclasses
import itertools
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from damage import naive_file, naive_find
from fake_drive import FakeDrive
from helpers import LONG, RUN_ID, generations, goes_wrong, make_checkpoint, make_line, make_tier, table_of

from colab_rl.checkpoints import Replicator, Tier, replication
from colab_rl.checkpoints.recovery import newest_whole
from colab_rl.errors import StorageError
from colab_rl.storage import FolderStorage, Stat, Storage

IDENTITY = b'{"format": 1, "name": "walker"}'


class Place(NamedTuple):
    """A store. open: the run's folder in it, as a new session sees it. spoil: gives a file other content, or none."""

    open: Callable[[], Storage]
    spoil: Callable[[str, bytes | None], None]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(replication, "FIRST_PAUSE", 0.01)


@pytest.fixture(scope="module")
def drive() -> Iterator[FakeDrive]:
    with FakeDrive() as drive:
        yield drive


@pytest.fixture(params=["folder", "drive", "mount"])
def make_place(request, tmp_path) -> Callable[[], Place]:
    """Makes a new store, of the kind that the test is run for."""
    if request.param == "drive":
        server = request.getfixturevalue("drive")
        return lambda: drive_place(server, f"store-{uuid.uuid4().hex}")
    above = request.getfixturevalue("mount").point if request.param == "mount" else tmp_path
    return lambda: folder_place(above / uuid.uuid4().hex)


def folder_place(folder: Path) -> Place:
    def spoil(name: str, data: bytes | None) -> None:
        if data is None:
            (folder / "walker" / name).unlink()
        else:
            (folder / "walker" / name).write_bytes(data)

    folder.mkdir()
    return Place(lambda: FolderStorage(folder).subfolder("walker"), spoil)


def drive_place(server: FakeDrive, title: str) -> Place:
    def spoil(name: str, data: bytes | None) -> None:
        file = server.at(f"{title}/walker/{name}")
        file.content, file.trashed = data or b"", data is None

    server.add(title, None)
    return Place(lambda: server.open(f"drive:{title}").subfolder("walker"), spoil)


def replicate(place: Place, line: Sequence, folder: Path) -> Replicator:
    """A session on a machine that holds `line`, from its begin to its end."""
    replicator = Replicator(make_tier(folder, line), Tier(place.open(), RUN_ID), IDENTITY, 2, 100)
    for checkpoint in line:
        replicator.submit(checkpoint.manifest)
    assert replicator.wait(LONG)
    replicator.close()
    return replicator


FATES: dict[str, Callable[[bytes], bytes | None]] = {
    "lost": lambda data: None,
    "empty": lambda data: b"",
    "cut": lambda data: data[:len(data) // 2],
    "a bit flipped": lambda data: data[:-20] + bytes([data[-20] ^ 1]) + data[-19:],
    "a hole": lambda data: data[:len(data) // 2] + bytes(30) + data[len(data) // 2 + 30:],
}
# In the order in which they are written: the last few may be lost, and so may any others, where a mount reorders.
TABLE, STATE, MANIFEST = (lambda one: table_of(one), lambda one: one.manifest.state_file, lambda one: one.manifest.name)
FILES = {"the manifest": [MANIFEST], "the last two": [STATE, MANIFEST], "the last three": [TABLE, STATE, MANIFEST],
         "the state": [STATE], "the table": [TABLE], "all but the manifest": [TABLE, STATE]}


@pytest.mark.parametrize("files", FILES)
@pytest.mark.parametrize("fate", FATES)
def test_the_newest_whole_one_is_found_and_what_was_spoilt_is_brought_again(make_place, tmp_path, fate, files):
    place, line, said = make_place(), make_line(5, {2: 4.0}), []
    replicate(place, line[:4], tmp_path / "before")
    tier = Tier(place.open(), RUN_ID)
    tier.commit(*line[4])
    for name in (file(line[4]) for file in FILES[files]):
        place.spoil(name, FATES[fate](tier.storage.get(name)))
    left = Tier(place.open(), RUN_ID).storage.list("")

    found = newest_whole(make_tier(tmp_path / "bare"), Tier(place.open(), RUN_ID), said.append)
    assert found == line[3]
    manifest_is_there = fate != "lost" or MANIFEST not in FILES[files]
    assert any("00000005-" in text for text in said) == manifest_is_there
    assert place.open().list("") == left

    replicate(place, line, tmp_path / "whole")  # a machine that still has it, or has done it again
    assert {1, 2, 4, 5} <= set(generations(Tier(place.open(), RUN_ID)))
    now = place.open().list("")
    assert set(left) - {name for name in left if "sessions/" in name or "00000003" in name} <= set(now)
    spoilt = [name for name in left if "00000005-" in name and FATES[fate](b"x" * 99) is not None
              and name in {file(line[4]) for file in FILES[files]}]
    assert {name for name in now if name.endswith(".bad")} == {f"{name}.bad" for name in spoilt}


@pytest.mark.parametrize("fate", FATES)
def test_the_control_loses_everything_or_does_not_notice(fate):
    data = naive_file(5)
    middle = data.index(bytes([0, 0, 0x80, 0x3f]) * 50)  # in the weights, which are ones
    spoilt = {"a bit flipped": data[:middle + 3] + bytes([data[middle + 3] ^ 1]) + data[middle + 4:],
              "a hole": data[:middle] + bytes(100) + data[middle + 100:]}.get(fate, FATES[fate](data))
    found = naive_find(spoilt or b"")
    assert found == 5 if fate in ("a bit flipped", "a hole") else found is None


def test_clocks_that_jump_back_decide_nothing(make_place, tmp_path):
    place = make_place()
    line = [one._replace(manifest=dataclasses.replace(one.manifest, created=f"{2030 - number}-01-01T00:00:00+00:00"))
            for number, one in enumerate(make_line(6))]
    replicate(place, line, tmp_path / "local")
    tier = Tier(place.open(), RUN_ID)
    assert {1, 5, 6} <= set(generations(tier))
    assert not tier.storage.proves or generations(tier) == [1, 5, 6]
    assert newest_whole(make_tier(tmp_path / "bare"), tier, pytest.fail) == line[5]


def test_where_this_machine_and_the_store_disagree_the_newest_goes_on_and_keeps_its_past(make_place, tmp_path):
    """Two sessions continued from generation 2, and each made others."""
    place, here = make_place(), make_line(4)
    there = here[:2]
    for generation in (3, 4, 5):
        there = [*there, make_checkpoint(generation, there[-1], salt=1)]
    tier = Tier(place.open(), RUN_ID)
    for checkpoint in there:
        tier.commit(*checkpoint)
    local = make_tier(tmp_path / "local", here)
    assert newest_whole(local, tier, pytest.fail) == there[4]
    replicate(place, here, tmp_path / "local")
    again = Tier(place.open(), RUN_ID)
    assert newest_whole(local, again, pytest.fail) == there[4]
    assert {1, 5} <= set(generations(again)) and generations(local) == [1, 2, 3, 4]
    past = there[4].manifest.history
    assert again.holding(past) == set(past)


class Dying(Storage):
    """A storage whose calls fail for good from number `at` on: that one before it is done, or after."""

    def __init__(self, inner: Storage, at: int, done: bool):
        self.inner, self.at, self.done, self.count = inner, at, done, 0
        self.place, self.proves, self.consistent, self.concurrency = inner.place, inner.proves, inner.consistent, 1

    def _call(self, function: Callable, *arguments):
        self.count += 1
        if self.count > self.at or (self.count == self.at and not self.done):
            raise StorageError("Input/output error")
        result = function(*arguments)
        if self.count == self.at:
            raise StorageError("Input/output error")
        return result

    def put(self, name: str, data: bytes) -> None:
        self._call(self.inner.put, name, data)

    def get(self, name: str) -> bytes:
        return self._call(self.inner.get, name)

    def list(self, prefix: str) -> dict[str, int]:
        return self._call(self.inner.list, prefix)

    def stat(self, name: str) -> Stat:
        return self._call(self.inner.stat, name)

    def stats(self, names) -> dict[str, Stat]:
        return self._call(self.inner.stats, names)

    def set_aside(self, name: str) -> None:
        self._call(self.inner.set_aside, name)

    def delete(self, name: str) -> None:
        self._call(self.inner.delete, name)

    def folders(self) -> Sequence[str]:
        return self.inner.folders()

    def subfolder(self, path: str) -> Storage:
        raise NotImplementedError


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_at_every_call_to_the_store_a_kill_leaves_a_whole_checkpoint_and_the_next_session_no_trace(
        make_place, tmp_path, done):
    line = make_line(5, {2: 4.0})
    local = make_tier(tmp_path / "local", line)
    outcomes = set()
    for at in itertools.count(1):
        place = make_place()
        for checkpoint in line[:4]:
            Tier(place.open(), RUN_ID).commit(*checkpoint)
        dying = Dying(place.open(), at, done)
        replicator = Replicator(local, Tier(dying, RUN_ID), IDENTITY, 2, 100)
        replicator.submit(line[4].manifest)
        goes_wrong(replicator)
        replicator.close()
        found = newest_whole(make_tier(tmp_path / "bare"), Tier(place.open(), RUN_ID), pytest.fail)
        assert found in (line[3], line[4])
        outcomes.add(found.manifest.generation)
        assert {1, 2, 4} <= set(generations(Tier(place.open(), RUN_ID)))

        replicate(place, line, tmp_path / "local")
        tier = Tier(place.open(), RUN_ID)
        kept = tier.whole()
        assert {1, 2, 4, 5} <= {manifest.generation for manifest in kept}
        named = {name for manifest in kept for name in (manifest.name, *manifest.files, *manifest.history)}
        left = set(tier.storage.list("")) - named - {"run.json"}
        assert all(name.startswith("sessions/") for name in left) and len(left) == 1
        if dying.count < at:
            break
    assert outcomes == {4, 5}
    assert at > 15
