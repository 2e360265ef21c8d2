"""`delete`: what it moves to the trash folder, what it refuses, and the lock under which it does."""

from __future__ import annotations

import fcntl
import io
import sys
from pathlib import Path

import pytest
from helpers import snapshot

from colab_rl import ColabRLError, UsageError, train
from colab_rl.cli import main
from colab_rl.runs import removal
from colab_rl.runs.lock import locked
from colab_rl.runs.places import Places
from colab_rl.runs.removal import delete
from colab_rl.storage import FolderStorage


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder of runs; a store lies beside it."""
    (tmp_path / "store").mkdir()
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def begun(folder: Path, run_json: str = "{") -> Path:
    """A run's folder. Its run.json is damaged."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "run.json").write_text(run_json)
    (folder / "checkpoints" / "one").write_text("state")
    return folder


def deleted(root: Path, name: str, *options: str) -> int:
    return main(["delete", name, "--root", str(root), "--store", str(root.parent / "store"), *options])


@pytest.mark.parametrize("options", [[], ["--yes"]], ids=str)
def test_a_folder_without_a_run_is_left_as_it_is(root, capsys, monkeypatch, options):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    (root / "mine" / "sub").mkdir(parents=True)
    (root / "mine" / "thesis.txt").write_text("years of work")
    (root / "mine" / "link").symlink_to("thesis.txt")
    assert deleted(root, "mine", *options) == 1
    assert "is not a run: it has no run.json; nothing was changed" in capsys.readouterr().err
    assert sorted(path.name for path in root.rglob("*")) == ["link", "mine", "sub", "thesis.txt"]
    assert (root / "mine" / "link").is_symlink()


@pytest.mark.parametrize("options", [[], ["--yes"]], ids=str)
def test_a_lock_alone_is_no_run(root, capsys, monkeypatch, options):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with locked(FolderStorage(root / "c")):
        pass
    assert deleted(root, "c", *options) == 2
    assert "no run 'c'" in capsys.readouterr().err and not (root / ".trash").exists()


@pytest.mark.parametrize("options", [[], ["--yes"]], ids=str)
def test_a_run_whose_run_json_is_damaged_is_moved(root, monkeypatch, options):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    before = snapshot(begun(root / "b"))
    assert deleted(root, "b", *options) == 0
    trash, = (root / ".trash").iterdir()
    assert snapshot(trash) == before and not (root / "b").exists()


def test_of_a_run_in_the_store_alone_only_the_trash_folder_there_is_named(root):
    begun(root.parent / "store" / "far")
    found = delete("far", root=root, store=root.parent / "store")
    assert [Path(one).parent for one in found.trash] == [root.parent / "store" / ".trash"]
    assert not list(root.iterdir()) and [path.name for path in (root.parent / "store").iterdir()] == [".trash"]


def test_no_session_can_hold_a_run_until_its_folder_is_gone(root, monkeypatch):
    begun(root / "x")
    run, clean, refused = FolderStorage(root / "x"), removal._remove_empty_folders, []

    def late(storage: FolderStorage) -> None:
        with pytest.raises(ColabRLError, match="another session on this machine"), locked(run):
            pass
        refused.append(storage)
        clean(storage)

    monkeypatch.setattr(removal, "_remove_empty_folders", late)
    delete("x", root=root, store="none")
    assert refused and not (root / "x").exists()


def test_a_lock_whose_file_is_deleted_before_it_is_held_is_taken_again(root, monkeypatch):
    run, hold, first = FolderStorage(root / "x"), fcntl.flock, [True]

    def late(descriptor: int, operation: int) -> None:
        if first and first.pop():
            removal._remove_empty_folders(run)
        hold(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(run), pytest.raises(ColabRLError, match="another session on this machine"), locked(run):
        pass


def test_a_session_that_begins_the_run_anew_keeps_its_folder(root, monkeypatch):
    run, remove = begun(root / "x"), Path.rmdir

    def late(path: Path) -> None:
        if path == run:
            (run / ".lock").touch()
        remove(path)

    monkeypatch.setattr(Path, "rmdir", late)
    delete("x", root=root, store="none")
    assert [path.name for path in run.iterdir()] == [".lock"]


def test_the_lock_stays_until_the_last_file_is_gone(root):
    run = FolderStorage(begun(root / "x"))
    (run.root / ".lock").touch()
    removal._clear(run)
    assert list(run.list("")) == [".lock"]


def test_an_unknown_run_is_named(root):
    with pytest.raises(UsageError, match="no run 'zzz'"):
        delete("zzz", root=root, store="none")
    assert not list(root.iterdir())


@pytest.fixture
def swept(root):
    """A sweep of three runs, one of them in the store alone, beside a run of its own."""
    for folder in (root / "sweeps" / "walk", root.parent / "store" / "sweeps" / "walk"):
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text("{")
        (folder / "journal.jsonl").write_text("")
    (root / "sweeps" / "walk" / "logs").mkdir()
    (root / "sweeps" / "walk" / "logs" / "walk-t000-s0.log").write_text("said")
    for name in ("walk-t000-s0", "walk-t010-s1", "walker-t000-s0"):
        begun(root / name)
    begun(root.parent / "store" / "walk-t002-s0")
    return root


def test_a_sweep_is_moved_with_its_runs_and_comes_back_with_them(swept, capsys, monkeypatch):
    before = [snapshot(folder) for folder in (swept, swept.parent / "store")]
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert deleted(swept, "walk") == 0
    told = capsys.readouterr()
    assert "move walk and its runs (3) to the trash folder" in told.err
    assert "walk and its runs (3) were moved to" in told.out and "delete those folders" in told.out
    assert sorted(path.name for path in swept.iterdir()) == [".trash", "sweeps", "walker-t000-s0"]
    assert not any((swept / "sweeps").iterdir())
    found = [snapshot(next((folder / ".trash").iterdir())) for folder in (swept, swept.parent / "store")]
    kept = {name: content for name, content in before[0].items() if not name.startswith("walker")}
    assert found == [kept, before[1]]


def test_sweeps_are_listed_until_they_are_moved(swept, capsys):
    (swept / "sweeps" / "walk" / "plan.json").unlink()  # the store has it
    store = swept.parent / "store"
    assert Places(swept, store).sweeps() == ["walk"] and Places(swept, "none").sweeps() == []
    delete("walk", root=swept, store=store)
    assert Places(swept, store).sweeps() == []


def test_status_names_the_sweeps(swept, capsys):
    train("one", env="CartPole-v1", total_steps=64, settings={"num_steps": 32, "num_envs": 2, "eval_episodes": 1,
                                                              "score_episodes": 1}, root=swept)
    capsys.readouterr()
    assert main(["status", "--root", str(swept), "--store", str(swept.parent / "store")]) == 0
    assert capsys.readouterr().out.endswith("\nsweeps: walk; status walk shows its trials\n")


def test_an_answer_other_than_yes_leaves_a_sweep(swept, monkeypatch):
    before = snapshot(swept)
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert deleted(swept, "walk") == 1 and snapshot(swept) == before


@pytest.mark.parametrize("held", ["sweeps/walk", "walk-t010-s1"])
def test_a_sweep_that_a_session_trains_is_not_moved(swept, held):
    with locked(FolderStorage(swept / held)), pytest.raises(ColabRLError, match="another session on this machine"):
        delete("walk", root=swept, store=swept.parent / "store")
    assert not (swept / ".trash").exists() and not (swept.parent / "store" / ".trash").exists()


def test_a_sweep_whose_removal_was_stopped_can_be_removed(swept, monkeypatch):
    move = removal._move
    moved = []

    def stopped(storage, target):
        if moved:
            raise ColabRLError("the disk is full")
        moved.append(storage)
        move(storage, target)

    monkeypatch.setattr(removal, "_move", stopped)
    with pytest.raises(ColabRLError, match="the disk is full"):
        delete("walk", root=swept, store=swept.parent / "store")
    monkeypatch.undo()
    assert len(delete("walk", root=swept, store=swept.parent / "store").runs) == 2
    assert not (swept / "sweeps" / "walk").exists()
    with pytest.raises(UsageError, match="no run 'walk'"):
        delete("walk", root=swept, store=swept.parent / "store")
