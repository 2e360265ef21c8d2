"""The store gets every checkpoint, whole, in the end; its trouble is said and stops nothing."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import (
    LONG,
    RUN_ID,
    WatchedStorage,
    brought,
    comes,
    flip,
    generations,
    goes_wrong,
    make_checkpoint,
    make_line,
    make_tier,
    snapshot,
    table_of,
)

from colab_rl.checkpoints import FileRecord, Replicator, Tier, holdings, replication
from colab_rl.checkpoints.claim import Claim
from colab_rl.checkpoints.layout import numbered_name
from colab_rl.checkpoints.recovery import Checkpoint
from colab_rl.checkpoints.retention import prune
from colab_rl.errors import StorageError, StorageRefused
from colab_rl.runs.push import finish
from colab_rl.storage import FolderStorage

IDENTITY = b'{"format": 1, "name": "walker"}'


class Store(WatchedStorage):
    """A store whose trouble a test switches on and off. `open`: it answers only while this is set."""

    def __init__(self, root: Path):
        super().__init__(root)
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()  # somebody has come
        self.fails: Callable[[str, str], bool] = lambda call, name: False
        self.refuses = False
        self.lies: Callable[[str], bool] = lambda name: False
        self.loses: Callable[[str], bool] = lambda name: False

    def before(self, call: str, name: str) -> None:
        self.entered.set()
        assert self.open.wait(LONG)
        if self.refuses:
            raise StorageRefused(f"{name} could not be written: Read-only file system")
        if self.fails(call, name):
            raise StorageError(f"{name} could not be written: No space left on device")

    def put(self, name: str, data: bytes) -> None:
        super().put(name, data[:-1] + b"?" if self.lies(name) else data)

    def after(self, call: str, name: str) -> None:
        if call == "stat" and self.loses(name):
            FolderStorage.delete(self, name)


def first(count: int) -> Callable[..., bool]:
    """True the first `count` times."""
    left = iter(range(count))
    return lambda *_: next(left, None) is not None


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(replication, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(replication, "LONGEST_PAUSE", 0.02)


@pytest.fixture
def local(tmp_path) -> Tier:
    return make_tier(tmp_path / "local")


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def mounted(store, monkeypatch) -> None:
    """The store is a mount, which proves nothing."""
    monkeypatch.setattr("colab_rl.storage.folder.is_fuse", lambda folder: True)
    store.proves = store.consistent = False


@pytest.fixture
def start(local, store) -> Iterator[Callable[..., Replicator]]:
    """Begins a session's replication; all end with the test."""
    begun: list[Replicator] = []

    def begin(keep_last: int = 2, keep_every: int = 100, source: Tier = local) -> Replicator:
        begun.append(Replicator(source, Tier(store, RUN_ID), IDENTITY, keep_last, keep_every))
        return begun[-1]

    yield begin
    store.open.set()
    for replicator in begun:
        replicator.close()


def save(local: Tier, replicator: Replicator, *checkpoints) -> None:
    """What the trainer does: here first, then there."""
    for checkpoint in checkpoints:
        local.commit(*checkpoint)
        replicator.submit(checkpoint.manifest)


def save_while_closed(local: Tier, replicator: Replicator, store: Store, earliest: Checkpoint, *others) -> None:
    """The others come while the earliest is under way; returns when all are in the store."""
    store.open.clear()
    save(local, replicator, earliest)
    assert store.entered.wait(LONG)
    save(local, replicator, *others)
    store.open.set()
    assert brought(replicator)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of the run; sessions' claims are none of it."""
    return {name: content for name, content in snapshot(folder).items() if not name.startswith("sessions/")}


def puts(store: Store) -> list[str]:
    return [name for name in store.names_of("put") if not name.startswith("sessions/")]


def in_store(store: Store) -> list[int]:
    return generations(make_tier(store.root))


def test_run_json_comes_first_and_every_manifest_after_its_files(local, store, start):
    line = make_line(2)
    replicator = start()
    save(local, replicator, *line)
    assert brought(replicator)
    names = puts(store)
    assert names[0] == "run.json"
    assert store.get("run.json") == IDENTITY
    assert names == ["run.json", *line[0].manifest.files, line[0].manifest.name,
                     *line[1].manifest.files, line[1].manifest.name]


def test_where_several_wait_the_newest_goes_first(local, store, start):
    line = make_line(4)
    replicator = start(keep_last=10)
    save_while_closed(local, replicator, store, line[0], *line[1:])
    assert [name for name in puts(store) if name.endswith(".json")] == ["run.json", *(
        line[number].manifest.name for number in (0, 3, 2, 1))]
    assert in_store(store) == [1, 2, 3, 4]


SEGMENT = "replay/0000000000-0000000009-0123abcd.safetensors"


def with_segment(checkpoint: Checkpoint) -> Checkpoint:
    """It needs a replay segment too, the same as others."""
    manifest = checkpoint.manifest
    files = {**manifest.files, SEGMENT: FileRecord.of(b"experience")}
    return Checkpoint(dataclasses.replace(manifest, files=files), {**checkpoint.contents, SEGMENT: b"experience"})


def test_an_older_one_gets_the_segment_again_that_went_with_a_newer_one(local, store, start):
    line = [with_segment(one) if one.manifest.generation in (5, 7) else one for one in make_line(9)]
    replicator = start(keep_last=2, keep_every=5)
    save_while_closed(local, replicator, store, line[0], *line[4:])
    assert in_store(store) == [1, 5, 8, 9]


def test_an_older_one_gets_the_segment_again_that_went_before_making_room_failed(local, store, start):
    line = make_line(9)
    for generation in (5, 7):
        checkpoint = with_segment(line[generation - 1])
        files = {SEGMENT: checkpoint.manifest.files[SEGMENT], **checkpoint.manifest.files}  # goes first
        line[generation - 1] = checkpoint._replace(manifest=dataclasses.replace(checkpoint.manifest, files=files))
    failing = first(1)
    store.fails = lambda call, name: call == "delete" and name == line[6].manifest.state_file and failing()
    replicator = start(keep_last=2, keep_every=5)
    store.open.clear()
    save(local, replicator, line[0], line[4], line[6], *line[7:])
    store.open.set()
    assert replicator.wait(LONG)
    assert not failing() and in_store(store) == [1, 5, 8, 9]
    assert line[6].manifest.state_file not in store.list("checkpoints/")  # it went at the next try


def test_what_makes_room_leaves_the_segments_of_those_that_are_not_certain_yet(
        local, store, start, mounted, monkeypatch):
    line = [with_segment(one) if one.manifest.generation in (2, 5) else one for one in make_line(6)]
    replicator = start(keep_last=3)
    for checkpoint in line:
        monkeypatch.setattr(holdings, "SETTLED", 3600.0 if checkpoint is line[4] else 0.0)
        save(local, replicator, checkpoint)
        assert brought(replicator)
    assert in_store(store) == [1, 3, 4, 5, 6]


@pytest.fixture(params=["mount", "disk"])
def kind(request) -> None:
    """The store is one or the other."""
    if request.param == "mount":
        request.getfixturevalue("mounted")


@pytest.mark.parametrize("lost", ["manifest", "state", "cut", "table", "segment", "run.json", "everything"])
@pytest.mark.parametrize("noticed", [True, False], ids=["failed", "unnoticed"])
def test_what_the_store_lost_in_mid_session_is_brought_again(local, store, kind, start, noticed, lost):
    """A mount died, and came back without what it had taken; somebody threw a file away."""
    line = [with_segment(checkpoint) for checkpoint in make_line(3)]
    replicator = start(keep_last=10)
    save(local, replicator, *line[:2])
    assert brought(replicator)
    names = {"manifest": line[0].manifest.name, "state": line[1].manifest.state_file, "table": table_of(line[1]),
             "segment": SEGMENT, "run.json": "run.json"}
    for name in names.values() if lost == "everything" else [names.get(lost, names["state"])]:
        if lost == "cut":
            (store.root / name).write_bytes(b"")
        else:
            (store.root / name).unlink()
    if noticed:
        store.fails = first(1)
    save(local, replicator, line[2])
    assert replicator.wait(LONG)
    assert in_store(store) == [1, 2, 3]
    found = files_of(store.root)
    assert found.pop(line[1].manifest.state_file + ".bad", b"") == b""  # as it had been left
    assert found == {**snapshot(local.storage.root), "run.json": IDENTITY}


@pytest.mark.parametrize("old", ["manifest", "table", "cut"])
def test_one_old_listing_of_a_mount_does_not_bring_everything_again(local, store, start, mounted, capsys, old):
    line, replicator, listing, once = make_line(3), start(keep_last=9), store.list, first(1)
    save(local, replicator, *line[:2])
    assert brought(replicator)
    name = {"manifest": line[0].manifest.name, "table": table_of(line[0]), "cut": line[0].manifest.state_file}[old]

    def list_then(prefix: str) -> dict[str, int]:
        found = listing(prefix)
        if prefix and name in found and once():  # not where run.json alone is looked for
            del found[name]
            found |= {name: 0} if old == "cut" else {}
        return found

    store.list = list_then
    save(local, replicator, line[2])
    assert brought(replicator)
    assert not once() and "copying everything again" not in capsys.readouterr().err


@pytest.mark.parametrize("settled", [3600.0, 0.0])
def test_on_a_mount_that_nobody_can_ask_only_what_is_old_makes_room(
        local, store, start, mounted, monkeypatch, settled):
    monkeypatch.setattr(holdings, "SETTLED", settled)
    for part in (slice(0, 4), slice(4, 6)):  # two sessions: one finds what the other wrote
        replicator = start()
        for checkpoint in make_line(6)[part]:
            save(local, replicator, checkpoint)
            assert brought(replicator)
        replicator.close()
    assert in_store(store) == ([1, 2, 3, 4, 5, 6] if settled else [1, 5, 6])


def test_the_store_ends_with_the_same_files(local, store, start, tmp_path):
    replicator = start(keep_last=10)
    save(local, replicator, *make_line(4))
    assert brought(replicator)
    assert files_of(store.root) == {**snapshot(tmp_path / "local"), "run.json": IDENTITY}


def test_pending_and_verified_tell_where_a_checkpoint_is(local, store, start):
    line = make_line(2)
    replicator = start()
    store.open.clear()
    save(local, replicator, *line)
    assert store.entered.wait(LONG)
    assert replicator.pending == 2
    assert not replicator.wait(0.01)
    assert not any(replicator.state(one.manifest) == "verified" for one in line)
    assert replicator.error is None  # slow is not wrong
    store.open.set()
    assert brought(replicator)
    assert replicator.pending == 0
    assert all(replicator.state(one.manifest) == "verified" for one in line)
    assert replicator.error is None


@pytest.mark.parametrize("call", ["put", "stat", "list"])
def test_a_store_that_fails_is_tried_until_it_does_not(local, store, start, call):
    line = make_line(3)
    replicator = start()
    store.fails = lambda failing, name: failing == call
    save(local, replicator, *line)
    asked = time.monotonic()
    assert goes_wrong(replicator)
    assert time.monotonic() - asked < LONG / 2  # at once: the store has failed
    assert "No space left on device" in replicator.error
    assert replicator.pending == 3
    assert replicator.state(line[0].manifest) != "verified"
    store.fails = lambda failing, name: False
    assert replicator.wait(LONG)
    assert replicator.error is None
    assert in_store(store) == [1, 2, 3]


@pytest.mark.parametrize("count", [1, 4])
def test_each_call_may_fail_a_few_times(local, store, start, count):
    replicator = start(keep_last=10)
    failures: dict[tuple[str, str], int] = {}

    def fails(call, name):
        failures[call, name] = failures.get((call, name), 0) + 1
        return failures[call, name] <= count

    store.fails = fails
    save(local, replicator, *make_line(2))
    assert replicator.wait(LONG)
    assert replicator.error is None
    store.fails = lambda call, name: False
    assert in_store(store) == [1, 2]


@pytest.mark.parametrize("suffix", ["run.json", ".safetensors", ".csv", ".json"])
def test_a_store_that_lies_is_found_out(local, store, start, suffix):
    line = make_line(3)
    replicator = start()
    save(local, replicator, line[0])
    assert brought(replicator)
    store.delete("run.json")
    replicator = start()  # the next session
    store.lies = lambda name: name.endswith(suffix)
    save(local, replicator, *line[1:])
    assert goes_wrong(replicator)
    assert "other than it was written" in replicator.error
    assert replicator.state(line[1].manifest) != "verified"
    assert in_store(store) == [1]
    store.lies = lambda name: False
    assert replicator.wait(LONG)
    assert in_store(store) == [1, 2, 3]
    assert store.get("run.json") == IDENTITY


def test_a_store_that_lies_a_few_times_is_written_again(local, store, start):
    replicator = start()
    store.lies = first(5)
    save(local, replicator, *make_line(2))
    assert replicator.wait(LONG)
    assert in_store(store) == [1, 2]


def test_a_checkpoint_that_cannot_be_brought_holds_up_nothing_newer(local, store, start):
    line, replicator = make_line(4), start(keep_last=10)
    store.lies = lambda name: name == line[1].manifest.state_file
    save(local, replicator, line[0])
    assert brought(replicator)
    save(local, replicator, line[1])
    assert goes_wrong(replicator)
    save(local, replicator, *line[2:])
    assert replicator.wait_for_any([line[1].manifest, line[2].manifest], LONG)
    assert replicator.wait_for_any([line[2].manifest], LONG) and replicator.wait_for_any([line[3].manifest], LONG)
    assert replicator.pending == 1 and not replicator.wait_for_any([line[1].manifest], 0.01)
    assert in_store(store) == [1, 3, 4]
    store.lies = lambda name: False
    assert replicator.wait(LONG)
    assert in_store(store) == [1, 2, 3, 4]


@pytest.mark.parametrize("stuck", [[5], [4, 5], [3]], ids=str)
def test_a_checkpoint_that_cannot_be_brought_holds_up_nothing_older(local, store, start, stuck):
    line, replicator = make_line(5), start(keep_last=10)
    store.lies = lambda name: name in [line[generation - 1].manifest.state_file for generation in stuck]
    store.open.clear()
    save(local, replicator, *line)
    store.open.set()
    assert comes(lambda: replicator.pending == len(stuck))
    assert in_store(store) == [generation for generation in range(1, 6) if generation not in stuck]
    store.lies = lambda name: False
    assert replicator.wait(LONG)
    assert in_store(store) == [1, 2, 3, 4, 5]


def test_a_metrics_table_that_stays_wrong_in_the_store_costs_a_gap_and_nothing_else(local, store, start, capsys):
    line, replicator = make_line(5), start(keep_last=10)
    save(local, replicator, line[0])
    assert brought(replicator)
    store.lies = lambda name: name == table_of(line[1])
    save(local, replicator, *line[1:])
    assert comes(lambda: replicator.pending == 1)
    assert in_store(store) == [1, 3, 4, 5]
    store.lies = lambda name: False
    assert replicator.wait(LONG)
    assert in_store(store) == [1, 2, 3, 4, 5]
    assert snapshot(store.root)[table_of(line[1])] == line[1].contents[table_of(line[1])]
    assert capsys.readouterr().err.count(f"continuing without {table_of(line[1])}") == 1


def test_after_a_store_was_away_the_newest_goes_first(local, store, start):
    line, replicator = make_line(5), start(keep_last=10)
    save(local, replicator, line[0])
    assert brought(replicator)
    store.fails = lambda call, name: True
    tries = len(store.calls)
    save(local, replicator, *line[1:])
    assert comes(lambda: len(store.calls) >= tries + 7)
    store.fails = lambda call, name: False
    assert replicator.wait(LONG)
    assert [name for name in puts(store) if name in [one.manifest.name for one in line[1:]]] == [
        one.manifest.name for one in reversed(line[1:])]


def test_between_tries_of_what_cannot_be_brought_the_pauses_grow(local, store, start, monkeypatch):
    monkeypatch.setattr(replication, "LONGEST_PAUSE", 10 * LONG)
    line, replicator = make_line(3), start()
    store.fails = lambda call, name: call == "put" and name.endswith(".csv")
    save(local, replicator, *line)
    began = time.monotonic()
    assert comes(lambda: sum(name.endswith(".csv") for name in puts(store)) == 6)
    assert time.monotonic() - began >= 0.01 * (1 + 1.6 + 2.56 + 4.096 + 6.5536)  # at the least, by chance


def test_a_file_that_stays_wrong_however_often_it_is_replaced_is_set_aside_once(local, store, start):
    """As a Drive does that has a wrong MD5 of it."""
    line, replicator = make_line(1), start()
    name = line[0].manifest.state_file
    store.lies = lambda put: put == name and not store.names_of("set_aside")
    save(local, replicator, *line)
    assert replicator.wait(LONG)
    assert store.names_of("put").count(name) == 3 and store.names_of("set_aside") == [name]
    assert in_store(store) == [1]


def test_while_the_newest_is_lost_nothing_is_deleted_in_the_store(local, store, start):
    line = make_line(5)
    replicator = start()
    save(local, replicator, *line[:4])
    assert brought(replicator)
    assert in_store(store) == [1, 3, 4]
    # The state arrives and is read back; by the time that retention looks again it is gone.
    store.loses = lambda name: name == line[4].manifest.state_file
    save(local, replicator, line[4])
    assert brought(replicator)
    assert in_store(store) == [1, 3, 4]


def test_what_the_store_lost_is_brought_again_by_the_next_session(local, store, start, tmp_path):
    line = make_line(4)
    replicator = start(keep_last=10)
    save(local, replicator, *line)
    assert brought(replicator)
    replicator.close()
    for name in (line[3].manifest.state_file, line[2].manifest.name, table_of(line[0])):
        (store.root / name).unlink()
    flip(store.root / line[1].manifest.state_file)
    replicator = start(keep_last=10)
    for checkpoint in line:
        replicator.submit(checkpoint.manifest)
    assert brought(replicator)
    found = files_of(store.root)
    assert found.pop(line[1].manifest.state_file + ".bad")  # set aside, not overwritten
    assert found == {**snapshot(tmp_path / "local"), "run.json": IDENTITY}


def done_again(checkpoint: Checkpoint, seconds: float) -> Checkpoint:
    """As a session elsewhere made it: the state is the same, the time that it took and its table are not."""
    manifest, name = checkpoint.manifest, table_of(checkpoint)
    data = checkpoint.contents[name].replace(b"\n", b"\n\n")
    table = numbered_name("metrics/", manifest.generation, FileRecord.of(data).sha256, "csv")
    files = {table: FileRecord.of(data), manifest.state_file: manifest.files[manifest.state_file]}
    return Checkpoint(dataclasses.replace(manifest, seconds=seconds, files=files),
                      {table: data, manifest.state_file: checkpoint.state})


def test_a_checkpoint_that_another_session_brought_is_kept_as_that_one_wrote_it(local, store, start, witness):
    line = make_line(6, {2: 9.0})
    theirs = done_again(line[1], 99.0)
    assert theirs.manifest.stem == line[1].manifest.stem and theirs.manifest != line[1].manifest
    make_tier(store.root, [line[0], theirs, make_checkpoint(3, theirs, salt=7)])
    replicator = start()
    save(local, replicator, line[1])
    assert brought(replicator)
    assert replicator.wait_confirmed(LONG)  # Drive has theirs, and is not asked for ours
    for checkpoint in line[2:]:
        save(local, replicator, checkpoint)
        assert brought(replicator) and replicator.wait_confirmed(LONG)
    assert replicator.state(line[1].manifest) == "verified"
    assert comes(lambda: in_store(store) == [1, 2, 5, 6])
    assert Tier(store, RUN_ID).read(theirs.manifest.name) == theirs.manifest


@pytest.mark.parametrize("how", ["other state", "torn"])
def test_another_sessions_checkpoint_that_is_none_is_replaced(local, store, start, how):
    line = make_line(2)
    theirs = done_again(line[1], 99.0)
    manifest = dataclasses.replace(theirs.manifest, state_sha256="0" * 64) if how == "other state" else theirs.manifest
    make_tier(store.root, [line[0], theirs._replace(manifest=manifest)])
    if how == "torn":
        (store.root / table_of(theirs)).unlink()
    replicator = start()
    save(local, replicator, *line)
    assert brought(replicator)
    assert Tier(store, RUN_ID).read(line[1].manifest.name) == line[1].manifest
    assert store.list("checkpoints/")[line[1].manifest.name + ".bad"]


def test_what_the_store_has_is_not_written_again(local, store, start):
    """Write once: a session that ends early must not leave a good manifest cut."""
    line = make_line(3)
    replicator = start()
    save(local, replicator, *line)
    assert brought(replicator)
    replicator.close()
    store.calls.clear()
    replicator = start()
    for checkpoint in line:
        replicator.submit(checkpoint.manifest)
    assert brought(replicator)
    assert all(replicator.state(one.manifest) == "verified" for one in line)
    assert puts(store) == []


def test_a_store_that_is_ahead_of_this_machine_is_said(local, store, start, capsys):
    """It could not be listed when the session began, and does when it saves."""
    line = make_line(8)
    make_tier(store.root, [line[0], *line[5:7]])
    replicator = start()
    save(local, replicator, line[0], make_checkpoint(2, line[0], salt=7))
    assert brought(replicator)
    assert "is ahead: it holds generation 7, this machine " in capsys.readouterr().err
    assert in_store(store) == [1, 6, 7]
    replicator.close()
    save(local, replicator := start(), *line[5:])
    assert brought(replicator)
    assert in_store(store) == [1, 7, 8]


def test_a_store_that_is_behind_is_not_called_ahead(local, store, start, capsys):
    line = make_line(6)
    make_tier(store.root, line[:4])
    for checkpoint in line[:5]:
        local.commit(*checkpoint)
    replicator = start()
    replicator.submit(line[0].manifest)
    save(local, replicator, line[5])
    assert brought(replicator)
    assert "ahead" not in capsys.readouterr().err


def test_what_was_swept_is_brought_with_the_checkpoint_that_needs_it(local, store, start, capsys):
    """The session before was killed: of 5 the store has the files and no manifest, and 6 went before it."""
    line = make_line(6, {5: 9.0})
    make_tier(store.root, [*line[:4], line[5]])
    for name, data in line[4].contents.items():
        FolderStorage(store.root).put(name, data)
    claims, manifest = iter((False, False, True)), first(1)

    def fails(call: str, name: str) -> bool:
        if call == "list" and name == "sessions/":
            return next(claims, False)  # at the end of 6
        return call == "put" and name == line[4].manifest.name and manifest()

    store.fails = fails
    for checkpoint in line:
        local.commit(*checkpoint)
    store.open.clear()
    replicator = start(keep_last=3)
    replicator.submit(line[5].manifest)
    assert store.entered.wait(LONG)
    replicator.submit(line[4].manifest)
    store.open.set()
    assert replicator.wait(LONG)
    assert next(claims, None) is None and not manifest()
    assert line[4].manifest.state_file in store.names_of("delete")
    assert in_store(store) == [1, 4, 5, 6]
    assert "no longer" not in capsys.readouterr().err


def test_the_store_keeps_by_the_same_rules_what_earlier_sessions_brought(local, store, start):
    line = make_line(9, {2: 5.0})
    replicator = start(keep_every=4)
    save(local, replicator, *line[:5])
    assert brought(replicator)
    assert in_store(store) == [1, 2, 4, 5]
    replicator.close()
    replicator = start(keep_every=4)
    save(local, replicator, *line[5:])
    assert brought(replicator)
    assert in_store(store) == [1, 2, 4, 8, 9]


def damage_here(local: Tier, name: str) -> None:
    assert isinstance(local.storage, FolderStorage)
    flip(local.storage.root / name)


@pytest.mark.parametrize("kind", ["state", "table"])
def test_what_is_damaged_here_is_never_brought_as_good(local, store, start, kind, capsys):
    line = make_line(4)
    replicator = start(keep_last=10)
    save(local, replicator, *line[:2])
    assert brought(replicator)
    local.commit(*line[2])
    damage_here(local, line[2].manifest.state_file if kind == "state" else table_of(line[2]))
    replicator.submit(line[2].manifest)
    assert replicator.wait(LONG)
    assert "generation 3 cannot go to the store" in capsys.readouterr().err
    assert replicator.state(line[2].manifest) != "verified"
    assert line[2].manifest.name not in store.list("")
    assert in_store(store) == [1, 2]
    save(local, replicator, line[3])  # its history names the damaged table: a gap there, and nothing else
    assert replicator.wait(LONG)
    assert in_store(store) == [1, 2, 4]


def test_what_is_damaged_here_and_whole_in_the_store_stays_there(local, store, start):
    line = make_line(2)
    replicator = start()
    save(local, replicator, *line)
    assert brought(replicator)
    replicator.close()
    before = files_of(store.root)
    damage_here(local, line[1].manifest.state_file)
    replicator = start()
    replicator.submit(line[1].manifest)
    assert brought(replicator)
    assert replicator.state(line[1].manifest) == "verified"
    assert files_of(store.root) == before


def test_a_generation_pruned_here_meanwhile_is_skipped_without_an_error(local, store, start):
    line = make_line(6)
    replicator = start()
    store.open.clear()
    save(local, replicator, *line)
    prune(local, {one.manifest.stem: one.manifest for one in line}, keep_last=2, keep_every=100)
    store.open.set()
    assert brought(replicator)
    assert replicator.error is None
    assert in_store(store) == [1, 5, 6]


def test_a_new_store_gets_the_rows_of_generations_that_were_pruned_here(local, store, start):
    line = make_line(6)
    for checkpoint in line:
        local.commit(*checkpoint)
    prune(local, {one.manifest.stem: one.manifest for one in line}, keep_last=2, keep_every=100)
    replicator = start()
    for manifest in reversed(list(local.whole())):
        replicator.submit(manifest)
    assert brought(replicator)
    assert in_store(store) == [1, 5, 6]
    assert set(store.list("metrics/")) == {table_of(one) for one in line}


class BadDisk(WatchedStorage):
    """This machine's disk, some of whose calls fail for a while."""

    fails: Callable[[str, str], bool] = staticmethod(lambda call, name: False)

    def before(self, call: str, name: str) -> None:
        if self.fails(call, name):
            raise StorageError(f"{name} could not be read: Input/output error")


@pytest.fixture
def bad_disk(tmp_path) -> Tier:
    return Tier(BadDisk(tmp_path / "local"), RUN_ID)


def test_a_disk_that_cannot_be_read_for_a_moment_is_read_again(bad_disk, store, start):
    line = make_line(2)
    replicator = start(source=bad_disk)
    failing = first(2)
    bad_disk.storage.fails = lambda call, name: call == "get" and name == line[0].manifest.state_file and failing()
    save(bad_disk, replicator, *line)
    assert replicator.wait(LONG)
    assert all(replicator.state(one.manifest) == "verified" for one in line)
    assert in_store(store) == [1, 2]


def test_a_disk_that_fails_altogether_for_a_moment_does_not_end_replication(bad_disk, store, start):
    line = make_line(2)
    failing = threading.Event()
    bad_disk.storage.fails = lambda call, name: failing.is_set()
    bad_disk.commit(*line[0])
    failing.set()
    replicator = start(source=bad_disk)
    replicator.submit(line[0].manifest)
    assert goes_wrong(replicator)
    assert "Input/output error" in replicator.error
    failing.clear()
    save(bad_disk, replicator, line[1])
    assert replicator.wait(5.0)
    assert replicator.state(line[1].manifest) == "verified"


def test_a_refusal_is_not_waited_for_and_what_may_pass_is(local, store, start):
    replicator, (one, two) = start(), make_line(2)
    store.fails = first(3)
    save(local, replicator, one)
    assert replicator.wait(LONG)
    store.refuses = True
    save(local, replicator, two)
    began = time.monotonic()
    assert not replicator.wait(LONG)
    assert replicator.refused and time.monotonic() - began < LONG / 2
    store.refuses = False
    replicator.close()


@pytest.fixture
def witness(store, mounted, monkeypatch) -> Store:
    """Drive itself, behind the store, which is a mount; asked without a pause."""
    monkeypatch.setattr(replication, "CONFIRM_PAUSE", 0.01)
    store.witness = Store(store.root)
    store.witness.service = "Drive"
    return store.witness


def test_a_witness_that_refuses_ends_no_wait_for_the_mount(local, store, start, witness, capsys):
    replicator, (one, two) = start(), make_line(2)
    witness.refuses = True
    save(local, replicator, one)
    assert comes(lambda: replicator.witness_refused)
    assert not replicator.refused and replicator.error is None
    store.open.clear()
    save(local, replicator, two)
    threading.Timer(0.2, store.open.set).start()
    finish(replicator)
    assert replicator.pending == 0 and replicator.unconfirmed == 2  # which is not waited for
    assert "were not seen in Drive itself" in capsys.readouterr().err
    witness.refuses = False
    assert replicator.wait_confirmed(LONG)
    assert replicator.witness_error is None and not replicator.witness_refused
    assert {replicator.state(checkpoint.manifest) for checkpoint in (one, two)} == {"verified"}


@pytest.mark.parametrize("when", ["the first is gone", "a manifest is gone"])
def test_a_mount_that_fails_while_room_is_made_is_not_said_to_have_lost_what_went(
        local, store, start, witness, capsys, when):
    replicator, line = start(), make_line(6)
    witness.fails = lambda call, name: True
    for checkpoint in line[:5]:
        save(local, replicator, checkpoint)
        assert brought(replicator)
    fails_at = line[2].manifest.name if when == "the first is gone" else line[2].manifest.state_file
    store.fails = lambda call, name: call == "delete" and name == fails_at
    witness.fails = lambda call, name: False
    assert comes(lambda: replicator.error is not None)
    assert in_store(store) == ([1, 3, 4, 5] if when == "the first is gone" else [1, 4, 5])
    store.fails = lambda call, name: False
    save(local, replicator, line[5])
    # This machine has kept them all: what had made room is brought again, and makes room again.
    assert comes(lambda: not replicator.pending and not replicator.unconfirmed and in_store(store) == [1, 5, 6])
    assert brought(replicator)
    assert "no longer" not in capsys.readouterr().err
    named = {name for one in (line[0], *line[4:]) for name in (*one.manifest.files, *one.manifest.history,
                                                              one.manifest.name)}
    assert comes(lambda: set(files_of(store.root)) == {*named, "run.json"})


@pytest.mark.parametrize("noticed", ["idle", "writing"])
def test_a_session_that_was_overtaken_makes_no_room_in_the_newer_ones_store(
        local, store, start, witness, monkeypatch, noticed):
    if noticed == "writing":
        monkeypatch.setattr(replication, "CONFIRM_PAUSE", 10 * LONG)
    replicator, line = start(), make_line(5)
    witness.fails = lambda call, name: True
    save(local, replicator, *line[:4])
    assert brought(replicator)
    assert in_store(store) == [1, 2, 3, 4]
    Claim(FolderStorage(store.root)).take()
    witness.fails = lambda call, name: False
    if noticed == "writing":
        store.entered.clear()
        store.open.clear()
        save(local, replicator, line[4])
        assert store.entered.wait(LONG)
        monkeypatch.setattr(replication, "CONFIRM_PAUSE", 0.0)
        store.open.set()
    assert comes(lambda: replicator.overtaken is not None or not replicator.unconfirmed)
    replicator.close()
    assert in_store(store) == [1, 2, 3, 4]
    assert replicator.overtaken is not None
    assert noticed == "idle" or not witness.calls


def test_nothing_is_verified_while_the_witness_lacks_run_json(local, store, start, witness):
    """The one file without which a bare machine finds no run; a mount sends what it took in any order."""
    def behind(names):
        return {name: found for name, found in stats(names).items() if name != "run.json"}

    line, replicator, stats = make_line(4), start(), witness.stats
    witness.stats = behind
    for checkpoint in line:
        save(local, replicator, checkpoint)
        assert brought(replicator)
    asked = len(witness.calls)
    assert comes(lambda: len(witness.calls) > asked + 20)
    assert {replicator.state(one.manifest) for one in line} == {"written"} and in_store(store) == [1, 2, 3, 4]
    witness.stats = stats
    assert replicator.wait_confirmed(LONG)
    assert comes(lambda: in_store(store) == [1, 3, 4])


@pytest.mark.parametrize("lacks", ["state", "table", "manifest"])
def test_verified_is_only_what_the_witness_has_whole(local, store, start, witness, lacks):
    replicator, (one,) = start(), make_line(1)
    name = {"state": one.manifest.state_file, "table": table_of(one), "manifest": one.manifest.name}[lacks]
    stats = witness.stats
    witness.stats = lambda names: {found: stat for found, stat in stats(names).items() if found != name}
    save(local, replicator, one)
    assert brought(replicator)
    asked = len(witness.calls)
    assert comes(lambda: len(witness.calls) > asked + 20)
    assert replicator.state(one.manifest) == "written"
    witness.stats = stats
    assert replicator.wait_confirmed(LONG)


@pytest.mark.parametrize("who", ["store", "witness"])
def test_what_nobody_thought_of_does_not_end_replication(local, store, start, witness, who):
    line, replicator, once = make_line(2), start(), first(1)

    def fails(call: str, name: str) -> bool:
        if once():
            raise RuntimeError("a bug")
        return False

    (store if who == "store" else witness).fails = fails
    store.open.clear()
    save(local, replicator, *line)
    store.open.set()
    assert replicator.wait(LONG) and replicator.wait_confirmed(LONG)
    assert in_store(store) == [1, 2] and not once()
    store.fails = fails = lambda call, name: 1 / 0
    save(local, replicator, *make_line(3)[2:])
    assert goes_wrong(replicator)
    assert replicator.error == "unexpected ZeroDivisionError: division by zero"


def test_a_session_that_is_overtaken_while_it_brings_makes_no_room(local, store, start):
    line, replicator = make_line(4), start()
    save(local, replicator, *line[:3])
    assert brought(replicator)
    assert in_store(store) == [1, 2, 3]
    store.after = lambda call, name: (
        Claim(FolderStorage(store.root)).take() if (call, name) == ("put", line[3].manifest.name) else None)
    save(local, replicator, line[3])
    assert comes(lambda: replicator.overtaken is not None or not replicator.pending)
    replicator.close()
    assert replicator.overtaken is not None and in_store(store) == [1, 2, 3, 4]


def test_a_session_that_is_overtaken_as_it_begins_writes_nothing_more(local, store, start):
    line = make_line(2)
    began = first(1)
    store.after = lambda call, name: (
        Claim(FolderStorage(store.root)).take() if call == "put" and name.startswith("sessions/") and began() else None)
    replicator = start()
    save(local, replicator, *line)
    assert comes(lambda: replicator.overtaken is not None or not replicator.pending)
    replicator.close()
    assert replicator.overtaken is not None and puts(store) == ["run.json"] and not store.names_of("delete")


def test_only_what_two_looks_agree_on_is_swept(local, store, start):
    """One listing of manifests may be an old one; the files that it does not name would go."""
    line = make_line(4)
    make_tier(store.root, line[:3])
    newest, hidden = line[2].manifest.name, line[1].manifest.name
    replicator, listing, looks = None, store.list, []

    def old(prefix: str) -> dict[str, int]:
        found = listing(prefix)
        if prefix == "checkpoints/":
            looks.append(prefix)
            if len(looks) <= 3:  # the listings of the first look
                found.pop(hidden, None)
        return found

    store.list = old
    replicator = start(keep_last=9)
    save(local, replicator, *line)
    assert brought(replicator) and len(looks) > 3 and newest in listing("checkpoints/")
    assert line[1].manifest.state_file not in store.names_of("delete")
    assert in_store(store) == [1, 2, 3, 4]


def test_close_ends_at_once_a_session_whose_store_fails(local, store, start, monkeypatch):
    monkeypatch.setattr(replication, "FIRST_PAUSE", 10 * LONG)
    replicator = start()
    store.fails = lambda call, name: True
    save(local, replicator, *make_line(2))
    assert goes_wrong(replicator)
    closing = threading.Thread(target=replicator.close)
    closing.start()
    closing.join(4.0)
    assert not closing.is_alive()
    assert replicator.pending == 2
    tries = len(store.calls)
    store.fails = lambda call, name: False
    assert not replicator.wait(0.05)
    assert len(store.calls) == tries


def test_close_ends_an_idle_session_at_once(local, store, start):
    replicator = start()
    save(local, replicator, *make_line(1))
    assert brought(replicator)
    closing = threading.Thread(target=replicator.close)
    closing.start()
    closing.join(4.0)
    assert not closing.is_alive()
    assert in_store(store) == [1]


def test_close_does_not_wait_for_ever_for_a_store_that_hangs(local, store, start):
    replicator = start()
    store.open.clear()
    save(local, replicator, *make_line(2))
    assert store.entered.wait(LONG)
    closing = threading.Thread(target=replicator.close)
    closing.start()
    closing.join(LONG)
    assert not closing.is_alive()
    assert replicator.pending == 2


def test_what_stayed_pending_is_brought_by_the_next_session(local, store, start):
    line = make_line(3)
    replicator = start()
    store.fails = lambda call, name: True
    save(local, replicator, *line)
    assert goes_wrong(replicator)
    replicator.close()
    store.fails = lambda call, name: False
    replicator = start()
    for manifest in reversed(list(local.whole())):
        replicator.submit(manifest)
    assert brought(replicator)
    assert in_store(store) == [1, 2, 3]


def test_another_run_of_the_same_name_keeps_its_identity(local, store, start):
    """A mount that was away when the session began: the folder turns out to be another run's."""
    other = b'{"format": 1, "name": "walker", "run_id": "other"}'
    store.put("run.json", other)
    replicator = start()
    save(local, replicator, *make_line(1))
    assert goes_wrong(replicator)
    assert "holds another run" in replicator.error
    replicator.close()
    assert store.list("") == {"run.json": len(other)}
