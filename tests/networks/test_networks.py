"""Networks: shapes, probabilities and samples compared with torch.distributions, initial weights."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from helpers import ReferenceNormal
from layer_norm_network import Own
from torch import nn

from colab_rl.algorithms.ppo.policy import (
    CategoricalPolicy,
    GaussianPolicy,
    MakeNetwork,
    PPOPolicy,
    ValueNetwork,
    make_policy,
)
from colab_rl.environments.spaces import ObservationSpec, Spaces
from colab_rl.networks.mlp import MLP
from colab_rl.settings import ACTIVATION_NAMES

SIZES = (64, 128, 256)
NONE = np.zeros(0, np.float32)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def discrete(choices: int = 4, first: int = 0) -> Spaces:
    return Spaces(ObservationSpec((5,)), True, choices, first, NONE, NONE)


def continuous(low: list[float], high: list[float]) -> Spaces:
    return Spaces(ObservationSpec((5,)), False, len(low), 0, np.array(low, np.float32), np.array(high, np.float32))


def mlp(hidden_sizes: tuple[int, ...], activation: str = "tanh", seed: int = 0) -> MakeNetwork:
    """Makes MLPs whose weights come from one generator, one after the other."""
    generator = seeded(seed)
    return lambda outputs, gain: MLP([5, *hidden_sizes, outputs], activation, gain, generator)


def unsure_categorical() -> CategoricalPolicy:
    """A policy whose choices differ in probability: with its first weights all are nearly alike."""
    policy = CategoricalPolicy(discrete(), mlp((16,)))
    with torch.no_grad():
        policy.logits.layers[-1].weight.mul_(100)
    return policy


def wide_gaussian(low: list[float], high: list[float]) -> GaussianPolicy:
    policy = GaussianPolicy(continuous(low, high), mlp((16,)), -0.5)
    with torch.no_grad():
        policy.mean.layers[-1].weight.mul_(100)
        policy.log_std += torch.linspace(-0.5, 0.5, len(low))
    return policy


def sample(policy: PPOPolicy, obs: torch.Tensor, seed: int) -> torch.Tensor:
    noise = policy.noise((len(obs),), seeded(seed))
    return torch.from_numpy(policy.sampler()(obs.numpy(), noise))


def distribution_of(policy: PPOPolicy, obs: torch.Tensor) -> Any:
    return policy.distribution(*policy.vjp(obs)[0])


def linears(network: nn.Module) -> list[nn.Linear]:
    return [module for module in network.modules() if isinstance(module, nn.Linear)]


@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
@pytest.mark.parametrize("hidden_sizes", [SIZES, (7,), ()], ids=str)
def test_networks_have_the_hidden_sizes_and_shapes_asked_for(activation, hidden_sizes):
    obs = torch.randn(9, 5, generator=seeded())
    choices = make_policy(discrete(), mlp(hidden_sizes, activation), 0.0)
    vectors = make_policy(continuous([-1, -1, -1], [1, 1, 1]), mlp(hidden_sizes, activation), 0.0)
    value = ValueNetwork(mlp(hidden_sizes, activation))

    assert [layer.out_features for layer in linears(choices)] == [*hidden_sizes, 4]
    assert [layer.out_features for layer in linears(vectors)] == [*hidden_sizes, 3]
    assert [layer.out_features for layer in linears(value)] == [*hidden_sizes, 1]

    taken = sample(choices, obs, 0)
    assert taken.shape == choices.mode()(obs.numpy()).shape == (9,) and taken.dtype == torch.int64
    assert choices.noise((6, 9), seeded()).shape == (6, 9, 4)
    distribution = distribution_of(choices, obs)
    assert distribution.log_prob(taken).shape == (9,) == distribution.entropy().shape

    moved = sample(vectors, obs, 0)
    assert moved.shape == vectors.mode()(obs.numpy()).shape == (9, 3) and moved.dtype == torch.float32
    assert vectors.noise((6, 9), seeded()).shape == (6, 9, 3)
    assert distribution_of(vectors, obs).log_prob(moved).shape == (9,)
    assert value(obs).shape == (9,)
    assert torch.isfinite(value(obs)).all()


def test_each_activation_is_the_one_it_is_called():
    functions = {"relu": torch.relu, "tanh": torch.tanh, "elu": nn.functional.elu, "gelu": nn.functional.gelu,
                 "silu": nn.functional.silu, "leaky_relu": nn.functional.leaky_relu, "selu": torch.selu,
                 "softplus": nn.functional.softplus}
    obs = torch.randn(20, 5, generator=seeded())
    assert set(functions) == set(ACTIVATION_NAMES)
    for name, function in functions.items():
        network = MLP([5, 6, 2], name, 1.0, seeded())
        first, last = linears(network)
        assert torch.allclose(network(obs), last(function(first(obs)))), name


@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
@pytest.mark.parametrize("hidden_sizes", [(64, 64), (13, 7), ()], ids=str)
def test_in_numpy_a_network_says_what_it_says_in_torch_and_of_each_row_the_same_beside_any_others(
        activation, hidden_sizes):
    network = MLP([24, *hidden_sizes, 3], activation, 1.0, seeded())
    rows = 3 * torch.randn(37, 24, generator=seeded(1)).numpy()
    outputs = network.acting()
    assert outputs(rows).dtype == np.float32
    np.testing.assert_allclose(outputs(rows), network(torch.from_numpy(rows)).detach(), rtol=1e-5, atol=2e-6)
    apart = np.concatenate([outputs(row[None]) for row in rows])
    for size in (1, 2, 16, 19):
        for start in range(0, len(rows) - size):
            assert np.array_equal(outputs(rows[start:start + size]), apart[start:start + size])


def test_in_numpy_a_network_has_the_parameters_of_the_moment_it_is_asked_for():
    network, row = MLP([5, 6, 2], "tanh", 1.0, seeded()), np.ones((1, 5), np.float32)
    before = network.acting()(row)
    with torch.no_grad():
        network.layers[-1].bias += 1
    np.testing.assert_allclose(network.acting()(row), before + 1, rtol=1e-6)


def test_a_discrete_policy_agrees_with_torch_categorical():
    policy, obs = unsure_categorical(), torch.randn(50, 5, generator=seeded(1))
    reference = torch.distributions.Categorical(logits=policy.logits(obs))
    actions = sample(policy, obs, 2)
    distribution = distribution_of(policy, obs)
    torch.testing.assert_close(distribution.log_prob(actions), reference.log_prob(actions))
    torch.testing.assert_close(distribution.entropy(), reference.entropy())
    assert distribution.entropy().mean() < 0.95 * math.log(4)  # else any constant would pass
    assert np.array_equal(policy.mode()(obs.numpy()), reference.probs.argmax(-1))


def test_a_continuous_policy_agrees_with_torch_normal_clipped_and_summed_over_the_dimensions():
    policy, obs = wide_gaussian([-1] * 3, [1] * 3), torch.randn(50, 5, generator=seeded(1))
    reference = ReferenceNormal(policy.mean(obs), policy.log_std)
    actions = sample(policy, obs, 2)
    distribution = distribution_of(policy, obs)
    torch.testing.assert_close(distribution.log_prob(actions), reference.log_prob(actions))
    torch.testing.assert_close(distribution.entropy().expand(50), reference.entropy())
    assert 0.1 < (actions.abs() >= 1).float().mean() < 0.9
    np.testing.assert_allclose(policy.mode()(obs.numpy()), policy.mean(obs).detach(), rtol=1e-5, atol=1e-6)
    assert policy.std() == pytest.approx(policy.log_std.exp().mean().item())


def test_without_bounds_a_continuous_policy_is_torch_normal():
    policy, obs = wide_gaussian([-math.inf] * 3, [math.inf] * 3), torch.randn(50, 5, generator=seeded(1))
    reference = torch.distributions.Normal(policy.mean(obs), policy.log_std.exp())
    actions = sample(policy, obs, 2)
    torch.testing.assert_close(distribution_of(policy, obs).log_prob(actions), reference.log_prob(actions).sum(-1))
    assert (actions.abs() >= 1).any()


@pytest.mark.parametrize("at", [1.0, 3.0, 1e4])
def test_what_lies_beyond_a_bound_is_one_action_with_a_finite_gradient(at):
    """However far out the mean is, on either side."""
    policy, obs = wide_gaussian([-1] * 3, [1] * 3), torch.zeros(3, 5)
    with torch.no_grad():
        policy.mean.layers[-1].bias.copy_(torch.tensor([-1e3, 0.0, 1e3]))
    results = []
    for action in (at, 1.0):
        for parameter in policy.parameters():
            parameter.grad = torch.zeros_like(parameter)
        outputs, pullback = policy.vjp(obs)
        log_prob = policy.distribution(*outputs).log_prob(torch.full((3, 3), action))
        pullback(*torch.autograd.grad(log_prob.sum(), outputs))
        results.append([log_prob.detach(), *gradients(policy)])
    torch.testing.assert_close(*results, rtol=0, atol=0)
    assert all(torch.isfinite(tensor).all() for tensor in results[0])
    # At the bound that its mean is far beyond, a dimension has nothing to gain from moving.
    assert policy.mean.layers[-1].bias.grad[2] == 0 < policy.mean.layers[-1].bias.grad[1]


def gradients(network: nn.Module) -> list[torch.Tensor]:
    return [parameter.grad.clone() for parameter in network.parameters()]


@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
@pytest.mark.parametrize("hidden_sizes", [(12, 7), ()], ids=str)
def test_the_gradient_of_a_network_is_the_one_autograd_finds(activation, hidden_sizes):
    network, x = MLP([5, *hidden_sizes, 3], activation, 1.0, seeded()), 3 * torch.randn(20, 5, generator=seeded(1))
    by_output = torch.randn(20, 3, generator=seeded(2))
    (network(x) * by_output).sum().backward()
    expected = gradients(network)
    with torch.no_grad():
        output, pullback = network.vjp(x)
        pullback(by_output)  # gradients add up
    assert torch.equal(output, network(x)) and output.requires_grad
    torch.testing.assert_close(gradients(network), [2 * gradient for gradient in expected])
    assert all(gradient.abs().sum() > 0 for gradient in expected)


def test_without_a_fast_path_a_network_has_the_gradient_and_the_actions_of_its_forward():
    network, x = Own(ObservationSpec((5,)), 3), 3 * torch.randn(20, 5, generator=seeded(1))
    by_output = torch.randn(20, 3, generator=seeded(2))
    (network(x) * by_output).sum().backward()
    expected = gradients(network)
    with torch.no_grad():
        output, pullback = network.vjp(x)
        pullback(by_output)
    assert output.is_leaf and output.requires_grad
    torch.testing.assert_close(gradients(network), [2 * gradient for gradient in expected])
    rows, act = x.numpy(), network.acting()
    np.testing.assert_allclose(act(rows), network(x).detach(), rtol=1e-5, atol=1e-6)
    apart = np.concatenate([act(row[None]) for row in rows])
    assert all(np.array_equal(act(rows[start:]), apart[start:]) for start in range(20))
    assert network.dead_units(x) is None


def test_choices_fall_as_often_as_their_probabilities_say():
    policy, obs, draws = unsure_categorical(), torch.randn(1, 5, generator=seeded(1)), 200_000
    taken = sample(policy, obs.expand(draws, 5), 3)
    probabilities = torch.softmax(policy.logits(obs)[0], -1).detach().numpy()
    frequencies = np.bincount(taken.numpy(), minlength=4) / draws
    deviations = np.sqrt(probabilities * (1 - probabilities) / draws)
    assert np.all(np.abs(frequencies - probabilities) < 4 * deviations + 1e-9)
    assert probabilities.max() > 2 * probabilities.min()


def test_vectors_have_the_mean_and_deviation_that_the_policy_says():
    policy, obs, draws = wide_gaussian([-1] * 3, [1] * 3), torch.randn(1, 5, generator=seeded(1)), 200_000
    drawn = sample(policy, obs.expand(draws, 5), 3).double()
    std = policy.log_std.exp().detach().double()
    assert torch.all((drawn.mean(0) - policy.mean(obs)[0]).abs() < 4 * std / math.sqrt(draws))
    assert torch.all((drawn.std(0) / std - 1).abs() < 4 / math.sqrt(2 * draws))
    correlations = torch.corrcoef(drawn.T) - torch.eye(3)
    assert correlations.abs().max() < 5 / math.sqrt(draws)


@pytest.mark.parametrize("drawn", [0.0, 1 - 2**-24], ids=["the least", "the greatest"])
def test_noise_is_finite_even_in_the_rarest_draw(monkeypatch, drawn):
    monkeypatch.setattr(torch, "rand", lambda *shape, generator: torch.full(shape, drawn))
    assert np.isfinite(unsure_categorical().noise((3,), seeded())).all()


def test_weights_begin_orthogonal_with_their_gain_and_biases_at_zero():
    networks = [(0.01, make_policy(discrete(), mlp(SIZES, "relu"), 0.0).logits),
                (0.01, make_policy(continuous([-1], [1]), mlp(SIZES, "relu"), 0.0).mean),
                (1.0, ValueNetwork(mlp(SIZES, "relu")).value)]
    for gain, network in networks:
        layers = linears(network)
        for layer, expected in zip(layers, [math.sqrt(2)] * (len(layers) - 1) + [gain], strict=True):
            weight = layer.weight.detach().double()
            square = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
            torch.testing.assert_close(square, expected**2 * torch.eye(len(square), dtype=torch.float64),
                                       atol=1e-5 * expected**2, rtol=0)
            assert not layer.bias.any()


@pytest.mark.parametrize("spaces", [discrete(), continuous([-1, -1], [1, 1])], ids=["discrete", "continuous"])
def test_the_generator_alone_decides_the_weights_and_the_noise(spaces):
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(next(disturbance))  # the global generator has no say
        policy = make_policy(spaces, mlp((16, 8), seed=seed), 0.0)
        value = ValueNetwork(mlp((16, 8), seed=seed))
        noise = policy.noise((3, 4), seeded(seed))
        parameters = [p.detach().flatten() for p in (*policy.parameters(), *value.parameters())]
        return torch.cat([*parameters, torch.from_numpy(noise).flatten()])

    disturbance = itertools.count()
    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_the_initial_standard_deviation_is_the_one_of_the_setting():
    policy = make_policy(continuous([-1, -1], [1, 1]), mlp((8,)), -1.5)
    assert policy.std() == pytest.approx(math.exp(-1.5))
    assert math.isnan(make_policy(discrete(), mlp((8,)), -1.5).std())


def test_choices_are_counted_from_the_first_action_of_the_environment():
    policy = make_policy(discrete(3, first=-1), mlp((8,)), 0.0)
    assert policy.to_environment(np.array([0, 1, 2])).tolist() == [-1, 0, 1]


def test_actions_are_scaled_to_the_bounds_and_clipped_there():
    policy = make_policy(continuous([-3, 0], [1, 10]), mlp((8,)), 0.0)
    actions = np.array([[-1, -1], [0, 0], [1, 1], [-7, 99], [0.5, -0.5]], np.float32)
    moved = policy.to_environment(actions)
    np.testing.assert_allclose(moved, [[-3, 0], [-1, 5], [1, 10], [-3, 10], [0, 2.5]])
    assert moved.dtype == np.float32


def test_dimensions_without_bounds_go_through_unchanged():
    policy = make_policy(continuous([-np.inf, -2, -3.4e38], [np.inf, 2, 3.4e38]), mlp((8,)), 0.0)
    moved = policy.to_environment(np.array([[123.0, 9.0, 0.5], [-1e6, -9.0, 9.0]], np.float32))
    np.testing.assert_allclose(moved, [[123.0, 2.0, 1.7e38], [-1e6, -2.0, 3.4e38]])
    obs = torch.randn(4, 5, generator=seeded())
    assert torch.isfinite(distribution_of(policy, obs).log_prob(sample(policy, obs, 0))).all()


def test_no_rounding_carries_an_action_over_its_bounds():
    rng = np.random.default_rng(0)
    low = rng.normal(size=1000).astype(np.float32)
    high = (low + rng.exponential(size=1000)).astype(np.float32)
    policy = make_policy(continuous(low.tolist(), high.tolist()), mlp(()), 0.0)
    for extreme in (-1, 1, -5, 5):
        moved = policy.to_environment(np.full((1, 1000), extreme, np.float32))
        outside = (moved < low) | (moved > high)
        assert not outside.any(), f"{outside.sum()} of 1000 bounds are passed, as by {moved[outside][:1]}"


def test_an_action_bounded_on_one_side_only_stays_on_its_side():
    policy = make_policy(continuous([0, -np.inf], [np.inf, 0]), mlp((8,)), 0.0)
    moved = policy.to_environment(np.array([[-3, 3], [2, -2]], np.float32))
    assert (moved[:, 0] >= 0).all() and (moved[:, 1] <= 0).all()


def test_dead_units_are_those_that_never_change():
    network = MLP([3, 8, 8, 2], "relu", 1.0, torch.Generator().manual_seed(0))
    rows = torch.randn(64, 3, generator=torch.Generator().manual_seed(1))
    alive = network.dead_units(rows)
    with torch.no_grad():
        network.layers[0].bias[:4] = -100.0
    assert network.dead_units(rows) >= 4 / 16 > alive
