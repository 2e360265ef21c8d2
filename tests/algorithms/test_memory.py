"""PPO with memory: what it learns from is what it did, and what one episode remembers is its own."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from colab_rl.algorithms import Algorithm
from colab_rl.algorithms.registry import algorithm_class, make_config
from colab_rl.environments import describe
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.errors import UsageError
from colab_rl.evaluation.evaluator import Evaluator
from colab_rl.evaluation.replay import record_episode
from colab_rl.networks.base import Sequences
from colab_rl.networks.distributions import Categorical

pytestmark = pytest.mark.usefixtures("one_thread")
ENV = "CartPole-v1"  # whose episodes are short at first
describe_once = functools.cache(describe)
either_trunk = pytest.mark.parametrize("shared", [False, True], ids=["two networks", "one trunk"])


def make(shared: bool, name: str = "ppo", **settings: Any) -> Any:
    config = make_config(name, {"num_envs": 4, "num_steps": 50, "minibatch_size": 100, "update_epochs": 2,
                                "network": "gru", "hidden_sizes": (16,), "shared_trunk": shared, "learning_rate": 0.01,
                                **settings})
    return algorithm_class(name)(config, describe_once(ENV), torch.device("cpu"))


@either_trunk
def test_the_update_sees_the_states_in_which_each_action_was_taken(shared):
    algorithm = make(shared, log_std_init=0.0)
    with GymnasiumVectorEnvironment(ENV, describe_once(ENV), 4, seed=2, num_workers=1) as envs:
        envs.reset()
        for _ in range(3):
            generator = torch.Generator()
            generator.set_state(algorithm.generator.get_state())
            noise = algorithm.policy.noise((50, 4), generator)
            algorithm.collect(envs)
            transitions, _ = algorithm.transitions()
            sequences, valid = transitions.obs, algorithm.rollout.valid
            assert isinstance(sequences, Sequences) and not valid.all()
            with torch.no_grad():
                logits = algorithm.policy.logits(sequences)
            taken = Categorical(logits.numpy()).sample(noise[valid])
            assert np.array_equal(taken, transitions.actions)
            assert algorithm.memories["policy"].any()
            for batch in algorithm.shuffled(transitions):  # of two environments each, in an order of its own
                assert batch.obs.valid.shape == (50, 2) and int(batch.obs.valid.sum()) == len(batch.actions)
                with torch.no_grad():
                    log_probs = algorithm.log_prob(batch.obs, batch.actions)
                torch.testing.assert_close(log_probs, batch.log_probs, rtol=1e-4, atol=1e-5)
            algorithm.update(0.1)


class OneStep(gymnasium.Env):
    """Each episode has one step, so every second row only resets."""

    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (2,)), gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        return np.ones(2, np.float32), float(action), True, False, {}


def test_environments_with_one_transition_each_are_learned_from_together():
    """One alone has no standard deviation."""
    spaces = describe(OneStep)
    config = make_config("ppo", {"num_envs": 4, "num_steps": 2, "minibatch_size": 2, "network": "gru"})
    algorithm = algorithm_class("ppo")(config, spaces, torch.device("cpu"))
    with GymnasiumVectorEnvironment(OneStep, spaces, 4, num_workers=1) as envs:
        envs.reset()
        assert algorithm.collect(envs) == 4
        transitions, _ = algorithm.transitions()
        assert [len(batch.actions) for batch in algorithm.shuffled(transitions)] == [2, 2]
        assert np.isfinite(algorithm.update(0.1)["loss/policy"])


@either_trunk
def test_a_value_remembers_its_episode_and_a_cut_forgets(shared):
    algorithm = make(shared)
    with GymnasiumVectorEnvironment(ENV, describe_once(ENV), 4, seed=2, num_workers=1) as envs:
        envs.reset()
        algorithm.collect(envs)
        algorithm.collect(envs)
        before = algorithm._memories_before["policy" if shared else "value"].copy()
        algorithm.transitions()
    rollout = algorithm.rollout
    ends = np.flatnonzero(~rollout.valid[:, 0])
    first, last = ends[0] + 1, ends[1]  # an episode that began and ended in this rollout
    whole = algorithm.values(rollout.obs[first:last + 1, 0]) / algorithm.reward_normalizer.unit
    assert not np.allclose(whole[1:], algorithm.values(rollout.obs[first + 1:last + 1, 0]), atol=1e-4)
    obs = torch.from_numpy(algorithm.observation_normalizer(rollout.obs))
    values, _ = algorithm.value.unroll(Sequences(obs[:-1], torch.from_numpy(rollout.valid), torch.from_numpy(before)))
    np.testing.assert_allclose(values[first:last + 1, 0].detach(), whole, rtol=1e-4, atol=1e-5)
    assert set(algorithm.state_dict()["memories"]) == ({"policy"} if shared else {"policy", "value"})
    algorithm.cut_episodes()
    assert not any(memory.any() for memory in algorithm.memories.values())


def test_an_episode_is_evaluated_and_recorded_alike_whatever_runs_beside_it():
    algorithm: Algorithm = make(False)
    with GymnasiumVectorEnvironment(ENV, describe_once(ENV), 4, seed=2, num_workers=1) as envs:
        envs.reset()
        for _ in range(3):
            algorithm.collect(envs)
            algorithm.update(0.1)
    act = functools.partial(algorithm.act, deterministic=True)
    found = []
    for slots in (1, 3):
        evaluator = Evaluator(ENV, describe_once(ENV), slots)
        result = evaluator.evaluate(act, 6, 100, record=1, values=algorithm.values, memory=algorithm.memory)
        evaluator.close()
        found.append((result.returns.tolist(), result.episodes[0]["value"].tolist()))
    assert found[0] == found[1] and len(set(found[0][0])) > 1
    episode = record_episode(gymnasium.make(ENV), describe_once(ENV), act, algorithm.values, 100,
                             memory=algorithm.memory)
    assert (episode.total_return, episode["value"].tolist()) == (found[0][0][0], found[0][1])


@pytest.mark.parametrize("name", ["sac", "tqc"])
def test_off_policy_algorithms_say_that_they_take_no_memory(name):
    with pytest.raises(UsageError, match=f"{name} does not train networks with memory .gru.; nothing was written; use"):
        algorithm_class(name).check(make_config(name, {"network": "gru"}), describe_once("Pendulum-v1"))
