"""A store on a FUSE mount that writes back later, with Drive behind it or not."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time

import pytest
import rclone_mount
from helpers import LONG, RUN_ID, brought, generations, goes_wrong, make_line, make_tier
from rclone_mount import Mount
from stored_runs import IDENTITY, STEPS, check_overtaken, killed, session

from colab_rl import ColabRLError, push, status, verify
from colab_rl.checkpoints import Replicator, Tier, replication
from colab_rl.checkpoints.claim import Claim
from colab_rl.checkpoints.layout import manifest_generation
from colab_rl.errors import StorageError
from colab_rl.storage import FolderStorage, open_store
from colab_rl.storage.drive import login

pytestmark = pytest.mark.usefixtures("short_pauses")

needs_fuse = pytest.mark.skipif(rclone_mount.MISSING is not None, reason=str(rclone_mount.MISSING))


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
    assert results[0].state_sha256 == undisturbed  # training continued
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
