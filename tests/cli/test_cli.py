"""The command line: what leads a person on, where options may stand, and the program itself."""

from __future__ import annotations

import configparser
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest
from helpers import TINY, changed, snapshot

from colab_rl import status, train
from colab_rl.environments.guard import prints_aside
from colab_rl.errors import UsageError

pytestmark = pytest.mark.usefixtures("one_core")
POLE = "import gymnasium\n\ndef make():\n    return gymnasium.make('CartPole-v1')\n\n" \
       "def broken():\n    raise OSError('no display')\n\n" \
       "class Fails(gymnasium.Wrapper):\n    def step(self, action):\n        if self.count > 40:\n" \
       "            raise OSError('no more')\n        self.count += 1\n        return super().step(action)\n" \
       "    count = 0\n\ndef failing():\n    return Fails(make())\n"


def test_a_function_of_a_module_trains_and_is_evaluated_from_the_command_line(command, here, monkeypatch):
    (here / "own_makers.py").write_text(POLE)
    monkeypatch.syspath_prepend(here)
    train = ["train", "own", "--total-steps", "100", "--set", *TINY]
    assert command(*train, "--env", "own_makers:make")[0] == 0
    assert "own: make, ppo" in command("status", "own")[1]
    code, _, errors = command("evaluate", "own", "--episodes", "2")
    assert code == 2 and "give it with --env own_makers:make, or from Python" in errors
    code, output, _ = command("evaluate", "own", "--episodes", "2", "--env", "own_makers:make")
    assert code == 0 and "2 episodes" in output
    assert command(*train, "--env", "own_makers:make")[0] == 0  # again: it is the run that is there


def test_a_lambda_is_called_by_what_it_makes(here):
    tiny = dict(one.split("=") for one in TINY)
    train("own", env=lambda: gymnasium.make("CartPole-v1"), total_steps=1e2, settings=tiny)
    assert "own: CartPole-v1, ppo" in status("own")[0].summary() and "lambda" in status("own")[0].env_id
    with pytest.raises(UsageError, match=r"such as env=lambda: \.\.\."):
        train("another", env=gymnasium.make("CartPole-v1"))
    with pytest.raises(UsageError, match=r"total_steps is a whole number"):
        train("another", total_steps=100.5)


def test_a_name_that_is_nearly_a_runs_name_is_told_of(command, here):
    for name in ("walker2", "walker-2"):
        _, _, errors = command("train", name, "--env", "CartPole-v1", "--total-steps", "60", "--set", *TINY)
        assert "is a new run" not in errors
    code, _, errors = command("train", "walkr", "--env", "CartPole-v1", "--algo", "sac")
    assert code == 2 and "is a new run" not in errors
    _, _, errors = command("train", "walkr", "--env", "CartPole-v1", "--total-steps", "60", "--set", *TINY)
    assert "walkr is a new run, and you also have walker and walker2 and walker-2" in errors


@pytest.mark.parametrize("place", ["runs", "store"])
def test_a_new_run_takes_no_sweeps_name_and_a_run_of_that_name_continues(command, here, place):
    for name in ("walk", "walker"):
        (here / place / "sweeps" / name).mkdir(parents=True)
        (here / place / "sweeps" / name / "plan.json").write_text("{}")
    code, _, errors = command("train", "walk", "--env", "CartPole-v1", "--total-steps", "60", "--store", here / "store")
    assert code == 2 and "a sweep is called walk; nothing was started; give the run another name" in errors
    assert not (here / "runs" / "walk").exists() and not (here / "store" / "walk").exists()
    assert command("train", "walker", "--store", here / "store")[0] == 0


@pytest.mark.parametrize("store", ["none", "store"])
def test_a_session_without_a_store_says_so(command, here, store):
    place = here / store if store != "none" else store
    for name in ("walker", "new"):
        code, _, errors = command("train", name, "--env", "CartPole-v1", "--total-steps", "500", "--store", place,
                                  "--set", *TINY)
        assert code == 0 and ("continuing from generation" in errors) == (name == "walker")
        assert errors.count(", and without a store it stays on this machine\n") == (store == "none")


@pytest.mark.parametrize("store", ["none", "store"])
def test_a_run_that_failed_at_once_is_no_run(command, here, monkeypatch, store):
    (here / "own_makers.py").write_text(POLE)
    monkeypatch.syspath_prepend(here)
    before = snapshot(here)
    command("train", "own", "--env", "own_makers:failing", "--store", here / store if store != "none" else store,
            "--set", *changed(TINY, "num_steps=64"))
    code, _, errors = command("status", "own", "--store", here / "store")
    assert code == 2 and "no run 'own'" in errors
    assert not (here / "runs" / "own").exists() and not list((here / "store").glob("own/*.*"))
    assert not (here / "runs" / "tensorboard" / "own").exists()
    assert {name: data for name, data in snapshot(here).items() if name in before} == before


def test_delete_asks_and_moves_a_run_to_the_trash_here_and_in_the_store(command, here, monkeypatch):
    before = snapshot(here / "runs" / "walker")
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    code, _, errors = command("delete", "walker", "--store", here / "store")
    assert code == 1 and "move walker to the trash folder" in errors and "nothing was changed" in errors
    assert snapshot(here / "runs" / "walker") == before
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    code, output, _ = command("delete", "walker", "--store", here / "store")
    assert code == 0 and output.count(".trash/walker-") == 2
    assert not (here / "runs" / "walker").exists() and not (here / "store" / "walker").exists()
    assert [path.name for path in (here / "runs" / "tensorboard").iterdir()] == ["pole"]
    assert "pole" in command("status", "--store", here / "store")[1]
    trash, = (here / "runs" / ".trash").iterdir()
    assert {k: v for k, v in snapshot(trash).items() if ".lock" not in str(k)} == \
        {k: v for k, v in before.items() if ".lock" not in str(k)}
    shutil.move(trash, here / "runs" / "walker")  # and back
    assert command("verify", "walker")[0] == 0
    assert command("delete", "walkr", "--yes")[0] == 2


def test_global_options_may_stand_before_and_after_the_command(command, here, monkeypatch):
    monkeypatch.delenv("COLAB_RL_ROOT")
    places = ["--root", here / "runs", "--store", here / "store"]
    after = command("status", "walker", "--json", *places)
    before = command(*places, "status", "walker", "--json")
    mixed = command(*places[:2], "status", "walker", "--json", *places[2:])
    assert after[0] == 0 and after == before == mixed
    assert json.loads(after[1])["checkpoints"][0]["store"] == "verified"


def test_an_option_goes_over_the_environment_variable(command, here, monkeypatch):
    monkeypatch.setenv("COLAB_RL_STORE", str(here / "store"))
    for options, state in ([], "verified"), (["--store", "none"], "absent"):
        assert json.loads(command("status", "walker", "--json", *options)[1])["checkpoints"][0]["store"] == state


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_root_in_the_home_folder_is_meant_where_no_shell_says_so(command, here, monkeypatch, how):
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("COLAB_RL_ROOT", "~/runs" if how == "variable" else "elsewhere")
    code, output, _ = command("status", *(["--root=~/runs"] if how == "option" else []))
    assert code == 0 and "walker: CartPole-v1" in output
    code, _, errors = command("status", "--root", "~nosuchuser/runs")
    assert code == 2 and "root ~nosuchuser/runs begins with the home folder of a user whom" in errors


def test_the_program_itself_prints_the_hash_last_and_results_alone_on_standard_output(run_cli, tmp_path):
    done = run_cli("train", "walker", "--env", "CartPole-v1", "--total-steps", 100, "--set", *TINY)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 4 and lines[0].startswith("walker: finished: ") and ", score " in lines[0]
    assert lines[1] == f"it is in {tmp_path / 'runs' / 'walker'}" and "python -m colab_rl report walker" in lines[2]
    found = status("walker", root=tmp_path / "runs", store="none")[0]
    assert lines[-1] == f"state_sha256={found['state_sha256']}"
    again = run_cli("train", "walker")
    assert again.returncode == 0 and again.stdout.splitlines() == lines
    assert "python -m colab_rl render walker films it" in lines[2]
    named = run_cli("train", "walker", "--root", tmp_path / "runs")
    assert f"render walker --root {tmp_path / 'runs'} films it" in named.stdout


def test_standard_output_comes_back_when_the_last_thread_has_left_an_environment(capfd):
    first, second = prints_aside(), prints_aside()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    print("an environment's", flush=True)
    os.write(1, b"its child's\n")
    second.__exit__(None, None, None)
    print("ours", flush=True)
    os.write(1, b"ours\n")
    assert capfd.readouterr() == ("ours\nours\n", "an environment's\nits child's\n")


def test_the_installed_program_finds_an_environment_in_this_folder(tmp_path):
    (tmp_path / "own_pole.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('OwnPole-v0', 'gymnasium.envs.classic_control:CartPoleEnv', max_episode_steps=50)\n")
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[2] / "setup.cfg")
    name, module, function = re.split(" = |:", setup["options.entry_points"]["console_scripts"].strip())
    program = tmp_path / "bin" / name  # as pip writes it: its own folder comes first on the path, not the current one
    program.parent.mkdir()
    program.write_text(f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    done = subprocess.run(
        [sys.executable, program, "train", "walker", "--env", "own_pole:OwnPole-v0", "--total-steps", "60",
         "--root", "runs", "--store", "none", "--set", *TINY], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}, timeout=240)
    assert done.returncode == 0 and "walker: finished" in done.stdout, done.stderr


CYCLE = """
import gc, sys
from colab_rl.cli import program

class Cycle:
    def __init__(self):
        self.itself = self

    def __del__(self):
        print("ended", flush=True)

gc.disable()  # until the end
Cycle()
sys.exit(program())
"""


def test_what_only_the_collector_ends_is_ended_with_the_program(tmp_path):
    done = subprocess.run([sys.executable, "-c", CYCLE, "status", "--root", tmp_path, "--store", "none"],
                          capture_output=True, text=True)
    assert done.returncode == 0 and "ended" in done.stdout


IMPATIENT = """
import gc, os, signal, sys
from colab_rl.cli import program

class Cycle:
    def __init__(self):
        self.itself = self

    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

gc.disable()  # until the end
Cycle()
sys.exit(program())
"""


def test_another_ctrl_c_at_the_very_end_changes_neither_code_nor_output(tmp_path):
    done = subprocess.run([sys.executable, "-c", IMPATIENT, "status", "nobody", "--root", tmp_path, "--store", "none"],
                          capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: no run") and done.stderr.count("\n") == 1
