"""A training in an odd process: whatever a user's cell, a library or a shell has set, it ends in the same state."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
import torch
from helpers import TINY, changed, snapshot

from colab_rl import ColabRLError, TrainingResult, evaluate, load_policy, record, status, train
from colab_rl.arithmetic import plain_torch
from colab_rl.settings import parse_settings
from colab_rl.training.tensorboard import TensorBoardView

pytestmark = pytest.mark.usefixtures("one_core", "outlives_sigterm")
cloudpickle.register_pickle_by_value(sys.modules[__name__])

SETTINGS = parse_settings(changed(TINY, "num_steps=64", "total_steps=256"))
SIGNALS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM}
each_signal = pytest.mark.parametrize("number", SIGNALS.values(), ids=SIGNALS)


def trained(root: Path, **options: Any) -> TrainingResult:
    return train("pole", **{"env": "CartPole-v1", "backend": "gymnasium", "settings": SETTINGS, "root": root,
                            "store": "none", **options})


def learned(root: Path) -> list[object]:
    """The hash of the run, its score, and what its policy does."""
    policy, obs = load_policy("pole", root=root, store="none"), np.linspace(-1, 1, 40, dtype=np.float32).reshape(10, 4)
    return [trained(root).state_sha256, evaluate("pole", episodes=2, root=root, store="none").summary()["mean"],
            policy(obs).tolist(), policy(obs, deterministic=False).tolist(), policy.value(obs).tolist()]


@pytest.fixture(scope="module")
def clean(one_core: None, tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """What is learned in a process that nobody has touched."""
    root = tmp_path_factory.mktemp("clean")
    trained(root)
    return learned(root)


# ---- what a cell has set -------------------------------------------------------------------------------------------


def setting(write: Callable[[Any], Any], value: Any, before: Any) -> contextlib.ExitStack:
    stack = contextlib.ExitStack()
    stack.callback(write, before)
    write(value)
    return stack


def noisy_numpy() -> contextlib.ExitStack:
    stack = contextlib.ExitStack()
    stack.enter_context(np.errstate(all="raise"))
    np.random.seed(3)
    torch.manual_seed(3)
    return stack


def errors_for_warnings() -> contextlib.ExitStack:
    stack = contextlib.ExitStack()
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("error")
    return stack


CELLS: dict[str, Callable[[], Any]] = {
    "float64": lambda: setting(torch.set_default_dtype, torch.float64, torch.float32),
    "float16": lambda: setting(torch.set_default_dtype, torch.float16, torch.float32),
    "another device": lambda: setting(torch.set_default_device, "meta", None),
    "another device, entered": lambda: torch.device("meta"),
    "deterministic": lambda: setting(torch.use_deterministic_algorithms, True, False),
    "threads": lambda: setting(torch.set_num_threads, 3, torch.get_num_threads()),
    "imprecise products": lambda: setting(torch.set_float32_matmul_precision, "medium", "highest"),
    "no denormal numbers": lambda: setting(torch.set_flush_denormal, True, False),
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "mixed precision": lambda: torch.autocast("cpu"),
    "numpy": noisy_numpy,
    "warnings are errors": errors_for_warnings,
}


def torch_state() -> list[object]:
    with torch.device("cpu"):
        denormal = bool(torch.tensor(1e-40, dtype=torch.float32) * 0.5)
    return [torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), denormal,
            torch.is_inference_mode_enabled(), torch.are_deterministic_algorithms_enabled(),
            torch.is_autocast_enabled("cpu"), torch.get_float32_matmul_precision(), torch.get_default_device().type]


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_what_a_cell_has_set_changes_no_bit_and_is_left_as_it_was(tmp_path, clean, cell):
    with cell():
        before = torch_state(), np.geterr(), list(warnings.filters)
        trained(tmp_path)
        assert learned(tmp_path) == clean
        assert (torch_state(), np.geterr(), list(warnings.filters)) == before
        with plain_torch(2):
            assert torch_state() == [torch.float32, 2, True, True, False, False, False, "highest", "cpu"]


def test_convolutions_on_a_gpu_are_float32_and_repeat():
    flags = torch.backends.cudnn
    with flags.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=True):
        with plain_torch(1, "cuda"):
            assert (flags.benchmark, flags.deterministic, flags.allow_tf32) == (False, True, False)
        assert (flags.benchmark, flags.deterministic, flags.allow_tf32) == (True, False, True)


# ---- who takes the signals -----------------------------------------------------------------------------------------


class Takes(gymnasium.Wrapper):
    """Takes the signals wherever it is made, as ROS nodes do, and would leave when one comes."""

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        take_signals()


def take_signals(_number: int = 0) -> None:
    for number in SIGNALS.values():
        signal.signal(number, lambda *_: sys.exit("the simulator's own handler"))


class Watcher:
    """Does deeds after iterations."""

    def __init__(self, **deeds: Callable[[], object]):
        self.deeds = deeds

    def past(self, row: dict) -> None:
        pass

    def goal(self, total_steps: int) -> None:
        pass

    def row(self, row: dict, where: str) -> None:
        self.deeds.get(f"after_{row['iteration']:.0f}", lambda: None)()


def with_c_code(number: int) -> None:
    faulthandler.register(number, chain=False)


@each_signal
@pytest.mark.parametrize("taken_by", [None, take_signals, with_c_code], ids=["environment", "library", "C code"])
def test_a_stop_saves_whoever_has_taken_the_signal_meanwhile(tmp_path, number, taken_by):
    env = (lambda: Takes(gymnasium.make("CartPole-v1"))) if taken_by is None else "CartPole-v1"
    options = {"env": env, "settings": {**SETTINGS, "total_steps": 2000, "eval_every": 1, "checkpoint_every": 100}}
    whole = trained(tmp_path / "whole", **options)
    before = [signal.getsignal(one) for one in SIGNALS.values()]
    watcher = Watcher(after_3=lambda: taken_by and taken_by(number),
                      after_4=lambda: os.kill(os.getpid(), number))
    try:
        stopped = trained(tmp_path / "runs", watcher=watcher, **options)
    finally:
        faulthandler.unregister(number)
    assert (stopped.signal_number, stopped.iteration, stopped.finished) == (number, 4, False)
    assert [signal.getsignal(one) for one in SIGNALS.values()] == before
    assert trained(tmp_path / "runs", **options).state_sha256 == whole.state_sha256


def test_recording_leaves_the_signals_to_those_who_had_them(tmp_path):
    def env() -> gymnasium.Env:
        return Takes(gymnasium.make("CartPole-v1"))

    trained(tmp_path, env=env)
    before = [signal.getsignal(one) for one in SIGNALS.values()]
    record("pole", env=env, root=tmp_path, store="none")
    assert [signal.getsignal(one) for one in SIGNALS.values()] == before


# ---- what a shell has left -----------------------------------------------------------------------------------------


PROGRAM = f"""
import os, sys, tempfile, time
root = sys.argv[1]
def make():
    import gymnasium, os
    print("an environment's own words", flush=True)
    os.system("echo its child's")
    return gymnasium.make("CartPole-v1")
def go(env="CartPole-v1"):
    from colab_rl import evaluate, train
    result = train("pole", env=env, backend="gymnasium", settings={SETTINGS!r}, root=root, store="none")
    evaluate("pole", env=env, episodes=2, root=root, store="none")
    with open(root + "/hash", "x") as file:
        file.write(result.state_sha256)
"""

# Each holds several oddities that do not hide each other: a process is what costs.
SHELLS = {
    "nothing is there": """
from colab_rl import train  # torch itself cannot be imported where the folder is gone
os.close(0), os.close(1), os.close(2)
folder = tempfile.mkdtemp()
os.chdir(folder), os.rmdir(folder)
os.environ.clear()
sys.argv = []
""",
    "nothing is as it should be": """
sys.stdin = sys.stdout = sys.stderr = None
sys.argv = ["--help", None]
os.environ |= {"HOME": "/proc/none", "XDG_CONFIG_HOME": "/proc/none", "TMPDIR": "/proc/none"}
real, calls = time.time, []
time.time = lambda: real() - 1000 * (calls.append(0) or len(calls))
""",
    "nobody reads": """
reader, writer = os.pipe()
os.close(reader), os.dup2(writer, 1), os.dup2(writer, 2)
time.time = lambda: -5.0
os.umask(0o777)
""",
    "closed": "sys.stdout.close(), sys.stderr.close()",
    "streams that only write": """
class Sink:
    def write(self, text): pass
    def flush(self): pass
sys.stdout = sys.stderr = Sink()
""",
}


def run_program(tmp_path: Path, body: str, options: tuple[str, ...] = (), **environment: str) -> Any:
    program = tmp_path / "program.py"
    program.write_text(body)
    (tmp_path / "runs").mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    return subprocess.run([sys.executable, *options, program, tmp_path / "runs"], cwd=tmp_path, timeout=240, text=True,
                          capture_output=True, env=environment)


@pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS)
def test_what_a_shell_has_left_changes_no_bit(tmp_path, clean, shell):
    done = run_program(tmp_path, f"{PROGRAM}{shell}\ngo()")
    assert (tmp_path / "runs" / "hash").read_text() == clean[0], done.stderr
    assert done.returncode == 0 and "Traceback" not in done.stderr


@pytest.mark.parametrize(("options", "environment"), [
    (("-W", "error"), {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    (("-OO",), {"PYTHONWARNINGS": "error", "OMP_NUM_THREADS": "3", "PYTHONIOENCODING": "ascii", "COLUMNS": "-5"}),
], ids=["warnings are errors, in ASCII", "optimized"])
def test_how_python_was_started_changes_no_bit(tmp_path, clean, options, environment):
    folder = tmp_path / "größe 大"
    folder.mkdir()
    done = run_program(folder, f"{PROGRAM}\ngo()", options, **environment)
    assert (folder / "runs" / "hash").read_text() == clean[0], done.stderr
    assert done.returncode == 0 and "Traceback" not in done.stderr


def test_without_standard_error_what_an_environment_prints_gets_into_no_file(tmp_path):
    """Where Python begins without it, the first file that a script opens has its number."""
    body = f"notes = open('notes.txt', 'w')\n{PROGRAM}\ngo(make)\nnotes.write('mine')\n"
    (tmp_path / "program.py").write_text(body)
    (tmp_path / "runs").mkdir()
    subprocess.run([sys.executable, "program.py", tmp_path / "runs"], cwd=tmp_path, timeout=240, check=True,
                   preexec_fn=lambda: [os.close(stream) for stream in (1, 2)],
                   env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert (tmp_path / "notes.txt").read_text() == "mine" and (tmp_path / "runs" / "hash").exists()
    assert not any(b"its child's" in content for content in snapshot(tmp_path / "runs").values())


@pytest.mark.parametrize("closed", [(2,), (0, 1, 2)], ids=str)
def test_the_command_line_trains_without_standard_streams(run_cli, tmp_path, clean, closed):
    arguments = ["train", "pole", "--env", "CartPole-v1", "--backend", "gymnasium", "--set",
                 *(f"{name}={value}" for name, value in SETTINGS.items())]
    done = run_cli(*arguments, preexec_fn=lambda: [os.close(stream) for stream in closed])
    assert done.returncode == 0 and done.stderr == ""
    again = run_cli(*arguments)
    assert again.stdout.endswith(f"state_sha256={clean[0]}\n"), again.stderr


def test_the_command_line_goes_on_where_nobody_reads_what_it_says(run_cli, clean):
    """As in `train ... 2>&1 | head -1`."""
    unread, written = os.pipe()
    os.close(unread)
    arguments = ["train", "pole", "--env", "CartPole-v1", "--backend", "gymnasium", "--set",
                 *(f"{name}={value}" for name, value in SETTINGS.items())]
    try:
        done = run_cli(*arguments, capture_output=False, stdout=subprocess.PIPE, stderr=written)
        failed = run_cli("status", "nothing", capture_output=False, stdout=subprocess.PIPE, stderr=written)
    finally:
        os.close(written)
    assert done.stdout.endswith(f"state_sha256={clean[0]}\n") and done.returncode == 0
    assert failed.returncode == 2


def test_a_current_folder_that_is_gone_is_one_line(run_cli, tmp_path):
    def lose_the_folder() -> None:
        os.mkdir(tmp_path / "gone")
        os.chdir(tmp_path / "gone")
        os.rmdir(tmp_path / "gone")

    for arguments in (["train", "pole", "--env", "CartPole-v1"], ["status", "--root", tmp_path]):
        done = run_cli(*arguments, preexec_fn=lose_the_folder)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert done.stderr.startswith("error: the current folder is gone; nothing was changed; ")


@pytest.mark.parametrize("program", ["", "/nowhere/python"])
def test_a_python_that_does_not_know_its_program_says_so_in_a_line(tmp_path, monkeypatch, program):
    monkeypatch.setattr(sys, "executable", program)
    with pytest.raises(ColabRLError, match=r"no process to step environments in could be started \("):
        trained(tmp_path)


def test_a_path_of_any_entries_changes_no_bit(tmp_path, clean, monkeypatch):
    """Python ignores those that are no text."""
    monkeypatch.setattr(sys, "path", [5, *sys.path, None, tmp_path, b"folder", ""])
    assert trained(tmp_path).state_sha256 == clean[0]
    assert status("pole", root=tmp_path, store="none")[0].exact


def test_tensorboards_files_stay_in_order_when_the_clock_goes_back(tmp_path, monkeypatch):
    names = []
    for now in (2_000_000_000.0, 1_000_000_000.0, 1_000_000_000.0, -5.0):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        before = set(tmp_path.iterdir())
        TensorBoardView(tmp_path, []).close()
        names += [path.name for path in set(tmp_path.iterdir()) - before]
    (tmp_path / "events.out.tfevents.notes.txt").write_text("mine")
    TensorBoardView(tmp_path, []).close()
    assert len(names) == 4 and names == sorted(names)
