"""A list of many runs: it says what each run alone says, and its calls grow with pages and not with checkpoints."""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import memory_storage
import pytest
from fake_drive import FakeDrive
from helpers import TINY, flip, restore, snapshot

from colab_rl import status, train
from colab_rl.checkpoints import Manifest
from colab_rl.commands.status import status_in
from colab_rl.runs.places import Places
from colab_rl.sealed import checksum
from colab_rl.settings import parse_settings
from colab_rl.storage.drive import client

OLD_RUNS = Path(__file__).parents[1] / "data" / "runs-0.1.0"


def trained(root: Path, steps: int, **places) -> dict[str, bytes]:
    """The files of a run that was trained there."""
    train("cart", env="CartPole-v1", backend="gymnasium", total_steps=steps, root=root, settings=parse_settings(TINY),
          **{"store": "none", **places})
    return {name: data for name, data in snapshot(root / "cart").items() if not name.startswith(".")}


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> dict[str, bytes]:
    return trained(tmp_path_factory.mktemp("short"), 150)


@pytest.fixture(scope="module")
def long(tmp_path_factory) -> dict[str, bytes]:
    return trained(tmp_path_factory.mktemp("long"), 1200)


@pytest.fixture
def drive(monkeypatch) -> Iterator[FakeDrive]:
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.01)
    with FakeDrive() as drive:
        monkeypatch.setenv("COLAB_RL_DRIVE_ENDPOINT", drive.url)
        drive.add("colab_rl", None)
        yield drive


def fill(drive: FakeDrive, name: str, files: dict[str, bytes]) -> None:
    for file, data in files.items():
        drive.add(f"colab_rl/{name}/{file}", data)


def manifests(files: dict[str, bytes]) -> list[str]:
    """The newest last."""
    return sorted(name for name in files if name.startswith("checkpoints/") and name.endswith(".json"))


def one_by_one(**places) -> list[dict]:
    return [status(name, **places)[0] for name in Places(**places).names()]


PLACE = "drive:colab_rl"


def test_calls_to_drive_do_not_grow_with_checkpoints(tmp_path, drive, short, long):
    calls = []
    assert len(manifests(long)) >= len(manifests(short)) + 5
    for files in (short, long):
        for number in range(30):
            fill(drive, f"run{number}", files)
        drive.calls.clear()
        found = status(root=tmp_path, store=PLACE)
        assert [len(run["checkpoints"]) for run in found] == [len(manifests(files))] * 30
        calls.append({kind: drive.count(kind) for kind, _ in drive.calls})
        del drive.files[drive.at("colab_rl").id]
        drive.add("colab_rl", None)
    assert calls[0] == calls[1]
    assert calls[1]["download"] == 60 and calls[1]["list"] <= 10  # run.json and the newest manifest of each


def test_what_drive_lists_in_pages_is_whole(tmp_path, drive, short):
    for number in range(7):
        fill(drive, f"run{number}", short)
    drive.page_size = 5
    found = status(root=tmp_path, store=PLACE)
    assert found == one_by_one(root=tmp_path, store=PLACE) and len(found) == 7


def spoilt(drive: FakeDrive, long: dict[str, bytes]) -> None:
    """Runs that something befell, each another thing."""
    names = manifests(long)
    old, older, newest = names[-2], names[-3], names[-1]
    state = newest.replace(".json", ".safetensors")
    table = next(name for name in long if name.startswith("metrics/") and name[8:16] == older[12:20])
    changes: dict[str, dict[str, bytes | None]] = {
        "whole": {}, "cut": {state: long[state][:-1]}, "flipped": {state: long[state][:-1] + b"?"},
        "no table": {table: None}, "no newest": {newest: None}, "no manifests": dict.fromkeys(names),
        "newest damaged": {newest: b"{"}, "old damaged": {old: long[old].replace(b"7", b"8", 1)},
        "old gone": {old: None}, "stranger": {"checkpoints/notes.txt": b"mine", "holiday.jpg": b"mine"},
        "empty": dict.fromkeys(name for name in long if name != "run.json"),
    }
    for name, changed in changes.items():
        fill(drive, name.replace(" ", "-"), {
            file: data for file, data in {**long, **changed}.items() if data is not None})


def test_it_says_of_a_damaged_run_what_the_run_alone_says(tmp_path, drive, long):
    spoilt(drive, long)
    found = status(root=tmp_path, store=PLACE)
    assert found == one_by_one(root=tmp_path, store=PLACE)
    bad = {run["run"]: sum(row["store"] == "bad" for row in run["checkpoints"]) for run in found}
    assert {name for name, count in bad.items() if count} == {
        "cut", "flipped", "no-table", "newest-damaged", "old-damaged"}


@pytest.mark.parametrize("action", ["empty", "500", "cut"])
def test_an_answer_for_many_folders_that_is_empty_hides_nothing(tmp_path, drive, long, action):
    """Drive's own fault with questions for many folders."""
    for number in range(3):
        fill(drive, f"run{number}", long)
    expected = status(root=tmp_path, store=PLACE)
    for title in ("run", "checkpoints|metrics|telemetry"):
        drive.fault("list", action, title=title)
    assert status(root=tmp_path, store=PLACE) == expected
    assert {row["store"] for run in expected for row in run["checkpoints"]} == {"verified"}


def test_this_machine_and_the_store_are_read_side_by_side(tmp_path, drive, short, long):
    restore(tmp_path / "here", long)
    restore(tmp_path / "local-only", short)
    fill(drive, "here", {name: data for name, data in long.items() if name != manifests(long)[-1]})
    fill(drive, "there", long)
    found = status(root=tmp_path, store=PLACE)
    assert found == one_by_one(root=tmp_path, store=PLACE)
    assert [(run["run"], run["pending"]) for run in found] == [
        ("here", 1), ("local-only", len(manifests(short))), ("there", 0)]


def test_a_run_that_cannot_be_read_is_told_and_hides_no_other(tmp_path, drive, short, long, capsys):
    other = {**json.loads(short["run.json"]), "run_id": "another"}
    del other["identity_sha256"]
    restore(tmp_path / "two", {**short, "run.json": json.dumps({**other, "identity_sha256": checksum(other)}).encode()})
    fill(drive, "two", long)
    fill(drive, "torn", {**short, "run.json": short["run.json"][:100]})
    name = manifests(long)[-1]
    newer = {**json.loads(long[name]), "format": 99}
    del newer["manifest_sha256"]
    fill(drive, "newer", {**long, name: json.dumps({**newer, "manifest_sha256": checksum(newer)}).encode()})
    fill(drive, "good", short)
    fill(drive, "holidays", {"a.jpg": b"mine"})
    assert [run["run"] for run in status(root=tmp_path, store=PLACE)] == ["good"]
    told = capsys.readouterr().err
    for text in ("two: ", "two different runs", "torn: ", "damaged run.json", "newer: ", "install the newer version"):
        assert text in told
    assert "holidays" not in told


def test_a_file_of_the_right_size_is_looked_into_for_the_run_alone(tmp_path, short):
    """What the list of all runs does not read. Drive lists hashes, a folder does not."""
    restore(tmp_path / "cart", short)
    state = manifests(short)[-1].replace(".json", ".safetensors")
    flip(tmp_path / "cart" / state)
    assert status(root=tmp_path, store="none")[0]["checkpoints"][0]["local"] == "verified"
    assert status("cart", root=tmp_path, store="none")[0]["checkpoints"][0]["local"] == "bad"
    (tmp_path / "cart" / state).write_bytes(short[state][:-1])
    assert status(root=tmp_path, store="none")[0]["checkpoints"][0]["local"] == "bad"


def test_runs_of_the_first_version_are_listed_too(tmp_path, drive):
    names = [path.name for path in OLD_RUNS.iterdir() if path.is_dir()]
    for name in names:
        fill(drive, name, snapshot(OLD_RUNS / name))
    found = status(root=tmp_path, store=PLACE)
    assert found == one_by_one(root=tmp_path, store=PLACE) and len(found) == len(names)
    local = status(root=OLD_RUNS, store="none")
    assert [{**run, "checkpoints": 0, "pending": 0} for run in local] == [
        {**run, "checkpoints": 0, "pending": 0} for run in found]


def test_a_run_that_an_older_version_began_is_listed_with_few_calls(tmp_path, drive):
    shutil.copytree(OLD_RUNS / "ppo-gymnasium-cartpole", tmp_path / "first" / "cart")
    before = len(manifests(snapshot(tmp_path / "first" / "cart")))
    train("cart", total_steps=1024, root=tmp_path / "first", store=PLACE)
    drive.calls.clear()
    found = status(root=tmp_path / "bare", store=PLACE)
    assert drive.count("download") <= 2 + before - 1  # the newest tells of all from there on
    assert found == one_by_one(root=tmp_path / "bare", store=PLACE)
    assert {row["store"] for row in found[0]["checkpoints"]} == {"verified"} and len(found[0]["checkpoints"]) > before


def test_training_one_run_takes_no_more_calls_beside_many(tmp_path, drive, short):
    fill(drive, "cart", short)
    calls = []
    for others in (0, 40):
        for number in range(others):
            fill(drive, f"other{number}", short)
        for name in ("cart", "new"):
            drive.calls.clear()
            places = Places(tmp_path, PLACE)
            assert (places.find(name) is None) == (name == "new")
            calls.append([kind for kind, _ in drive.calls])
    assert calls[:2] == calls[2:]
    drive.calls.clear()
    trained(tmp_path, 300, store=PLACE)
    assert drive.count("insert") and not any(title.startswith("other") for _, title in drive.calls)


@pytest.mark.parametrize("takes", [1, 3])
def test_a_storage_gets_as_many_calls_at_a_time_as_it_takes(tmp_path, monkeypatch, short, takes):
    under_way, most, lock = 0, 0, threading.Lock()
    both = threading.Barrier(takes, timeout=20)

    class Counting(memory_storage.MemoryStorage):
        concurrency = takes

        def get(self, name):
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            if takes > 1:
                both.wait()
            data = super().get(name)
            with lock:
                under_way -= 1
            return data

        def subfolder(self, path):
            return Counting(self._key(path))

    monkeypatch.setattr(memory_storage, "FILES", {
        f"here/run{number}/{name}": data for number in range(3) for name, data in short.items()
        if name not in manifests(short)[:-1]})
    places = Places(tmp_path, "none")
    places.store = Counting("here")
    assert [run["checkpoints"][0]["store"] for run in status_in(places)] == ["verified"] * 3
    assert most == takes


def test_a_manifest_tells_of_those_before_and_is_read_back_as_written(long):
    names = manifests(long)
    read = {name: Manifest.from_bytes(name, long[name], json.loads(long[name])["run_id"]) for name in names}
    newest = read[names[-1]]
    for name, manifest in read.items():
        assert manifest.to_bytes() == long[name] and manifest.record.size == len(long[name])
        if manifest is not newest:
            record, told = newest.earlier_manifests[name]
            assert record == manifest.record
            assert told == dataclasses.replace(manifest, history={}, earlier={}, versions={})
    assert json.loads(long[names[0]])["format"] == 1 and json.loads(long[names[-1]])["format"] == 2


@pytest.mark.parametrize("earlier", [
    {"checkpoints/00000001-00000000.json": {}}, {"checkpoints/00000001-00000000.json": {"file": {}, "files": {}}},
    {"a": {"files": {"metrics/none.csv": None}}}, {"a": None}, {"a": {"files": 3}}])
def test_what_a_manifest_tells_of_others_may_make_no_sense(long, earlier):
    name = manifests(long)[-1]
    content = {**json.loads(long[name]), "earlier": earlier}
    del content["manifest_sha256"]
    data = json.dumps({**content, "manifest_sha256": checksum(content)}).encode()
    assert Manifest.from_bytes(name, data, content["run_id"]).earlier_manifests == {}
