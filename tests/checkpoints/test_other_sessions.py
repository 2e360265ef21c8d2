"""Sessions of one run share its store: what another brought is kept, and who was overtaken deletes nothing."""

from __future__ import annotations

import dataclasses

import pytest
from helpers import LONG, RUN_ID, brought, comes, goes_wrong, make_checkpoint, make_line, make_tier, table_of
from troubled_store import first, in_store, puts, save

from colab_rl.checkpoints import FileRecord, Tier, replication
from colab_rl.checkpoints.claim import Claim
from colab_rl.checkpoints.layout import numbered_name
from colab_rl.checkpoints.recovery import Checkpoint
from colab_rl.storage import FolderStorage


def done_again(checkpoint: Checkpoint, seconds: float) -> Checkpoint:
    """As a session elsewhere made it: the state is the same, the time that it took and its table are not."""
    manifest, name = checkpoint.manifest, table_of(checkpoint)
    data = checkpoint.contents[name].replace(b"\n", b"\n\n")
    table = numbered_name("metrics/", manifest.generation, FileRecord.of(data).sha256, "csv")
    files = {table: FileRecord.of(data), manifest.state_file: manifest.files[manifest.state_file]}
    return Checkpoint(dataclasses.replace(manifest, seconds=seconds, files=files),
                      {table: data, manifest.state_file: checkpoint.state})


def test_a_checkpoint_that_another_session_brought_is_kept_as_that_one_wrote_it(local, store, start, witness):
    line = make_line(6, {2: 9.0})
    theirs = done_again(line[1], 99.0)
    assert theirs.manifest.stem == line[1].manifest.stem and theirs.manifest != line[1].manifest
    make_tier(store.root, [line[0], theirs, make_checkpoint(3, theirs, salt=7)])
    replicator = start()
    save(local, replicator, line[1])
    assert brought(replicator)
    assert replicator.wait_confirmed(LONG)  # Drive has theirs, and is not asked for ours
    for checkpoint in line[2:]:
        save(local, replicator, checkpoint)
        assert brought(replicator) and replicator.wait_confirmed(LONG)
    assert replicator.state(line[1].manifest) == "verified"
    assert comes(lambda: in_store(store) == [1, 2, 5, 6])
    assert Tier(store, RUN_ID).read(theirs.manifest.name) == theirs.manifest


@pytest.mark.parametrize("how", ["other state", "torn"])
def test_another_sessions_checkpoint_that_is_none_is_replaced(local, store, start, how):
    line = make_line(2)
    theirs = done_again(line[1], 99.0)
    manifest = dataclasses.replace(theirs.manifest, state_sha256="0" * 64) if how == "other state" else theirs.manifest
    make_tier(store.root, [line[0], theirs._replace(manifest=manifest)])
    if how == "torn":
        (store.root / table_of(theirs)).unlink()
    replicator = start()
    save(local, replicator, *line)
    assert brought(replicator)
    assert Tier(store, RUN_ID).read(line[1].manifest.name) == line[1].manifest
    assert store.list("checkpoints/")[line[1].manifest.name + ".bad"]


def test_a_store_that_is_ahead_of_this_machine_is_said(local, store, start, capsys):
    """It could not be listed when the session began, and does when it saves."""
    line = make_line(8)
    make_tier(store.root, [line[0], *line[5:7]])
    replicator = start()
    save(local, replicator, line[0], make_checkpoint(2, line[0], salt=7))
    assert brought(replicator)
    assert "is ahead: it holds generation 7, this machine " in capsys.readouterr().err
    assert in_store(store) == [1, 6, 7]
    replicator.close()
    save(local, replicator := start(), *line[5:])
    assert brought(replicator)
    assert in_store(store) == [1, 7, 8]


def test_a_store_that_is_behind_is_not_called_ahead(local, store, start, capsys):
    line = make_line(6)
    make_tier(store.root, line[:4])
    for checkpoint in line[:5]:
        local.commit(*checkpoint)
    replicator = start()
    replicator.submit(line[0].manifest)
    save(local, replicator, line[5])
    assert brought(replicator)
    assert "ahead" not in capsys.readouterr().err


@pytest.mark.parametrize("noticed", ["idle", "writing"])
def test_a_session_that_was_overtaken_makes_no_room_in_the_newer_ones_store(
        local, store, start, witness, monkeypatch, noticed):
    if noticed == "writing":
        monkeypatch.setattr(replication, "CONFIRM_PAUSE", 10 * LONG)
    replicator, line = start(), make_line(5)
    witness.fails = lambda call, name: True
    save(local, replicator, *line[:4])
    assert brought(replicator)
    assert in_store(store) == [1, 2, 3, 4]
    Claim(FolderStorage(store.root)).take()
    witness.fails = lambda call, name: False
    if noticed == "writing":
        store.entered.clear()
        store.open.clear()
        save(local, replicator, line[4])
        assert store.entered.wait(LONG)
        monkeypatch.setattr(replication, "CONFIRM_PAUSE", 0.0)
        store.open.set()
    assert comes(lambda: replicator.overtaken is not None or not replicator.unconfirmed)
    replicator.close()
    assert in_store(store) == [1, 2, 3, 4]
    assert replicator.overtaken is not None
    assert noticed == "idle" or not witness.calls


def test_a_session_that_is_overtaken_while_it_brings_makes_no_room(local, store, start):
    line, replicator = make_line(4), start()
    save(local, replicator, *line[:3])
    assert brought(replicator)
    assert in_store(store) == [1, 2, 3]
    store.after = lambda call, name: (
        Claim(FolderStorage(store.root)).take() if (call, name) == ("put", line[3].manifest.name) else None)
    save(local, replicator, line[3])
    assert comes(lambda: replicator.overtaken is not None or not replicator.pending)
    replicator.close()
    assert replicator.overtaken is not None and in_store(store) == [1, 2, 3, 4]


def test_a_session_that_is_overtaken_as_it_begins_writes_nothing_more(local, store, start):
    line = make_line(2)
    began = first(1)
    store.after = lambda call, name: (
        Claim(FolderStorage(store.root)).take() if call == "put" and name.startswith("sessions/") and began() else None)
    replicator = start()
    save(local, replicator, *line)
    assert comes(lambda: replicator.overtaken is not None or not replicator.pending)
    replicator.close()
    assert replicator.overtaken is not None and puts(store) == ["run.json"] and not store.names_of("delete")


def test_another_run_of_the_same_name_keeps_its_identity(local, store, start):
    """A mount that was away when the session began: the folder turns out to be another run's."""
    other = b'{"format": 1, "name": "walker", "run_id": "other"}'
    store.put("run.json", other)
    replicator = start()
    save(local, replicator, *make_line(1))
    assert goes_wrong(replicator)
    assert "holds another run" in replicator.error
    replicator.close()
    assert store.list("") == {"run.json": len(other)}
