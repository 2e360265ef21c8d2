"""A run continues exactly from its store on Drive, whatever Drive does."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import threading

import pytest
import torch
from fake_drive import FakeDrive
from helpers import LONG, RUN_ID, brought, generations, make_line, make_tier
from stored_runs import IDENTITY, killed, manifests, session

from colab_rl import UsageError, push, status, verify
from colab_rl.checkpoints import Replicator, Tier, replication
from colab_rl.checkpoints.recovery import Checkpoint
from colab_rl.errors import StorageError
from colab_rl.runs.identity import Identity
from colab_rl.runs.places import Places
from colab_rl.runs.push import replicating
from colab_rl.storage.drive import login
from colab_rl.training.metrics import Row

pytestmark = pytest.mark.usefixtures("short_pauses")


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


@pytest.mark.parametrize("trouble", [StorageError, KeyboardInterrupt])
def test_the_thread_that_fills_the_store_ends_if_what_it_lacks_cannot_be_found_out(tmp_path, monkeypatch, trouble):
    def fail(tier):
        raise trouble

    (tmp_path / "store").mkdir()
    identity = Identity(name="walker", run_id="1", created="", env_id="CartPole-v1", algorithm="ppo", device="cpu",
                        backend="gymnasium", threads=1, config={}, spaces={}, versions={})
    before = set(threading.enumerate())
    monkeypatch.setattr(Tier, "whole", fail)
    with pytest.raises(trouble), replicating(identity, Places(tmp_path / "runs", tmp_path / "store"), b""):
        pass
    assert set(threading.enumerate()) <= before
