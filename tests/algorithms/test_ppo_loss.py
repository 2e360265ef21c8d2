"""PPO's losses as the paper has them, the gradient that is written out for them, and when it steps aside."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers import ReferenceNormal
from test_algorithms import either_space, environments, iterate, make

from colab_rl.algorithms.ppo import fused, loss
from colab_rl.algorithms.ppo.ppo import PPO
from colab_rl.algorithms.registry import make_config
from colab_rl.algorithms.rollout import Transitions
from colab_rl.checkpoints.serialization import state_sha256
from colab_rl.environments import describe
from colab_rl.networks.distributions import Categorical
from colab_rl.networks.mlp import MLP

pytestmark = pytest.mark.usefixtures("one_thread")
SETTINGS = {"num_envs": 3, "num_steps": 40, "minibatch_size": 32, "update_epochs": 2, "hidden_sizes": (16, 16)}


def experienced(env_id: str, **changes: Any) -> tuple[PPO, Transitions]:
    """PPO whose networks have moved since it acted, and what it did."""
    with environments(env_id) as envs:
        algorithm = make("ppo", env_id, **changes)
        iterate(algorithm, envs)
        algorithm.collect(envs)
        transitions, _ = algorithm.transitions()
    with torch.no_grad():
        for optimizer in algorithm.optimizers.values():
            optimizer.flat.add_(0.05 * torch.randn(optimizer.flat.shape, generator=torch.Generator().manual_seed(0)))
    return algorithm, transitions


def gradients(algorithm: PPO) -> list[torch.Tensor]:
    """Taken off, so that the next ones begin at zero."""
    found = [optimizer.gradient.clone() for optimizer in algorithm.optimizers.values()]
    for optimizer in algorithm.optimizers.values():
        optimizer.gradient.zero_()
    return found


@either_space
def test_the_losses_are_those_of_the_paper(env_id):
    algorithm, (obs, actions, old_log_prob, advantage, target, _) = experienced(env_id)
    if env_id == "CartPole-v1":
        reference: Any = torch.distributions.Categorical(logits=algorithm.policy.logits(obs))
    else:
        reference = ReferenceNormal(algorithm.policy.mean(obs), algorithm.policy.log_std)
    ratio = (reference.log_prob(actions) - old_log_prob).exp()
    normalised = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    expected = -torch.min(ratio * normalised, ratio.clamp(0.95, 1.05) * normalised).mean()
    assert 0.1 < ((ratio - 1).abs() > 0.05).float().mean() < 0.9

    batch = Transitions(obs, actions, old_log_prob, advantage, target)
    outputs, _ = algorithm.policy.vjp(obs)
    found, metrics = loss.policy_loss(algorithm.policy.distribution(*outputs), batch, clip_range=0.05, ent_coef=0.3)
    torch.testing.assert_close(found, expected - 0.3 * reference.entropy().mean())
    torch.testing.assert_close(metrics["loss/policy"], expected)
    torch.testing.assert_close(metrics["policy/clip_fraction"], ((ratio - 1).abs() > 0.05).float().mean())
    torch.testing.assert_close(metrics["policy/approx_kl"], (ratio - 1 - ratio.log()).mean(), rtol=1e-3, atol=1e-6)
    found, metrics = loss.value_loss(algorithm.value(obs), batch, vf_coef=0.7)
    torch.testing.assert_close(found, 0.7 * metrics["loss/value"])
    torch.testing.assert_close(metrics["loss/value"], (algorithm.value(obs) - target).square().mean())


@either_space
def test_the_gradient_that_is_written_out_is_the_losses(env_id):
    algorithm, batch = experienced(env_id, clip_range=0.05, vf_coef=0.7)
    policy, config = algorithm.policy, algorithm.config
    policy_loss, metrics = loss.policy_loss(policy.distribution(*policy.vjp(batch.obs)[0]), batch, 0.05, 0.3)
    through = policy.distribution(policy.logits(batch.obs)) if env_id == "CartPole-v1" else policy.distribution(
        policy.mean(batch.obs), policy.log_std)
    loss.policy_loss(through, batch, 0.05, 0.3)[0].backward()
    loss.value_loss(algorithm.value(batch.obs), batch, config.vf_coef)[0].backward()
    expected = gradients(algorithm)

    log_ratio, objective = torch.empty((2, len(batch.obs)))
    with torch.no_grad():
        entropy = fused.policy_gradient(policy, batch, 0.05, 0.3, log_ratio, objective)
        fused.value_gradient(algorithm, batch, config.vf_coef)
    for found, wanted in zip(gradients(algorithm), expected, strict=True):
        assert wanted.abs().max() > 1e-4
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(-objective.mean() - 0.3 * entropy, policy_loss.detach())
    torch.testing.assert_close(log_ratio.exp().sub(1).abs().gt(0.05).float().mean(), metrics["policy/clip_fraction"])


@either_space
def test_an_update_by_autograd_ends_where_the_one_that_is_written_out_does(env_id):
    ends = []
    for written_out in (True, False):
        with environments(env_id) as envs:
            algorithm = make("ppo", env_id, ent_coef=0.01)
            assert algorithm._fused
            algorithm._fused = written_out
            metrics = iterate(algorithm, envs)
        ends.append((metrics, algorithm.optimizers))
    (metrics, optimizers), (expected, wanted) = ends
    for name, optimizer in optimizers.items():
        torch.testing.assert_close(optimizer.flat, wanted[name].flat, atol=1e-4, rtol=1e-3)
    assert metrics == pytest.approx(expected, rel=1e-2, abs=1e-3, nan_ok=True)


class Penalised(PPO):
    """Its loss has one term more."""

    name = "penalised"

    def policy_loss(self, distribution, batch):
        loss, metrics = super().policy_loss(distribution, batch)
        return loss + 0.1 * distribution.mean.square().mean(), metrics


class Sharper(Categorical):
    """Its choices are surer."""

    def __init__(self, logits):
        super().__init__(2 * logits)


def build(kind: type[PPO], env_id: str, **changes: Any) -> PPO:
    config = make_config("ppo", {**SETTINGS, **changes})
    return kind(config, describe(env_id), torch.device("cpu"))


def test_a_changed_loss_distribution_or_network_never_meets_the_gradient_that_is_written_out(monkeypatch):
    assert build(PPO, "Pendulum-v1")._fused and build(PPO, "CartPole-v1")._fused
    assert not build(Penalised, "Pendulum-v1")._fused
    assert not build(type("Values", (PPO,), {"value_loss": lambda self, values, batch: None}), "CartPole-v1")._fused
    with monkeypatch.context() as patch:  # as an edit of loss.py
        patch.setattr(loss, "value_loss", lambda values, batch, vf_coef: ((values - batch.targets).abs().mean(), {}))
        assert not build(PPO, "Pendulum-v1")._fused
    with monkeypatch.context() as patch:
        patch.setattr("colab_rl.algorithms.ppo.fused.Categorical", Sharper)
        assert not build(PPO, "CartPole-v1")._fused
    own = type("Own", (MLP,), {})
    with monkeypatch.context() as patch:
        patch.setattr("colab_rl.networks.registry.MLP", own)
        assert not build(PPO, "CartPole-v1")._fused
    assert build(PPO, "Pendulum-v1")._fused


def test_a_term_that_a_subclass_adds_to_the_loss_moves_the_policy():
    hashes = []
    for kind in (PPO, Penalised):
        with environments("Pendulum-v1") as envs:
            algorithm = build(kind, "Pendulum-v1", seed=1)
            iterate(algorithm, envs)
            hashes.append(state_sha256(algorithm.policy.state_dict()))
    assert hashes[0] != hashes[1]
