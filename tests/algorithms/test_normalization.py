"""Normalisation: running moments, observations and rewards compared with plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from colab_rl.algorithms.normalization import ObservationNormalizer, RewardNormalizer, RunningMoments
from colab_rl.environments.spaces import ObservationSpec


def naive_rewards(rewards: np.ndarray, done: np.ndarray, valid: np.ndarray,
                  gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """Scaled rewards (T, N), every discounted return so far in their deviation; and those returns."""
    returns: list[float] = []
    for env in range(rewards.shape[1]):
        total = 0.0
        for reward, end, is_step in zip(rewards[:, env], done[:, env], valid[:, env], strict=True):
            total = gamma * total + reward
            if is_step:
                returns.append(total)
            if end:
                total = 0.0
    return rewards / np.sqrt(np.var(returns) + 1e-8), np.array(returns)


@pytest.mark.parametrize("shape", [(), (3,)], ids=["numbers", "vectors"])
def test_running_moments_are_those_of_all_batches_together(shape):
    rng = np.random.default_rng(0)
    batches = [rng.normal(50, 3, size=(n, *shape)) for n in (1, 7, 0, 100, 2, 1, 1000)]
    moments = RunningMoments(shape)
    for i, batch in enumerate(batches):
        moments.update(batch)
        seen = np.concatenate(batches[:i + 1])
        assert moments.count == len(seen)
        np.testing.assert_allclose(moments.mean, seen.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(moments.variance, seen.var(axis=0), rtol=1e-9, atol=1e-12)


def test_before_the_first_batch_the_mean_is_0_and_the_variance_1():
    moments = RunningMoments((2,))
    moments.update(np.zeros((0, 2)))
    assert moments.count == 0
    assert moments.mean.tolist() == [0, 0] and moments.variance.tolist() == [1, 1]


def test_a_small_deviation_about_a_large_mean_in_float32_is_not_lost():
    values = (1e4 + np.random.default_rng(0).normal(size=(5000, 1))).astype(np.float32)
    moments = RunningMoments((1,))
    for batch in np.array_split(values, 50):
        moments.update(batch)
    np.testing.assert_allclose(moments.variance, values.astype(np.float64).var(axis=0), rtol=1e-9)


def test_observations_are_normalised_by_what_was_seen_and_clipped():
    rng = np.random.default_rng(1)
    seen = rng.normal([3, -2], [0.5, 10], size=(400, 2)).astype(np.float32)
    normalizer = ObservationNormalizer(ObservationSpec((2,)), enabled=True)
    normalizer.update(seen)
    mean, variance = seen.astype(np.float64).mean(axis=0), seen.astype(np.float64).var(axis=0)
    expected = np.clip((seen - mean) / np.sqrt(variance + 1e-8), -10, 10)
    np.testing.assert_allclose(normalizer(seen), expected, atol=1e-4)
    assert normalizer(seen).dtype == np.float32
    assert normalizer(np.array([1e6, -1e6], np.float32)).tolist() == [10, -10]


def test_observations_change_their_scale_only_in_update():
    normalizer = ObservationNormalizer(ObservationSpec((2,)), enabled=True)
    rows = np.random.default_rng(1).normal(5, 2, size=(50, 2)).astype(np.float32)
    np.testing.assert_array_equal(normalizer(rows), np.clip(rows, -10, 10))
    normalizer(rows * 100)
    np.testing.assert_array_equal(normalizer(rows), np.clip(rows, -10, 10))
    normalizer.update(rows)
    assert abs(normalizer(rows).mean()) < 1e-3


def test_an_observation_is_normalised_alike_whatever_rows_are_beside_it():
    rng = np.random.default_rng(2)
    normalizer = ObservationNormalizer(ObservationSpec((7,)), enabled=True)
    normalizer.update(rng.normal(size=(100, 7)).astype(np.float32))
    rows = rng.normal(size=(40, 7)).astype(np.float32)
    alone = np.stack([normalizer(row[None])[0] for row in rows])
    for size in (1, 2, 3, 5, 8, 13, 40):
        picked = rng.permutation(40)[:size]
        assert normalizer(rows[picked]).tobytes() == alone[picked].tobytes()
    assert normalizer(rows.reshape(4, 10, 7)).tobytes() == alone.tobytes()


def test_a_disabled_observation_normalizer_changes_nothing():
    normalizer = ObservationNormalizer(ObservationSpec((2,)), enabled=False)
    rows = np.array([[100.0, -3.0]], np.float32)
    normalizer.update(rows)
    np.testing.assert_array_equal(normalizer(rows), rows)
    assert normalizer.moments.count == 0


def test_rewards_are_scaled_as_a_naive_step_by_step_count_has_it():
    rng = np.random.default_rng(3)
    rewards = rng.normal(2, 5, size=(60, 4))
    done = rng.random((60, 4)) < 0.1
    valid = np.vstack([np.ones((1, 4), bool), ~done[:-1]])  # the row after an episode's end only resets
    rewards *= valid
    normalizer = RewardNormalizer(4, gamma=0.9, enabled=True)
    for end in (20, 45, 60):  # three rollouts; the discounted returns run on between them
        begin = {20: 0, 45: 20, 60: 45}[end]
        scaled = normalizer(rewards[begin:end], done[begin:end], valid[begin:end])
        expected, returns = naive_rewards(rewards[:end], done[:end], valid[:end], 0.9)
        np.testing.assert_allclose(scaled, expected[begin:], rtol=1e-6)
        np.testing.assert_allclose(normalizer.moments.mean, returns.mean())
        assert normalizer.moments.count == returns.size
        assert scaled.dtype == np.float32


def test_rewards_are_clipped_at_ten_deviations():
    normalizer = RewardNormalizer(1, gamma=0.5, enabled=True)
    rewards = np.zeros((1000, 1))
    rewards[500] = 1000.0
    assert normalizer(rewards, np.zeros((1000, 1), bool), np.ones((1000, 1), bool)).max() == 10


def test_a_disabled_reward_normalizer_changes_nothing_but_the_type():
    rewards = np.array([[1.5, -200.0]])
    normalizer = RewardNormalizer(2, gamma=0.9, enabled=False)
    scaled = normalizer(rewards, np.zeros((1, 2), bool), np.ones((1, 2), bool))
    np.testing.assert_array_equal(scaled, rewards.astype(np.float32))


def test_normalizers_go_on_exactly_from_a_saved_state():
    rng = np.random.default_rng(4)
    rows, rewards, done = rng.normal(size=(90, 3)), rng.normal(size=(90, 2)), rng.random((90, 2)) < 0.1
    observation, reward = ObservationNormalizer(ObservationSpec((3,)), True), RewardNormalizer(2, 0.9, True)
    observation.update(rows[:50])
    reward(rewards[:50], done[:50], ~done[:50])
    again, reward_again = ObservationNormalizer(ObservationSpec((3,)), True), RewardNormalizer(2, 0.9, True)
    again.update(rows[:7])
    reward_again(rewards[:7] + 3, done[:7], ~done[:7])
    again.load_state_dict(observation.state_dict())
    reward_again.load_state_dict(reward.state_dict())
    assert again(rows[:5].astype(np.float32)).tobytes() == observation(rows[:5].astype(np.float32)).tobytes()
    observation.update(rows[50:])
    again.update(rows[50:])
    assert again(rows.astype(np.float32)).tobytes() == observation(rows.astype(np.float32)).tobytes()
    assert reward_again(rewards[50:], done[50:], ~done[50:]).tobytes() \
        == reward(rewards[50:], done[50:], ~done[50:]).tobytes()
    assert again.moments.count == 90
