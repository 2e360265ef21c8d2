"""Advantages compared with a slow literal reference, and the count of training episodes."""

from __future__ import annotations

import numpy as np
import pytest

from colab_rl.algorithms.episode_tracker import EpisodeTracker
from colab_rl.algorithms.rollout import Rollout, generalized_advantages
from colab_rl.environments.spaces import ObservationSpec, Spaces

GAMMA, LAMBDA = 0.9, 0.7


class Story:
    """What N environments did in T steps, with NEXT_STEP autoreset, and the values of Rollout.obs."""

    def __init__(self, seed: int, steps: int = 40, envs: int = 5, ends: float = 0.15):
        rng = np.random.default_rng(seed)
        self.rewards = rng.normal(size=(steps, envs))
        self.values = rng.normal(size=(steps + 1, envs)).astype(np.float32)
        self.terminated = np.zeros((steps, envs), bool)
        self.truncated = np.zeros((steps, envs), bool)
        self.valid = np.ones((steps, envs), bool)
        ended = rng.random(envs) < ends  # some begin with a row that only resets
        for t in range(steps):
            self.valid[t] = ~ended
            self.rewards[t, ended] = 0
            kind = rng.random(envs)
            self.terminated[t] = (kind < ends) & ~ended
            self.truncated[t] = (kind > 1 - ends) & ~ended
            ended = self.terminated[t] | self.truncated[t]

    @property
    def done(self) -> np.ndarray:
        return self.terminated | self.truncated

    def advantages(self, gamma: float = GAMMA, gae_lambda: float = LAMBDA) -> np.ndarray:
        return generalized_advantages(self.rewards, self.values, self.terminated, self.done, gamma, gae_lambda)


def literal_advantages(story: Story, gamma: float, gae_lambda: float) -> np.ndarray:
    """Equation 16, written out as a sum over what is left of each transition's episode, or of the rollout."""
    steps, envs = story.rewards.shape
    advantages = np.full((steps, envs), np.nan)
    for env in range(envs):
        for t in range(steps):
            if not story.valid[t, env]:
                continue
            total = 0.0
            for later in range(t, steps):
                after = 0.0 if story.terminated[later, env] else float(story.values[later + 1, env])
                delta = story.rewards[later, env] + gamma * after - float(story.values[later, env])
                total += (gamma * gae_lambda) ** (later - t) * delta
                if story.done[later, env]:
                    break
            advantages[t, env] = total
    return advantages


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("gamma", "gae_lambda"), [(0.9, 0.7), (0.99, 0.95), (1.0, 1.0), (0.9, 0.0), (0.0, 0.5)])
def test_advantages_are_those_of_the_literal_sum_in_every_row_that_is_a_transition(seed, gamma, gae_lambda):
    story = Story(seed)
    advantages = story.advantages(gamma, gae_lambda)
    assert advantages.dtype == np.float32
    np.testing.assert_allclose(advantages[story.valid], literal_advantages(story, gamma, gae_lambda)[story.valid],
                               rtol=1e-4, atol=1e-5)
    assert story.terminated.any() and story.truncated.any() and not story.valid.all()


def test_with_lambda_1_an_advantage_is_the_discounted_return_less_the_value():
    story = Story(7)
    advantages = story.advantages(GAMMA, 1.0)
    steps, envs = story.rewards.shape
    for env in range(envs):
        for t in np.flatnonzero(story.valid[:, env]):
            end = next((later for later in range(t, steps) if story.done[later, env]), steps - 1)
            rest = [GAMMA**k * reward for k, reward in enumerate(story.rewards[t:end + 1, env])]
            after = 0.0 if story.terminated[end, env] else GAMMA ** len(rest) * story.values[end + 1, env]
            assert advantages[t, env] == pytest.approx(sum(rest) + after - story.values[t, env], abs=1e-4)


def test_termination_is_worth_nothing_afterwards_and_truncation_the_value_of_the_final_observation():
    rewards, values = np.ones((1, 2)), np.array([[5.0, 5.0], [100.0, 100.0]], np.float32)
    terminated, truncated = np.array([[True, False]]), np.array([[False, True]])
    advantages = generalized_advantages(rewards, values, terminated, terminated | truncated, GAMMA, LAMBDA)
    np.testing.assert_allclose(advantages, [[1 - 5, 1 + GAMMA * 100 - 5]])


def test_an_episode_that_terminates_at_its_time_limit_has_terminated():
    both = np.array([[True]])
    advantages = generalized_advantages(np.ones((1, 1)), np.array([[5.0], [100.0]], np.float32), both, both,
                                        GAMMA, LAMBDA)
    assert advantages.item() == pytest.approx(1 - 5)


def test_nothing_flows_back_from_a_row_that_only_resets_or_from_the_next_episode():
    story = Story(8)
    before = story.advantages()
    for env in range(story.rewards.shape[1]):
        ends = np.flatnonzero(story.done[:-1, env])
        if not len(ends):
            continue
        end = ends[0]
        changed = Story(8)
        changed.values[end + 2:, env] += 50  # the first observation of the next episode, and all after it
        changed.rewards[end + 1:, env] += 50
        np.testing.assert_array_equal(changed.advantages()[:end + 1, env], before[:end + 1, env])


def test_a_rollout_counts_both_ends_as_done():
    rollout = Rollout(2, 3, Spaces(ObservationSpec((4,)), True, 2, 0, np.zeros(0, np.float32), np.zeros(0, np.float32)))
    rollout.terminated[:] = [[True, False, False], [False, False, True]]
    rollout.truncated[:] = [[False, False, True], [False, False, True]]
    assert rollout.done.tolist() == [[True, False, True], [False, False, True]]
    assert rollout.obs.shape == (3, 3, 4) and rollout.obs.dtype == np.float32
    assert rollout.actions.shape == (2, 3) and rollout.actions.dtype == np.int64


def test_the_tracker_reports_returns_and_lengths_of_the_episodes_that_ended():
    tracker = EpisodeTracker(2)
    assert tracker.metrics() == {}
    rewards = np.array([[1.0, 10], [2, 20], [3, 0], [4, 30]])
    valid = np.array([[True, True], [True, True], [True, False], [True, True]])
    done = np.array([[False, False], [False, True], [False, False], [True, False]])
    tracker.update(rewards, valid, done)
    assert tracker.recent_returns.tolist() == [30, 10]  # oldest first
    assert tracker.recent_lengths.tolist() == [2, 4]
    assert tracker.metrics() == {"episode/return": 20.0, "episode/length": 3.0}
    tracker.update(np.array([[5.0, 1.0]]), np.ones((1, 2), bool), np.array([[False, True]]))
    assert tracker.recent_returns.tolist() == [30, 10, 31]
    assert tracker.recent_lengths.tolist() == [2, 4, 2]


def test_the_tracker_keeps_the_newest_episodes_only():
    tracker = EpisodeTracker(1)
    rewards = np.arange(250.0)[:, None]
    tracker.update(rewards, np.ones((250, 1), bool), np.ones((250, 1), bool))
    assert tracker.recent_returns.tolist() == list(np.arange(150.0, 250.0))


def test_the_tracker_counts_alike_however_the_steps_are_cut_into_rollouts_and_after_a_saved_state():
    story = Story(9, steps=60)
    whole = EpisodeTracker(5)
    whole.update(story.rewards, story.valid, story.done)
    tracker = EpisodeTracker(5)
    for begin in range(0, 60, 7):
        rows = slice(begin, begin + 7)
        tracker.update(story.rewards[rows], story.valid[rows], story.done[rows])
        following = EpisodeTracker(5)
        following.load_state_dict(tracker.state_dict())
        tracker = following
    for name, array in whole.state_dict().items():
        np.testing.assert_array_equal(tracker.state_dict()[name], array)
    assert len(whole.recent_returns) > 5
