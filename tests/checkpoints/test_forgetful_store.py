"""What a store lost is seen and brought again; what only an old listing lacks is not."""

from __future__ import annotations

import pytest
from helpers import LONG, brought, flip, make_line, snapshot, table_of
from troubled_store import IDENTITY, SEGMENT, files_of, first, in_store, save, with_segment

from colab_rl.checkpoints import holdings


@pytest.fixture(params=["mount", "disk"])
def kind(request) -> None:
    """The store is one or the other."""
    if request.param == "mount":
        request.getfixturevalue("mounted")


@pytest.mark.parametrize("lost", ["manifest", "state", "cut", "table", "segment", "run.json", "everything"])
@pytest.mark.parametrize("noticed", [True, False], ids=["failed", "unnoticed"])
def test_what_the_store_lost_in_mid_session_is_brought_again(local, store, kind, start, noticed, lost):
    """A mount died, and came back without what it had taken; somebody threw a file away."""
    line = [with_segment(checkpoint) for checkpoint in make_line(3)]
    replicator = start(keep_last=10)
    save(local, replicator, *line[:2])
    assert brought(replicator)
    names = {"manifest": line[0].manifest.name, "state": line[1].manifest.state_file, "table": table_of(line[1]),
             "segment": SEGMENT, "run.json": "run.json"}
    for name in names.values() if lost == "everything" else [names.get(lost, names["state"])]:
        if lost == "cut":
            (store.root / name).write_bytes(b"")
        else:
            (store.root / name).unlink()
    if noticed:
        store.fails = first(1)
    save(local, replicator, line[2])
    assert replicator.wait(LONG)
    assert in_store(store) == [1, 2, 3]
    found = files_of(store.root)
    assert found.pop(line[1].manifest.state_file + ".bad", b"") == b""  # as it had been left
    assert found == {**snapshot(local.storage.root), "run.json": IDENTITY}


@pytest.mark.parametrize("old", ["manifest", "table", "cut"])
def test_one_old_listing_of_a_mount_does_not_bring_everything_again(local, store, start, mounted, capsys, old):
    line, replicator, listing, once = make_line(3), start(keep_last=9), store.list, first(1)
    save(local, replicator, *line[:2])
    assert brought(replicator)
    name = {"manifest": line[0].manifest.name, "table": table_of(line[0]), "cut": line[0].manifest.state_file}[old]

    def list_then(prefix: str) -> dict[str, int]:
        found = listing(prefix)
        if prefix and name in found and once():  # not where run.json alone is looked for
            del found[name]
            found |= {name: 0} if old == "cut" else {}
        return found

    store.list = list_then
    save(local, replicator, line[2])
    assert brought(replicator)
    assert not once() and "copying everything again" not in capsys.readouterr().err


@pytest.mark.parametrize("settled", [3600.0, 0.0])
def test_on_a_mount_that_nobody_can_ask_only_what_is_old_makes_room(
        local, store, start, mounted, monkeypatch, settled):
    monkeypatch.setattr(holdings, "SETTLED", settled)
    for part in (slice(0, 4), slice(4, 6)):  # two sessions: one finds what the other wrote
        replicator = start()
        for checkpoint in make_line(6)[part]:
            save(local, replicator, checkpoint)
            assert brought(replicator)
        replicator.close()
    assert in_store(store) == ([1, 2, 3, 4, 5, 6] if settled else [1, 5, 6])


def test_while_the_newest_is_lost_nothing_is_deleted_in_the_store(local, store, start):
    line = make_line(5)
    replicator = start()
    save(local, replicator, *line[:4])
    assert brought(replicator)
    assert in_store(store) == [1, 3, 4]
    # The state arrives and is read back; by the time that retention looks again it is gone.
    store.loses = lambda name: name == line[4].manifest.state_file
    save(local, replicator, line[4])
    assert brought(replicator)
    assert in_store(store) == [1, 3, 4]


def test_what_the_store_lost_is_brought_again_by_the_next_session(local, store, start, tmp_path):
    line = make_line(4)
    replicator = start(keep_last=10)
    save(local, replicator, *line)
    assert brought(replicator)
    replicator.close()
    for name in (line[3].manifest.state_file, line[2].manifest.name, table_of(line[0])):
        (store.root / name).unlink()
    flip(store.root / line[1].manifest.state_file)
    replicator = start(keep_last=10)
    for checkpoint in line:
        replicator.submit(checkpoint.manifest)
    assert brought(replicator)
    found = files_of(store.root)
    assert found.pop(line[1].manifest.state_file + ".bad")  # set aside, not overwritten
    assert found == {**snapshot(tmp_path / "local"), "run.json": IDENTITY}
