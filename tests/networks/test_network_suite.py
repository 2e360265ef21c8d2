"""What every network promises, whatever it is made of. A new one joins by an entry in NETWORKS."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from layer_norm_network import Own
from policy_kinds import Summing
from torch import Tensor, nn

from colab_rl.algorithms.ppo.config import PPOConfig
from colab_rl.environments.spaces import ObservationSpec, Part
from colab_rl.errors import UsageError
from colab_rl.networks.base import Network, Remembered, Sequences
from colab_rl.networks.registry import make_network, register_network
from colab_rl.networks.shared import Head, OnePass

pytestmark = pytest.mark.usefixtures("one_thread")
VECTOR = ObservationSpec((5,))
IMAGE = ObservationSpec((40, 38, 3), "uint8")
MIXED = ObservationSpec.packed((Part("vector", (5,), "float32"), Part("camera", (3, 36, 36), "uint8"),
                                Part("map", (9, 7), "uint8")))


class Plain(nn.Module):
    """A plain torch module that reads packed rows."""

    def __init__(self, observation, outputs):
        super().__init__()
        self.observation, self.output = observation, nn.Linear(5, outputs)

    def forward(self, obs):
        return self.output(self.observation.unpack(obs)["vector"])


NETWORKS: dict[str, tuple[dict[str, Any], ObservationSpec]] = {
    "mlp": ({}, VECTOR),
    "mlp, layer norm": ({"layer_norm": True, "activation": "gelu"}, VECTOR),
    "cnn, nature": ({}, IMAGE),
    "cnn, impala, layer norm": ({"cnn_size": "impala", "layer_norm": True, "activation": "relu"}, IMAGE),
    "mixed": ({"cnn_size": "impala"}, MIXED),
    "gru": ({"network": "gru"}, VECTOR),
    "gru, layer norm": ({"network": "gru", "layer_norm": True}, VECTOR),
    "gru of images": ({"network": "gru"}, IMAGE),
    "own": ({"network": register_network(Own)}, VECTOR),
    "own memory": ({"network": register_network(Summing)}, VECTOR),
    "plain module": ({"network": register_network(Plain)}, MIXED),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def make(name: str, outputs: int = 3, seed: int = 0, gain: Any = 1.0) -> Any:
    settings, observation = NETWORKS[name]
    config = PPOConfig(hidden_sizes=(12, 10), **settings)
    network = make_network(config, observation, outputs, gain, torch.Generator().manual_seed(seed))
    with torch.no_grad():  # biases that are not zero
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
    return network


def observed(name: str, rows: int, seed: int = 0) -> np.ndarray:
    rng, spec = np.random.default_rng(seed), NETWORKS[name][1]
    if spec.dtype == "float32":
        return rng.normal(size=(rows, *spec.shape)).astype(np.float32)
    packed = rng.integers(256, size=(rows, *spec.shape), dtype=np.uint8)
    if spec.parts:
        spec.unpack(packed)["vector"][:] = rng.normal(size=(rows, 5))
    return packed


def states(network: Any, rows: int) -> np.ndarray:
    return np.random.default_rng(7).uniform(-1, 1, (rows, network.state_size)).astype(np.float32)


def called(network: Any, obs: np.ndarray, state: np.ndarray) -> Tensor:
    """Outputs of rows, by torch."""
    rows = torch.from_numpy(obs)
    return network.step(rows, torch.from_numpy(state))[0] if network.state_size else network(rows)


def acted(network: Any, obs: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Outputs of rows while acting, and the states that it leaves, side by side."""
    state = state.copy()
    outputs = network.acting()(Remembered(obs, state) if network.state_size else obs)
    assert outputs.dtype == np.float32 and outputs.shape == (len(obs), 3)
    return np.concatenate([outputs, state], 1)


@every_network
def test_acting_is_forward_and_of_each_row_the_same_beside_any_others(name):
    network, obs = make(name), observed(name, 7)
    state = states(network, 7)
    with torch.no_grad():
        expected = called(network, obs, state)
    assert expected.shape == (7, 3) and expected.dtype == torch.float32
    alone = np.concatenate([acted(network, obs[i:i + 1], state[i:i + 1]) for i in range(7)])
    np.testing.assert_allclose(alone[:, :3], expected, rtol=1e-4, atol=1e-5)
    for first, end in ((0, 7), (1, 3), (2, 7), (5, 7)):
        assert np.array_equal(acted(network, obs[first:end], state[first:end]), alone[first:end])


@every_network
def test_acting_has_the_parameters_of_the_moment_it_is_asked_for(name):
    network, obs = make(name), observed(name, 2)
    state = states(network, 2)
    before = acted(network, obs, state)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.1)
    assert not np.allclose(acted(network, obs, state), before)


@every_network
def test_the_pullback_is_autograds_gradient_and_adds_up(name):
    network, obs = make(name), torch.from_numpy(observed(name, 6))
    seen: Any = obs
    if network.state_size:
        valid = torch.tensor([[True, True], [True, False], [True, True]])
        seen = Sequences(obs.unflatten(0, (3, 2)), valid, torch.from_numpy(states(network, 2)))
    outputs = network(seen)
    by_outputs = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1))
    expected = torch.autograd.grad((outputs * by_outputs).sum(), list(network.parameters()))
    assert all(gradient.abs().sum() > 0 for gradient in expected)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    with torch.no_grad():
        found, pullback = network.vjp(seen)
        assert found.is_leaf and found.requires_grad
        torch.testing.assert_close(found, outputs)
        pullback(by_outputs)
        pullback = network.vjp(seen)[1]
        pullback(by_outputs)
    torch.testing.assert_close([parameter.grad for parameter in network.parameters()],
                               [2 * gradient for gradient in expected], rtol=1e-4, atol=1e-5)


@every_network
def test_the_generator_alone_decides_the_weights(name):
    def weights(seed: int, disturbance: int) -> Tensor:
        torch.manual_seed(disturbance)
        return torch.cat([parameter.detach().flatten() for parameter in make(name, seed=seed).parameters()])

    assert torch.equal(weights(1, 0), weights(1, 1))
    assert not torch.equal(weights(1, 0), weights(2, 0))


@pytest.mark.parametrize("name", [name for name in NETWORKS if "own" not in name and "plain" not in name])
def test_layers_of_ours_begin_orthogonal_with_their_gains(name):
    settings, observation = NETWORKS[name]
    config = PPOConfig(hidden_sizes=(12, 10), **settings)
    network = make_network(config, observation, 3, [0.01, 0.01, 1.0], torch.Generator())
    *_, (last_name, last), _ = [(key, value.detach().flatten(1).double()) for key, value in network.named_parameters()
                                if value.ndim > 1] + [("", torch.zeros(0))]
    torch.testing.assert_close(last.norm(dim=1), torch.tensor([0.01, 0.01, 1.0], dtype=torch.float64), msg=last_name)
    for key, value in network.named_parameters():
        if "bias" in key:
            assert not value.any(), key
        elif key != last_name:
            matrix = value.detach().flatten(1).double()
            square = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
            gain = 1.0 if ".gru" in f".{key}" else 2.0  # squared
            torch.testing.assert_close(square, gain * torch.eye(len(square), dtype=torch.float64), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", [name for name in NETWORKS if "gru" in name or "memory" in name])
def test_a_sequence_is_its_steps_one_after_the_other_from_zero_where_an_episode_begins(name):
    network, steps, envs = make(name), 6, 3
    obs = observed(name, steps * envs).reshape(steps, envs, *NETWORKS[name][1].shape)
    valid = np.random.default_rng(3).random((steps, envs)) < 0.7
    state = states(network, envs)
    sequences = Sequences(torch.from_numpy(obs), torch.from_numpy(valid), torch.from_numpy(state))
    with torch.no_grad():
        outputs, after = network.unroll(sequences)
        kept = network(sequences)
    act = network.acting()
    for t in range(steps):
        np.testing.assert_allclose(act(Remembered(obs[t], state)), outputs[t], rtol=1e-4, atol=1e-5)
        state *= valid[t, :, None]
    np.testing.assert_allclose(after, state, rtol=1e-4, atol=1e-5)
    assert not after[~valid[-1]].any()
    assert torch.equal(kept, outputs[torch.from_numpy(valid)])


@pytest.mark.parametrize("name", ["mlp", "cnn, nature", "gru"])
def test_heads_take_one_pass_through_their_trunk_and_have_the_gradient_of_the_sum(name):
    trunk, obs = make(name), torch.from_numpy(observed(name, 6))
    heads = Head(trunk, slice(0, 2)), Head(trunk, slice(-1, None))
    seen: Any = obs
    if trunk.state_size:
        seen = Sequences(obs.unflatten(0, (3, 2)), torch.ones(3, 2, dtype=torch.bool), torch.zeros(2, trunk.state_size))
    loss = heads[0](seen).square().sum() + heads[1](seen).sin().sum()
    expected = torch.autograd.grad(loss, list(trunk.parameters()))
    for parameter in trunk.parameters():
        parameter.grad = torch.zeros_like(parameter)
    with torch.no_grad():
        one = OnePass(trunk, seen)
        for head, of in zip(heads, (lambda x: x.square().sum(), lambda x: x.sin().sum()), strict=True):
            outputs, pullback = head.vjp(one)
            with torch.enable_grad():
                pullback(*torch.autograd.grad(of(outputs), outputs))
        one.pullback()
    torch.testing.assert_close([parameter.grad for parameter in trunk.parameters()], list(expected), rtol=1e-4,
                               atol=1e-5)
    rows = obs.numpy()
    state = states(trunk, 6)
    whole = acted(trunk, rows, state)
    for head, columns in zip(heads, (slice(0, 2), slice(2, 3)), strict=True):
        found = head.acting()(Remembered(rows, state.copy()) if trunk.state_size else rows)
        assert np.array_equal(found, whole[:, :3][:, columns]) and head.state_size == trunk.state_size


def images_of(shape: tuple[int, ...], **settings: Any) -> Network:
    config = PPOConfig(**settings)
    return make_network(config, ObservationSpec(shape, "uint8"), 2, 1.0, torch.Generator().manual_seed(0))


def test_channels_may_be_first_or_last_and_frames_are_stacked():
    last = torch.randint(256, (2, 40, 44, 3), dtype=torch.uint8)
    with torch.no_grad():
        expected = images_of((40, 44, 3))(last)
        torch.testing.assert_close(images_of((3, 40, 44))(last.permute(0, 3, 1, 2)), expected)
        frames = torch.randint(256, (2, 4, 40, 44, 3), dtype=torch.uint8)
        side_by_side = frames.permute(0, 2, 3, 1, 4).flatten(3)
        torch.testing.assert_close(images_of((4, 40, 44, 3))(frames), images_of((40, 44, 12))(side_by_side))
        torch.testing.assert_close(images_of((4, 3, 40, 44))(frames.permute(0, 1, 4, 2, 3)),
                                   images_of((40, 44, 12))(side_by_side))
        grey = frames[..., 0]
        torch.testing.assert_close(images_of((4, 40, 44))(grey), images_of((40, 44, 4))(grey.permute(0, 2, 3, 1)))
        torch.testing.assert_close(images_of((40, 44))(grey[:, 0]), images_of((40, 44, 1))(grey[:, 0, ..., None]))


def test_images_are_scaled_to_one():
    network = images_of((40, 40, 1))
    white = torch.full((1, 40, 40, 1), 255, dtype=torch.uint8)
    expected = network.body.encoder.layers(torch.ones(1, 1, 40, 40))
    torch.testing.assert_close(network.body.encoder(white), expected)


@pytest.mark.parametrize(("shape", "settings", "said"), [
    ((35, 80, 3), {}, "images of shape (35, 80, 3) are too small for cnn_size=nature, which needs 36 x 36 at least"),
    ((2, 2), {}, "if they are no pictures, take them as numbers: --set wrappers=FlattenObservation"),
    ((40, 40, 3), {"network": "mlp"},
     "network mlp takes numbers, and these observations are uint8 of shape (40, 40, 3)"),
])
def test_images_that_a_network_cannot_take_are_refused_in_a_line(shape, settings, said):
    with pytest.raises(UsageError) as caught:
        images_of(shape, **settings)
    assert said in str(caught.value) and "nothing was written" in str(caught.value) and "\n" not in str(caught.value)
    assert images_of((7, 7, 3), cnn_size="impala")(torch.zeros(1, 7, 7, 3, dtype=torch.uint8)).shape == (1, 2)


def test_cnn_of_numbers_is_refused():
    with pytest.raises(UsageError, match=r"network cnn takes images .* float32 of shape \(5,\)"):
        make_network(PPOConfig(network="cnn"), VECTOR, 2, 1.0, torch.Generator())


def test_layer_norm_is_torchs_before_each_activation():
    config = PPOConfig(hidden_sizes=(6,), layer_norm=True)
    network, obs = make_network(config, VECTOR, 2, 1.0, torch.Generator()), torch.randn(4, 5)
    first, last = (module for module in network.modules() if isinstance(module, nn.Linear))
    expected = last(torch.tanh(nn.LayerNorm(6, elementwise_affine=False)(first(obs))))
    torch.testing.assert_close(network(obs), expected)
    plain = make_network(dataclasses.replace(config, layer_norm=False), VECTOR, 2, 1.0, torch.Generator())
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in network.parameters())
