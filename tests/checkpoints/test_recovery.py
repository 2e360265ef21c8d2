"""The newest whole checkpoint is found and brought home, whatever happened to the files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from damage import DAMAGES, FILES, cut, find, tables
from helpers import WatchedStorage, flip, generations, make_checkpoint, make_line, make_tier, snapshot, table_of

from colab_rl.checkpoints import Manifest, Tier, recovery
from colab_rl.checkpoints.recovery import load_generation, newest_whole, restore_locally
from colab_rl.checkpoints.retention import clear_leftovers
from colab_rl.errors import ColabRLError, StorageError, UsageError


def test_a_run_without_checkpoints_begins(folder, tmp_path):
    assert find(make_tier(folder)) is None
    assert find(make_tier(folder), make_tier(tmp_path / "store")) is None


def test_the_walk_goes_back_as_far_as_it_must(folder, said):
    line = make_line(5)
    tier = make_tier(folder, line)
    flip(folder / line[4].manifest.state_file)
    cut(folder / line[3].manifest.name)
    (folder / table_of(line[2])).unlink()
    assert newest_whole(tier, None, said.append) == line[1]
    assert len(said) == 3
    assert all(line[index].manifest.stem in text or table_of(line[index]) in text
               for index, text in zip((4, 3, 2), said, strict=True))


def test_where_none_is_whole_nothing_is_begun_or_deleted(folder, tmp_path):
    line = make_line(3)
    local, remote = make_tier(folder, line), make_tier(tmp_path / "store", line[:2])
    for checkpoint in line:
        cut(folder / checkpoint.manifest.state_file)
    for checkpoint in line[:2]:
        cut(tmp_path / "store" / checkpoint.manifest.name)
    before = snapshot(tmp_path)
    with pytest.raises(ColabRLError, match="none of the 3 checkpoints of this run is whole; nothing was deleted"):
        newest_whole(local, remote, print)
    assert snapshot(tmp_path) == before


def test_a_run_that_lost_its_folder_of_checkpoints_is_not_begun_again(folder, tmp_path):
    tier = make_tier(folder, make_line(3))
    shutil.rmtree(folder / "checkpoints")
    before = snapshot(tmp_path)
    with pytest.raises(ColabRLError, match="none of the 2 checkpoints of this run is whole; nothing was deleted"):
        newest_whole(tier, None, print)
    assert snapshot(tmp_path) == before


def test_local_is_preferred_and_the_store_is_not_read(folder, tmp_path):
    line = make_line(2)
    remote = Tier((watched := WatchedStorage(tmp_path / "store")), line[0].manifest.run_id)
    make_tier(watched.root, line)
    assert newest_whole(make_tier(folder, line), remote, print) == line[1]
    assert watched.names_of("get") == []


def test_what_cannot_be_looked_at_for_now_is_not_passed_over(tmp_path, monkeypatch):
    def check(manifest: Manifest) -> None:
        if manifest.generation == 3:
            raise StorageError("No space left on device")

    monkeypatch.setattr(recovery, "PAUSES", ())
    tier = make_tier(tmp_path, make_line(3))
    with pytest.raises(StorageError, match=r"generation 3 was found.*No space left on device.*run the same command"):
        newest_whole(tier, None, print, check)


@pytest.mark.parametrize("file", FILES)
def test_what_is_damaged_here_comes_from_the_store(folder, tmp_path, file):
    line = make_line(3)
    local, remote = make_tier(folder, line), make_tier(tmp_path / "store", line)
    flip(folder / FILES[file](line[2]))
    assert newest_whole(local, remote, print) == line[2]


@pytest.mark.parametrize("here", [0, 2])
def test_a_newer_checkpoint_in_the_store_is_taken(folder, tmp_path, here):
    line = make_line(4)
    local, remote = make_tier(folder, line[:here]), make_tier(tmp_path / "store", line)
    assert newest_whole(local, remote, print) == line[3]


class Failing(WatchedStorage):
    """Fails in what `when(call, name)` names."""

    def __init__(self, root: Path, when: Callable[[str, str], bool]):
        super().__init__(root)
        self.when = when

    def before(self, call: str, name: str) -> None:
        if self.when(call, name):
            raise StorageError(f"{call} of {name or 'all'}: Transport endpoint is not connected")


def failing_tier(root: Path, when: Callable[[str, str], bool]) -> Tier:
    return Tier(Failing(root, when), make_checkpoint(1).manifest.run_id)


def test_a_store_that_cannot_be_listed_does_not_stop_a_run_that_is_here(folder, tmp_path, said):
    line = make_line(2)
    remote = failing_tier(tmp_path / "store", lambda call, name: call == "list")
    assert newest_whole(make_tier(folder, line), remote, said.append) == line[1]
    assert "cannot be listed" in said[0]
    assert "not connected" in said[0]


def test_a_store_that_cannot_be_listed_never_begins_a_run_anew(folder, tmp_path):
    with pytest.raises(StorageError, match="not connected"):
        newest_whole(make_tier(folder), failing_tier(tmp_path / "store", lambda call, name: call == "list"), print)


def test_a_disk_that_cannot_be_listed_never_begins_a_run_anew(folder, tmp_path):
    with pytest.raises(StorageError, match="not connected"):
        newest_whole(failing_tier(folder, lambda call, name: True), make_tier(tmp_path / "store", make_line(1)), print)


def test_a_file_that_cannot_be_read_is_skipped(folder, said):
    line = make_line(3)
    make_tier(folder, line)
    tier = failing_tier(folder, lambda call, name: name == line[2].manifest.state_file)
    assert newest_whole(tier, None, said.append) == line[1]
    assert "not connected" in said[0]


@pytest.mark.parametrize("file", FILES)
def test_what_the_store_has_and_cannot_give_for_now_is_not_passed_over(folder, tmp_path, monkeypatch, file):
    monkeypatch.setattr(recovery, "PAUSES", ())
    line, store = make_line(3), tmp_path / "store"
    make_tier(store, line)
    remote = failing_tier(store, lambda call, name: call == "get" and name == FILES[file](line[2]))
    with pytest.raises(StorageError, match=r"generation 3 is in the store.*not connected.*run the same command again"):
        newest_whole(make_tier(folder, line[:2]), remote, print)
    assert newest_whole(make_tier(folder, line), remote, print) == line[2]  # it is here too


@pytest.mark.parametrize("file", FILES)
def test_an_old_file_that_cannot_be_read_stops_nothing(folder, file):
    line = make_line(3)
    make_tier(folder, line)
    tier = failing_tier(folder, lambda call, name: name == FILES[file](line[0]))
    assert newest_whole(tier, None, print) == line[2]
    assert restore_locally(line[2], tier, None, print)
    clear_leftovers(tier, line[2].manifest)
    assert generations(tier) == [2, 3]
    assert set(snapshot(folder)) == {name for one in line for name in (one.manifest.name, *one.manifest.files)}


def test_one_generation_can_be_asked_for(folder, tmp_path):
    line = make_line(3)
    local, remote = make_tier(folder, line), make_tier(tmp_path / "store", line[:2])
    flip(folder / line[1].manifest.state_file)
    assert load_generation(local, remote, 2) == line[1]
    flip(folder / line[2].manifest.state_file)
    with pytest.raises(ColabRLError, match=r"generation 3 cannot be used: .*other content"):
        load_generation(local, remote, 3)
    with pytest.raises(UsageError, match=r"generation 4 not found; available: 1, 2, 3$"):
        load_generation(local, None, 4)


def test_a_new_machine_gets_the_checkpoint_and_its_history(folder, tmp_path, said):
    line = make_line(4)
    local, remote = make_tier(folder), make_tier(tmp_path / "store", line)
    assert restore_locally(line[3], local, remote, said.append) == tables(line)
    assert said == []
    assert generations(local) == [4]
    assert restore_locally(line[3], local, None, said.append) == tables(line)


def test_a_machine_that_has_all_writes_nothing(folder):
    line = make_line(3)
    make_tier(folder, line)
    tier = Tier((watched := WatchedStorage(folder)), line[0].manifest.run_id)
    assert restore_locally(line[2], tier, None, print) == tables(line)
    assert watched.names_of("put") == []


@pytest.mark.parametrize("damage", ["missing", "bit flipped", "empty"])
def test_a_gap_in_the_history_is_said_and_stops_nothing(folder, tmp_path, said, damage):
    line = make_line(4)
    local, remote = make_tier(folder, line), make_tier(tmp_path / "store", line)
    DAMAGES[damage](folder / table_of(line[1]))
    DAMAGES[damage](tmp_path / "store" / table_of(line[1]))
    assert restore_locally(line[3], local, remote, said.append) == tables([line[0], line[2], line[3]])
    assert len(said) == 1
    assert table_of(line[1]) in said[0]
    assert "gap" in said[0]


def test_a_damaged_table_here_is_healed_from_the_store_and_set_aside(folder, tmp_path, said):
    line = make_line(3)
    local, remote = make_tier(folder, line), make_tier(tmp_path / "store", line)
    flip(folder / table_of(line[0]))
    bad = (folder / table_of(line[0])).read_bytes()
    assert restore_locally(line[2], local, remote, said.append) == tables(line)
    assert said == []
    assert local.storage.get(table_of(line[0])) == tables(line)[0]
    assert local.storage.get(table_of(line[0]) + ".bad") == bad


@pytest.mark.parametrize("damage", ["bit flipped", "empty"])
@pytest.mark.parametrize("file", FILES)
def test_damaged_files_of_the_checkpoint_are_set_aside(folder, tmp_path, file, damage):
    line = make_line(3)
    local, remote = make_tier(folder, line), make_tier(tmp_path / "store", line)
    name = FILES[file](line[2])
    DAMAGES[damage](folder / name)
    bad = (folder / name).read_bytes()
    restore_locally(line[2], local, remote, print)
    assert generations(local) == [1, 2, 3]
    assert local.storage.get(name + ".bad") == bad


@pytest.mark.parametrize("file", FILES)
def test_newer_checkpoints_that_are_damaged_are_set_aside(folder, file):
    line = make_line(4)
    tier = make_tier(folder, line)
    before = snapshot(folder)
    flip(folder / FILES[file](line[3]))
    restore_locally(line[2], tier, None, print)
    assert generations(tier) == [1, 2, 3]
    assert len(tier.names()) == 3
    after = snapshot(folder)
    assert len(after) == len(before)  # set aside, and nothing deleted
    assert line[3].manifest.name + ".bad" in after


def test_a_newer_checkpoint_that_is_whole_stays(folder):
    line = make_line(4)
    tier = make_tier(folder, line)
    restore_locally(line[2], tier, None, print)
    assert generations(tier) == [1, 2, 3, 4]
