"""The whole way of a run through its store: Drive by its API, a FUSE mount with write-back, two sessions at once."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rclone_mount
import torch
from fake_drive import FakeDrive
from helpers import LONG, RUN_ID, TINY, brought, comes, generations, goes_wrong, make_line, make_tier
from rclone_mount import Mount

from colab_rl import ColabRLError, UsageError, push, status, train, verify
from colab_rl.checkpoints import Replicator, Tier, replication
from colab_rl.checkpoints.claim import Claim, ClaimLost, Overtaken
from colab_rl.checkpoints.layout import manifest_generation
from colab_rl.checkpoints.recovery import Checkpoint
from colab_rl.errors import StorageError
from colab_rl.progress import Watcher
from colab_rl.runs.places import Places
from colab_rl.settings import parse_settings
from colab_rl.storage import FolderStorage, open_store
from colab_rl.storage.drive import client as client_module
from colab_rl.storage.drive import login
from colab_rl.training.metrics import Row, from_csv

IDENTITY = b'{"format": 1, "name": "walker"}'
STEPS = 500


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(client_module, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(replication, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(replication, "LONGEST_PAUSE", 0.2)


@pytest.fixture
def drive(monkeypatch) -> Iterator[FakeDrive]:
    with FakeDrive() as drive:
        monkeypatch.setenv("COLAB_RL_DRIVE_ENDPOINT", drive.url)
        yield drive


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> str:
    """state_sha256 of the run that nothing happened to."""
    return session(tmp_path_factory.mktemp("undisturbed"), "none").state_sha256


def session(root: Path, store: str, steps: int = STEPS, watcher: Watcher | None = None):
    return train("cart", env="CartPole-v1", backend="gymnasium", total_steps=steps, root=root, store=store,
                 settings=parse_settings(TINY), watcher=watcher)


def killed(root: Path, store: str, after: Callable[[], bool], steps: int = STEPS) -> None:
    """A session in a process of its own, killed once `after` holds."""
    command = [sys.executable, "-m", "colab_rl", "train", "cart", "--env", "CartPole-v1", "--backend", "gymnasium",
               "--total-steps", str(steps), "--root", str(root), "--store", store, "--set", *TINY]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + LONG
    while not after() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert time.monotonic() < deadline


def manifests(drive: FakeDrive) -> list[str]:
    return sorted(name for name in drive.tree() if "/checkpoints/" in name and name.endswith(".json"))


# Drive by its API.


def test_a_bare_machine_goes_on_from_drive_exactly(tmp_path, drive, undisturbed):
    for _ in range(2):
        before = len(manifests(drive))
        killed(tmp_path / "first", "drive:colab_rl", lambda before=before: len(manifests(drive)) >= before + 2)
        shutil.rmtree(tmp_path / "first")
    result = session(tmp_path / "second", "drive:colab_rl")
    assert result.state_sha256 == undisturbed
    assert result.pending == 0 and result.store_error is None
    found, = status("cart", root=tmp_path / "second", store="drive:colab_rl")
    assert {row["store"] for row in found["checkpoints"]} == {"verified"}
    assert verify("cart", root=tmp_path / "second", store="drive:colab_rl")["bad"] == []
    verified = verify("cart", root=tmp_path / "third", store="drive:colab_rl")
    assert verified["bad"] == [] and verified["checkpoints"] == len(found["checkpoints"])


def test_faults_all_the_way_change_nothing_in_the_end(tmp_path, drive, undisturbed):
    for kind in ("token", "ids", "list", "get", "download", "insert", "session", "delete"):
        for action in ("500", "html", "reset", "rate"):
            drive.fault(kind, action if kind != "token" else "503", times=1, after=3)
    drive.fault("session", "drop", times=3, after=4)
    drive.fault("session", "cut", times=2, after=9)
    drive.fault("session", "flip", times=2, after=15)
    drive.fault("session", "lost", times=1, after=20)
    session(tmp_path / "first", "drive:colab_rl", steps=500)
    result = session(tmp_path / "second", "drive:colab_rl", steps=500)
    whole = session(tmp_path / "third", "none", steps=500)
    assert result.state_sha256 == whole.state_sha256
    assert result.pending == 0
    assert verify("cart", root=tmp_path / "second", store="drive:colab_rl")["bad"] == []
    assert not [name for name in drive.tree() if "#" in name]


@pytest.mark.parametrize("trouble", ["quota", "revoked", "403"])
def test_training_goes_on_where_drive_refuses(tmp_path, drive, undisturbed, monkeypatch, trouble):
    drive.open()
    monkeypatch.setattr(replication, "LONGEST_PAUSE", 60.0)
    if trouble == "revoked":
        drive.fault("insert", "401", times=10_000)
    else:
        drive.fault("insert", trouble, times=10_000)
    result = session(tmp_path, "drive:colab_rl")
    assert result.finished and result.state_sha256 == undisturbed
    assert result.pending and result.store_error
    assert drive.count("insert") <= 4  # no storm: the store, and one try, with a new token twice
    drive.clear_faults()
    assert push("cart", root=tmp_path, store="drive:colab_rl").state == "verified"
    found, = status("cart", root=tmp_path, store="drive:colab_rl")
    assert found["pending"] == 0


@pytest.mark.parametrize("folder, times", [("My Drive", 3), ("cart", 5), ("checkpoints", 3)])
def test_empty_listings_begin_no_run_over_another(tmp_path, drive, folder, times):
    """More than the client asks for again by itself: twice for each look, and once more for a file."""
    first = session(tmp_path / "first", "drive:colab_rl", steps=300)
    drive.fault("list", "empty", title=f"^{folder}$", times=times)
    again = session(tmp_path / "second", "drive:colab_rl", steps=300)
    assert (again.generation, again.state_sha256) == (first.generation, first.state_sha256)
    assert sum(file.title == "colab_rl" for file in drive.files.values()) == 1


def test_what_a_killed_prune_left_in_drive_is_swept(tmp_path, drive):
    session(tmp_path, "drive:colab_rl", steps=500)
    folder = drive.at("colab_rl/cart/checkpoints").id
    drive.add("00000002-00000000.safetensors", b"left over", parent=folder)
    drive.add("00000002-00000000.json", b"torn", parent=folder)       # a damaged one is for a person to look at
    drive.add("00000004-00000000.safetensors", b"left over", parent=folder)
    drive.add("a stranger's.safetensors", b"mine", parent=folder)
    session(tmp_path, "drive:colab_rl", steps=600)
    left = {name.rpartition("/")[2] for name in drive.tree() if b"left over" in drive.tree()[name]}
    assert left == {"00000002-00000000.safetensors"}
    assert drive.at("colab_rl/cart/checkpoints/a stranger's.safetensors")


def test_resume_of_a_long_run_takes_few_calls(tmp_path, drive):
    session(tmp_path / "first", "drive:colab_rl", steps=2500)
    drive.calls.clear()
    place = Places(tmp_path / "second", "drive:colab_rl")
    identity = place.require("cart")
    local, remote = place.tiers(identity)
    from colab_rl.checkpoints.recovery import newest_whole, restore_locally
    checkpoint = newest_whole(local, remote, print)
    tables = restore_locally(checkpoint, local, remote, print)
    assert len(tables) == checkpoint.manifest.generation > 30
    assert drive.count("list") <= 6  # one a folder, telemetry's too
    assert len(drive.calls) <= len(tables) + 12


def test_a_checkpoint_takes_few_calls(tmp_path, drive):
    """At half a second each they must fit between two checkpoints."""
    line = make_line(9)
    local = make_tier(tmp_path / "local")
    with contextlib.closing(Replicator(local, remote(drive), IDENTITY, 2, 100)) as replicator:
        for checkpoint in line:
            drive.calls.clear()
            local.commit(*checkpoint)
            replicator.submit(checkpoint.manifest)
            assert brought(replicator)
            assert checkpoint.manifest.generation == 1 or len(drive.calls) <= 19
    assert drive.count("delete") == 2  # the last one made room


def remote(drive: FakeDrive) -> Tier:
    """The walker's checkpoints in Drive, as a new session opens them."""
    return Tier(drive.open().subfolder("walker"), RUN_ID)


def bring(checkpoint: Checkpoint, local: Tier, replicator: Replicator) -> None:
    """A checkpoint is made here and brought to the store."""
    local.commit(*checkpoint)
    replicator.submit(checkpoint.manifest)
    assert replicator.wait(LONG)


def test_what_was_thrown_away_in_drive_is_missed_at_the_next_checkpoint(tmp_path, drive, capsys):
    line = make_line(5, {2: 9.0})
    local = make_tier(tmp_path / "local")
    with contextlib.closing(Replicator(local, remote(drive), IDENTITY, 2, 100)) as replicator:
        for checkpoint in line:
            bring(checkpoint, local, replicator)
            if checkpoint.manifest.generation == 4:
                drive.at(f"colab_rl/walker/{line[1].manifest.state_file}").trashed = True
                assert generations(remote(drive)) == [1, 3, 4]
    assert generations(remote(drive)) == [1, 2, 4, 5]
    assert f"no longer holds {line[1].manifest.state_file}" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["walker", "walker/checkpoints", "walker/metrics", "walker/sessions"])
@pytest.mark.parametrize("how", ["renamed", "moved"])
def test_a_folder_that_was_renamed_or_moved_in_drive_is_missed_at_the_next_checkpoint(
        tmp_path, drive, capsys, folder, how):
    line = make_line(4)
    local = make_tier(tmp_path / "local")
    with contextlib.closing(Replicator(local, remote(drive), IDENTITY, 9, 100)) as replicator:
        for checkpoint in line:
            bring(checkpoint, local, replicator)
            if checkpoint.manifest.generation == 3:
                moved = drive.at(f"colab_rl/{folder}")
                before = drive.tree(moved.id)
                moved.title, moved.parent = ("old", moved.parent) if how == "renamed" else (moved.title, "root")
    store = drive.open().subfolder("walker")
    assert generations(Tier(store, RUN_ID)) == [1, 2, 3, 4] and store.get("run.json") == IDENTITY
    assert drive.tree(moved.id) == before
    assert "copying everything again" in capsys.readouterr().err


def test_a_store_that_is_too_slow_is_waited_for_once_and_not_at_every_checkpoint(tmp_path, drive, monkeypatch, capfd):
    monkeypatch.setattr("colab_rl.checkpoints.pace.LONGEST_WAIT", 1.5)
    monkeypatch.setattr("colab_rl.checkpoints.pace.UNSAID_WAIT", 0.5)
    monkeypatch.setattr("colab_rl.runs.push.LAST_WAIT", 1.0)
    drive.open()
    drive.latency = 1.0
    began = time.monotonic()
    result = session(tmp_path, "drive:colab_rl")
    assert result.finished and result.pending > 5 and result.store_error is None
    tables = [from_csv(path.read_bytes()) for path in (tmp_path / "cart" / "metrics").glob("*.csv")]
    waits = [row["time/checkpoint"] for table in tables for row in table if row.get("time/checkpoint", 0) >= 1.5]
    assert len(waits) == 1, (waits, time.monotonic() - began)
    shown = capfd.readouterr().err
    assert shown.count("at most: it takes longer for a checkpoint") == 1 and "pending" in shown


class Pace(Watcher):
    """Calls `each` with the newest generation and where it is, after every iteration."""

    def __init__(self, each: Callable[[int, str], None]):
        self.each = each

    def goal(self, total_steps: int) -> None:
        pass

    def past(self, row: Row) -> None:
        pass

    def row(self, row: Row, where: str) -> None:
        found = re.match(r"checkpoint (\d+): (.*)", where)
        assert found
        self.each(int(found[1]), found[2])


@pytest.mark.parametrize("how", ["stopped", "finished"])
def test_the_last_checkpoint_of_a_session_is_queued_at_once(tmp_path, monkeypatch, how):
    """However the store does: a machine that is taken away gives a few seconds."""
    monkeypatch.setattr("colab_rl.checkpoints.pace.LONGEST_WAIT", 20.0)
    monkeypatch.setattr("colab_rl.runs.push.FAILING_WAIT", 0.0)
    store, asked = tmp_path / "store", []
    store.mkdir()

    def pace(generation: int, where: str) -> None:
        if generation == 1 and "pending" not in where and "local" not in where and store.exists():
            store.rename(tmp_path / "away")  # generation 2 waits for nothing, and stays pending; generation 3 waits
        elif generation == 1 and store.exists():
            time.sleep(0.05)
        elif generation == 2 and how == "stopped" and not asked:
            asked.append(threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)))
            asked[0].start()

    began = time.monotonic()
    steps = 900 if how == "finished" else 1500  # some 60 each iteration
    result = train("cart", env="CartPole-v1", backend="gymnasium", total_steps=steps, root=tmp_path / "root",
                   store=str(store), watcher=Pace(pace),
                   settings={**parse_settings(TINY), **parse_settings(["checkpoint_every=8", "eval_every=100"])})
    assert not store.exists() and time.monotonic() - began < 15.0
    assert result.signal_number == (signal.SIGTERM if how == "stopped" else None)
    assert (result.generation, result.pending) == (3, 2)


def test_training_waits_for_the_store_at_regular_checkpoints_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("colab_rl.checkpoints.pace.LONGEST_WAIT", 1.5)
    monkeypatch.setattr("colab_rl.runs.push.FAILING_WAIT", 0.0)
    store = tmp_path / "store"
    store.mkdir()

    def pace(generation: int, where: str) -> None:
        if store.exists():  # after the first iteration
            assert comes(lambda: list(store.glob("cart/checkpoints/*.json")))
            store.rename(tmp_path / "away")

    train("cart", env="CartPole-v1", backend="gymnasium", total_steps=500, root=tmp_path / "root", store=str(store),
          watcher=Pace(pace),
          settings={**parse_settings(TINY), **parse_settings(["checkpoint_every=2", "eval_every=3"])})
    rows = {row["iteration"]: row for path in (tmp_path / "root").glob("cart/metrics/*.csv")
            for row in from_csv(path.read_bytes())}
    assert "evaluation/score" in rows[3]  # the first one is the best so far, and a checkpoint
    # Regular ones are the second, which has none before it, and the fourth; a row tells of those before it.
    assert [number for number in range(1, 7) if rows[number]["time/checkpoint"] >= 1.5] == [5]


def test_a_machine_that_dies_while_the_store_is_away_for_a_moment_would_lose_little(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("colab_rl.checkpoints.pace.LONGEST_WAIT", LONG)
    monkeypatch.setattr("colab_rl.checkpoints.pace.UNSAID_WAIT", 0.1)
    disk, away, results = tmp_path / "disk", tmp_path / "away", []
    (disk / "store").mkdir(parents=True)

    def newest(folder: Path) -> int:
        names = (f"checkpoints/{path.name}" for path in folder.glob("cart/checkpoints/*.json"))
        return max((manifest_generation(name) or 0 for name in names), default=0)

    thread = threading.Thread(
        target=lambda: results.append(session(tmp_path / "root", str(disk / "store"), steps=1000)))
    thread.start()
    deadline = time.monotonic() + LONG
    while newest(disk / "store") < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    disk.rename(away)
    shown = ""
    while "waiting for the store, 60 s at most" not in shown and time.monotonic() < deadline:
        shown += capfd.readouterr().err
        time.sleep(0.01)
    assert "disk/store no longer exists" in shown
    time.sleep(1.5)  # training waits
    assert newest(away / "store") < newest(tmp_path / "root") <= newest(away / "store") + 2
    away.rename(disk)
    thread.join(LONG)
    assert results[0].finished and results[0].pending == 0
    rows = [row for path in (tmp_path / "root").glob("cart/metrics/*.csv") for row in from_csv(path.read_bytes())]
    assert max(row.get("time/checkpoint", 0) for row in rows) >= 1.5


def test_no_secret_reaches_a_run(tmp_path, drive, monkeypatch, capfd):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = login.write_login({"type": "authorized_user", "client_id": "client", "client_secret": "hush-client",
                              "refresh_token": "hush-refresh", "token_uri": drive.url + "token"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    drive.fault("insert", "401", times=2)
    session(tmp_path / "root", "drive:colab_rl", steps=300)
    secrets = [header.removeprefix("Bearer ").encode() for header in drive.seen if header] + [b"hush-"]
    written = {**drive.tree(), **{str(file): file.read_bytes() for file in (tmp_path / "root").rglob("*")
                                  if file.is_file()}, "output": "".join(capfd.readouterr()).encode()}
    for name, content in written.items():
        assert not [secret for secret in secrets if secret in content], name


# Push.


def test_push_brings_what_is_missing_and_no_more(tmp_path, drive):
    session(tmp_path / "root", "none", steps=300)
    result = push("cart", root=tmp_path / "root", store="drive:colab_rl")
    assert result.state == "verified"
    before = drive.tree()
    assert push("cart", root=tmp_path / "root", store="drive:colab_rl") == result
    assert {name for name in before if "sessions" not in name} == {
        name for name in drive.tree() if "sessions" not in name}
    with pytest.raises(UsageError, match="no store"):
        push("cart", root=tmp_path / "root", store="none")


def test_push_does_not_take_a_run_from_a_session_that_is_ahead(tmp_path, drive):
    session(tmp_path / "old", "drive:colab_rl", steps=300)
    newer = session(tmp_path / "new", "drive:colab_rl", steps=600)
    claims = [name for name in drive.tree() if "sessions" in name]
    assert push("cart", root=tmp_path / "old", store="drive:colab_rl").generation == newer.generation
    assert [name for name in drive.tree() if "sessions" in name] == claims


# Another machine.


class Threads:
    """A watcher that notes how many threads each iteration had."""

    def __init__(self):
        self.seen: set[int] = set()

    def goal(self, total_steps: int) -> None:
        pass

    def past(self, row: Row) -> None:
        pass

    def row(self, row: Row, where: str) -> None:
        self.seen.add(torch.get_num_threads())


def test_a_machine_with_other_threads_and_cores_goes_on_exactly(tmp_path, undisturbed, monkeypatch):
    store, threads, before = tmp_path / "store", Threads(), torch.get_num_threads()
    store.mkdir()
    killed(tmp_path / "first", str(store), lambda: len(list(store.glob("cart/checkpoints/*.json"))) >= 3)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2})
    torch.set_num_threads(before + 2)
    try:
        result = session(tmp_path / "second", str(store), watcher=threads)
        assert torch.get_num_threads() == before + 2
    finally:
        torch.set_num_threads(before)
    assert result.state_sha256 == undisturbed
    assert threads.seen == {1}
    assert status("cart", root=tmp_path / "second", store=str(store))[0]["exact"] is True


def test_a_run_keeps_the_threads_that_it_began_with(tmp_path, monkeypatch):
    store, threads = tmp_path / "store", Threads()
    store.mkdir()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("colab_rl.training.request.THREADS", 2)
        session(tmp_path / "first", str(store), steps=300)
    session(tmp_path / "second", str(store), watcher=threads)
    assert threads.seen == {2}
    assert status("cart", root=tmp_path / "second", store=str(store))[0]["exact"] is True


# Two sessions.


@pytest.fixture(params=["folder", "drive", "mount"])
def storages(request, tmp_path, drive) -> Callable:
    """Opens the run's folder in the store, anew for each session."""
    if request.param == "drive":
        return lambda: drive.open().subfolder("walker")
    folder = request.getfixturevalue("mount").point if request.param == "mount" else tmp_path
    return lambda: FolderStorage(folder / "store")


def test_the_session_that_came_last_has_the_run(storages):
    first, second = Claim(storages()), Claim(storages())
    first.take()
    first.check()
    second.take()
    second.check()
    with pytest.raises(Overtaken, match="newer session has the run now"):
        first.check()
    first.take()  # coming back changes nothing
    with pytest.raises(Overtaken):
        first.check()
    second.check()
    assert len(storages().list("sessions/")) <= 2


def test_a_claim_that_is_gone_is_told_from_one_that_was_overtaken(storages):
    claim = Claim(storages())
    claim.take()
    for name in storages().list("sessions/"):
        storages().delete(name)
    with pytest.raises(ClaimLost):
        claim.check()


def test_an_older_session_stops_and_deletes_nothing_of_the_newer(storages, tmp_path):
    line = make_line(12)
    sessions = []
    for name in ("old", "new"):
        local = make_tier(tmp_path / name)
        sessions.append((local, Replicator(local, Tier(storages(), RUN_ID), IDENTITY, 2, 100)))
        for checkpoint in line[:4] if name == "old" else line[4:6]:
            local.commit(*checkpoint)
            sessions[-1][1].submit(checkpoint.manifest)
        assert brought(sessions[-1][1])
    (old, older), (_, newer) = sessions
    store = Tier(storages(), RUN_ID)
    before = generations(store)
    for checkpoint in line[6:9]:
        old.commit(*checkpoint)
        older.submit(checkpoint.manifest)
    older.wait(LONG)
    assert "newer session has the run now" in (older.overtaken or "")
    assert older.pending == 3
    assert generations(store) == before
    assert newer.overtaken is None
    for _, replicator in sessions:
        replicator.close()


def check_overtaken(root: Path, store: str, has_generation: Callable[[int], bool], claim: Callable[[], Claim]) -> None:
    """A session trains on `store`; once it has saved twice there, another one claims the run, and it stops."""
    taken = threading.Event()

    def take() -> None:
        while not has_generation(3):
            time.sleep(0.01)
        claim().take()
        taken.set()

    threading.Thread(target=take, daemon=True).start()
    with pytest.raises(ColabRLError, match=r"newer session has the run.*stopped; kept here: generation \d") as caught:
        session(root, store, steps=20_000)
    assert caught.value.exit_code == 1
    assert taken.is_set()
    found, = status("cart", root=root, store="none")
    assert not found["finished"] and found["checkpoints"][0]["local"] == "verified"


def test_a_training_session_that_is_overtaken_ends_cleanly(tmp_path, drive):
    check_overtaken(tmp_path / "first", "drive:colab_rl",
                    lambda generation: any(f"/{generation:08d}-" in name for name in manifests(drive)),
                    lambda: Claim(drive.open().subfolder("cart")))


def test_a_store_that_became_another_folder_is_filled_again(storages, tmp_path):
    line = make_line(3)
    local = make_tier(tmp_path / "local", line[:2])
    with contextlib.closing(Replicator(local, Tier(storages(), RUN_ID), IDENTITY, 5, 100)) as replicator:
        for checkpoint in line[:2]:
            replicator.submit(checkpoint.manifest)
        assert brought(replicator)
        storage = storages()
        for name in storage.list(""):
            storage.delete(name)
        local.commit(*line[2])
        replicator.submit(line[2].manifest)
        assert replicator.wait(LONG)
    assert generations(Tier(storages(), RUN_ID)) == [1, 2, 3]
    assert storages().get("run.json") == IDENTITY


@pytest.mark.parametrize("left", ["sessions", "strangers"])
def test_a_run_whose_first_file_never_arrived_can_begin_and_a_strangers_folder_is_left_alone(tmp_path, drive, left):
    name = "sessions/00000001-0123abcd.json" if left == "sessions" else "holiday.jpg"
    drive.add(f"colab_rl/walker/{name}", b"{}")
    (tmp_path / "store" / "walker" / "checkpoints").mkdir(parents=True)
    (tmp_path / "store" / "walker" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "store" / "walker" / name).write_bytes(b"{}")
    for store in ("drive:colab_rl", tmp_path / "store"):
        if left == "sessions":
            assert Places(tmp_path / "root", store).find("walker") is None
        else:
            with pytest.raises(ColabRLError, match="is not a run"):
                Places(tmp_path / "root", store).find("walker")
    assert drive.tree() == {f"colab_rl/walker/{name}": b"{}"}


@pytest.mark.parametrize("by_link", [False, True])
def test_the_folder_of_the_runs_is_no_store_for_them(tmp_path, by_link):
    """A checkpoint would be called verified in both, and there would be one."""
    (root := tmp_path / "runs").mkdir()
    (link := tmp_path / "link").symlink_to(root)
    with pytest.raises(UsageError, match=r"is the folder of the runs itself.*nothing was changed"):
        train("walker", env="CartPole-v1", root=root, store=link if by_link else root)
    assert not list(root.iterdir())


# A FUSE mount that writes back later.

needs_fuse = pytest.mark.skipif(rclone_mount.MISSING is not None, reason=str(rclone_mount.MISSING))


@pytest.fixture
def mount(request, tmp_path) -> Iterator[Mount]:
    mount = Mount(tmp_path / "mounted", getattr(request, "param", "1s"))
    try:
        mount.mount()
        yield mount
    finally:
        mount.unmount()


@needs_fuse
def test_a_mount_without_a_login_is_written_and_never_verified(tmp_path, mount, monkeypatch):
    monkeypatch.setattr(login, "may_have_login", lambda: False)
    store = str(mount.point / "MyDrive" / "colab_rl")
    result = session(tmp_path / "root", store, steps=300)
    assert result.pending == 0
    found, = status("cart", root=tmp_path / "root", store=store)
    assert {row["store"] for row in found["checkpoints"]} == {"written"}
    assert status(root=tmp_path / "root", store=store) == [found]


@needs_fuse
def test_a_mount_with_a_login_is_verified_on_drives_side(tmp_path, mount, drive, monkeypatch):
    drive.mirror = mount.behind / "MyDrive"
    monkeypatch.setattr(replication, "CONFIRM_PAUSE", 0.2)
    store = str(mount.point / "MyDrive" / "colab_rl")
    session(tmp_path / "root", store, steps=300)
    result = push("cart", root=tmp_path / "root", store=store)
    assert result.state == "verified"
    found, = status("cart", root=tmp_path / "root", store=store)
    assert {row["store"] for row in found["checkpoints"]} == {"verified"}
    assert status(root=tmp_path / "root", store=store) == [found]


def test_a_mounted_folder_of_a_shared_drive_has_a_witness_too(tmp_path, drive, monkeypatch, capsys):
    monkeypatch.setattr("colab_rl.storage.folder.is_fuse", lambda folder: True)
    top = drive.add_shared_drive("team")
    drive.add("runs/walker/run.json", IDENTITY, parent=top.id)
    for name in ("team", "another"):
        folder = tmp_path / "drive" / "Shareddrives" / name / "runs"
        folder.mkdir(parents=True)
        witness = open_store(str(folder), make=False).subfolder("walker").witness
        if name == "team":
            assert witness.get("run.json") == IDENTITY
    assert witness is None and "cannot be verified there: the login sees no shared drive" in capsys.readouterr().err


def test_a_shortcut_on_the_mount_has_the_folder_itself_as_its_witness(tmp_path, drive, monkeypatch):
    monkeypatch.setattr("colab_rl.storage.folder.is_fuse", lambda folder: True)
    shared = drive.add("runs of a friend", None, parent=drive.add_shared_drive("team").id)
    drive.add("walker/run.json", IDENTITY, parent=shared.id)
    (target := tmp_path / "drive" / ".shortcut-targets-by-id" / shared.id / "runs of a friend").mkdir(parents=True)
    (mine := tmp_path / "drive" / "MyDrive").mkdir()
    (mine / "friend").symlink_to(target)
    witness = open_store(str(mine / "friend"), make=False).subfolder("walker").witness
    assert witness.get("run.json") == IDENTITY


@pytest.mark.parametrize("asked", ["the mount, later", "Drive"])
def test_a_store_that_a_mount_does_not_list_for_a_moment_is_not_made_anew(tmp_path, drive, monkeypatch, asked):
    monkeypatch.setattr("colab_rl.storage.folder.is_fuse", lambda folder: True)
    drive.add("colab_rl/cart/run.json", b"{}")
    (above := tmp_path / "drive" / "MyDrive").mkdir(parents=True)
    folder, looks = above / "colab_rl", []

    def pause(seconds: float) -> None:
        looks.append(seconds)
        if asked == "the mount, later" and len(looks) == 2:
            (above / "colab_rl" / "cart").mkdir(parents=True)

    monkeypatch.setattr("colab_rl.storage.base.time.sleep", pause)
    if asked == "Drive":
        with pytest.raises(StorageError, match=r"with cart in it, and the mount does not show it; nothing was changed"):
            open_store(str(folder), make=True)
        assert not folder.exists()
        open_store(str(above / "other"), make=True)  # which neither has
        assert (above / "other").is_dir()
    else:
        assert open_store(str(folder), make=True).folders() == ["cart"]


@needs_fuse
@pytest.mark.parametrize("mount", ["1h"], indirect=True)
def test_what_only_the_mount_has_is_not_verified_and_makes_no_room(tmp_path, mount, drive, monkeypatch):
    drive.mirror = mount.behind / "MyDrive"
    monkeypatch.setattr(replication, "CONFIRM_PAUSE", 0.1)
    monkeypatch.setattr("colab_rl.runs.push.LAST_WAIT", 1.0)
    store = str(mount.point / "MyDrive" / "colab_rl")
    session(tmp_path / "root", store, steps=500)
    found, = status("cart", root=tmp_path / "root", store=store)
    assert {row["store"] for row in found["checkpoints"]} == {"written"}
    assert status(root=tmp_path / "root", store=store) == [found]
    assert len(found["checkpoints"]) >= 8  # retention would have left five


@needs_fuse
def test_a_mount_that_dies_loses_at_most_what_it_had_not_written(tmp_path, mount, undisturbed, monkeypatch):
    monkeypatch.delenv("COLAB_RL_DRIVE_ENDPOINT", raising=False)
    folder = mount.point / "MyDrive" / "colab_rl"
    folder.mkdir()
    through = mount.behind / "MyDrive" / "colab_rl" / "cart" / "checkpoints"
    results: list = []
    thread = threading.Thread(target=lambda: results.append(session(tmp_path / "first", str(folder), steps=STEPS)))
    monkeypatch.setattr("colab_rl.runs.push.FAILING_WAIT", 3.0)
    monkeypatch.setattr("colab_rl.checkpoints.pace.LONGEST_WAIT", 0.5)
    thread.start()
    deadline = time.monotonic() + LONG
    while not list(through.glob("*.json")) and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    mount.kill()
    thread.join(LONG)
    assert results[0].state_sha256 == undisturbed  # training went on
    mount.unmount()
    assert not any(mount.point.iterdir())          # nothing was written onto this machine's disk in its place
    with pytest.raises(ColabRLError, match=r"not found|cannot be used"):
        session(tmp_path / "first", str(folder))
    mount.mount()
    shutil.rmtree(tmp_path / "first")              # and the machine is lost too
    assert session(tmp_path / "second", str(folder)).state_sha256 == undisturbed


@needs_fuse
@pytest.mark.parametrize("mount", ["100ms"], indirect=True)
def test_of_two_machines_that_mount_one_store_the_session_that_came_last_has_the_run(tmp_path, mount, monkeypatch):
    monkeypatch.delenv("COLAB_RL_DRIVE_ENDPOINT", raising=False)
    other = Mount(tmp_path / "other", "100ms", mount.behind)
    other.mount()
    try:
        there = Tier(FolderStorage(mount.behind / "MyDrive" / "colab_rl" / "cart"), "")
        store = other.point / "MyDrive" / "colab_rl"
        check_overtaken(tmp_path / "first", str(mount.point / "MyDrive" / "colab_rl"),
                        lambda generation: any(manifest_generation(name) == generation for name in there.names()),
                        lambda: Claim(FolderStorage(store / "cart")))
        newest = manifest_generation(there.names()[0])
        killed(tmp_path / "second", str(store), lambda: manifest_generation(there.names()[0]) > newest + 2, 20_000)
        assert verify("cart", root=tmp_path / "third", store=str(store))["bad"] == []
    finally:
        other.unmount()


@needs_fuse
def test_a_mount_that_comes_back_is_used_again(tmp_path, mount, monkeypatch):
    monkeypatch.delenv("COLAB_RL_DRIVE_ENDPOINT", raising=False)
    folder = mount.point / "MyDrive" / "colab_rl"
    folder.mkdir()
    line = make_line(3)
    local = make_tier(tmp_path / "local")
    store = FolderStorage(folder).subfolder("walker")
    with contextlib.closing(Replicator(local, Tier(store, RUN_ID), IDENTITY, 5, 100)) as replicator:
        local.commit(*line[0])
        replicator.submit(line[0].manifest)
        assert brought(replicator)
        time.sleep(2.5)  # written through
        mount.kill()
        local.commit(*line[1])
        replicator.submit(line[1].manifest)
        assert goes_wrong(replicator)
        assert replicator.pending
        mount.unmount()  # now a plain empty folder of this disk
        time.sleep(1.0)
        assert replicator.pending and not any(mount.point.iterdir())
        mount.mount()
        local.commit(*line[2])
        replicator.submit(line[2].manifest)
        assert replicator.wait(LONG)
    assert generations(Tier(store, RUN_ID)) == [1, 2, 3]
