"""The newest whole checkpoint is found, and nothing good is deleted, whatever happened to the files."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import json
import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import (
    RUN_ID,
    DyingStorage,
    WatchedStorage,
    flip,
    generations,
    make_checkpoint,
    make_line,
    make_tier,
    restore,
    snapshot,
    table_of,
)

from colab_rl.checkpoints import Damaged, FileRecord, Manifest, NewerFormat, Tier, recovery
from colab_rl.checkpoints.claim import Claim
from colab_rl.checkpoints.confirmation import confirmation_of
from colab_rl.checkpoints.layout import manifest_generation
from colab_rl.checkpoints.manifest import checksum
from colab_rl.checkpoints.recovery import Checkpoint, load, load_generation, newest_whole, restore_locally
from colab_rl.checkpoints.retention import best, earlier_of, kept, milestones, prune, sweep
from colab_rl.errors import ColabRLError, StorageError, UsageError
from colab_rl.storage import FolderStorage


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "local"


@pytest.fixture
def said() -> list[str]:
    return []


def find(local: Tier, remote: Tier | None = None) -> int | None:
    """The generation that a session would go on from."""
    checkpoint = newest_whole(local, remote, lambda text: None)
    return checkpoint.manifest.generation if checkpoint else None


# Manifest and tier.

def test_a_committed_checkpoint_loads(folder):
    line = make_line(3, {2: 5.0})
    tier = make_tier(folder, line)
    assert tier.names() == [checkpoint.manifest.name for checkpoint in reversed(line)]
    assert list(tier.manifests()) == list(tier.whole()) == [checkpoint.manifest for checkpoint in reversed(line)]
    for checkpoint in line:
        assert load(tier, checkpoint.manifest.name) == checkpoint


def test_the_manifest_is_written_last_and_each_file_is_read_back(tmp_path):
    storage = WatchedStorage(tmp_path)
    manifest, contents = make_checkpoint(1)
    Tier(storage, manifest.run_id).commit(manifest, contents)
    assert storage.calls == [(call, name) for name in (*manifest.files, manifest.name) for call in ("put", "stat")]


@pytest.mark.parametrize("lie", [lambda data: data[:-1], lambda data: b"", lambda data: data[:-1] + b"?"],
                         ids=["cut", "empty", "other"])
@pytest.mark.parametrize("suffix", [".safetensors", ".csv", ".json"])
def test_a_place_that_stores_something_else_is_no_success(tmp_path, suffix, lie):
    class Lying(WatchedStorage):
        def put(self, name, data):
            super().put(name, lie(data) if name.endswith(suffix) else data)
    line = make_line(2)
    make_tier(tmp_path, line[:1])
    tier = Tier(Lying(tmp_path), line[0].manifest.run_id)
    with pytest.raises(StorageError, match=f"{suffix} reads back from .* other than it was written"):
        tier.commit(*line[1])
    assert find(tier) == 1


def test_files_beside_the_checkpoints_are_none(folder):
    tier = make_tier(folder, make_line(1))
    for name in ("checkpoints/notes.json", "checkpoints/00000002-1234abcd.json.bad", "checkpoints/2-1234abcd.json",
                 "checkpoints/00000002-1234abcd.safetensors", "checkpoints/old/00000002-1234abcd.json"):
        tier.storage.put(name, b"{}")
    assert generations(tier) == [1]
    assert len(tier.names()) == 1
    assert find(tier) == 1


def test_generations_are_ordered_as_numbers():
    assert manifest_generation("checkpoints/100000000-1234abcd.json") == 10**8
    assert manifest_generation("checkpoints/00000012-1234abcd.json") == 12
    assert manifest_generation("checkpoints/00000012-1234abcd.safetensors") is None


def rewrite(path: Path, **changes: Any) -> None:
    """Changes fields of a manifest, and nothing of its checksum."""
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}, indent=1))


# What can be wrong with the newest of three checkpoints. Each gets (folder, line).

def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


FILES = {
    "state": lambda checkpoint: checkpoint.manifest.state_file,
    "table": table_of,
    "manifest": lambda checkpoint: checkpoint.manifest.name,
}
DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": cut,
    "cut to half": lambda path: path.write_bytes(path.read_bytes()[:path.stat().st_size // 2]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "empty": lambda path: path.write_bytes(b""),
    "first bit flipped": lambda path: flip(path, 0),
    "bit flipped": lambda path: flip(path, path.stat().st_size // 2),
    "last bit flipped": flip,
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "missing": Path.unlink,
    "text": lambda path: path.write_text("<html>502 Bad Gateway</html>"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_damage_is_seen_and_the_run_goes_on_from_the_one_before(folder, said, file, damage):
    line = make_line(3)
    tier = make_tier(folder, line)
    DAMAGES[damage](folder / FILES[file](line[2]))
    with pytest.raises((Damaged, StorageError)):
        load(tier, line[2].manifest.name)
    assert generations(tier) == [1, 2]
    assert newest_whole(tier, None, said.append) == line[1]
    assert len(said) == (0 if (file, damage) == ("manifest", "missing") else 1)


def swap(left: Path, right: Path) -> None:
    one, other = left.read_bytes(), right.read_bytes()
    left.write_bytes(other)
    right.write_bytes(one)


@pytest.mark.parametrize("file", FILES)
def test_files_swapped_between_generations_are_damage(folder, file):
    line = make_line(3)
    tier = make_tier(folder, line)
    swap(*(folder / FILES[file](checkpoint) for checkpoint in line[1:]))
    for checkpoint in line[1:]:
        with pytest.raises(Damaged):
            load(tier, checkpoint.manifest.name)
    assert find(tier) == 1


def test_a_checkpoint_of_another_run_is_not_taken(folder):
    tier = make_tier(folder, make_line(2))
    other = make_checkpoint(7, run_id="another")
    make_tier(folder, [other], run_id="another")
    with pytest.raises(Damaged, match="belongs to another run"):
        load(tier, other.manifest.name)
    assert find(tier) == 2


def test_a_renamed_manifest_is_not_taken(folder):
    line = make_line(2)
    tier = make_tier(folder, line)
    (folder / line[1].manifest.name).rename(folder / "checkpoints/00000009-1234abcd.json")
    with pytest.raises(Damaged, match=f"is the manifest of {line[1].manifest.stem}"):
        load(tier, "checkpoints/00000009-1234abcd.json")
    assert find(tier) == 1


@pytest.mark.parametrize("changes", [{"step": 7}, {"files": {}}, {"generation": 9}, {"extra": 1}, {"run_id": "x"},
                                     {"format": 0}, {"manifest_sha256": "0" * 64}, {"manifest_sha256": None}], ids=str)
def test_a_manifest_that_was_changed_is_damaged(folder, changes):
    line = make_line(2)
    tier = make_tier(folder, line)
    rewrite(folder / line[1].manifest.name, **changes)
    with pytest.raises(Damaged):
        load(tier, line[1].manifest.name)
    assert find(tier) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"text"', "{}", '{"format": 1}', "nan"])
def test_any_other_json_is_damaged(text):
    with pytest.raises(Damaged):
        Manifest.from_bytes("checkpoints/00000001-1234abcd.json", text.encode(), "run")


def strange(**changes: Any) -> bytes:
    """A manifest of generation 2 with other content and the checksum that belongs to it."""
    content = {**json.loads(make_line(2)[1].manifest.to_bytes()), **changes}
    del content["manifest_sha256"]
    return json.dumps({**content, "manifest_sha256": checksum(content)}).encode()


RECORD = {"size": 1, "sha256": "0", "md5": "0"}
ARABIC = "\u0660" * 7 + "\u0669"  # digits of another alphabet


@pytest.mark.parametrize("data", [
    strange(files={}), strange(files={"metrics/00000002-1234abcd.csv": RECORD}), strange(files=[]),
    strange(generation="x"),
    strange(files={**json.loads(strange())["files"], "../../out": RECORD}), strange(history={"/etc/passwd": RECORD}),
    b"[" * 100_000, b'{"a":' * 100_000,
], ids=["no files", "no state", "a list", "no number", "leads out", "leads out in the past", "brackets", "braces"])
def test_a_strange_manifest_is_damage_and_the_one_before_is_taken(folder, data):
    line = make_line(2)
    tier = make_tier(folder, line)
    (folder / line[1].manifest.name).write_bytes(data)
    with pytest.raises(Damaged):
        tier.read(line[1].manifest.name)
    assert find(tier) == 1 and generations(tier) == [1]


def test_names_in_other_digits_are_a_strangers_files(folder):
    line = make_line(2)
    tier = make_tier(folder, line)
    before = snapshot(folder)
    for name in (f"checkpoints/{ARABIC}-0123abcd.json", f"checkpoints/{ARABIC}-0123abcd.safetensors",
                 f"replay/{ARABIC * 2}-{ARABIC * 2}-0123abcd.safetensors", f"sessions/{ARABIC}-0123abcd.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"{}")
    assert find(tier) == 2 and generations(tier) == [1, 2]
    Claim(tier.storage).take()
    sweep(tier, line[1].manifest)
    assert set(snapshot(folder)) > set(before) and len(snapshot(folder)) == len(before) + 5


def test_every_torn_manifest_is_damaged():
    manifest = make_line(2)[1].manifest
    data = manifest.to_bytes()
    assert Manifest.from_bytes(manifest.name, data, manifest.run_id) == manifest
    for length in range(len(data)):
        with pytest.raises(Damaged):
            Manifest.from_bytes(manifest.name, data[:length], manifest.run_id)


def test_every_flipped_bit_of_a_manifest_is_damage():
    """Also in the number of the format: or one bad bit would stop a run for good, with advice that cannot help."""
    manifest = make_line(2)[1].manifest
    data = manifest.to_bytes()
    for position in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(Damaged):
            Manifest.from_bytes(manifest.name, bytes(damaged), manifest.run_id)


def test_a_newer_format_stops_and_changes_nothing(folder, monkeypatch):
    line = make_line(2)
    tier = make_tier(folder, line[:1])
    with monkeypatch.context() as newer:
        newer.setattr("colab_rl.checkpoints.manifest.FORMAT", 3)
        earlier = earlier_of(line[0].manifest, {}, keep_last=2, keep_every=10)
        tier.commit(dataclasses.replace(line[1].manifest, earlier=earlier), line[1].contents)
    before = snapshot(folder)
    with pytest.raises(NewerFormat, match=r"format 3.*nothing was changed.*install the newer version"):
        newest_whole(tier, None, print)
    assert snapshot(folder) == before


# Recovery.

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
def test_an_old_file_that_cannot_be_read_stops_nothing(folder, file):
    line = make_line(3)
    make_tier(folder, line)
    tier = failing_tier(folder, lambda call, name: name == FILES[file](line[0]))
    assert newest_whole(tier, None, print) == line[2]
    assert restore_locally(line[2], tier, None, print)
    sweep(tier, line[2].manifest)
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


# Bringing home.

def tables(line: Iterable[Checkpoint]) -> list[bytes]:
    return [checkpoint.contents[table_of(checkpoint)] for checkpoint in line]


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


# Retention.

def kept_of(line: Iterable[Checkpoint], keep_last: int, keep_every: int) -> list[int]:
    return [manifest.generation for manifest in kept([one.manifest for one in line], keep_last, keep_every)]


@pytest.mark.parametrize(("length", "scores", "keep_last", "keep_every", "stay"), [
    (12, {}, 2, 5, [1, 5, 10, 11, 12]),
    (12, {3: 7.0, 8: 2.0}, 2, 5, [1, 3, 5, 8, 10, 11, 12]),
    (12, {2: 1.0, 3: 7.0, 4: 3.0, 8: 2.0}, 2, 100, [1, 2, 3, 4, 8, 11, 12]),  # three that may be the best
    (12, {2: 7.0, 3: 7.0, 4: 7.0, 8: 7.0}, 3, 100, [1, 2, 3, 4, 8, 10, 11, 12]),  # the newest of equals
    (12, {12: -5.0}, 2, 100, [1, 11, 12]),
    (3, {}, 5, 100, [1, 2, 3]),
    (4, {}, 2, 1, [1, 2, 3, 4]),
    (0, {}, 2, 1, []),
])
def test_the_newest_the_milestones_the_first_and_the_best_are_kept(length, scores, keep_last, keep_every, stay):
    line = make_line(length, scores)
    assert kept_of(line, keep_last, keep_every) == stay
    assert kept_of(reversed(line), keep_last, keep_every) == stay[::-1]


@pytest.mark.parametrize("evaluated_every", [1, 3, 400])
def test_eight_to_twelve_milestones_are_spread_over_a_training(evaluated_every):
    """Pruned at each save, as training does it, with a score that rises late and fast."""
    record = FileRecord.of(b"")
    total, saves = 1_000_000, 300
    manifest = make_line(1)[0].manifest
    held = []
    for number in range(1, saves + 1):
        score = 300 / (1 + math.exp(-(number - 200) / 10)) if number % evaluated_every == 0 else None
        held.append(dataclasses.replace(
            manifest, step=total * (number - 1) // (saves - 1), total_steps=total, generation=number, score=score,
            criterion=score, files={f"checkpoints/{number:08}-0.safetensors": record}))
        held = kept(held, keep_last=2, keep_every=1000)
        assert len(held) <= 15
    found = milestones(held)
    assert 8 <= len(found) <= 12
    steps = [one.step for one in found] + [total]
    widest = max(later - earlier for earlier, later in itertools.pairwise(steps))
    assert widest <= total / 8 + 2 * evaluated_every * total / saves or evaluated_every == 400
    if evaluated_every == 1:
        scores = [one.score for one in found]
        assert all(any(low <= score <= high for score in scores) for low, high in ((60, 160), (140, 235), (220, 301)))


def test_a_milestone_needs_no_past_experience_of_its_own():
    manifest, record = make_line(1)[0].manifest, FileRecord.of(b"")
    line = [dataclasses.replace(manifest, generation=number, step=number, total_steps=4, files={
        f"checkpoints/{number:08}-0.safetensors": record, f"replay/{number}-{number}-0.safetensors": record})
        for number in range(1, 5)]
    assert milestones(line) == line[3:]
def test_the_best_is_what_fresh_episodes_chose_while_that_is_the_newest_word():
    line = [one.manifest for one in make_line(4, {1: -3.0, 2: 9.0, 3: 1.0})]
    said = {"generation": 3, "step": 300, "state_sha256": line[2].state_sha256, "mean": 5.0, "std": 1.0, "low": 4.0,
            "high": 6.0, "episodes": 100, "seed": 0, "environment": "x", "created": "now"}
    ended = dataclasses.replace(line[3], confirmed=said)
    again = Manifest.from_bytes(ended.name, ended.to_bytes(), RUN_ID)
    assert again == ended and best([*line[:3], again]) == line[2]
    assert confirmation_of([*line[:3], again]).summary().startswith("5.0 (95 % interval 4.0 to 6.0, 100 fresh")
    assert best([*line[:2], again]) == line[1]  # the chosen one is gone
    later = make_checkpoint(5).manifest
    assert best([*line[:3], again, later]) == line[1] and confirmation_of([again, later]) is None


def test_the_best_has_the_highest_criterion():
    line = make_line(4, {1: -3.0, 2: 9.0, 3: 1.0})
    assert best(one.manifest for one in line) == line[1].manifest
    assert best(one.manifest for one in line[3:]) is None
    assert best([]) is None


def verified(line: Iterable[Checkpoint]) -> dict[str, Manifest]:
    return {checkpoint.manifest.stem: checkpoint.manifest for checkpoint in line}


def test_prune_deletes_what_is_not_kept_and_only_that(folder):
    line = make_line(8, {2: 3.0})
    tier = make_tier(folder, line)
    known = verified(line)
    prune(tier, known, keep_last=2, keep_every=5)
    assert generations(tier) == [1, 2, 5, 7, 8]
    assert [manifest.generation for manifest in known.values()] == [1, 2, 5, 7, 8]
    stayed = [one for one in line if one.manifest.generation in (1, 2, 5, 7, 8)]
    assert set(snapshot(folder)) == ({one.manifest.name for one in stayed} | {one.manifest.state_file for one in stayed}
                                     | {table_of(one) for one in line})  # the newest's history names every table
    prune(tier, known, keep_last=2, keep_every=5)
    assert generations(tier) == [1, 2, 5, 7, 8]


def test_every_kept_checkpoint_can_be_gone_on_from_after_a_prune(folder):
    line = make_line(8, {2: 3.0})
    tier = make_tier(folder, line)
    prune(tier, verified(line), keep_last=2, keep_every=5)
    for generation in (1, 2, 5, 7, 8):
        checkpoint = load_generation(tier, None, generation)
        assert restore_locally(checkpoint, tier, None, pytest.fail) == tables(line[:generation])


@pytest.mark.parametrize("damage", ["truncated", "bit flipped", "missing", "empty"])
@pytest.mark.parametrize("file", ["state", "table"])
def test_prune_deletes_nothing_while_the_newest_is_not_whole(folder, file, damage):
    line = make_line(5)
    tier = make_tier(folder, line)
    DAMAGES[damage](folder / FILES[file](line[4]))
    before = snapshot(folder)
    prune(tier, verified(line), keep_last=2, keep_every=100)
    assert snapshot(folder) == before


def test_prune_leaves_what_this_session_did_not_see_whole(folder):
    line = make_line(6)
    tier = make_tier(folder, line)
    flip(folder / line[1].manifest.state_file)
    before = snapshot(folder)
    prune(tier, verified([line[0], *line[2:]]), keep_last=2, keep_every=100)
    after = snapshot(folder)
    assert generations(tier) == [1, 5, 6]
    assert {name: after[name] for name in (line[1].manifest.name, *line[1].manifest.files)} == \
           {name: before[name] for name in (line[1].manifest.name, *line[1].manifest.files)}


def test_a_manifest_goes_before_its_files(tmp_path):
    line = make_line(4)
    make_tier(tmp_path, line)
    storage = WatchedStorage(tmp_path)
    prune(Tier(storage, line[0].manifest.run_id), verified(line), keep_last=2, keep_every=100)
    assert storage.names_of("delete")[0] == line[1].manifest.name
    assert storage.names_of("delete")[1:] == [line[1].manifest.state_file]


def test_sweep_clears_what_a_killed_save_or_prune_left(folder):
    line = make_line(3)
    tier = make_tier(folder, line)
    lost = make_checkpoint(2, salt=1)
    for name, data in lost.contents.items():
        tier.storage.put(name, data)
    tier.storage.put("telemetry/00000002-1234abcd.npz", b"x")
    expected = set(snapshot(folder)) - set(lost.contents) - {"telemetry/00000002-1234abcd.npz"}
    sweep(tier, line[2].manifest)
    assert set(snapshot(folder)) == expected


def test_sweep_leaves_everything_else(folder):
    line = make_line(4)
    tier = make_tier(folder, line)
    cut(folder / line[1].manifest.name)                       # unreadable: its files stay
    (folder / line[0].manifest.state_file).unlink()           # damaged: what is left of it stays
    for name in ("run.json", "videos/00000001-1234abcd.mp4", "metrics/notes.csv", "checkpoints/mine.safetensors",
                 "checkpoints/00000001-1234abcd.safetensors.bad", "checkpoints/00000009-1234abcd.safetensors",
                 "checkpoints/00000004-1234abcd.safetensors"):
        tier.storage.put(name, b"x")
    before = snapshot(folder)
    sweep(tier, line[3].manifest)
    assert snapshot(folder) == before


# A kill, or a failing call, at any moment.

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
        sweep(fresh, found.manifest)
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


def naive_file(generation: int) -> bytes:
    torch.save({"generation": generation, "weights": torch.ones(100)}, file := io.BytesIO())
    return file.getvalue()


def naive_find(data: bytes) -> int | None:
    """What `torch.load` makes of it."""
    try:
        return torch.load(io.BytesIO(data), weights_only=True)["generation"]
    except Exception:
        return None


def test_the_control_a_naive_store_fails_these_tests():
    """`torch.save` over the one file there is: some crash leaves neither the old nor the new state."""
    image = {"checkpoint.pt": naive_file(4)}
    found = {naive_find(files["checkpoint.pt"])
             for files in crashes(image, [("checkpoint.pt", naive_file(5))], unsynced=1)}
    assert found == {4, 5, None}


def test_the_control_a_naive_store_does_not_see_a_flipped_bit(tmp_path):
    torch.save({"generation": 4, "weights": torch.ones(100)}, tmp_path / "checkpoint.pt")
    path = tmp_path / "checkpoint.pt"
    flip(path, path.read_bytes().index(torch.ones(100).numpy().tobytes()))
    assert not torch.equal(torch.load(path, weights_only=True)["weights"], torch.ones(100))


# Records.

def test_a_record_knows_its_file():
    record = FileRecord.of(b"data")
    record.check("file", b"data")
    assert record.size == 4
    for other in (b"", b"dat", b"datA", b"data "):
        with pytest.raises(Damaged, match="file has"):
            record.check("file", other)
