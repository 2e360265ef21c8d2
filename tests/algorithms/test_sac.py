"""What is SAC's own: its gradients, its targets, its temperature, and when it learns."""

from __future__ import annotations

import dataclasses
import math
import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from test_algorithms import SETTINGS, describe_once, environments, iterate, make
from torch.nn import functional

from colab_rl.algorithms import off_policy
from colab_rl.algorithms.registry import algorithm_class, make_config
from colab_rl.algorithms.replay import ReplayBuffer
from colab_rl.algorithms.sac import fused, loss
from colab_rl.algorithms.sac.config import SACConfig
from colab_rl.algorithms.sac.critic import TwinCritic
from colab_rl.algorithms.sac.policy import SquashedGaussianPolicy
from colab_rl.algorithms.sac.sac import SAC
from colab_rl.environments.spaces import ObservationSpec
from colab_rl.errors import Divergence, UsageError
from colab_rl.networks.mlp import MLP

pytestmark = pytest.mark.usefixtures("one_thread")
ENV = "Pendulum-v1"
WALKER = describe_once("BipedalWalker-v3")


def make_sac(**changes: Any) -> SAC:
    algorithm = make("sac", ENV, **changes)
    assert isinstance(algorithm, SAC)
    return algorithm


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def disturb(network: torch.nn.Module, amount: float = 0.1) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(amount * torch.randn(parameter.shape, generator=generator()))


def pendulum_rows(size: int) -> tuple[torch.Tensor, ...]:
    """Observations (size, 3), those that follow, actions (size, 1), rewards, noise (2, size, 1) and discounts."""
    obs, next_obs = torch.randn(2, size, 3, generator=generator(1))
    actions, rewards = torch.rand(size, 1, generator=generator(2)) * 2 - 1, torch.randn(size, generator=generator(3))
    noise = torch.randn(2, size, 1, generator=generator(4))
    return obs, next_obs, actions, rewards, noise, 0.9 * (torch.rand(size, generator=generator(5)) < 0.8)


def gradients_of(algorithm: SAC, objective: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    """Of each network by the objective, or those that were written; then they are zero again."""
    if objective is not None:
        for optimizer in algorithm.optimizers.values():
            optimizer.gradient.zero_()
        objective.backward()
    found = {name: optimizer.gradient.clone() for name, optimizer in algorithm.optimizers.items()}
    for optimizer in algorithm.optimizers.values():
        optimizer.gradient.zero_()
    return found


def walker_policy(*hidden_sizes: int) -> SquashedGaussianPolicy:
    return SquashedGaussianPolicy(WALKER, lambda outputs, gain: MLP([24, *hidden_sizes, outputs], "relu", gain,
                                                                    generator()))


def reference(policy: SquashedGaussianPolicy, obs: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Actions and log-density as torch.distributions have them."""
    mean, log_std = policy.mean_and_log_std(obs).chunk(2, -1)
    assert log_std.abs().max() < 2  # its bound
    squashed = torch.distributions.TransformedDistribution(
        torch.distributions.Independent(torch.distributions.Normal(mean, log_std.exp()), 1),
        [torch.distributions.TanhTransform(cache_size=1)])
    actions = squashed.transforms[0](mean + log_std.exp() * noise)
    return actions, squashed.log_prob(actions)


def test_the_log_density_is_that_of_the_squashed_normal_distribution():
    policy = walker_policy(32)
    disturb(policy)
    obs, noise = torch.randn(200, 24, generator=generator(1)), torch.randn(200, 4, generator=generator(2))
    with torch.no_grad():
        expected, log_prob = reference(policy, obs, noise)
        distribution = policy.distribution(policy.vjp(obs)[0])
        for actions, found in ((distribution.sample(noise), distribution.log_prob(noise)),
                               fused.sampled(policy, obs, noise)[:2]):
            torch.testing.assert_close(actions, expected)
            torch.testing.assert_close(found, log_prob, rtol=1e-4, atol=1e-4)
        numpy_actions = policy.sampler()(obs.numpy(), noise.numpy())
    np.testing.assert_allclose(numpy_actions, expected, rtol=1e-5, atol=1e-6)


def test_the_log_density_is_finite_where_tanh_is_saturated():
    policy = walker_policy(8)
    with torch.no_grad():
        policy.mean_and_log_std.layers[-1].bias[:4] = torch.tensor([-60.0, -15.0, 15.0, 60.0])
        distribution = policy.distribution(policy.vjp(torch.zeros(3, 24))[0])
        actions, log_prob = distribution.sample(torch.zeros(3, 4)), distribution.log_prob(torch.zeros(3, 4))
        _, written_out, _ = fused.sampled(policy, torch.zeros(3, 24), torch.zeros(3, 4))
    assert torch.equal(actions.abs().round(), torch.ones(3, 4)) and log_prob.isfinite().all()
    torch.testing.assert_close(written_out, log_prob)
    expected = sum(2 * abs(u) - 2 * math.log(2) - 0.5 * math.log(2 * math.pi) for u in (60, 15, 15, 60))
    torch.testing.assert_close(log_prob, torch.full((3,), expected))


@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_gradients_are_those_of_the_losses_as_the_paper_writes_them(layer_norm, activation):
    sac = make_sac(layer_norm=layer_norm, activation=activation, hidden_sizes=(24, 16))
    for network in (sac.policy, sac.critic, sac.target):
        disturb(network)
    alpha, (obs, next_obs, actions, rewards, noise, discounts) = torch.tensor(0.37), pendulum_rows(50)

    with torch.no_grad():
        next_actions, next_log_prob = reference(sac.policy, next_obs, noise[0])
        next_values = sac.target(next_obs, next_actions)
        y = rewards + discounts * (next_values.amin(0) - alpha * next_log_prob)
        found = fused.soft_targets(sac, rewards, discounts, next_obs, noise[0], alpha)
    torch.testing.assert_close(found, y, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(loss.soft_targets(rewards, discounts, next_values, next_log_prob, alpha), y)

    gradients = partial(gradients_of, sac)
    expected = gradients(loss.critic_loss(sac.critic(obs, actions), y))
    torch.testing.assert_close(loss.critic_loss(sac.critic(obs, actions), y),
                               sum(functional.mse_loss(values, y) for values in sac.critic(obs, actions)))
    with torch.no_grad():
        values = fused.critic_gradient(sac.critic, obs, actions, y)
    torch.testing.assert_close(gradients()["critic"], expected["critic"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(values, sac.critic(obs, actions).detach())

    own, log_prob = reference(sac.policy, obs, noise[1])
    q = sac.critic(obs, own)
    assert 0 < (q[0] < q[1]).sum() < len(obs)
    torch.testing.assert_close(loss.actor_loss(log_prob, q, alpha), (alpha * log_prob - torch.min(*q)).mean())
    expected = gradients(loss.actor_loss(log_prob, q, alpha))
    with torch.no_grad():
        found_log_prob, found_q = fused.actor_gradient(sac, obs, noise[1], alpha)
    found = gradients()
    torch.testing.assert_close(found["policy"], expected["policy"], rtol=1e-3, atol=1e-5)
    assert not found["critic"].any()  # the policy's loss leaves the critic alone
    torch.testing.assert_close(found_log_prob, log_prob.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found_q, q.amin(0).detach())

    log_alpha = sac.temperature.log_alpha
    expected = -(log_alpha * (log_prob.detach() + sac.target_entropy)).mean()
    torch.testing.assert_close(sac.temperature_loss(log_prob.detach()), expected)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_a_burst_by_autograd_ends_where_the_one_that_is_written_out_does(layer_norm):
    """One gradient step: later ones draw other noise."""
    ends = []
    for written_out in (True, False):
        with environments(ENV) as envs:
            sac = make_sac(layer_norm=layer_norm, replay_ratio=1 / 120, initial_temperature=0.3)
            assert sac._fused
            sac._fused = written_out
            sac.collect(envs)
            torch.manual_seed(0)
            metrics = sac.update(0.1)
            ends.append((metrics, {name: optimizer.flat.clone() for name, optimizer in sac.optimizers.items()}))
    (metrics, parameters), (expected, wanted) = ends
    for name, flat in parameters.items():
        assert (flat - wanted[name]).abs().max() < 2.1 * sac.config.learning_rate  # Adam's first step has that length
    assert set(metrics) == set(expected)
    assert metrics["loss/critic"] == pytest.approx(expected["loss/critic"], rel=0.2)


class Clipped(SAC):
    """Its critics learn from targets that are not too far away."""

    name = "clipped"

    def critic_loss(self, values, targets):
        return super().critic_loss(values, values.detach() + (targets - values.detach()).clamp(-1, 1))


def test_a_changed_loss_never_meets_the_gradient_that_is_written_out(monkeypatch):
    config = make_config("sac", SETTINGS["sac"])
    assert SAC(config, describe_once(ENV), torch.device("cpu"))._fused
    assert not Clipped(config, describe_once(ENV), torch.device("cpu"))._fused
    monkeypatch.setattr(loss, "actor_loss", lambda log_prob, values, alpha: -values.amin(0).mean())
    assert not SAC(config, describe_once(ENV), torch.device("cpu"))._fused


def test_a_standard_deviation_at_its_bound_gets_no_gradient():
    policy = walker_policy(8)
    for parameter in policy.parameters():
        parameter.grad = torch.zeros_like(parameter)
    with torch.no_grad():
        policy.mean_and_log_std.layers[-1].bias[4:] = 50.0
        *_, pullback = fused.sampled(policy, torch.randn(5, 24), torch.randn(5, 4))
        pullback(torch.ones(5, 4), torch.tensor(0.1))
        assert float(policy.std(torch.randn(5, 24))) == pytest.approx(math.exp(2))
    assert (policy.mean_and_log_std.layers[-1].bias.grad[4:] == 0).all()
    assert (policy.mean_and_log_std.layers[-1].bias.grad[:4] != 0).any()


def test_both_critics_are_two_networks_of_their_own():
    critic = TwinCritic(WALKER, (16, 16), "relu", False, generator())
    obs, actions = torch.randn(9, 24), torch.randn(9, 4)
    with torch.no_grad():
        before = critic(obs, actions)
        assert not torch.allclose(before[0], before[1])
        for weight in critic.weights:
            weight[1] = 0
        after = critic(obs, actions)
    assert torch.equal(after[0], before[0]) and torch.equal(after[1], torch.zeros(9))


def test_the_targets_follow_by_tau_in_each_gradient_step():
    for tau, steps in ((1.0, 3), (0.25, 1)):
        sac = make_sac(tau=tau, learning_rate=1e-2, replay_ratio=steps / 120)
        with environments(ENV) as envs:
            iterate(sac, envs)
            before, critic = sac.target_flat.clone(), sac.optimizers["critic"].flat
            if tau == 1.0:
                torch.testing.assert_close(sac.target_flat, critic.detach())
            iterate(sac, envs)
        expected = critic.detach() if tau == 1.0 else before.lerp(critic.detach(), tau)
        torch.testing.assert_close(sac.target_flat, expected)
        assert sac.target.weights[0].data_ptr() == sac.target_flat.data_ptr()


def test_the_averaged_policy_follows_once_an_iteration_and_acts_in_evaluations_alone():
    sac = make_sac(policy_average=0.75, learning_rate=1e-2)
    with environments(ENV) as envs:
        iterate(sac, envs)
        before = sac.averaged_flat.clone()
        iterate(sac, envs)
    newest = sac.optimizers["policy"].flat.detach()
    torch.testing.assert_close(sac.averaged_flat, 0.75 * before + 0.25 * newest)

    obs = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    noise = sac.policy.noise((5,), generator())
    drawn = sac.policy.sampler()(obs, noise)
    of_newest, found = sac.policy.to_environment(sac.policy.mode()(obs)), sac.act(obs, deterministic=True)
    assert not np.array_equal(found, of_newest)
    assert np.array_equal(found, sac.policy.to_environment(sac.averaged.mode()(obs)))
    assert np.array_equal(found, sac.acting()(obs)) and np.array_equal(found, sac.on_cpu().acting()(obs))
    sac.averaged_flat.zero_()
    assert np.array_equal(drawn, sac.policy.sampler()(obs, noise))

    other = make_sac(policy_average=0.75)
    other.load_state_dict(sac.state_dict())
    assert torch.equal(other.averaged_flat, sac.averaged_flat) and not sac.acting()(obs).any()


def test_the_temperature_falls_where_the_policy_is_more_random_than_wanted_and_rises_where_it_is_less():
    with environments(ENV) as envs:
        for target, sign in ((-20.0, -1), (5.0, 1)):
            sac = make_sac(target_entropy=target, learning_rate=1e-2, initial_temperature=0.5)
            metrics = iterate(sac, envs, 2)
            assert sign * (metrics["entropy/temperature"] - 0.5) > 0.01


def test_nothing_is_learned_before_learning_starts_and_actions_are_random_and_held_until_then():
    sac = make_sac(learning_starts=200, random_hold=20.0)
    before = sac.optimizers["policy"].flat.clone()
    with environments(ENV) as envs:
        metrics = iterate(sac, envs)
        held = sac.replay.rows(0, 40)["actions"]
        changes = (held[1:] != held[:-1]).any(-1).mean()
        assert 0.01 < changes < 0.15 and np.abs(held).max() <= 1
        assert "loss/critic" not in metrics and metrics["replay/ratio"] == 0
        assert torch.equal(sac.optimizers["policy"].flat, before)
        metrics = iterate(sac, envs)
        assert metrics["replay/ratio"] == pytest.approx(12 / 240) and "loss/critic" in metrics
        assert not torch.equal(sac.optimizers["policy"].flat, before)
        assert iterate(sac, envs)["replay/ratio"] == pytest.approx(24 / 360)


def test_a_buffer_that_holds_no_more_than_a_minibatch_is_learned_from():
    """It holds whole rows of all environments, here 40 of 3: a minibatch of 121 is drawn from them all the same."""
    sac = make_sac(buffer_size=121, minibatch_size=121)
    with environments(ENV) as envs:
        assert "loss/critic" not in iterate(sac, envs)
        assert "loss/critic" in iterate(sac, envs)


def test_an_update_in_several_bursts_makes_all_its_gradient_steps(monkeypatch):
    monkeypatch.setattr("colab_rl.algorithms.off_policy.BURST_ROWS", 100)  # three minibatches of 32
    sac = make_sac(replay_ratio=10 / 120)
    with environments(ENV) as envs:
        iterate(sac, envs)
    assert sac.gradient_steps == 10 == sac.optimizers["critic"].steps == sac.optimizers["policy"].steps


def test_of_images_so_many_are_sampled_at_once_as_the_memory_check_counts(monkeypatch):
    images = dataclasses.replace(WALKER, observation=ObservationSpec((84, 84, 4), "uint8"))
    config = make_config("sac", {"buffer_size": 4000})
    buffer = ReplayBuffer(4000, config.num_envs, images)
    burst = off_policy.minibatches_at_once(config, buffer) * config.minibatch_size * buffer.sample_bytes
    assert buffer.sample_bytes == 2 * 84 * 84 * 4 and off_policy.BURST_BYTES / 2 < burst <= off_policy.BURST_BYTES
    assert off_policy.minibatches_at_once(config, ReplayBuffer(4000, config.num_envs, WALKER)) == 2**15 // 256
    monkeypatch.setattr("colab_rl.machine.available_memory", lambda: buffer.nbytes + burst // 2)
    with pytest.raises(UsageError, match="of memory, and"):
        algorithm_class("sac").check(config, images)


@pytest.mark.parametrize("name", ["sac", "tqc"])
def test_a_minibatch_of_one_transition_has_metrics_that_are_numbers(name):
    settings = {**SETTINGS[name], "minibatch_size": 1, "replay_ratio": 1 / 120, "learning_starts": 0}
    algorithm = algorithm_class(name)(make_config(name, settings), describe_once(ENV), torch.device("cpu"))
    with environments(ENV) as envs, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(list(iterate(algorithm, envs).values())).all()


def test_the_learning_rate_falls_linearly_or_not_at_all():
    with environments(ENV) as envs:
        for schedule, expected in (("linear", [1e-3, 5e-4, 0.0, 0.0]), ("constant", [1e-3] * 4)):
            algorithm = make_sac(learning_rate=1e-3, learning_rate_schedule=schedule)
            found = [iterate(algorithm, envs, progress=progress) for progress in (0.0, 0.5, 1.0, 1.2)]
            assert [metrics["optimizer/learning_rate"] for metrics in found] == pytest.approx(expected)
            for network in algorithm.optimizers:
                still = [metrics[f"optimizer/{network}/update_norm"] == 0 for metrics in found]
                assert still == [rate == 0 for rate in expected]


def test_a_critic_that_breaks_is_noticed():
    sac = make_sac()
    with environments(ENV) as envs:
        iterate(sac, envs)
        sac.optimizers["critic"].exp_avg.fill_(math.nan)
        with pytest.raises(Divergence):
            iterate(sac, envs)


def test_normalised_observations_reach_the_networks_and_raw_ones_the_buffer():
    with environments(ENV) as envs:
        sac = make_sac(normalize_observations=True)
        iterate(sac, envs)
        batch = sac._sampled(4)
        raw = sac.replay.sample(4, 32, generator()).obs
    assert sac.observation_normalizer.moments.count == 120
    assert abs(float(batch.obs[..., 2].std()) - 1) < 0.5 < float(raw[..., 2].std()) - 0.5


def test_clipped_rewards_are_learned_from_and_raw_ones_kept():
    with environments(ENV) as envs:
        sac = make_sac(reward_clip=2.0)
        iterate(sac, envs)
    kept = sac.replay.rows(0, 40)["rewards"]
    assert kept.min() < -2.5 and kept.max() > -1.5
    assert -1.5 < float(sac._sampled(8).rewards.max()) <= 0 and float(sac._sampled(8).rewards.min()) == -2
    assert sac.replay.rows(0, 40)["rewards"].min() == kept.min()


def test_what_it_cannot_learn_is_refused_with_what_to_do(monkeypatch):
    config = make_config("sac", {})
    with pytest.raises(UsageError, match="discrete: use --algo ppo"):
        algorithm_class("sac").check(config, describe_once("CartPole-v1"))
    half = dataclasses.replace(WALKER, action_high=np.full(4, np.inf, np.float32))
    with pytest.raises(UsageError, match="are not bounded on both sides: use --algo ppo"):
        algorithm_class("sac").check(config, half)
    algorithm_class("sac").check(config, WALKER)
    algorithm_class("ppo").check(make_config("ppo", {}), describe_once("CartPole-v1"))
    with pytest.raises(UsageError, match=r"buffer_size = 1,000,000 takes 0\.1 GB of memory, and 0\.0 GB are free"):
        monkeypatch.setattr("colab_rl.machine.available_memory", lambda: 10_000_000)
        algorithm_class("sac").check(config, WALKER)


@pytest.mark.parametrize(("settings", "message"), [
    ({"minibatch_size": 500, "buffer_size": 400}, "minibatch_size = 500 is more than the buffer holds"),
    ({"buffer_size": 255, "minibatch_size": 9}, "holds less than an iteration"),
    ({"replay_ratio": 0.001}, "at least one gradient step"),
])
def test_settings_that_cannot_work_together_are_said(settings, message):
    with pytest.raises(UsageError, match=message):
        SACConfig(**settings)


@pytest.mark.parametrize("name", ["sac", "tqc"])
@pytest.mark.parametrize(("settings", "message"), [
    ({"learning_starts": 1000}, "learning_starts = 1000 is after the end"),
    ({"minibatch_size": 1001, "learning_starts": 0}, "minibatch_size = 1001 is more than all"),
])
def test_too_few_steps_are_said_after_what_cannot_be_trained_at_all(name, settings, message):
    few, kind = make_config(name, {**settings, "total_steps": 1000}), algorithm_class(name)
    with pytest.raises(UsageError, match=message):
        kind.check(few, WALKER)
    with pytest.raises(UsageError, match="discrete: use --algo ppo"):
        kind.check(few, describe_once("CartPole-v1"))
    with pytest.raises(UsageError, match="does not train networks with memory"):
        kind.check(dataclasses.replace(few, network="gru"), WALKER)


def test_the_shared_suite_wraps_its_buffer():
    settings = SETTINGS["sac"]
    assert settings["buffer_size"] < 3 * settings["num_envs"] * settings["num_steps"]
