"""A kill, or a failing call, at any moment leaves a whole checkpoint; a naive store fails these tests."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from damage import FILES, naive_file, naive_find, tables, verified
from helpers import DyingStorage, flip, generations, make_line, make_tier, restore, snapshot, table_of

from colab_rl.checkpoints import Tier
from colab_rl.checkpoints.recovery import newest_whole, restore_locally
from colab_rl.checkpoints.retention import clear_leftovers, prune
from colab_rl.errors import StorageError
from colab_rl.storage import FolderStorage


@pytest.mark.parametrize("for_good", [True, False], ids=["kill", "hiccup"])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_at_every_call_of_a_save_the_old_or_the_new_checkpoint_is_whole(folder, done, for_good):
    line = make_line(5, {2: 4.0})
    make_tier(folder, line[:4])
    image = snapshot(folder)
    outcomes = set()
    for at in itertools.count(1):
        restore(folder, image)
        storage = DyingStorage(folder, at, done, for_good)
        tier, known = Tier(storage, line[0].manifest.run_id), verified(line[:4])
        error = None
        try:
            tier.commit(*line[4])
            known[line[4].manifest.stem] = line[4].manifest
            prune(tier, known, keep_last=2, keep_every=100)
        except StorageError as caught:
            error = caught
        fresh = make_tier(folder)
        found = newest_whole(fresh, None, pytest.fail)
        assert found in (line[3], line[4])
        assert {1, 2, 4} <= set(generations(fresh))
        assert restore_locally(found, fresh, None, pytest.fail) == tables(line[:found.manifest.generation])
        clear_leftovers(fresh, found.manifest)
        prune(fresh, {manifest.stem: manifest for manifest in fresh.whole()}, keep_last=2, keep_every=100)
        assert newest_whole(fresh, None, pytest.fail) == found
        outcomes.add(found.manifest.generation)
        if not storage.failed:
            assert error is None
            assert found == line[4]
            break
    assert at > 10  # both saving and pruning were reached
    assert outcomes == {4, 5}


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("file", FILES)
def test_a_kill_at_any_call_while_a_checkpoint_is_brought_home_loses_nothing(folder, tmp_path, file, done):
    line = make_line(4)
    remote = make_tier(tmp_path / "store", line)
    make_tier(folder, line)
    flip(folder / FILES[file](line[3]))
    flip(folder / table_of(line[1]))
    image = snapshot(folder)
    for at in itertools.count(1):
        restore(folder, image)
        storage = DyingStorage(folder, at, done, for_good=True)
        with contextlib.suppress(StorageError):
            restore_locally(line[3], Tier(storage, line[0].manifest.run_id), remote, lambda text: None)
        fresh = make_tier(folder)
        assert newest_whole(fresh, remote, lambda text: None) == line[3]
        assert {1, 3} <= set(generations(fresh))
        assert restore_locally(line[3], fresh, remote, pytest.fail) == tables(line)
        assert newest_whole(fresh, None, pytest.fail) == line[3]
        if not storage.failed:
            break
    assert at > 5


class Recording(FolderStorage):
    """Notes what changes, in its order."""

    def __init__(self, root: Path):
        super().__init__(root)
        self.changes: list[tuple[str, bytes | None]] = []  # None: deleted

    def put(self, name: str, data: bytes) -> None:
        super().put(name, data)
        self.changes.append((name, data))

    def delete(self, name: str) -> None:
        super().delete(name)
        self.changes.append((name, None))


def crashes(image: Mapping[str, bytes], changes: list[tuple[str, bytes | None]],
            unsynced: int) -> Iterator[dict[str, bytes]]:
    """Every folder that can be left of `image` when the power goes during `changes`.

    At each moment the last `unsynced` changes are each there, not there, empty or cut in half.
    """
    for moment in range(len(changes) + 1):
        durable = max(0, moment - unsynced)
        for fates in itertools.product(("there", "dropped", "empty", "half"), repeat=moment - durable):
            if any(change[1] is None and fate in ("empty", "half")
                   for change, fate in zip(changes[durable:moment], fates, strict=True)):
                continue  # a deletion is there or not
            files = dict(image)
            for (name, data), fate in zip(changes[:moment], ("there",) * durable + fates, strict=True):
                if fate == "dropped":
                    continue
                if data is None:
                    files.pop(name, None)
                else:
                    files[name] = {"there": data, "empty": b"", "half": data[:len(data) // 2]}[fate]
            yield files


def test_whatever_subset_of_the_last_writes_is_lost_the_old_or_the_new_checkpoint_is_whole(folder):
    """Three changes are in flight: more than a disk leaves open after each fsync, as many as a mount may lose."""
    line = make_line(5)
    make_tier(folder, line[:4])
    image = snapshot(folder)
    storage = Recording(folder)
    tier, known = Tier(storage, line[0].manifest.run_id), verified(line)
    tier.commit(*line[4])
    prune(tier, known, keep_last=2, keep_every=100)
    assert len(storage.changes) == 7  # three files; two generations, each a manifest and a state
    count = 0
    for files in crashes(image, storage.changes, unsynced=3):
        restore(folder, files)
        found = newest_whole(make_tier(folder), None, lambda text: None)
        assert found in (line[3], line[4])
        count += 1
    assert count > 100


def test_the_control_a_naive_store_fails_these_tests():
    """`torch.save` over a single file: some crash leaves neither the old nor the new state."""
    image = {"checkpoint.pt": naive_file(4)}
    found = {naive_find(files["checkpoint.pt"])
             for files in crashes(image, [("checkpoint.pt", naive_file(5))], unsynced=1)}
    assert found == {4, 5, None}


def test_the_control_a_naive_store_does_not_see_a_flipped_bit(tmp_path):
    torch.save({"generation": 4, "weights": torch.ones(100)}, tmp_path / "checkpoint.pt")
    path = tmp_path / "checkpoint.pt"
    flip(path, path.read_bytes().index(torch.ones(100).numpy().tobytes()))
    assert not torch.equal(torch.load(path, weights_only=True)["weights"], torch.ones(100))
