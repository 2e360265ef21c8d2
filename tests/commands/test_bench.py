"""What `bench` measures, what it recommends from that, and that nothing of it stays behind."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

from colab_rl import UsageError, bench
from colab_rl.algorithms.ppo.config import PPOConfig
from colab_rl.algorithms.registry import preset
from colab_rl.cli import main
from colab_rl.commands.bench import (
    EnvironmentSpeed,
    Measurements,
    TrainingSpeed,
    UpdateSpeed,
    collect_experience,
    measure,
    random_actions,
    rates,
    recommend,
    standing_still,
)
from colab_rl.environments import describe, environment_name
from colab_rl.environments.backends import reason_not_available
from colab_rl.environments.spaces import ObservationSpec, Spaces
from colab_rl.errors import EnvironmentFault
from colab_rl.progress import progress_bar

CONFIG = PPOConfig(num_envs=4, num_steps=32, minibatch_size=32, update_epochs=2, hidden_sizes=(8,), total_steps=1000)
FOUND = {"env_id", "env_path", "tuned", "num_envs", "num_steps", "total_steps", "environments", "updates", "training",
         "missing", "recommendation", "versions"}
NUMBERS = [4, 8, 16, 32, 64]
PROCESSORS = [("cpu", 1), ("cpu", 2)] + [("cuda", 1)] * torch.cuda.is_available()


def backends_here() -> list[str]:
    spaces = describe("CartPole-v1")
    return [name for name in ("gymnasium", "envpool") if reason_not_available(name, "CartPole-v1", spaces) is None]


def workers(mark: str) -> list[int]:
    """Worker processes with a word in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:  # it has just ended, or is another person's
            continue
        if b"colab_rl.environments.worker" in command and mark.encode() in environment:
            found.append(int(process.name))
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A word that every worker process of this test inherits, and no other."""
    monkeypatch.setenv("TEST_BENCH", str(tmp_path))
    return str(tmp_path)


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker for each number of environments: starting them is what costs."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})


def speeds(envpool: float = 4000, cuda: float | None = None, threads: float = 1.0,
           numbers: dict[int, float] | None = None) -> Measurements:
    """Gymnasium trains 3000 steps/s; EnvPool as said; two threads and the GPU too."""
    numbers = {8: 9000, 16: 10_000, 32: 10_000, 64: 10_000} | (numbers or {})
    return Measurements(
        [EnvironmentSpeed("gymnasium", number, 5000) for number in numbers]
        + [EnvironmentSpeed("envpool", number, speed) for number, speed in numbers.items()],
        [UpdateSpeed("cpu", 1, 50_000), UpdateSpeed("cpu", 2, 50_000 * threads), UpdateSpeed("cuda", 1, 900_000)],
        [TrainingSpeed("gymnasium", "cpu", 3000), TrainingSpeed("envpool", "cpu", envpool)]
        + ([] if cuda is None else [TrainingSpeed("envpool", "cuda", cuda)]))


# ---- the recommendation --------------------------------------------------------------------------------------------


PRESET = PPOConfig(num_envs=16, num_steps=256, total_steps=1_200_000)


def test_the_backend_is_the_one_that_trains_faster():
    assert recommend(speeds(envpool=4000), PRESET, tuned=True).backend == "envpool"
    assert recommend(speeds(envpool=2999), PRESET, tuned=True).backend == "gymnasium"


def test_the_estimate_is_all_steps_at_the_speed_of_training_with_what_is_recommended():
    assert recommend(speeds(envpool=4000), PRESET, tuned=True).estimated_seconds == 300
    assert recommend(speeds(envpool=1), PRESET, tuned=True).estimated_seconds == 400
    assert recommend(speeds(envpool=4000, cuda=6000), PRESET, tuned=True).estimated_seconds == 200


@pytest.mark.parametrize(("cuda", "device"), [(None, "cpu"), (100, "cpu"), (4500, "cpu"), (4700, "cuda")])
def test_the_gpu_is_taken_where_training_is_worth_it_not_where_only_the_update_is(cuda, device):
    assert recommend(speeds(envpool=4000, cuda=cuda), PRESET, tuned=True).device == device


def test_a_gpu_measured_on_another_backend_only_is_not_recommended():
    assert recommend(speeds(envpool=2000, cuda=9000), PRESET, tuned=True).device == "cpu"


@pytest.mark.parametrize(("gain", "threads"), [(0.2, 1), (1.1, 1), (1.2, 2)])
def test_a_second_thread_must_be_worth_it(gain, threads):
    assert recommend(speeds(threads=gain), PRESET, tuned=True).threads == threads


@pytest.mark.parametrize(("numbers", "chosen"), [
    ({}, (16, 256)), ({32: 11_400}, (16, 256)), ({32: 11_600}, (32, 128)), ({32: 11_600, 64: 12_000}, (64, 64)),
    ({8: 12_000}, (8, 512)), ({24: 99_000}, (16, 256))], ids=str)
def test_another_number_of_environments_must_be_worth_it_and_keeps_the_transitions(numbers, chosen):
    found = recommend(speeds(numbers=numbers), PRESET, tuned=False)
    assert (found.num_envs, found.num_steps) == chosen  # 24 does not divide the 4096 transitions


def test_a_tuned_preset_keeps_its_number_of_environments():
    """Another learns otherwise, however fast it steps."""
    found = recommend(speeds(numbers={64: 99_000}), PRESET, tuned=True)
    assert (found.num_envs, found.num_steps) == (16, 256)


def test_the_number_of_environments_is_chosen_on_the_recommended_backend():
    assert recommend(speeds(envpool=1, numbers={64: 99_000}), PRESET, tuned=False).num_envs == 16


def test_an_iteration_of_one_step_is_not_recommended():
    config = PPOConfig(num_envs=16, num_steps=4, minibatch_size=32)
    assert recommend(speeds(numbers={64: 99_000}), config, tuned=False).num_envs == 16
    assert recommend(speeds(numbers={32: 99_000}), config, tuned=False).num_steps == 2


# ---- measuring -----------------------------------------------------------------------------------------------------


def test_every_speed_is_there_and_positive_and_no_worker_is_left(mark, one_core):
    threads, backends = torch.get_num_threads(), backends_here()
    found = measure("CartPole-v1", describe("CartPole-v1"), CONFIG, backends, seconds=0.02)
    assert workers(mark) == []
    assert torch.get_num_threads() == threads
    assert [(speed.backend, speed.num_envs) for speed in found.environments] == \
        [(backend, number) for backend in backends for number in NUMBERS]
    assert [(speed.device, speed.threads) for speed in found.updates] == PROCESSORS
    assert [(speed.backend, speed.device) for speed in found.training][:len(backends)] == \
        [(backend, "cpu") for backend in backends]
    assert all(speed.steps_per_second > 0 for speed in (*found.environments, *found.training))
    assert all(speed.transitions_per_second > 0 for speed in found.updates)


def test_the_presets_wrappers_are_around_what_is_measured(monkeypatch):
    measured = []

    def stop(source, spaces, config, *others):
        measured.extend([environment_name(source), spaces.observation.shape, describe(source).observation.shape])
        raise KeyboardInterrupt

    monkeypatch.setattr("colab_rl.commands.bench.measure", stop)
    with pytest.raises(KeyboardInterrupt):
        bench("CarRacing-v3")
    assert measured == ["CarRacing-v3", (4, 96, 96), (4, 96, 96)]  # four grey frames, not one of 96 x 96 x 3


def test_an_environment_that_fails_leaves_no_worker(mark, one_core):
    class Fails(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1, 1, (1,))
        action_space = gymnasium.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            return np.zeros(1, np.float32), {}

        def step(self, action):
            raise RuntimeError("worn out")

    with pytest.raises(EnvironmentFault, match="worn out"):
        bench(Fails)
    assert workers(mark) == []


def test_the_rate_is_the_median_of_parts_that_take_turns(monkeypatch):
    now, called = [0.0], []
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def work(name: str, amount: int, durations: list[float]) -> Callable[[], int]:
        left = iter(durations)

        def do() -> int:
            called.append(name)
            now[0] += next(left)
            return amount
        return do

    works = [work("one", 10, [99, 2, 4, 50]), work("other", 60, [0.3, 0.3, 1, 1, 1, 2])]
    with progress_bar(6, "measuring", "part", disable=True) as progress:
        assert rates(works, parts=3, seconds=2.5, progress=progress) == [2.5, 60]
    # First the warm-ups, half a second each; then parts of at least 5/6 s.
    assert called == ["one", "other", "other", *("one", "other") * 3]


def test_updates_are_measured_in_full_and_stand_still():
    spaces = describe("CartPole-v1")
    config = dataclasses.replace(CONFIG, learning_rate=0.1, target_kl=1e-5)
    experience = collect_experience("CartPole-v1", spaces, config, "gymnasium")
    assert experience.valid.shape == (32, 4) and experience.valid.any()
    before = copy.deepcopy(vars(experience))
    algorithm = standing_still(spaces, config, experience, "cpu")
    networks = [algorithm.policy, algorithm.value]
    parameters = [parameter.detach().clone() for network in networks for parameter in network.parameters()]
    assert [algorithm.update(0.0)["policy/epochs"] for _ in range(3)] == [config.update_epochs] * 3
    after = [parameter for network in networks for parameter in network.parameters()]
    assert all(torch.allclose(*pair, rtol=0, atol=1e-8) for pair in zip(parameters, after, strict=True))
    assert all(np.array_equal(array, before[name]) for name, array in vars(experience).items())


def test_random_actions_are_within_the_bounds_and_of_the_right_type():
    unbounded = np.array([np.inf, 1, 7], np.float32)
    spaces = Spaces(ObservationSpec((3,)), False, 3, 0, np.array([-np.inf, -1, 5], np.float32), unbounded)
    drawn = random_actions(spaces, 6)
    assert drawn.shape[1:] == (6, 3) and drawn.dtype == np.float32 and np.isfinite(drawn).all()
    assert (drawn >= spaces.action_low).all() and (drawn <= spaces.action_high).all()
    assert drawn[..., 2].min() < 5.1 and drawn[..., 2].max() > 6.9
    choices = random_actions(Spaces(ObservationSpec((3,)), True, 2, 4, np.zeros(0), np.zeros(0)), 6)
    assert set(choices.flat) == {4, 5} and choices.dtype == np.int64


# ---- the command ---------------------------------------------------------------------------------------------------


def test_json_has_exactly_the_promised_keys_and_the_table_says_the_same(monkeypatch, capsys, mark, one_core):
    monkeypatch.setattr("colab_rl.commands.bench.SECONDS", 0.01)
    assert main(["bench", "--env", "CartPole-v1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == FOUND
    assert found["env_id"] == "CartPole-v1" and found["tuned"] is True
    tuned = preset("CartPole-v1", "ppo")
    num_envs, num_steps, total_steps = (tuned[name] for name in ("num_envs", "num_steps", "total_steps"))
    assert (found["num_envs"], found["num_steps"], found["total_steps"]) == (num_envs, num_steps, total_steps)
    assert set(found["recommendation"]) == {"backend", "device", "threads", "num_envs", "num_steps",
                                            "estimated_seconds"}
    best = found["recommendation"]
    assert best["num_envs"] * best["num_steps"] == num_envs * num_steps
    chosen, = (speed for speed in found["training"]
               if (speed["backend"], speed["device"]) == (best["backend"], best["device"]))
    assert best["estimated_seconds"] == pytest.approx(total_steps / chosen["steps_per_second"])
    assert set(found["missing"]) == {"gymnasium", "envpool"} - set(backends_here())

    assert main(["bench", "--env", "CartPole-v1"]) == 0
    table = capsys.readouterr().out
    for words in (f"CartPole-v1, tuned preset: num_envs={num_envs} num_steps={num_steps}", "gymnasium, 64 environments",
                  "update on cpu, threads 2", "training on gymnasium, cpu",
                  "train NAME --env CartPole-v1 --algo ppo --backend ",
                  f"all {total_steps:,} steps", "evaluations not counted"):
        assert words in table
    assert workers(mark) == []


@pytest.mark.parametrize(("env", "named"), [
    ("BipedalWaker-v3", "BipedalWalker-v3"), ("Taxi-v5", "Taxi-v4"),
    ("custom:make_mine", "no module named 'custom'")])
def test_what_cannot_be_measured_leaves_with_2_and_one_line(capsys, env, named):
    assert main(["bench", "--env", env]) == 2
    output = capsys.readouterr()
    assert output.out == "" and named in output.err
    assert output.err.startswith("error: ") and output.err.count("\n") == 1


def a_pole() -> gymnasium.Env:
    """An environment that this module names."""
    return gymnasium.make("CartPole-v1")


@pytest.mark.parametrize(("env", "command"), [
    (a_pole, f"python -m colab_rl train NAME --env {__name__}:a_pole --algo ppo"),
    (lambda: a_pole(), "train(NAME, env=that function), from Python, with --algo ppo")], ids=["named", "lambda"])
def test_the_recommended_command_finds_a_function(monkeypatch, one_core, env, command):
    monkeypatch.setattr("colab_rl.commands.bench.SECONDS", 0.01)
    monkeypatch.setattr("colab_rl.commands.bench.NUM_ENVS", (8,))
    assert f"Recommended: {command} --backend " in bench(env).summary()


def test_from_python_an_unknown_environment_is_a_usage_error():
    with pytest.raises(UsageError, match="CartPole-v1"):
        bench("CartPol-v1")


def test_ctrl_c_leaves_no_process_behind(mark):
    process = subprocess.Popen([sys.executable, "-m", "colab_rl", "bench", "--env", "CartPole-v1"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               # What a shell runs in the background ignores it, and so would its children.
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        wait_until(lambda: bool(workers(mark)))
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert output == "" and "Traceback" not in errors
    wait_until(lambda: not workers(mark))
