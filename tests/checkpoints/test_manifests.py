"""A checkpoint is written with its manifest last, and no damage to its files goes unseen."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from damage import DAMAGES, FILES, find
from helpers import WatchedStorage, generations, make_checkpoint, make_line, make_tier, snapshot

from colab_rl.checkpoints import Damaged, FileRecord, Manifest, Tier
from colab_rl.checkpoints.claim import Claim
from colab_rl.checkpoints.layout import manifest_generation
from colab_rl.checkpoints.recovery import load, newest_whole
from colab_rl.checkpoints.retention import clear_leftovers, earlier_of
from colab_rl.errors import StorageError
from colab_rl.sealed import NewerFormat, checksum


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
    clear_leftovers(tier, line[1].manifest)
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


def test_a_record_knows_its_file():
    record = FileRecord.of(b"data")
    record.check("file", b"data")
    assert record.size == 4
    for other in (b"", b"dat", b"datA", b"data "):
        with pytest.raises(Damaged, match="file has"):
            record.check("file", other)
