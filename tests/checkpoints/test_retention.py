"""Which checkpoints are kept, and that nothing good is deleted."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable

import pytest
from damage import DAMAGES, FILES, cut, tables, verified
from helpers import RUN_ID, WatchedStorage, flip, generations, make_checkpoint, make_line, make_tier, snapshot, table_of

from colab_rl.checkpoints import FileRecord, Manifest, Tier
from colab_rl.checkpoints.confirmation import confirmation_of
from colab_rl.checkpoints.recovery import Checkpoint, load_generation, restore_locally
from colab_rl.checkpoints.retention import best, clear_leftovers, kept, milestones, prune


def kept_of(line: Iterable[Checkpoint], keep_last: int, keep_every: int) -> list[int]:
    return [manifest.generation for manifest in kept([one.manifest for one in line], keep_last, keep_every)]


@pytest.mark.parametrize(("length", "scores", "keep_last", "keep_every", "stay"), [
    (12, {}, 2, 5, [1, 5, 10, 11, 12]),
    (12, {3: 7.0, 8: 2.0}, 2, 5, [1, 3, 5, 8, 10, 11, 12]),
    (12, {2: 1.0, 3: 7.0, 4: 3.0, 8: 2.0}, 2, 100, [1, 2, 3, 4, 8, 11, 12]),  # three that may be the best
    (12, {2: 7.0, 3: 7.0, 4: 7.0, 8: 7.0}, 3, 100, [1, 2, 3, 4, 8, 10, 11, 12]),  # the newest of equals
    (12, {12: -5.0}, 2, 100, [1, 11, 12]),
    (3, {}, 5, 100, [1, 2, 3]),
    (4, {}, 2, 1, [1, 2, 3, 4]),
    (0, {}, 2, 1, []),
])
def test_the_newest_the_milestones_the_first_and_the_best_are_kept(length, scores, keep_last, keep_every, stay):
    line = make_line(length, scores)
    assert kept_of(line, keep_last, keep_every) == stay
    assert kept_of(reversed(line), keep_last, keep_every) == stay[::-1]


@pytest.mark.parametrize("evaluated_every", [1, 3, 400])
def test_eight_to_twelve_milestones_are_spread_over_a_training(evaluated_every):
    """Pruned at each save, as training does it, with a score that rises late and fast."""
    record = FileRecord.of(b"")
    total, saves = 1_000_000, 300
    manifest = make_line(1)[0].manifest
    held = []
    for number in range(1, saves + 1):
        score = 300 / (1 + math.exp(-(number - 200) / 10)) if number % evaluated_every == 0 else None
        held.append(dataclasses.replace(
            manifest, step=total * (number - 1) // (saves - 1), total_steps=total, generation=number, score=score,
            criterion=score, files={f"checkpoints/{number:08}-0.safetensors": record}))
        held = kept(held, keep_last=2, keep_every=1000)
        assert len(held) <= 15
    found = milestones(held)
    assert 8 <= len(found) <= 12
    steps = [one.step for one in found] + [total]
    widest = max(later - earlier for earlier, later in itertools.pairwise(steps))
    assert widest <= total / 8 + 2 * evaluated_every * total / saves or evaluated_every == 400
    if evaluated_every == 1:
        scores = [one.score for one in found]
        assert all(any(low <= score <= high for score in scores) for low, high in ((60, 160), (140, 235), (220, 301)))


def test_a_milestone_needs_no_past_experience_of_its_own():
    manifest, record = make_line(1)[0].manifest, FileRecord.of(b"")
    line = [dataclasses.replace(manifest, generation=number, step=number, total_steps=4, files={
        f"checkpoints/{number:08}-0.safetensors": record, f"replay/{number}-{number}-0.safetensors": record})
        for number in range(1, 5)]
    assert milestones(line) == line[3:]
def test_the_best_is_what_fresh_episodes_chose_while_that_is_the_newest_word():
    line = [one.manifest for one in make_line(4, {1: -3.0, 2: 9.0, 3: 1.0})]
    said = {"generation": 3, "step": 300, "state_sha256": line[2].state_sha256, "mean": 5.0, "std": 1.0, "low": 4.0,
            "high": 6.0, "episodes": 100, "seed": 0, "environment": "x", "created": "now"}
    ended = dataclasses.replace(line[3], confirmed=said)
    again = Manifest.from_bytes(ended.name, ended.to_bytes(), RUN_ID)
    assert again == ended and best([*line[:3], again]) == line[2]
    assert confirmation_of([*line[:3], again]).summary().startswith("5.0 (95 % interval 4.0 to 6.0, 100 fresh")
    assert best([*line[:2], again]) == line[1]  # the chosen one is gone
    later = make_checkpoint(5).manifest
    assert best([*line[:3], again, later]) == line[1] and confirmation_of([again, later]) is None


def test_the_best_has_the_highest_criterion():
    line = make_line(4, {1: -3.0, 2: 9.0, 3: 1.0})
    assert best(one.manifest for one in line) == line[1].manifest
    assert best(one.manifest for one in line[3:]) is None
    assert best([]) is None


def test_prune_deletes_what_is_not_kept_and_only_that(folder):
    line = make_line(8, {2: 3.0})
    tier = make_tier(folder, line)
    known = verified(line)
    prune(tier, known, keep_last=2, keep_every=5)
    assert generations(tier) == [1, 2, 5, 7, 8]
    assert [manifest.generation for manifest in known.values()] == [1, 2, 5, 7, 8]
    stayed = [one for one in line if one.manifest.generation in (1, 2, 5, 7, 8)]
    assert set(snapshot(folder)) == ({one.manifest.name for one in stayed} | {one.manifest.state_file for one in stayed}
                                     | {table_of(one) for one in line})  # the newest's history names every table
    prune(tier, known, keep_last=2, keep_every=5)
    assert generations(tier) == [1, 2, 5, 7, 8]


def test_every_kept_checkpoint_can_be_gone_on_from_after_a_prune(folder):
    line = make_line(8, {2: 3.0})
    tier = make_tier(folder, line)
    prune(tier, verified(line), keep_last=2, keep_every=5)
    for generation in (1, 2, 5, 7, 8):
        checkpoint = load_generation(tier, None, generation)
        assert restore_locally(checkpoint, tier, None, pytest.fail) == tables(line[:generation])


@pytest.mark.parametrize("damage", ["truncated", "bit flipped", "missing", "empty"])
@pytest.mark.parametrize("file", ["state", "table"])
def test_prune_deletes_nothing_while_the_newest_is_not_whole(folder, file, damage):
    line = make_line(5)
    tier = make_tier(folder, line)
    DAMAGES[damage](folder / FILES[file](line[4]))
    before = snapshot(folder)
    prune(tier, verified(line), keep_last=2, keep_every=100)
    assert snapshot(folder) == before


def test_prune_leaves_what_this_session_did_not_see_whole(folder):
    line = make_line(6)
    tier = make_tier(folder, line)
    flip(folder / line[1].manifest.state_file)
    before = snapshot(folder)
    prune(tier, verified([line[0], *line[2:]]), keep_last=2, keep_every=100)
    after = snapshot(folder)
    assert generations(tier) == [1, 5, 6]
    assert {name: after[name] for name in (line[1].manifest.name, *line[1].manifest.files)} == \
           {name: before[name] for name in (line[1].manifest.name, *line[1].manifest.files)}


def test_a_manifest_goes_before_its_files(tmp_path):
    line = make_line(4)
    make_tier(tmp_path, line)
    storage = WatchedStorage(tmp_path)
    prune(Tier(storage, line[0].manifest.run_id), verified(line), keep_last=2, keep_every=100)
    assert storage.names_of("delete")[0] == line[1].manifest.name
    assert storage.names_of("delete")[1:] == [line[1].manifest.state_file]


def test_sweep_clears_what_a_killed_save_or_prune_left(folder):
    line = make_line(3)
    tier = make_tier(folder, line)
    lost = make_checkpoint(2, salt=1)
    for name, data in lost.contents.items():
        tier.storage.put(name, data)
    tier.storage.put("telemetry/00000002-1234abcd.npz", b"x")
    expected = set(snapshot(folder)) - set(lost.contents) - {"telemetry/00000002-1234abcd.npz"}
    clear_leftovers(tier, line[2].manifest)
    assert set(snapshot(folder)) == expected


def test_sweep_leaves_everything_else(folder):
    line = make_line(4)
    tier = make_tier(folder, line)
    cut(folder / line[1].manifest.name)                       # unreadable: its files stay
    (folder / line[0].manifest.state_file).unlink()           # damaged: what is left of it stays
    for name in ("run.json", "videos/00000001-1234abcd.mp4", "metrics/notes.csv", "checkpoints/mine.safetensors",
                 "checkpoints/00000001-1234abcd.safetensors.bad", "checkpoints/00000009-1234abcd.safetensors",
                 "checkpoints/00000004-1234abcd.safetensors"):
        tier.storage.put(name, b"x")
    before = snapshot(folder)
    clear_leftovers(tier, line[3].manifest)
    assert snapshot(folder) == before
