"""SAC and TQC on a GPU: graphs, random numbers, runs; and when a run takes a GPU."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_algorithms import SETTINGS as SETTINGS_OF
from test_algorithms import describe_once, environments, load, make, save

from colab_rl import train
from colab_rl.algorithms.ppo.ppo import PPO
from colab_rl.algorithms.registry import algorithm_class, make_config, preset
from colab_rl.algorithms.sac import fused
from colab_rl.algorithms.sac.sac import SAC
from colab_rl.algorithms.tqc.tqc import TQC
from colab_rl.arithmetic import THREADS, plain_torch
from colab_rl.checkpoints.serialization import state_sha256
from colab_rl.machine import choose_device

pytestmark = pytest.mark.usefixtures("one_thread")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
both = pytest.mark.parametrize("kind", [SAC, TQC])
WALKER = "BipedalWalker-v3"
# 20 gradient steps: a graph of 16, and one of 4.
SETTINGS = {"num_envs": 3, "num_steps": 40, "minibatch_size": 32, "replay_ratio": 20 / 120, "hidden_sizes": (32, 24),
            "learning_starts": 0, "layer_norm": True, "learning_rate_schedule": "linear", "seed": 1}


def make_learner(kind: type[SAC], device: str, **changes: Any) -> SAC:
    return kind(make_config(kind.name, {**SETTINGS, **changes}), describe_once("Pendulum-v1"), torch.device(device))


def begun(kind: type[SAC]) -> Any:
    """The state after an update, and experience beyond it."""
    learner = make_learner(kind, "cpu")
    with environments("Pendulum-v1") as envs:
        learner.collect(envs)
        learner.update(0.1)
        learner.collect(envs)
    return save(learner)


def updated(kind: type[SAC], state: Any, device: str, graphs: bool = True, progress: tuple[float, ...] = (0.1, 0.2),
            **changes: Any) -> tuple[SAC, dict[str, float]]:
    learner = make_learner(kind, device, **changes)
    load(learner, state)
    learner._graph = learner._graph if graphs else None
    with plain_torch(THREADS, device):
        for part in progress:
            metrics = learner.update(part)
    return learner, metrics


@needs_gpu
@both
@pytest.mark.parametrize("progress", [(0.1,), (0.1, 0.2)], ids=["in which they are recorded", "after that"])
def test_graphs_end_where_the_same_kernels_end_one_by_one(kind, progress):
    state = begun(kind)
    (one, metrics), (other, expected) = (updated(kind, state, "cuda", graphs, progress) for graphs in (True, False))
    assert one._graph is not None and set(one._graph._recordings) == {16, 4}
    assert state_sha256(one.state_dict()) == state_sha256(other.state_dict()) and metrics == expected


@needs_gpu
@both
def test_a_gpu_draws_the_same_random_numbers_and_agrees_with_the_cpu(kind):
    state = begun(kind)
    one_step = {"progress": (0.1,), "replay_ratio": 1 / 120}
    (one, metrics), (other, expected) = (updated(kind, state, device, **one_step) for device in ("cuda", "cpu"))
    assert torch.equal(one.generator.get_state(), other.generator.get_state())
    assert metrics == pytest.approx(expected, rel=1e-3, abs=1e-4)
    for name, optimizer in other.optimizers.items():
        torch.testing.assert_close(one.optimizers[name].flat.cpu(), optimizer.flat, rtol=0, atol=1e-5)


@needs_gpu
@both
def test_a_graph_takes_the_learning_rate_of_now(kind):
    _, metrics = updated(kind, begun(kind), "cuda", progress=(0.1, 1.0))
    assert metrics["optimizer/learning_rate"] == 0 == metrics["optimizer/policy/update_norm"]


@needs_gpu
@both
def test_a_run_on_a_gpu_is_resumed_exactly(tmp_path: Path, kind):
    settings = {**SETTINGS, "learning_rate_schedule": "constant", "eval_every": 100, "eval_episodes": 1}
    seed = settings.pop("seed")
    run = partial(train, "swing", env="Pendulum-v1", algo=kind.name, seed=seed, settings=settings, device="cuda",
                  backend="gymnasium", store="none")
    whole = run(total_steps=1200, root=tmp_path / "whole")
    run(total_steps=600, root=tmp_path / "halves")
    assert run(total_steps=1200, root=tmp_path / "halves").state_sha256 == whole.state_sha256


@needs_gpu
@pytest.mark.parametrize("name", ["sac", "tqc", "ppo"])
def test_a_learner_on_a_gpu_is_evaluated_on_the_cpu(name):
    learner = algorithm_class(name)(make_config(name, SETTINGS_OF[name]), describe_once("Pendulum-v1"),
                                    torch.device("cuda"))
    judged, obs = learner.on_cpu(), np.zeros((2, 3), np.float32)
    assert next(learner.policy.parameters()).is_cuda
    assert {parameter.device.type for parameter in judged.policy.parameters()} == {"cpu"}
    assert np.array_equal(judged.act(obs, True), learner.act(obs, True))
    np.testing.assert_allclose(judged.values(obs), learner.values(obs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["sac", "tqc", "ppo"])
def test_the_copy_on_the_cpu_acts_and_values_alike_and_learns_nothing(name):
    learner, obs = make(name, "Pendulum-v1"), np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    assert learner.on_cpu() is learner
    with environments("Pendulum-v1") as envs:
        learner.device = torch.device("cuda")  # what a GPU has is copied in the same way
        judged = learner.on_cpu()
        learner.device = torch.device("cpu")
        actions, values = judged.act(obs, True), judged.values(obs)
        assert np.array_equal(actions, learner.act(obs, True)) and np.array_equal(values, learner.values(obs))
        learner.collect(envs)
        learner.update(0.1)
    assert not np.array_equal(learner.act(obs, True), actions)
    if name != "ppo":  # PPO's values are in the unit of rewards, which it has learned more of
        assert np.array_equal(judged.values(obs), values)


@both
def test_a_burst_in_parts_is_the_burst(kind):
    """Graphs are of up to 16 gradient steps, and a burst is of any number."""
    ends = []
    for parts in ([20], [16, 4]):
        learner = make_learner(kind, "cpu")
        load(learner, begun(kind))
        with learner.not_recording():
            batch = learner._sampled(20)
            noise = torch.from_numpy(learner.policy.noise((20, 2, 32), learner.generator))
            traces = [fused.burst(learner, *columns) for columns in
                      zip(*(column.split(parts) for column in (*batch, noise)), strict=True)]
        ends.append((state_sha256(learner.state_dict()), {name: torch.cat([trace[name] for trace in traces])
                                                     for name in traces[0]}))
    assert ends[0][0] == ends[1][0]
    assert all(torch.equal(trace, ends[1][1][name]) for name, trace in ends[0][1].items())


class Own(SAC):
    """Has no gradient written out, and so no graph."""

    name = "own"

    def actor_loss(self, log_prob, values, alpha):
        return (alpha * log_prob - values.mean(0)).mean()


@pytest.mark.parametrize(("kind", "settings", "device"), [
    (SAC, preset(WALKER, "sac"), "cuda"), (SAC, {"hidden_sizes": (64, 64)}, "cuda"),
    (SAC, {"hidden_sizes": (64, 63)}, "cpu"), (SAC, {"minibatch_size": 64, "hidden_sizes": (64, 64)}, "cpu"),
    (SAC, {"network": "somewhere:Network"}, "cpu"), (Own, preset(WALKER, "sac"), "cpu"),
    (TQC, preset(WALKER, "tqc"), "cpu"),
    (PPO, preset(WALKER, "ppo"), "cpu"), (PPO, {"hidden_sizes": (400, 300)}, "cpu")])
def test_auto_takes_a_gpu_for_what_was_measured_to_be_faster_there_and_says_so(monkeypatch, kind, settings, device):
    worth = kind.worth_a_gpu(kind.config_class(**settings))
    assert choose_device("cpu", worth) == ("cpu", [])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto", worth) == ("cpu", [])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    taken, [reason] = choose_device("auto", worth)
    assert taken == device and choose_device("cuda", worth) == ("cuda", [])
    assert reason.startswith(f"training on the {'GPU' if device == 'cuda' else 'CPU, not on the GPU'} (Tesla T4): ")


def test_a_gpu_is_asked_for_kernels_that_repeat_and_a_cpu_for_nothing(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    asked = torch.are_deterministic_algorithms_enabled
    with plain_torch(THREADS, "cpu"):
        assert not asked()
    with plain_torch(THREADS, "cuda"):
        assert asked() and torch.is_deterministic_algorithms_warn_only_enabled()
    assert not asked()
