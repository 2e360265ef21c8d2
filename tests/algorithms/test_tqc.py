"""What is TQC's own: its quantile losses, its truncated targets, its gradients; the rest is SAC's."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from test_algorithms import SETTINGS, describe_once, environments, iterate, make
from test_sac import disturb, generator, gradients_of, pendulum_rows, reference
from torch.nn import functional

from colab_rl.algorithms.registry import make_config
from colab_rl.algorithms.tqc import fused, loss
from colab_rl.algorithms.tqc.tqc import TQC
from colab_rl.errors import UsageError
from colab_rl.networks.registry import register_network

pytestmark = pytest.mark.usefixtures("one_thread")
ENV = "Pendulum-v1"


def make_tqc(**changes: Any) -> TQC:
    algorithm = make("tqc", ENV, **changes)
    assert isinstance(algorithm, TQC)
    return algorithm


def written_plainly(rewards, discounts, next_quantiles, next_log_prob, alpha, dropped, quantiles):
    """Targets (K, B) and the loss, a number at a time: (N, M, B) quantiles of both kinds."""
    networks, number, size = quantiles.shape
    targets: list[list[float]] = []
    for b in range(size):
        pooled = sorted(float(z) for z in next_quantiles[:, :, b].flatten())
        kept = pooled[:len(pooled) - dropped * networks]
        targets.append([float(rewards[b] + discounts[b] * (z - alpha * next_log_prob[b])) for z in kept])
    total = 0.0
    for n in range(networks):
        for m in range(number):
            tau = (2 * m + 1) / (2 * number)
            for b in range(size):
                for y in targets[b]:
                    error = y - float(quantiles[n, m, b])
                    huber = 0.5 * error**2 if abs(error) <= 1 else abs(error) - 0.5
                    total += abs(tau - (error < 0)) * huber / (number * len(targets[b]) * size)
    return torch.tensor(targets).t(), total


@pytest.mark.parametrize(("critics", "quantiles", "dropped"), [(1, 7, 3), (2, 5, 0), (3, 4, 1)])
def test_the_losses_are_those_of_the_paper_written_plainly(critics, quantiles, dropped):
    shape = (critics, quantiles, 6)
    next_quantiles, found = (2 * torch.randn(shape, generator=generator(seed)) for seed in (1, 2))
    rewards, log_prob = torch.randn(2, 6, generator=generator(3))
    discounts = 0.9 * torch.tensor([1.0, 1, 0, 1, 1, 1])
    expected, total = written_plainly(rewards, discounts, next_quantiles, log_prob, 0.3, dropped, found)
    targets = loss.soft_targets(rewards, discounts, next_quantiles, log_prob, torch.tensor(0.3),
                                critics * (quantiles - dropped))
    torch.testing.assert_close(targets, expected)
    assert float(loss.critic_loss(found, targets)) == pytest.approx(total, rel=1e-5)
    torch.testing.assert_close(loss.actor_loss(log_prob, found, torch.tensor(0.3)),
                               (0.3 * log_prob - sum(found[n].mean(0) for n in range(critics)) / critics).mean())


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("critics", [1, 2, 3])
def test_gradients_are_those_of_the_losses_as_the_paper_writes_them(critics, layer_norm):
    tqc = make_tqc(layer_norm=layer_norm, critics=critics, hidden_sizes=(24, 16))
    for network in (tqc.policy, tqc.critic, tqc.target):
        disturb(network)
    alpha, (obs, next_obs, actions, rewards, noise, discounts) = torch.tensor(0.37), pendulum_rows(50)

    with torch.no_grad():
        next_actions, next_log_prob = reference(tqc.policy, next_obs, noise[0])
        y = loss.soft_targets(rewards, discounts, tqc.target(next_obs, next_actions), next_log_prob, alpha,
                              tqc.kept_quantiles)
        found = fused.soft_targets(tqc, rewards, discounts, next_obs, noise[0], alpha)
    torch.testing.assert_close(found.sort(0)[0], y.sort(0)[0], rtol=1e-4, atol=1e-4)

    gradients = partial(gradients_of, tqc)
    errors = y - tqc.critic(obs, actions).unsqueeze(2)
    assert 0.05 < (errors.abs() > 1).float().mean() < 0.95 and 0.05 < (errors < 0).float().mean() < 0.95
    expected = gradients(loss.critic_loss(tqc.critic(obs, actions), y))
    with torch.no_grad():
        quantiles = fused.critic_gradient(tqc.critic, obs, actions, y)
    torch.testing.assert_close(gradients()["critic"], expected["critic"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(quantiles, tqc.critic(obs, actions).detach())

    own, log_prob = reference(tqc.policy, obs, noise[1])
    quantiles = tqc.critic(obs, own)
    expected = gradients(loss.actor_loss(log_prob, quantiles, alpha))
    with torch.no_grad():
        found_log_prob, found_q = fused.actor_gradient(tqc, obs, noise[1], alpha)
    found = gradients()
    torch.testing.assert_close(found["policy"], expected["policy"], rtol=1e-3, atol=1e-5)
    assert not found["critic"].any()  # the policy's loss leaves the critic alone
    torch.testing.assert_close(found_log_prob, log_prob.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found_q, quantiles.mean((0, 1)).detach())


def test_a_burst_by_autograd_ends_where_the_one_that_is_written_out_does():
    """One gradient step: later ones draw other noise."""
    ends = []
    for written_out in (True, False):
        with environments(ENV) as envs:
            tqc = make_tqc(replay_ratio=1 / 120, initial_temperature=0.3)
            assert tqc._fused
            tqc._fused = written_out
            tqc.collect(envs)
            torch.manual_seed(0)
            metrics = tqc.update(0.1)
            ends.append((metrics, {name: optimizer.flat.clone() for name, optimizer in tqc.optimizers.items()}))
    (metrics, parameters), (expected, wanted) = ends
    for name, flat in parameters.items():
        assert (flat - wanted[name]).abs().max() < 2.1 * tqc.config.learning_rate  # Adam's first step has that length
    assert set(metrics) == set(expected) and metrics["q/quantile_std"] > 0
    assert metrics["loss/critic"] == pytest.approx(expected["loss/critic"], rel=0.2)


class MeanOfTargets(TQC):
    """Its critics learn the mean of the targets that are kept."""

    name = "mean-of-targets"

    def critic_loss(self, values, targets):
        return (values - targets.mean(0)).square().mean()


def test_a_changed_loss_never_meets_the_gradient_that_is_written_out(monkeypatch):
    config = make_config("tqc", SETTINGS["tqc"])
    spaces, cpu = describe_once(ENV), torch.device("cpu")
    assert TQC(config, spaces, cpu)._fused
    changed = MeanOfTargets(config, spaces, cpu)
    assert not changed._fused
    with environments(ENV) as envs:
        assert np.isfinite([*iterate(changed, envs).values()]).all()
    for name in ("soft_targets", "critic_loss", "actor_loss", "levels"):
        with monkeypatch.context() as patch:
            patch.setattr(loss, name, lambda *arguments: torch.zeros(()))
            assert not TQC(config, spaces, cpu)._fused


def test_quantiles_come_to_those_of_the_return():
    """Episodes that end at once, with returns from 0 to 1: the loss is least at their quantiles."""
    tqc = make_tqc(critics=2, quantiles=5, dropped_quantiles=0, layer_norm=False)
    obs, actions, rewards = torch.zeros(500, 3), torch.zeros(500, 1), torch.linspace(0, 1, 500)
    with torch.no_grad():
        for _ in range(1500):
            quantiles = fused.critic_gradient(tqc.critic, obs, actions, rewards.unsqueeze(0))
            tqc.optimizers["critic"].begin(1e-2)
            tqc.optimizers["critic"].step()
    # Between quantiles and expectiles: the Huber loss is quadratic here. That of tau solves
    # tau (1 - q)^2 = (1 - tau) q^2.
    tau = loss.levels(quantiles).squeeze(1)
    expected = tau.sqrt() / (tau.sqrt() + (1 - tau).sqrt())
    torch.testing.assert_close(quantiles.mean(2), expected.expand(2, -1), atol=0.02, rtol=0)


def test_more_quantiles_dropped_give_lower_values():
    found = [loss.soft_targets(torch.zeros(9), torch.ones(9), torch.randn(2, 5, 9, generator=generator()),
                               torch.zeros(9), torch.tensor(0.1), 2 * (5 - dropped)).mean() for dropped in range(5)]
    assert found == sorted(found, reverse=True) and found[0] > found[-1] + 1


def test_what_leaves_no_target_is_refused():
    with pytest.raises(UsageError, match="dropped_quantiles = 25 leaves none of quantiles = 25: choose fewer"):
        make_config("tqc", {"dropped_quantiles": 25})


def test_a_network_of_ones_own_gives_the_quantiles():
    def wide(observation, outputs):
        return torch.nn.Sequential(torch.nn.Linear(*observation.shape, 8), torch.nn.Tanh(),
                                   torch.nn.Linear(8, outputs))

    tqc = make_tqc(network=register_network(wide), critics=3)
    assert not tqc._fused
    obs, actions = torch.randn(7, 3), torch.rand(7, 1)
    assert tqc.critic(obs, actions).shape == (3, 25, 7)
    torch.testing.assert_close(tqc.critic(obs, actions)[1], functional.linear(torch.tanh(functional.linear(
        torch.cat([obs, actions], 1), *_parameters(tqc.critic[1], 0))), *_parameters(tqc.critic[1], 2)).t())
    with environments(ENV) as envs:
        assert "loss/critic" in iterate(tqc, envs, 2)


def _parameters(network: Any, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    return network.module[layer].weight, network.module[layer].bias
