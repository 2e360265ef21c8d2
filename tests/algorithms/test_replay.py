"""The replay buffer, and its segments: what is learned from is what happened, and a file holds it for good."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

from colab_rl.algorithms.replay import ReplayBuffer
from colab_rl.checkpoints import FileRecord
from colab_rl.checkpoints import segments as module
from colab_rl.checkpoints.segments import extend_segments, read_segment, segments_in
from colab_rl.environments import describe

SPACES = describe("BipedalWalker-v3")
N = 3


class Counted:
    """Fills a buffer with environments whose observations say environment, episode and step.

    Episodes of environment n last 4 + n steps and end by a time limit or of themselves in turn.
    """

    def __init__(self, buffer: ReplayBuffer):
        self.buffer = buffer
        self.episode, self.t = np.zeros(N, int), np.zeros(N, int)
        self.ended = np.zeros(N, bool)
        self.happened: set[tuple] = set()  # (env, episode, step, terminated)

    @property
    def observations(self) -> np.ndarray:
        found = np.zeros((N, 24), np.float32)
        found[:, 0], found[:, 1], found[:, 2] = np.arange(N), self.episode, self.t
        return found

    def run(self, rows: int) -> None:
        self.buffer.begin(self.observations)
        for _ in range(rows):
            valid, before = ~self.ended, self.observations
            self.episode[self.ended] += 1
            self.t = np.where(self.ended, 0, self.t + 1)
            over = valid & (self.t == 4 + np.arange(N))
            terminated = over & (self.episode % 2 == 0)
            actions = np.repeat(before[:, 2:3], 4, 1)
            self.buffer.append(actions, before[:, 1] * 100 + before[:, 2], terminated, valid, self.observations)
            self.happened |= {(n, *before[n, 1:3].astype(int), bool(terminated[n])) for n in np.flatnonzero(valid)}
            self.ended = over

    def cut(self) -> None:
        self.buffer.cut()
        self.episode += 1
        self.t[:] = 0
        self.ended[:] = False


def test_actions_of_another_shape_are_not_spread_over_the_environments():
    buffer = ReplayBuffer(100, N, SPACES)
    buffer.begin(np.zeros((N, 24), np.float32))
    with pytest.raises(ValueError, match=r"sampler gives actions of shape \(4,\), and \(3, 4\) is needed"):
        buffer.append(np.zeros(4, np.float32), np.zeros(N), np.zeros(N, bool), np.ones(N, bool),
                      np.zeros((N, 24), np.float32))


def test_a_buffer_is_restored_within_its_own_memory():
    """A run that fits once must fit again when it is resumed."""
    buffer = ReplayBuffer(30_000, N, SPACES)
    Counted(buffer).run(10_500)  # once around
    state, rows = buffer.state_dict(), buffer.rows(buffer.first, buffer.end)
    again = ReplayBuffer(30_000, N, SPACES)
    again.load_state_dict(state)
    parts = [(first, {name: array[first - buffer.first:][:500] for name, array in rows.items()})
             for first in range(buffer.first, buffer.end, 500)]
    tracemalloc.start()
    again.restore(parts)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert again.transitions == buffer.transitions and peak < 1.2 * again.nbytes


def sampled(buffer: ReplayBuffer, groups: int = 40, size: int = 50) -> set[tuple]:
    """Every transition that a large sample finds; checks that each looks on to what followed it."""
    batch = buffer.sample(groups, size, torch.Generator().manual_seed(0))
    assert batch.obs.shape == batch.next_obs.shape == (groups, size, 24) and batch.terminated.dtype == torch.bool
    assert batch.actions.shape == (groups, size, 4) and batch.rewards.shape == (groups, size)
    obs, following = batch.obs.flatten(0, 1), batch.next_obs.flatten(0, 1)
    assert torch.equal(following[:, :2], obs[:, :2]) and torch.equal(following[:, 2], obs[:, 2] + 1)
    assert torch.equal(batch.actions.flatten(0, 1)[:, 3], obs[:, 2])
    assert torch.equal(batch.rewards.flatten(), obs[:, 1] * 100 + obs[:, 2])
    return {(*map(int, row[:3]), bool(over)) for row, over in
            zip(obs.tolist(), batch.terminated.flatten().tolist(), strict=True)}


@pytest.mark.parametrize("rows", [1, 7, 59, 60, 61, 62, 200])
def test_a_sample_holds_the_newest_transitions_and_nothing_else(rows):
    buffer = ReplayBuffer(60 * N, N, SPACES)
    world = Counted(buffer)
    world.run(rows)
    newest = Counted(ReplayBuffer(1000 * N, N, SPACES))
    newest.run(max(0, rows - 60))
    found = sampled(buffer)
    assert found == world.happened - newest.happened
    assert buffer.transitions == len(found) and buffer.end - buffer.first == min(rows, 60)


def test_episodes_that_are_cut_are_never_joined_to_those_that_follow():
    buffer = ReplayBuffer(60 * N, N, SPACES)
    world = Counted(buffer)
    for rows in (3, 2, 8, 1):
        world.run(rows)
        world.cut()
    assert sampled(buffer) == world.happened
    assert any(not over and step == 2 for _, episode, step, over in world.happened if episode == 0)


def test_every_transition_is_as_likely_as_any_other():
    buffer = ReplayBuffer(60 * N, N, SPACES)
    Counted(buffer).run(100)
    obs = buffer.sample(400, 250, torch.Generator().manual_seed(1)).obs.flatten(0, 1)[:, :3]
    _, counts = torch.unique(obs, dim=0, return_counts=True)
    expected = 100_000 / buffer.transitions
    assert len(counts) == buffer.transitions
    chi_squared = float(((counts - expected) ** 2 / expected).sum())
    assert abs(chi_squared - len(counts)) < 5 * (2 * len(counts)) ** 0.5


def test_a_million_transitions_of_the_walker_take_at_most_130_megabytes_and_none_before_they_come():
    buffer = ReplayBuffer(1_000_000, 8, SPACES)
    assert buffer.nbytes <= 130e6 and not buffer._arrays


def test_what_is_restored_goes_on_as_what_was_saved():
    for rows in (10, 61, 150):
        buffer, other = (ReplayBuffer(60 * N, N, SPACES) for _ in range(2))
        world = Counted(buffer)
        world.run(rows)
        state, parts = buffer.state_dict(), [(0, buffer.rows(0, 4))] if rows == 10 else []
        parts += [(first, buffer.rows(first, min(first + 7, buffer.end)))
                  for first in range(buffer.first, buffer.end, 7)]
        other.load_state_dict(state)
        assert other.state_dict()["sha256"] == state["sha256"]  # before the rows have come, too
        other.restore(parts)
        assert sampled(other) == sampled(buffer) and other.transitions == buffer.transitions
        world.run(5)
        again = Counted(other)
        again.episode, again.t, again.ended = state_before(rows)
        again.run(5)
        assert other.state_dict()["sha256"] == buffer.state_dict()["sha256"]
        with pytest.raises(ValueError, match="do not hold the experience"):
            other.load_state_dict(state)
            other.restore(parts[:-1])


def state_before(rows: int) -> tuple:
    world = Counted(ReplayBuffer(1000 * N, N, SPACES))
    world.run(rows)
    return world.episode, world.t, world.ended


# Segments.

def saved(buffer: ReplayBuffer, before: dict[str, FileRecord]) -> tuple[dict, dict]:
    """Records and new contents, after a check that together they hold the buffer."""
    records, contents = extend_segments(before, buffer)
    rows = [row for segment in segments_in(records) for row in range(segment.first, segment.last + 1)]
    held = range(buffer.first, buffer.end)
    assert len(rows) == len(set(rows)) and set(held) <= set(rows)
    assert all(segment.last >= buffer.first for segment in segments_in(records))
    assert {name: FileRecord.of(data) for name, data in contents.items()}.items() <= records.items()
    return records, contents


def test_a_save_writes_only_what_is_new(monkeypatch):
    monkeypatch.setattr(module, "SMALLEST_SEGMENT", 3000)
    buffer = ReplayBuffer(60 * N, N, SPACES)
    world, records = Counted(buffer), {}
    for i in range(12):
        world.run(10)
        records, contents = saved(buffer, records)
        assert [(segment.first, segment.last) for segment in segments_in(contents)] == [(10 * i, 10 * i + 9)]
    assert len(records) == 6
    assert saved(buffer, records) == (records, {})


def test_small_segments_are_replaced_by_longer_ones_and_long_ones_written_in_parts(monkeypatch):
    monkeypatch.setattr(module, "SMALLEST_SEGMENT", 20 * 351)
    monkeypatch.setattr(module, "LARGEST_SEGMENT", 50 * 351)
    buffer = ReplayBuffer(1000 * N, N, SPACES)
    world, records = Counted(buffer), {}
    for _ in range(100):
        world.run(3)
        records, contents = saved(buffer, records)
        assert len(contents) == 1
    assert 10 <= len(records) <= 18
    records, contents = saved(buffer, {})
    assert [segment.last - segment.first + 1 for segment in segments_in(contents)] == [50] * 6


def test_a_buffer_comes_back_from_its_segments(monkeypatch):
    monkeypatch.setattr(module, "SMALLEST_SEGMENT", 15 * 351)
    buffer, other = (ReplayBuffer(60 * N, N, SPACES) for _ in range(2))
    world, records, files = Counted(buffer), {}, {}
    for rows in (1, 9, 30, 2, 40, 7):
        world.run(rows)
        records, contents = saved(buffer, records)
        files |= contents
    other.load_state_dict(buffer.state_dict())
    other.restore(read_segment(segment, files[segment.name]) for segment in segments_in(records))
    assert sampled(other) == sampled(buffer)
    segment = segments_in(records)[0]
    with pytest.raises(ValueError, match="is no replay segment"):
        read_segment(segment, b"nothing of the kind")
