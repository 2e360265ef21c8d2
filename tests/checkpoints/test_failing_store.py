"""A store that fails stops no training: colab_rl names the error and tries again. `close` ends a session."""

from __future__ import annotations

import threading
import time

import pytest
from helpers import LONG, brought, comes, goes_wrong, make_line, snapshot, table_of
from troubled_store import IDENTITY, closes_at_once, first, in_store, puts, save

from colab_rl.checkpoints import replication


@pytest.mark.parametrize("call", ["put", "stat", "list"])
def test_a_store_that_fails_is_tried_until_it_does_not(local, store, start, call):
    line = make_line(3)
    replicator = start()
    store.fails = lambda failing, name: failing == call
    save(local, replicator, *line)
    asked = time.monotonic()
    assert goes_wrong(replicator)
    assert time.monotonic() - asked < LONG / 2  # at once: the store has failed
    assert "No space left on device" in replicator.error
    assert replicator.pending == 3
    assert replicator.state(line[0].manifest) != "verified"
    store.fails = lambda failing, name: False
    assert replicator.wait(LONG)
    assert replicator.error is None
    assert in_store(store) == [1, 2, 3]


@pytest.mark.parametrize("count", [1, 4])
def test_each_call_may_fail_a_few_times(local, store, start, count):
    replicator = start(keep_last=10)
    failures: dict[tuple[str, str], int] = {}

    def fails(call, name):
        failures[call, name] = failures.get((call, name), 0) + 1
        return failures[call, name] <= count

    store.fails = fails
    save(local, replicator, *make_line(2))
    assert replicator.wait(LONG)
    assert replicator.error is None
    store.fails = lambda call, name: False
    assert in_store(store) == [1, 2]


@pytest.mark.parametrize("suffix", ["run.json", ".safetensors", ".csv", ".json"])
def test_a_store_that_lies_is_found_out(local, store, start, suffix):
    line = make_line(3)
    replicator = start()
    save(local, replicator, line[0])
    assert brought(replicator)
    store.delete("run.json")
    replicator = start()  # the next session
    store.lies = lambda name: name.endswith(suffix)
    save(local, replicator, *line[1:])
    assert goes_wrong(replicator)
    assert "other than it was written" in replicator.error
    assert replicator.state(line[1].manifest) != "verified"
    assert in_store(store) == [1]
    store.lies = lambda name: False
    assert replicator.wait(LONG)
    assert in_store(store) == [1, 2, 3]
    assert store.get("run.json") == IDENTITY


def test_a_store_that_lies_a_few_times_is_written_again(local, store, start):
    replicator = start()
    store.lies = first(5)
    save(local, replicator, *make_line(2))
    assert replicator.wait(LONG)
    assert in_store(store) == [1, 2]


def test_a_checkpoint_that_cannot_be_brought_holds_up_nothing_newer(local, store, start):
    line, replicator = make_line(4), start(keep_last=10)
    store.lies = lambda name: name == line[1].manifest.state_file
    save(local, replicator, line[0])
    assert brought(replicator)
    save(local, replicator, line[1])
    assert goes_wrong(replicator)
    save(local, replicator, *line[2:])
    assert replicator.wait_for_any([line[1].manifest, line[2].manifest], LONG)
    assert replicator.wait_for_any([line[2].manifest], LONG) and replicator.wait_for_any([line[3].manifest], LONG)
    assert replicator.pending == 1 and not replicator.wait_for_any([line[1].manifest], 0.01)
    assert in_store(store) == [1, 3, 4]
    store.lies = lambda name: False
    assert replicator.wait(LONG)
    assert in_store(store) == [1, 2, 3, 4]


@pytest.mark.parametrize("stuck", [[5], [4, 5], [3]], ids=str)
def test_a_checkpoint_that_cannot_be_brought_holds_up_nothing_older(local, store, start, stuck):
    line, replicator = make_line(5), start(keep_last=10)
    store.lies = lambda name: name in [line[generation - 1].manifest.state_file for generation in stuck]
    store.open.clear()
    save(local, replicator, *line)
    store.open.set()
    assert comes(lambda: replicator.pending == len(stuck))
    assert in_store(store) == [generation for generation in range(1, 6) if generation not in stuck]
    store.lies = lambda name: False
    assert replicator.wait(LONG)
    assert in_store(store) == [1, 2, 3, 4, 5]


def test_a_metrics_table_that_stays_wrong_in_the_store_costs_a_gap_and_nothing_else(local, store, start, capsys):
    line, replicator = make_line(5), start(keep_last=10)
    save(local, replicator, line[0])
    assert brought(replicator)
    store.lies = lambda name: name == table_of(line[1])
    save(local, replicator, *line[1:])
    assert comes(lambda: replicator.pending == 1)
    assert in_store(store) == [1, 3, 4, 5]
    store.lies = lambda name: False
    assert replicator.wait(LONG)
    assert in_store(store) == [1, 2, 3, 4, 5]
    assert snapshot(store.root)[table_of(line[1])] == line[1].contents[table_of(line[1])]
    assert capsys.readouterr().err.count(f"continuing without {table_of(line[1])}") == 1


def test_after_a_store_was_away_the_newest_goes_first(local, store, start):
    line, replicator = make_line(5), start(keep_last=10)
    save(local, replicator, line[0])
    assert brought(replicator)
    store.fails = lambda call, name: True
    tries = len(store.calls)
    save(local, replicator, *line[1:])
    assert comes(lambda: len(store.calls) >= tries + 7)
    store.fails = lambda call, name: False
    assert replicator.wait(LONG)
    assert [name for name in puts(store) if name in [one.manifest.name for one in line[1:]]] == [
        one.manifest.name for one in reversed(line[1:])]


def test_between_tries_of_what_cannot_be_brought_the_pauses_grow(local, store, start, monkeypatch):
    monkeypatch.setattr(replication, "LONGEST_PAUSE", 10 * LONG)
    line, replicator = make_line(3), start()
    store.fails = lambda call, name: call == "put" and name.endswith(".csv")
    began = time.monotonic()
    save(local, replicator, *line)
    assert comes(lambda: sum(name.endswith(".csv") for name in puts(store)) == 6)
    assert time.monotonic() - began >= 0.01 * (1 + 1.6 + 2.56 + 4.096 + 6.5536)  # at the least, by chance


def test_a_file_that_stays_wrong_however_often_it_is_replaced_is_set_aside_once(local, store, start):
    """As a Drive does that has a wrong MD5 of it."""
    line, replicator = make_line(1), start()
    name = line[0].manifest.state_file
    store.lies = lambda put: put == name and not store.names_of("set_aside")
    save(local, replicator, *line)
    assert replicator.wait(LONG)
    assert store.names_of("put").count(name) == 3 and store.names_of("set_aside") == [name]
    assert in_store(store) == [1]


def test_a_refusal_is_not_waited_for_and_what_may_pass_is(local, store, start):
    replicator, (one, two) = start(), make_line(2)
    store.fails = first(3)
    save(local, replicator, one)
    assert replicator.wait(LONG)
    store.refuses = True
    save(local, replicator, two)
    began = time.monotonic()
    assert not replicator.wait(LONG)
    assert replicator.refused and time.monotonic() - began < LONG / 2
    store.refuses = False
    replicator.close()


def test_close_ends_at_once_a_session_whose_store_fails(local, store, start, monkeypatch):
    monkeypatch.setattr(replication, "FIRST_PAUSE", 10 * LONG)
    replicator = start()
    store.fails = lambda call, name: True
    save(local, replicator, *make_line(2))
    assert goes_wrong(replicator)
    assert closes_at_once(replicator)
    assert replicator.pending == 2
    tries = len(store.calls)
    store.fails = lambda call, name: False
    assert not replicator.wait(0.05)
    assert len(store.calls) == tries


def test_close_ends_an_idle_session_at_once(local, store, start):
    replicator = start()
    save(local, replicator, *make_line(1))
    assert brought(replicator)
    assert closes_at_once(replicator)
    assert in_store(store) == [1]


def test_close_does_not_wait_for_ever_for_a_store_that_hangs(local, store, start):
    replicator = start()
    store.open.clear()
    save(local, replicator, *make_line(2))
    assert store.entered.wait(LONG)
    closing = threading.Thread(target=replicator.close)
    closing.start()
    closing.join(LONG)
    assert not closing.is_alive()
    assert replicator.pending == 2
