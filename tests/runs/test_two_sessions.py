"""Two sessions at once: the run is the one's that came last; and whose a folder in a store is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from helpers import LONG, RUN_ID, brought, generations, make_line, make_tier
from stored_runs import IDENTITY, check_overtaken, manifests

from colab_rl import ColabRLError, UsageError, train
from colab_rl.checkpoints import Replicator, Tier
from colab_rl.checkpoints.claim import Claim, ClaimLost, Overtaken
from colab_rl.runs.places import Places
from colab_rl.storage import FolderStorage

pytestmark = pytest.mark.usefixtures("short_pauses")


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
