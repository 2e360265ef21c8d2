"""What is damaged, missing or unreadable on this machine never reaches the store as good."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from helpers import LONG, RUN_ID, WatchedStorage, brought, flip, goes_wrong, make_line, table_of
from troubled_store import files_of, first, in_store, save

from colab_rl.checkpoints import Tier
from colab_rl.checkpoints.retention import prune
from colab_rl.errors import StorageError
from colab_rl.storage import FolderStorage


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
