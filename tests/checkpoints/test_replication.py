"""The store gets every checkpoint, whole, in the end: in which order, and what makes room."""

from __future__ import annotations

import dataclasses

from helpers import LONG, brought, goes_wrong, make_line, make_tier, snapshot
from troubled_store import IDENTITY, SEGMENT, files_of, first, in_store, puts, save, save_while_closed, with_segment

from colab_rl.checkpoints import holdings
from colab_rl.storage import FolderStorage


def test_run_json_comes_first_and_every_manifest_after_its_files(local, store, start):
    line = make_line(2)
    replicator = start()
    for checkpoint in line:
        save(local, replicator, checkpoint)
        assert brought(replicator)  # of two that wait, the newest goes first
    names = puts(store)
    assert names[0] == "run.json"
    assert store.get("run.json") == IDENTITY
    assert names == ["run.json", *line[0].manifest.files, line[0].manifest.name,
                     *line[1].manifest.files, line[1].manifest.name]


def test_where_several_wait_the_newest_goes_first(local, store, start):
    line = make_line(4)
    replicator = start(keep_last=10)
    save_while_closed(local, replicator, store, line[0], *line[1:])
    assert [name for name in puts(store) if name.endswith(".json")] == ["run.json", *(
        line[number].manifest.name for number in (0, 3, 2, 1))]
    assert in_store(store) == [1, 2, 3, 4]


def test_an_older_one_gets_the_segment_again_that_went_with_a_newer_one(local, store, start):
    line = [with_segment(one) if one.manifest.generation in (5, 7) else one for one in make_line(9)]
    replicator = start(keep_last=2, keep_every=5)
    save_while_closed(local, replicator, store, line[0], *line[4:])
    assert in_store(store) == [1, 5, 8, 9]


def test_an_older_one_gets_the_segment_again_that_went_before_making_room_failed(local, store, start):
    line = make_line(9)
    for generation in (5, 7):
        checkpoint = with_segment(line[generation - 1])
        files = {SEGMENT: checkpoint.manifest.files[SEGMENT], **checkpoint.manifest.files}  # goes first
        line[generation - 1] = checkpoint._replace(manifest=dataclasses.replace(checkpoint.manifest, files=files))
    failing = first(1)
    store.fails = lambda call, name: call == "delete" and name == line[6].manifest.state_file and failing()
    replicator = start(keep_last=2, keep_every=5)
    store.open.clear()
    save(local, replicator, line[0], line[4], line[6], *line[7:])
    store.open.set()
    assert replicator.wait(LONG)
    assert not failing() and in_store(store) == [1, 5, 8, 9]
    assert line[6].manifest.state_file not in store.list("checkpoints/")  # it went at the next try


def test_what_makes_room_leaves_the_segments_of_those_that_are_not_certain_yet(
        local, store, start, mounted, monkeypatch):
    line = [with_segment(one) if one.manifest.generation in (2, 5) else one for one in make_line(6)]
    replicator = start(keep_last=3)
    for checkpoint in line:
        monkeypatch.setattr(holdings, "SETTLED", 3600.0 if checkpoint is line[4] else 0.0)
        save(local, replicator, checkpoint)
        assert brought(replicator)
    assert in_store(store) == [1, 3, 4, 5, 6]


def test_the_store_ends_with_the_same_files(local, store, start, tmp_path):
    replicator = start(keep_last=10)
    save(local, replicator, *make_line(4))
    assert brought(replicator)
    assert files_of(store.root) == {**snapshot(tmp_path / "local"), "run.json": IDENTITY}


def test_pending_and_verified_tell_where_a_checkpoint_is(local, store, start):
    line = make_line(2)
    replicator = start()
    store.open.clear()
    save(local, replicator, *line)
    assert store.entered.wait(LONG)
    assert replicator.pending == 2
    assert not replicator.wait(0.01)
    assert not any(replicator.state(one.manifest) == "verified" for one in line)
    assert replicator.error is None  # slow is not wrong
    store.open.set()
    assert brought(replicator)
    assert replicator.pending == 0
    assert all(replicator.state(one.manifest) == "verified" for one in line)
    assert replicator.error is None


def test_what_the_store_has_is_not_written_again(local, store, start):
    """Write once: a session that ends early must not leave a good manifest cut."""
    line = make_line(3)
    replicator = start()
    save(local, replicator, *line)
    assert brought(replicator)
    replicator.close()
    store.calls.clear()
    replicator = start()
    for checkpoint in line:
        replicator.submit(checkpoint.manifest)
    assert brought(replicator)
    assert all(replicator.state(one.manifest) == "verified" for one in line)
    assert puts(store) == []


def test_what_was_swept_is_brought_with_the_checkpoint_that_needs_it(local, store, start, capsys):
    """The session before was killed: of 5 the store has the files and no manifest, and 6 went before it."""
    line = make_line(6, {5: 9.0})
    make_tier(store.root, [*line[:4], line[5]])
    for name, data in line[4].contents.items():
        FolderStorage(store.root).put(name, data)
    claims, manifest = iter((False, False, True)), first(1)

    def fails(call: str, name: str) -> bool:
        if call == "list" and name == "sessions/":
            return next(claims, False)  # at the end of 6
        return call == "put" and name == line[4].manifest.name and manifest()

    store.fails = fails
    for checkpoint in line:
        local.commit(*checkpoint)
    store.open.clear()
    replicator = start(keep_last=3)
    replicator.submit(line[5].manifest)
    assert store.entered.wait(LONG)
    replicator.submit(line[4].manifest)
    store.open.set()
    assert replicator.wait(LONG)
    assert next(claims, None) is None and not manifest()
    assert line[4].manifest.state_file in store.names_of("delete")
    assert in_store(store) == [1, 4, 5, 6]
    assert "no longer" not in capsys.readouterr().err


def test_the_store_keeps_by_the_same_rules_what_earlier_sessions_brought(local, store, start):
    line = make_line(9, {2: 5.0})
    replicator = start(keep_every=4)
    save(local, replicator, *line[:5])
    assert brought(replicator)
    assert in_store(store) == [1, 2, 4, 5]
    replicator.close()
    replicator = start(keep_every=4)
    save(local, replicator, *line[5:])
    assert brought(replicator)
    assert in_store(store) == [1, 2, 4, 8, 9]


def test_only_what_two_looks_agree_on_is_swept(local, store, start):
    """One listing of manifests may be an old one; the files that it does not name would go."""
    line = make_line(4)
    make_tier(store.root, line[:3])
    newest, hidden = line[2].manifest.name, line[1].manifest.name
    replicator, listing, looks = None, store.list, []

    def old(prefix: str) -> dict[str, int]:
        found = listing(prefix)
        if prefix == "checkpoints/":
            looks.append(prefix)
            if len(looks) <= 3:  # the listings of the first look
                found.pop(hidden, None)
        return found

    store.list = old
    replicator = start(keep_last=9)
    save(local, replicator, *line)
    assert brought(replicator) and len(looks) > 3 and newest in listing("checkpoints/")
    assert line[1].manifest.state_file not in store.names_of("delete")
    assert in_store(store) == [1, 2, 3, 4]


def test_what_stayed_pending_is_brought_by_the_next_session(local, store, start):
    line = make_line(3)
    replicator = start()
    store.fails = lambda call, name: True
    save(local, replicator, *line)
    assert goes_wrong(replicator)
    replicator.close()
    store.fails = lambda call, name: False
    replicator = start()
    for manifest in reversed(list(local.whole())):
        replicator.submit(manifest)
    assert brought(replicator)
    assert in_store(store) == [1, 2, 3]
