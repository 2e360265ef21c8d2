"""What every vector environment promises, and that Gymnasium's steps as a plain environment does."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from stepping import SEED, actions_of, describe_once, drive, gymnasium_environments

from colab_rl.environments import VectorEnvironment
from colab_rl.environments.envpool_vector import EnvPoolVectorEnvironment
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.environments.seeds import episode_seed

# Another backend joins the shared suite by an entry here.
BACKENDS: dict[str, Callable[..., VectorEnvironment]] = {
    "gymnasium": GymnasiumVectorEnvironment, "envpool": EnvPoolVectorEnvironment}

ENVIRONMENTS = ["CartPole-v1", "BipedalWalker-v3", "LunarLander-v3", "Pendulum-v1"]
every_backend = pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
every_environment = pytest.mark.parametrize("env_id", ENVIRONMENTS)


@every_backend
@every_environment
def test_arrays_have_the_shapes_and_types_that_are_promised(backend, env_id):
    shape = describe_once(env_id)
    with backend(env_id, shape, 3, seed=SEED) as envs:
        first = envs.reset()
        assert first.shape == envs.observations.shape == (3, shape.observation.shape[0]) and first.dtype == np.float32
        assert envs.num_envs == 3 and not envs.ended.any()
        for step in drive(envs, actions_of(shape, 3, 5)):
            assert step.observations.shape == (3, shape.observation.shape[0]) and step.observations.dtype == np.float32
            assert step.rewards.shape == (3,) and step.rewards.dtype == np.float64
            for flags in (step.terminated, step.truncated, step.ended):
                assert flags.shape == (3,) and flags.dtype == bool
            assert np.isfinite(step.observations).all() and np.isfinite(step.rewards).all()


@every_backend
@every_environment
def test_the_step_after_an_end_ignores_its_action_and_begins_the_next_episode(backend, env_id):
    shape = describe_once(env_id)
    with backend(env_id, shape, 3, seed=SEED) as envs:
        envs.reset()
        ended, ends = np.zeros(3, bool), 0
        for step in drive(envs, actions_of(shape, 3, 420)):
            assert not step.rewards[ended].any()
            assert not (step.terminated | step.truncated)[ended].any()
            np.testing.assert_array_equal(step.ended, step.terminated | step.truncated)
            ended, ends = step.ended, ends + step.ended.sum()
        assert ends >= 3


@every_backend
def test_the_action_of_a_row_that_only_resets_changes_nothing(backend):
    shape = describe_once("CartPole-v1")
    actions = actions_of(shape, 2, 150)
    with backend("CartPole-v1", shape, 2, seed=SEED) as envs:
        envs.reset()
        before = drive(envs, actions)
        resets = np.array([np.zeros(2, bool), *(step.ended for step in before[:-1])])
        actions[resets] = 1 - actions[resets]
        envs.reset()
        assert drive(envs, actions) == before
    assert resets.any()


@every_backend
def test_truncation_is_told_from_termination(backend):
    shape = describe_once("Pendulum-v1")
    with backend("Pendulum-v1", shape, 2, seed=SEED) as envs:
        envs.reset()
        steps = drive(envs, actions_of(shape, 2, 402))
    assert [t + 1 for t, step in enumerate(steps) if step.truncated.any()] == [200, 401]  # 201 only resets
    assert steps[199].truncated.all() and steps[199].ended.all()
    assert not any(step.terminated.any() for step in steps)

    shape = describe_once("CartPole-v1")
    with backend("CartPole-v1", shape, 2, seed=SEED) as envs:
        envs.reset()
        steps = drive(envs, actions_of(shape, 2, 100))
    assert any(step.terminated.any() for step in steps)
    assert not any(step.truncated.any() for step in steps)


@every_backend
@every_environment
def test_reset_begins_the_first_episodes_again(backend, env_id):
    shape = describe_once(env_id)
    actions = actions_of(shape, 3, 60)
    with backend(env_id, shape, 3, seed=SEED) as envs:
        first = envs.reset().copy()
        before = drive(envs, actions)
        np.testing.assert_array_equal(envs.reset(), first)
        assert drive(envs, actions) == before


@every_backend
@every_environment
@pytest.mark.parametrize("when", ["in the middle of an episode", "at an end", "after a reset"])
def test_a_snapshot_goes_on_exactly_here_and_in_fresh_environments(backend, env_id, when):
    shape = describe_once(env_id)
    actions = actions_of(shape, 3, 1500)
    with backend(env_id, shape, 3, seed=SEED) as envs, backend(env_id, shape, 3, seed=SEED) as others:
        envs.reset()
        ended, taken = np.zeros(3, bool), 0
        for taken in range(1, 500):
            step = drive(envs, actions[taken - 1:taken])[0]
            if taken > 20 and {"in the middle of an episode": not step.ended.any(), "at an end": step.ended.any(),
                               "after a reset": ended.any()}[when]:
                break
            ended = step.ended
        else:
            pytest.fail(f"{env_id} was never {when}")
        snapshot, observations = envs.snapshot(), envs.observations.copy()
        kept = copy.deepcopy(snapshot)
        after, ends = [], 0
        while ends < 3:
            after += drive(envs, actions[taken + len(after):][:1])
            ends += int(after[-1].ended.sum())
        after += drive(envs, actions[taken + len(after):][:5])
        assert all(np.array_equal(snapshot[name], array) for name, array in kept.items())  # not views

        others.reset()
        for again in (envs, others):
            drive(again, actions[:3])
            assert again.restore(snapshot) == []
            np.testing.assert_array_equal(again.observations, observations)
            assert drive(again, actions[taken:taken + len(after)]) == after


@every_backend
def test_a_snapshot_of_the_very_first_observation_goes_on_exactly(backend):
    shape = describe_once("BipedalWalker-v3")
    actions = actions_of(shape, 2, 30)
    with backend("BipedalWalker-v3", shape, 2, seed=SEED) as envs:
        envs.reset()
        snapshot = envs.snapshot()
        after = drive(envs, actions)
        assert envs.restore(snapshot) == []
        assert drive(envs, actions) == after


@every_backend
def test_a_snapshot_of_a_restored_snapshot_is_the_same(backend):
    shape = describe_once("LunarLander-v3")
    with backend("LunarLander-v3", shape, 3, seed=SEED) as envs:
        envs.reset()
        drive(envs, actions_of(shape, 3, 130))
        snapshot = envs.snapshot()
        drive(envs, actions_of(shape, 3, 20))
        envs.restore(snapshot)
        again = envs.snapshot()
    assert snapshot.keys() == again.keys()
    assert all(np.array_equal(snapshot[name], again[name]) for name in snapshot)


@every_backend
def test_closing_twice_is_no_error(backend):
    envs = backend("CartPole-v1", describe_once("CartPole-v1"), 2)
    envs.close()
    envs.close()


def single_environment(env_id: str, slot: int, actions: np.ndarray) -> Iterator[tuple[Any, float, bool, bool]]:
    """A plain gymnasium environment, made anew for each episode, with its own autoreset."""
    env, episode, done = gymnasium.make(env_id), 0, False
    env.reset(seed=episode_seed(SEED, slot, 0))
    for action in actions:
        if done:
            env.close()
            env, episode = gymnasium.make(env_id), episode + 1
            observation, reward, terminated, truncated = env.reset(seed=episode_seed(SEED, slot, episode))[0], 0, 0, 0
        else:
            observation, reward, terminated, truncated, _ = env.step(action)
        done = bool(terminated or truncated)
        yield np.asarray(observation, np.float32), float(reward), bool(terminated), bool(truncated)
    env.close()


@pytest.mark.parametrize("env_id", [*ENVIRONMENTS, "BipedalWalkerHardcore-v3"])
def test_trajectories_are_those_of_a_single_plain_environment(env_id):
    shape = describe_once(env_id)
    actions = actions_of(shape, 3, 420)
    with gymnasium_environments(env_id, 3, seed=SEED, num_workers=2) as envs:
        first = envs.reset().copy()
        steps = drive(envs, actions)
    assert sum(step.ended.sum() for step in steps) >= 3
    for slot in range(3):
        env = gymnasium.make(env_id)
        np.testing.assert_array_equal(first[slot], env.reset(seed=episode_seed(SEED, slot, 0))[0])
        env.close()
        for step, (observation, *rest) in zip(steps, single_environment(env_id, slot, actions[:, slot]), strict=True):
            np.testing.assert_array_equal(step.observations[slot], observation)
            assert [step.rewards[slot], step.terminated[slot], step.truncated[slot]] == rest


def test_the_number_of_workers_changes_nothing_and_a_snapshot_moves_between_them():
    shape = describe_once("BipedalWalker-v3")
    actions = actions_of(shape, 5, 400)
    stories, restored = [], []
    with gymnasium_environments("BipedalWalker-v3", 5, seed=SEED, num_workers=1) as envs:
        envs.reset()
        drive(envs, actions[:150])
        snapshot = envs.snapshot()
    for workers in (1, 2, 3, 99):
        with gymnasium_environments("BipedalWalker-v3", 5, seed=SEED, num_workers=workers) as envs:
            assert len(envs._workers) == min(workers, 5)
            assert envs.restore(snapshot) == []
            restored.append(drive(envs, actions[150:]))
            if workers < 3:
                envs.reset()
                stories.append(drive(envs, actions))
    assert all(story == restored[0] for story in restored)
    assert stories[0] == stories[1] and stories[0][150:] == restored[0]
    assert sum(step.ended.sum() for step in restored[0]) >= 3


def test_hardcore_terrain_restores_exactly():
    shape = describe_once("BipedalWalkerHardcore-v3")
    actions = actions_of(shape, 2, 500)
    with gymnasium_environments("BipedalWalkerHardcore-v3", seed=SEED) as envs:
        envs.reset()
        drive(envs, actions[:90])
        snapshot = envs.snapshot()
        after = drive(envs, actions[90:])
        assert envs.restore(snapshot) == []
        assert drive(envs, actions[90:]) == after
    assert sum(step.ended.sum() for step in after) >= 3


def test_each_slot_and_each_episode_has_a_seed_of_its_own():
    seeds = {episode_seed(seed, slot, episode) for seed in range(5) for slot in range(20) for episode in range(50)}
    assert len(seeds) == 5 * 20 * 50
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_slot_without_a_seed_stays_idle_and_the_others_go_on():
    shape = describe_once("CartPole-v1")
    with gymnasium_environments("CartPole-v1", 2, seeds=lambda slot, episode: 7 if slot == 0 else -1) as envs:
        envs.reset()
        assert envs.ended.tolist() == [False, True]
        steps = drive(envs, actions_of(shape, 2, 100))
    assert all(step.ended[1] and step.rewards[1] == 0 for step in steps)
    assert sum(step.ended[0] for step in steps) > 1
