"""Drive itself is asked what a mount of it really holds; nothing is verified before."""

from __future__ import annotations

import threading

import pytest
from helpers import LONG, brought, comes, goes_wrong, make_line, table_of
from troubled_store import files_of, first, in_store, save

from colab_rl.runs.push import finish_replicating


def test_a_witness_that_refuses_ends_no_wait_for_the_mount(local, store, start, witness, capsys):
    replicator, (one, two) = start(), make_line(2)
    witness.refuses = True
    save(local, replicator, one)
    assert comes(lambda: replicator.witness_refused)
    assert not replicator.refused and replicator.error is None
    store.open.clear()
    save(local, replicator, two)
    threading.Timer(0.2, store.open.set).start()
    finish_replicating(replicator)
    assert replicator.pending == 0 and replicator.unconfirmed == 2  # which is not waited for
    assert "were not seen in Drive itself" in capsys.readouterr().err
    witness.refuses = False
    assert replicator.wait_confirmed(LONG)
    assert replicator.witness_error is None and not replicator.witness_refused
    assert {replicator.state(checkpoint.manifest) for checkpoint in (one, two)} == {"verified"}


@pytest.mark.parametrize("when", ["the first is gone", "a manifest is gone"])
def test_a_mount_that_fails_while_room_is_made_is_not_said_to_have_lost_what_went(
        local, store, start, witness, capsys, when):
    replicator, line = start(), make_line(6)
    witness.fails = lambda call, name: True
    for checkpoint in line[:5]:
        save(local, replicator, checkpoint)
        assert brought(replicator)
    fails_at = line[2].manifest.name if when == "the first is gone" else line[2].manifest.state_file
    store.fails = lambda call, name: call == "delete" and name == fails_at
    witness.fails = lambda call, name: False
    assert comes(lambda: replicator.error is not None)
    assert in_store(store) == ([1, 3, 4, 5] if when == "the first is gone" else [1, 4, 5])
    store.fails = lambda call, name: False
    save(local, replicator, line[5])
    # This machine has kept them all: what had made room is brought again, and makes room again.
    assert comes(lambda: not replicator.pending and not replicator.unconfirmed and in_store(store) == [1, 5, 6])
    assert brought(replicator)
    assert "no longer" not in capsys.readouterr().err
    named = {name for one in (line[0], *line[4:]) for name in (*one.manifest.files, *one.manifest.history,
                                                              one.manifest.name)}
    assert comes(lambda: set(files_of(store.root)) == {*named, "run.json"})


def test_nothing_is_verified_while_the_witness_lacks_run_json(local, store, start, witness):
    """The one file without which a bare machine finds no run; a mount sends what it took in any order."""
    def behind(names):
        return {name: found for name, found in stats(names).items() if name != "run.json"}

    line, replicator, stats = make_line(4), start(), witness.stats
    witness.stats = behind
    for checkpoint in line:
        save(local, replicator, checkpoint)
        assert brought(replicator)
    asked = len(witness.calls)
    assert comes(lambda: len(witness.calls) > asked + 20)
    assert {replicator.state(one.manifest) for one in line} == {"written"} and in_store(store) == [1, 2, 3, 4]
    witness.stats = stats
    assert replicator.wait_confirmed(LONG)
    assert comes(lambda: in_store(store) == [1, 3, 4])


@pytest.mark.parametrize("lacks", ["state", "table", "manifest"])
def test_verified_is_only_what_the_witness_has_whole(local, store, start, witness, lacks):
    replicator, (one,) = start(), make_line(1)
    name = {"state": one.manifest.state_file, "table": table_of(one), "manifest": one.manifest.name}[lacks]
    stats = witness.stats
    witness.stats = lambda names: {found: stat for found, stat in stats(names).items() if found != name}
    save(local, replicator, one)
    assert brought(replicator)
    asked = len(witness.calls)
    assert comes(lambda: len(witness.calls) > asked + 20)
    assert replicator.state(one.manifest) == "written"
    witness.stats = stats
    assert replicator.wait_confirmed(LONG)


@pytest.mark.parametrize("who", ["store", "witness"])
def test_what_nobody_thought_of_does_not_end_replication(local, store, start, witness, who):
    line, replicator, once = make_line(2), start(), first(1)

    def fails(call: str, name: str) -> bool:
        if once():
            raise RuntimeError("a bug")
        return False

    (store if who == "store" else witness).fails = fails
    store.open.clear()
    save(local, replicator, *line)
    store.open.set()
    assert replicator.wait(LONG) and replicator.wait_confirmed(LONG)
    assert in_store(store) == [1, 2] and not once()
    store.fails = fails = lambda call, name: 1 / 0
    save(local, replicator, *make_line(3)[2:])
    assert goes_wrong(replicator)
    assert replicator.error == "unexpected ZeroDivisionError: division by zero"
