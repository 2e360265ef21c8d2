"""What every algorithm promises, and what is PPO's own; test_sac.py has SAC's, test_tqc.py TQC's."""

from __future__ import annotations

import contextlib
import copy
import functools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from colab_rl.algorithms import Algorithm
from colab_rl.algorithms.optimizer import ClippedAdam
from colab_rl.algorithms.registry import algorithm_class, make_config
from colab_rl.checkpoints.serialization import deserialize, serialize, state_sha256
from colab_rl.environments import VectorEnvironment, describe
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.errors import Divergence

# Small settings of each algorithm; a new one joins the suite by an entry here.
SETTINGS: dict[str, dict[str, Any]] = {
    "ppo": {"num_envs": 3, "num_steps": 40, "minibatch_size": 32, "update_epochs": 2, "hidden_sizes": (16, 16)},
    # A buffer that wraps in its third iteration.
    "sac": {"num_envs": 3, "num_steps": 40, "minibatch_size": 32, "replay_ratio": 0.1, "hidden_sizes": (16, 16),
            "learning_starts": 100, "buffer_size": 300, "layer_norm": True, "random_hold": 3.0},
    "tqc": {"num_envs": 3, "num_steps": 40, "minibatch_size": 32, "replay_ratio": 0.1, "hidden_sizes": (16, 16),
            "learning_starts": 100, "buffer_size": 300, "layer_norm": True, "critics": 3},
}
# PPO with other networks, after a comma.
for more, settings in {"gru": {"network": "gru"}, "shared trunk": {"shared_trunk": True},
                       "shared gru": {"network": "gru", "shared_trunk": True, "layer_norm": True}}.items():
    SETTINGS[f"ppo, {more}"] = {**SETTINGS["ppo"], **settings}
ENVIRONMENTS = {"discrete": "CartPole-v1", "continuous": "Pendulum-v1"}
CASES = [("ppo", "CartPole-v1"), ("ppo", "Pendulum-v1"), ("sac", "Pendulum-v1"), ("tqc", "Pendulum-v1")]
CASES += [("ppo, gru", "CartPole-v1"), ("ppo, shared gru", "Pendulum-v1"), ("ppo, shared trunk", "CartPole-v1")]
every_algorithm = pytest.mark.parametrize(("name", "env_id"), CASES)
either_space = pytest.mark.parametrize("env_id", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
pytestmark = pytest.mark.usefixtures("one_thread")
describe_once = functools.cache(describe)


def make(name: str, env_id: str, **changes: Any) -> Algorithm:
    settings = {"seed": 1, **SETTINGS[name], **changes}
    name = name.partition(",")[0]
    return algorithm_class(name)(make_config(name, settings), describe_once(env_id), torch.device("cpu"))


def act(algorithm: Algorithm, obs: np.ndarray, deterministic: bool = True) -> np.ndarray:
    """The actions of the first step of an episode each."""
    memory = {"memory": np.zeros((len(obs), algorithm.memory), np.float32)} if algorithm.memory else {}
    return algorithm.act(obs, deterministic, **memory)


@contextlib.contextmanager
def environments(env_id: str) -> Iterator[VectorEnvironment]:
    with GymnasiumVectorEnvironment(env_id, describe_once(env_id), 3, seed=5, num_workers=1) as envs:
        envs.reset()
        yield envs


Saved = tuple[dict[str, Any], list[tuple[int, Any]]]


def save(algorithm: Algorithm) -> Saved:
    """The state as a file gives it back, and the experience in two parts."""
    parts: list[tuple[int, Any]] = []
    if algorithm.replay:
        first, end = algorithm.replay.first, algorithm.replay.end
        middle = (first + end) // 2
        parts = [(begin, algorithm.replay.rows(begin, stop)) for begin, stop in ((middle, end), (first, middle))
                 if stop > begin]
    return deserialize(serialize({"algorithm": algorithm.state_dict()}))["algorithm"], parts


def load(algorithm: Algorithm, saved: Saved) -> None:
    algorithm.load_state_dict(copy.deepcopy(saved[0]))
    if algorithm.replay:
        algorithm.replay.restore(saved[1])


def iterate(algorithm: Algorithm, envs: VectorEnvironment, times: int = 1, progress: float = 0.1) -> dict[str, float]:
    for _ in range(times):
        algorithm.collect(envs)
        metrics = algorithm.update(progress)
    return metrics


@every_algorithm
def test_a_fresh_object_with_a_saved_state_goes_on_to_the_last_bit(name, env_id):
    with environments(env_id) as envs:
        algorithm = make(name, env_id)
        iterate(algorithm, envs, 3)
        saved, places = save(algorithm), envs.snapshot()
        hashes = []
        for _ in range(2):
            iterate(algorithm, envs)
            hashes.append(state_sha256(algorithm.state_dict()))

        other = make(name, env_id, seed=2)
        load(other, saved)
        assert envs.restore(places) == []
        for expected in hashes:
            iterate(other, envs)
            assert state_sha256(other.state_dict()) == expected
        assert len(set(hashes)) == 2


@every_algorithm
def test_loading_a_state_again_undoes_what_came_after_it(name, env_id):
    with environments(env_id) as envs:
        algorithm = make(name, env_id)
        iterate(algorithm, envs)
        saved, before = save(algorithm), state_sha256(algorithm.state_dict())
        iterate(algorithm, envs)
        assert state_sha256(algorithm.state_dict()) != before
        load(algorithm, saved)
        assert state_sha256(algorithm.state_dict()) == before


@every_algorithm
def test_a_state_before_the_first_iteration_can_be_saved_and_loaded(name, env_id):
    with environments(env_id) as envs:
        start = envs.snapshot()
        algorithm = make(name, env_id)
        saved = save(algorithm)
        iterate(algorithm, envs)
        other = make(name, env_id, seed=2)
        load(other, saved)
        envs.restore(start)
        iterate(other, envs)
        assert state_sha256(other.state_dict()) == state_sha256(algorithm.state_dict())


@every_algorithm
def test_a_state_from_before_the_first_iteration_replaces_all_that_was_learned(name, env_id):
    with environments(env_id) as envs:
        algorithm = make(name, env_id)
        saved, before = save(algorithm), state_sha256(algorithm.state_dict())
        iterate(algorithm, envs)
        load(algorithm, saved)
    assert state_sha256(algorithm.state_dict()) == before


@every_algorithm
def test_the_seed_decides_everything_and_the_global_generators_nothing(name, env_id):
    def trained(seed: int, disturbance: int) -> str:
        torch.manual_seed(disturbance)
        np.random.seed(disturbance)
        algorithm = make(name, env_id, seed=seed)
        envs.restore(start)
        iterate(algorithm, envs)
        return state_sha256(algorithm.state_dict())

    with environments(env_id) as envs:
        start = envs.snapshot()
        first = trained(1, 10)
        assert trained(1, 20) == first
        assert trained(2, 10) != first


@every_algorithm
@pytest.mark.parametrize("hidden_sizes", [(16, 16), (64, 128, 256)], ids=str)
def test_a_deterministic_action_is_bit_equal_whatever_rows_are_beside_it(name, env_id, hidden_sizes):
    spaces, rng = describe_once(env_id), np.random.default_rng(0)
    algorithm = make(name, env_id, hidden_sizes=hidden_sizes)
    observations = rng.normal(0, 2, size=(60, spaces.observation.shape[0])).astype(np.float32)
    alone = np.concatenate([act(algorithm, row[None]) for row in observations])
    assert alone.shape == (60, *spaces.action_shape) and alone.dtype == spaces.action_dtype
    assert len(np.unique(alone)) > 1
    for size in range(1, 18):
        rows = rng.choice(60, size, replace=False)
        assert act(algorithm, observations[rows]).tobytes() == alone[rows].tobytes()


@every_algorithm
def test_deterministic_actions_leave_the_state_alone_and_random_ones_draw_from_it(name, env_id):
    algorithm = make(name, env_id)
    shape = describe_once(env_id).observation.shape
    observations = np.random.default_rng(0).normal(size=(30, *shape)).astype(np.float32)
    before = state_sha256(algorithm.state_dict())
    act(algorithm, observations)
    assert state_sha256(algorithm.state_dict()) == before
    first, second = (act(algorithm, observations, deterministic=False) for _ in range(2))
    assert not np.array_equal(first, second)
    again = make(name, env_id)
    np.testing.assert_array_equal(act(again, observations, deterministic=False), first)


@every_algorithm
def test_in_how_many_groups_the_environments_step_changes_nothing(name, env_id):
    hashes = []
    for num_workers in (1, 2, 3):
        algorithm = make(name, env_id)
        with GymnasiumVectorEnvironment(env_id, describe_once(env_id), 3, seed=5, num_workers=num_workers) as envs:
            envs.reset()
            assert len(envs.groups) == num_workers
            iterate(algorithm, envs, 3)
        hashes.append(state_sha256(algorithm.state_dict()))
    assert hashes == hashes[:1] * 3


@every_algorithm
def test_metrics_are_plain_finite_numbers(name, env_id):
    with environments(env_id) as envs:
        algorithm = make(name, env_id)
        metrics = iterate(algorithm, envs, 7) | algorithm.episodes.metrics()
    assert all(type(value) is float for value in metrics.values())
    assert [key for key, value in metrics.items() if not math.isfinite(value)] in ([], ["policy/std"])
    if env_id == "Pendulum-v1":
        assert math.isfinite(metrics["policy/std"])
    assert metrics["episode/length"] > 1


@every_algorithm
def test_collect_counts_transitions_and_not_the_rows_that_only_reset(name, env_id):
    with environments(env_id) as envs:
        algorithm = make(name, env_id)
        steps = sum(algorithm.collect(envs) for _ in range(13))
    ended = len(algorithm.episodes.recent_returns)
    counted = algorithm.episodes.recent_lengths.sum() + algorithm.episodes.lengths.sum()
    assert ended > 5
    assert counted == steps < 13 * 3 * SETTINGS[name]["num_steps"]


@every_algorithm
@pytest.mark.parametrize("number", [math.nan, math.inf], ids=str)
def test_parameters_that_are_not_finite_raise_divergence(name, env_id, number):
    with environments(env_id) as envs:
        algorithm = make(name, env_id)
        algorithm.collect(envs)
        saved = save(algorithm)
        for tensor in saved[0]["policy"].values():
            tensor.fill_(number)
        load(algorithm, saved)
        with pytest.raises(Divergence, match=r" is (nan|inf|-inf)$"):
            algorithm.update(0.1)


@pytest.mark.parametrize("network", ["policy", "value"])
def test_ppo_notices_parameters_that_break_in_the_last_step_of_an_update(network):
    with environments("Pendulum-v1") as envs:  # one step an update: its losses are finite, what it makes is not
        algorithm = make("ppo", "Pendulum-v1", minibatch_size=120, update_epochs=1)
        iterate(algorithm, envs)
        state = deserialize(serialize(algorithm.state_dict()))
        state["optimizers"][network]["exp_avg"].fill_(math.nan)
        algorithm.load_state_dict(state)
        algorithm.collect(envs)
        with pytest.raises(Divergence, match=f"optimizer/{network}/"):
            algorithm.update(0.1)


@pytest.mark.parametrize(("target_kl", "epochs"), [(1e-9, 1.0), (1e9, 6.0), (None, 6.0)])
def test_ppo_ends_an_update_after_the_epoch_that_passes_the_target_kl(target_kl, epochs):
    with environments("Pendulum-v1") as envs:
        metrics = iterate(make("ppo", "Pendulum-v1", target_kl=target_kl, update_epochs=6, learning_rate=1e-3), envs)
    assert metrics["policy/epochs"] == epochs
    assert metrics["policy/approx_kl"] > 1e-9


def test_ppo_clips_the_ratio_of_a_policy_that_moves_far_and_counts_how_often():
    with environments("Pendulum-v1") as envs:
        timid = iterate(make("ppo", "Pendulum-v1", learning_rate=1e-6, clip_range=0.2), envs)
        bold = iterate(make("ppo", "Pendulum-v1", learning_rate=3e-2, clip_range=0.01, update_epochs=8), envs)
    assert timid["policy/clip_fraction"] == 0
    assert 0.2 < bold["policy/clip_fraction"] <= 1


def test_ppo_a_clipped_ratio_gives_no_gradient():
    # Where every ratio is beyond the range after the first epoch, later epochs move the policy less than without.
    def moved(clip_range: float) -> float:
        with environments("Pendulum-v1") as envs:
            algorithm = make("ppo", "Pendulum-v1", clip_range=clip_range, minibatch_size=120, update_epochs=20,
                             learning_rate=1e-2, ent_coef=0.0)
            return iterate(algorithm, envs)["policy/approx_kl"]

    assert moved(0.01) < 0.5 * moved(10.0)


def test_ppo_lowers_its_learning_rate_linearly_or_not_at_all():
    with environments("CartPole-v1") as envs:
        for schedule, expected in (("linear", [1e-3, 7.5e-4, 5e-4, 0.0, 0.0]), ("constant", [1e-3] * 5)):
            algorithm = make("ppo", "CartPole-v1", learning_rate=1e-3, learning_rate_schedule=schedule)
            rates = [iterate(algorithm, envs, progress=progress)["optimizer/learning_rate"]
                     for progress in (0.0, 0.25, 0.5, 1.0, 1.2)]
            assert rates == pytest.approx(expected)


def test_ppo_with_a_learning_rate_of_zero_moves_no_parameter():
    with environments("CartPole-v1") as envs:
        algorithm = make("ppo", "CartPole-v1", learning_rate_schedule="linear")
        before = {key: value.clone() for key, value in algorithm.policy.state_dict().items()}
        metrics = iterate(algorithm, envs, progress=1.0)
    assert metrics["optimizer/policy/update_norm"] == 0
    assert all(torch.equal(value, before[key]) for key, value in algorithm.policy.state_dict().items())


def test_ppo_clips_each_gradient_to_its_norm():
    with environments("Pendulum-v1") as envs:
        metrics = iterate(make("ppo", "Pendulum-v1", max_grad_norm=0.01), envs)
    for network in ("policy", "value"):
        assert metrics[f"optimizer/{network}/gradient_norm"] > 0.01
        assert metrics[f"optimizer/{network}/clipped_gradient_norm"] == pytest.approx(0.01)


def test_ppo_leaves_a_remainder_of_one_row_out_of_its_minibatches():
    with environments("Pendulum-v1") as envs:  # 120 transitions: no episode ends before the sixth iteration
        algorithm = make("ppo", "Pendulum-v1", minibatch_size=17)
        metrics = iterate(algorithm, envs, 3)
    assert int(algorithm.optimizers["policy"].steps) == 3 * 2 * 7
    assert all(math.isfinite(value) for value in metrics.values())
    assert all(tensor.isfinite().all() for tensor in algorithm.policy.state_dict().values())


@either_space
def test_ppo_lowers_its_entropy_bonus_linearly_to_nothing(env_id):
    def trained(progress: float, **changes: Any) -> str:
        algorithm = make("ppo", env_id, learning_rate_schedule="constant", **changes)
        envs.restore(start)
        iterate(algorithm, envs, progress=progress)
        return state_sha256(algorithm.state_dict())

    with environments(env_id) as envs:
        start = envs.snapshot()
        expected = [trained(0.7, ent_coef=ent_coef, ent_coef_schedule="constant") for ent_coef in (0.5, 0.25, 0.0)]
        found = [trained(progress, ent_coef=0.5, ent_coef_schedule="linear") for progress in (0.0, 0.5, 1.0)]
    assert found == expected and len(set(found)) == 3


# ---- the optimizer -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_grad_norm", [0.5, math.inf])
def test_the_optimizer_steps_as_torchs_adam_does_on_gradients_that_torch_clips(max_grad_norm):
    generator = torch.Generator().manual_seed(0)
    ours = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    theirs, start = copy.deepcopy(ours), copy.deepcopy(ours)
    optimizer = ClippedAdam(ours, 0.1, max_grad_norm)  # another learning rate than `begin` sets
    adam = torch.optim.Adam(theirs.parameters(), lr=0.01, eps=1e-5)
    optimizer.begin(0.01)
    norms, clipped = [], []
    # Gradients as small as epsilon too, where it decides the step.
    for wanted in (0.2, 5.0, 1e-4, 0.7, 0.4):
        gradient = torch.randn(optimizer.gradient.shape, generator=generator)
        optimizer.gradient.copy_(gradient.mul_(wanted / gradient.norm()))
        parts = gradient.clone().split([parameter.numel() for parameter in theirs.parameters()])
        for parameter, part in zip(theirs.parameters(), parts, strict=True):
            parameter.grad = part.view_as(parameter)
        norms.append(float(torch.nn.utils.clip_grad_norm_(theirs.parameters(), max_grad_norm)))
        clipped.append(norm_of(parameter.grad for parameter in theirs.parameters()))
        optimizer.step()
        adam.step()
        for mine, parameter in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(mine, parameter, rtol=1e-6, atol=1e-7)
    moments = [adam.state[parameter] for parameter in theirs.parameters()]
    steps = zip(theirs.parameters(), start.parameters(), strict=True)
    assert norms == pytest.approx([0.2, 5.0, 1e-4, 0.7, 0.4])
    assert optimizer.metrics() == pytest.approx({
        "gradient_norm": np.mean(norms), "clipped_gradient_norm": np.mean(clipped),
        "parameter_norm": norm_of(theirs.parameters()), "update_norm": norm_of(new - old for new, old in steps),
        "adam_first_moment_norm": norm_of(state["exp_avg"] for state in moments),
        "adam_second_moment_norm": norm_of(state["exp_avg_sq"] for state in moments)}, rel=1e-4)


def norm_of(tensors: Iterable[torch.Tensor | None]) -> float:
    return float(torch.cat([tensor.detach().flatten() for tensor in tensors if tensor is not None]).norm())
