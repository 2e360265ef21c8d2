"""The command line: what --json holds, where options may stand, and one line for whatever a person does wrong."""

from __future__ import annotations

import configparser
import ctypes
import dataclasses
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gymnasium
import pytest
import torch
from helpers import TINY, flip, snapshot

from colab_rl import record, status, train, verify
from colab_rl.checkpoints import FileRecord
from colab_rl.checkpoints.layout import numbered_name
from colab_rl.checkpoints.manifest import checksum
from colab_rl.checkpoints.serialization import deserialize, serialize
from colab_rl.cli import main
from colab_rl.environments import describe
from colab_rl.environments.backends import why_not
from colab_rl.environments.guard import prints_aside
from colab_rl.errors import UsageError
from colab_rl.policies.load import find_checkpoint
from colab_rl.runs.places import Places

pytestmark = pytest.mark.usefixtures("one_core")

STATUS = {"run", "env_id", "algorithm", "backend", "seed", "iteration", "step", "total_steps", "finished", "exact",
          "score", "best_score", "state_sha256", "checkpoints", "pending", "confirmed"}
CHECKPOINT = {"generation", "step", "score", "state_sha256", "local", "store"}
EVALUATION = {"mean", "std", "min", "max", "mean_length", "episodes"}

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def trained(one_core: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs `walker` and, after it, `pole`; `walker` is in a store too."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "store").mkdir()
    begin = ["train", "--env", "CartPole-v1", "--root", str(folder / "runs"), "--total-steps", "400", "--set", *TINY]
    assert main([*begin, "--store", str(folder / "store"), "--", "walker"]) == 0
    assert main([*begin, "--store", "none", "--", "pole"]) == 0
    return folder


@pytest.fixture
def here(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, where commands that name no root and no store find it."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLAB_RL_ROOT", str(tmp_path / "runs"))
    monkeypatch.setenv("COLAB_RL_STORE", "none")
    return tmp_path


@pytest.fixture
def command(here: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """`command("status", "walker")`: exit code, standard output, standard error."""
    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as left:  # as argparse does
            code = left.code
        output = capsys.readouterr()
        return code, output.out, output.err
    return run


# ---- what leads a person on ----------------------------------------------------------------------------------------

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
    _, _, errors = command("train", "walker2", "--env", "CartPole-v1", "--total-steps", "60", "--set", *TINY)
    assert "is a new run" not in errors
    _, _, errors = command("train", "walkr", "--env", "CartPole-v1", "--total-steps", "60", "--set", *TINY)
    assert "walkr is a new run, and you also have walker and walker2" in errors


@pytest.mark.parametrize("store", ["none", "store"])
def test_a_run_that_failed_at_once_is_no_run(command, here, monkeypatch, store):
    (here / "own_makers.py").write_text(POLE)
    monkeypatch.syspath_prepend(here)
    before = snapshot(here)
    command("train", "own", "--env", "own_makers:failing", "--store", here / store if store != "none" else store,
            "--set", *TINY, "num_steps=64")
    code, _, errors = command("status", "own", "--store", here / "store")
    assert code == 2 and "no run 'own'" in errors
    assert not (here / "runs" / "own").exists() and not list((here / "store").glob("own/*.*"))
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
    assert "pole" in command("status", "--store", here / "store")[1]
    trash, = (here / "runs" / ".trash").iterdir()
    assert {k: v for k, v in snapshot(trash).items() if ".lock" not in str(k)} == \
        {k: v for k, v in before.items() if ".lock" not in str(k)}
    shutil.move(trash, here / "runs" / "walker")  # and back
    assert command("verify", "walker")[0] == 0
    assert command("delete", "walkr", "--yes")[0] == 2


# ---- results -------------------------------------------------------------------------------------------------------


def test_status_has_exactly_the_promised_keys(command, here):
    code, output, errors = command("status", "walker", "--json", "--store", here / "store")
    found = json.loads(output)
    assert (code, errors) == (0, "")
    assert set(found) == STATUS
    assert found["checkpoints"] and all(set(row) == CHECKPOINT for row in found["checkpoints"])
    assert found["run"] == "walker" and found["env_id"] == "CartPole-v1" and found["algorithm"] == "ppo"
    missing = why_not("envpool", "CartPole-v1", describe("CartPole-v1"))
    assert found["backend"] == ("gymnasium" if missing else "envpool")
    assert found["seed"] == 0 and found["total_steps"] == 400
    assert found["finished"] is True and found["exact"] is True and found["pending"] == 0
    assert found["step"] >= 400 and found["iteration"] == found["checkpoints"][0]["generation"] - 1
    assert found["state_sha256"] == found["checkpoints"][0]["state_sha256"]
    assert found["best_score"] > 0 and found["score"] > 0  # of fresh episodes, and of the newest evaluation
    assert {(row["local"], row["store"]) for row in found["checkpoints"]} == {("verified", "verified")}


def test_what_status_and_verify_return_is_what_json_prints_and_what_the_command_says(command, here):
    places = {"root": here / "runs", "store": here / "store"}
    found, = status("walker", **places)
    checked = verify("walker", **places)
    for call, result in (("status", found), ("verify", checked)):
        printed = json.loads(command(call, "walker", "--json", "--store", here / "store")[1])
        assert json.loads(json.dumps(result)) == printed == {**result}  # as a script of 0.1.0 uses it
        assert all(result[name] == printed[name] for name in printed)
        assert command(call, "walker", "--store", here / "store")[1].startswith(result.summary())
    assert found.exact is found["exact"] is True and found.checkpoints[0].store == "verified"
    assert checked.summary().endswith(
        f"walker: {checked.checkpoints} copies of checkpoints, {checked.files} files read, 0 bad")


def test_status_without_a_name_lists_every_run(command):
    code, output, _ = command("status", "--json")
    found = json.loads(output)
    assert code == 0 and [run["run"] for run in found] == ["pole", "walker"]
    assert all(set(run) == STATUS for run in found)


def test_status_tells_where_a_checkpoint_is_and_in_what_state(command, here):
    walker = here / "runs" / "walker" / "checkpoints"
    states = sorted(walker.glob("*.safetensors"))
    flip(states[-1], 500)
    shutil.rmtree(here / "store" / "walker" / "checkpoints")
    found = json.loads(command("status", "walker", "--json", "--store", here / "store")[1])
    assert [(row["local"], row["store"]) for row in found["checkpoints"]] == \
        [("bad", "absent")] + [("verified", "absent")] * (len(states) - 1)
    assert found["state_sha256"] == found["checkpoints"][1]["state_sha256"]
    assert found["pending"] == len(states) - 1


def test_status_of_no_runs_says_how_to_begin_one(command, here):
    code, output, errors = command("status", "--root", here / "nowhere")
    assert (code, errors) == (0, "") and "train NAME" in output
    assert command("status", "--json", "--root", here / "nowhere")[:2] == (0, "[]\n")
    assert not (here / "nowhere").exists()


def test_status_and_the_other_readers_change_no_file(command, here):
    before = snapshot(here)
    for arguments in (["status"], ["status", "walker"], ["verify", "walker"], ["evaluate", "walker", "--episodes", "1"],
                      ["presets"]):
        assert command(*arguments)[0] == 0
    assert snapshot(here) == before


@pytest.mark.parametrize("change", [
    lambda algorithm: {},
    lambda algorithm: {"algorithm": {}},
    lambda algorithm: {"algorithm": {**algorithm, "policy": {f"old.{name}": v for name, v in
                                                             algorithm["policy"].items()}}},
    lambda algorithm: {"algorithm": {**algorithm, "policy": 3}},
], ids=["nothing", "no keys", "other names", "a number"])
def test_a_checkpoint_with_other_state_keys_is_one_line(command, here, change):
    places = Places(here / "runs", "none")
    identity = places.require("walker")
    manifest, contents = find_checkpoint(identity, places, "latest")
    data = serialize(change(deserialize(contents[manifest.state_file])["algorithm"]))
    record = FileRecord.of(data)
    name = numbered_name("checkpoints/", 99, record.sha256, "safetensors")
    places.tiers(identity)[0].commit(dataclasses.replace(manifest, generation=99, files={name: record}), {name: data})
    before = snapshot(here)
    code, output, errors = command("evaluate", "walker", "--checkpoint", 99, "--episodes", 1)
    assert (code, output) == (1, "")
    assert errors.count("\n") == 1 and "generation 99 of walker is whole but cannot be loaded" in errors
    assert snapshot(here) == before


def test_evaluate_has_exactly_the_promised_keys_and_repeats(command):
    code, output, _ = command("evaluate", "walker", "--episodes", 5, "--seed", 3, "--json")
    found = json.loads(output)
    assert code == 0 and set(found) == EVALUATION
    assert found["episodes"] == 5
    assert found["min"] <= found["mean"] <= found["max"] and found["mean_length"] == found["mean"]
    assert json.loads(command("evaluate", "walker", "--episodes", 5, "--seed", 3, "--json")[1]) == found
    assert json.loads(command("evaluate", "walker", "--episodes", 1, "--seed", 3, "--json")[1])["std"] == 0


def test_evaluate_takes_each_episode_from_its_own_seed(command):
    def returns(seed: int, episodes: int) -> float:
        found = json.loads(command("evaluate", "walker", "--episodes", episodes, "--seed", seed, "--json")[1])
        return found["mean"] * episodes

    assert returns(3, 4) == pytest.approx(sum(returns(seed, 1) for seed in (3, 4, 5, 6)))


def test_evaluate_scores_the_checkpoint_that_is_asked_for(command):
    status = json.loads(command("status", "walker", "--json")[1])
    rows, confirmed = status["checkpoints"], status["confirmed"]["generation"]
    by_name = {which: json.loads(command("evaluate", "walker", "--episodes", 9, "--checkpoint", which, "--json")[1])
               for which in ("best", "latest", 1, rows[0]["generation"], confirmed)}
    assert by_name["latest"] == by_name[rows[0]["generation"]]
    assert by_name["best"] == by_name[confirmed]
    assert by_name[1] != by_name["latest"]
    code, _, errors = command("evaluate", "walker", "--checkpoint", 999)
    there = ", ".join(str(row["generation"]) for row in reversed(rows))
    assert (code, errors) == (2, f"error: generation 999 not found; available: {there}\n")


def test_verify_reads_everything_and_names_what_is_bad(command, here):
    code, output, _ = command("verify", "walker", "--json", "--store", here / "store")
    found = json.loads(output)
    assert code == 0 and set(found) == {"run", "checkpoints", "files", "bad"} and found["bad"] == []
    both = 2 * len(list((here / "runs" / "walker" / "checkpoints").glob("*.json")))
    assert found["checkpoints"] == both and found["files"] > both
    flip(sorted((here / "store" / "walker" / "metrics").iterdir())[1])
    flip(sorted((here / "runs" / "walker" / "checkpoints").glob("*.json"))[0], 200)
    code, output, _ = command("verify", "walker", "--json", "--store", here / "store")
    assert code == 1 and len(json.loads(output)["bad"]) == 2
    assert command("verify", "walker", "--json")[0] == 1
    assert command("verify", "pole", "--json")[0] == 0


def test_presets_lists_the_tuned_settings_by_environment_and_algorithm(command):
    code, output, _ = command("presets", "--json")
    found = json.loads(output)
    assert code == 0 and found["BipedalWalker-v3"]["ppo"]["num_envs"] == 16
    assert all(isinstance(settings, dict) for algorithms in found.values() for settings in algorithms.values())
    text = command("presets")[1]
    assert "BipedalWalker-v3, ppo: " in text
    for setting in ("total_steps", "seed", "num_envs", "hidden_sizes", "activation", "learning_rate", "gamma",
                    "checkpoint_every", "eval_every", "eval_episodes", "best_by", "target_score"):
        assert f"  {setting}=" in text


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


def test_what_an_environment_prints_is_no_result(run_cli, tmp_path, monkeypatch, capfd):
    (tmp_path / "chatty.py").write_text("""
import ctypes
import os

import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

print("importing")

class Chatty(CartPoleEnv):
    def __init__(self, **options):
        print("making")
        super().__init__(**options)
    def reset(self, **options):
        print("resetting")
        os.system("echo from a child")
        ctypes.CDLL(None).puts(b"from C")
        return super().reset(**options)
    def step(self, action):
        print("stepping", flush=True)
        return super().step(action)
    def close(self):
        print("closing")

gymnasium.register("Chatty-v0", Chatty, max_episode_steps=20)
""")
    done = run_cli("train", "walker", "--env", "chatty:Chatty-v0", "--total-steps", 100, "--set", *TINY)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 4, done.stdout + done.stderr
    done = run_cli("evaluate", "walker", "--episodes", 2, "--json")
    assert done.returncode == 0 and set(json.loads(done.stdout)) == EVALUATION
    assert {"importing", "making", "stepping", "closing"} <= set(done.stderr.splitlines())
    monkeypatch.syspath_prepend(tmp_path)
    record("walker", root=tmp_path / "runs", store="none")
    ctypes.CDLL(None).puts(b"ours")
    ctypes.CDLL(None).fflush(None)
    output, errors = capfd.readouterr()
    assert output == "ours\n"
    assert {"importing", "making", "resetting", "stepping", "closing", "from a child", "from C"} <= \
        set(errors.splitlines())


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
    setup.read(Path(__file__).parents[1] / "setup.cfg")
    name, module, function = re.split(" = |:", setup["options.entry_points"]["console_scripts"].strip())
    program = tmp_path / "bin" / name  # as pip writes it: its own folder comes first on the path, not the current one
    program.parent.mkdir()
    program.write_text(f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    done = subprocess.run(
        [sys.executable, program, "train", "walker", "--env", "own_pole:OwnPole-v0", "--total-steps", "60",
         "--root", "runs", "--store", "none", "--set", *TINY], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}, timeout=240)
    assert done.returncode == 0 and "walker: finished" in done.stdout, done.stderr


# ---- what a person does wrong --------------------------------------------------------------------------------------


TRAIN_POLE = ["train", "new", "--env", "CartPole-v1"]

WRONG_USAGE = {
    "unknown environment": (["train", "new", "--env", "BipedalWaker-v3"], "BipedalWalker-v3"),
    "malformed environment": (["train", "new", "--env", "Bipedal Walker!"], "Bipedal Walker!"),
    "environment of no module": (["train", "new", "--env", "nosuchmodule:Env-v0"], "nosuchmodule"),
    "environment of an empty module": (["train", "new", "--env", ":CartPole-v1"], "names no module"),
    "unknown algorithm": ([*TRAIN_POLE, "--algo", "pp"], "ppo"),
    "a setting of another library": ([*TRAIN_POLE, "--set", "lr=1e-3"], "did you mean 'learning_rate'"),
    "minibatches of another library": ([*TRAIN_POLE, "--set", "batch_size=64"], "did you mean 'minibatch_size'"),
    "a setting as an option": ([*TRAIN_POLE, "--lr", "1e-3"],
                               "Then --set learning_rate=1e-3; see python -m colab_rl train --help"),
    "a setting that is nearly an option": ([*TRAIN_POLE, "--num-steps", "9"], "Then --set num_steps=9; see"),
    "an option that is nearly one of ours": ([*TRAIN_POLE, "--steps", "9"], "did you mean --total-steps?; see"),
    "an option that is nearly one of another command's": (["evaluate", "walker", "--episods", "5"],
                                                          "did you mean --episodes?"),
    "a setting of a sweep as an option": (["sweep", "new", "--learning-rate", "1e-3"], "--set learning_rate=1e-3"),
    "a mistyped place": ([*TRAIN_POLE, "--sotre", "x"], "did you mean --store?"),
    "a mistyped command": (["trian", "walker"], "no command 'trian'; did you mean 'train'? (there are: train, sweep"),
    "a checkpoint in place of a run": (["evaluate", "walker:2"], "evaluate, render and export take --checkpoint 2"),
    "an environment without tuned settings": (["presets", "CartPole"], "did you mean 'CartPole-v1'?"),
    "several seeds": ([*TRAIN_POLE, "--seed", "0", "1", "2"], "sweep new --seeds 0,1,2"),
    "several values": ([*TRAIN_POLE, "--set", "gamma=0.9,0.99"], "sweep NAME --vary gamma=0.9,0.99"),
    "another setting on a run that is there": (["train", "walker", "--set", "learning_rate=0.5"],
                                               "train NEW --from walker --set learning_rate=0.5"),
    "another environment and setting": (["train", "walker", "--env", "Acrobot-v1", "--set", "gamma=0.5"],
                                        "or give a new name\n"),
    "a function that is not in its module": ([*TRAIN_POLE, "--env", "json:make_pole"], "json:make_pole"),
    "unknown setting": ([*TRAIN_POLE, "--set", "learning_rte=0.1"], "learning_rate"),
    "setting without a value": ([*TRAIN_POLE, "--set", "gamma"], "key=value"),
    "setting without a name": ([*TRAIN_POLE, "--set", "=3"], "key=value"),
    "wrong type": ([*TRAIN_POLE, "--set", "gamma=high"], "gamma takes a number"),
    "wrong whole number": ([*TRAIN_POLE, "--set", "num_envs=2.5"], "num_envs takes a whole number"),
    "not a number": ([*TRAIN_POLE, "--set", "learning_rate=nan"], "learning_rate takes a number"),
    "wrong list": ([*TRAIN_POLE, "--set", "hidden_sizes=64,big"], "hidden_sizes takes whole numbers"),
    "wrong choice": ([*TRAIN_POLE, "--set", "activation=swish"], "tanh"),
    "wrong steps": ([*TRAIN_POLE, "--total-steps", "many"], "total_steps takes a whole number"),
    "wrong seed": ([*TRAIN_POLE, "--seed", "x"], "seed takes a whole number"),
    "no steps": ([*TRAIN_POLE, "--total-steps", "0"], "total_steps = 0 is out of range"),
    "negative seed": ([*TRAIN_POLE, "--seed", "-1"], "seed = -1 is out of range"),
    "huge seed": ([*TRAIN_POLE, "--seed", "99999999999"], "seed = 99999999999 is out of range"),
    "gamma beyond 1": ([*TRAIN_POLE, "--set", "gamma=1.5"], "gamma = 1.5 is out of range"),
    "learning rate of zero": ([*TRAIN_POLE, "--set", "learning_rate=0"], "above 0"),
    "empty layer": ([*TRAIN_POLE, "--set", "hidden_sizes=64,0"], "hidden_sizes = 0 is out of range"),
    "seed given twice": ([*TRAIN_POLE, "--seed", "1", "--set", "seed=2"], "seed is given twice"),
    "unknown backend": ([*TRAIN_POLE, "--backend", "gymnasum"], "gymnasium"),
    "unknown device": ([*TRAIN_POLE, "--device", "gpu"], "cpu"),
    "run of a path": (["train", "a/b"], "cannot name a run"),
    "run above": (["train", ".."], "cannot name a run"),
    "run of a root": (["train", "/tmp"], "cannot name a run"),
    "run of quotes": (["train", "it's"], "cannot name a run"),
    "run of an emoji": (["train", "walker\N{PEDESTRIAN}"], "cannot name a run"),
    "run of a space": (["train", "my walker"], "cannot name a run"),
    "run of nothing": (["train", ""], "cannot name a run"),
    "run of a line end": (["train", "walker\n"], "cannot name a run"),
    "run that is hidden": (["train", ".walker"], "cannot name a run"),
    "run of 200 letters": (["train", "w" * 200], "cannot name a run"),
    "run of the name of a folder in use": (["train", "tensorboard"], "cannot name a run"),
    "status of a path": (["status", "../runs/walker"], "cannot name a run"),
    "unknown run in status": (["status", "walkr"], "did you mean 'walker'"),
    "unknown run in evaluate": (["evaluate", "walkr"], "did you mean 'walker'"),
    "unknown run in verify": (["verify", "Walker2"], "did you mean 'walker'"),
    "unknown run, all listed": (["status", "zzz"], "pole, walker"),
    "unknown checkpoint": (["evaluate", "walker", "--checkpoint", "newest"], "best, latest or a generation"),
    "digits that are none": (["evaluate", "walker", "--checkpoint", "\N{SUPERSCRIPT TWO}"], "best, latest or"),
    "no episodes": (["evaluate", "walker", "--episodes", "0"], "episodes must be between 1"),
    "negative evaluation seed": (["evaluate", "walker", "--seed", "-5"], "seed must be between 0"),
    "evaluation seed beyond 64 bits": (["evaluate", "walker", "--seed", "99999999999999999999"], "seed"),
    "wrong number of episodes": (["evaluate", "walker", "--episodes", "many"], "many"),
    "branch from no run": ([*TRAIN_POLE, "--from", "walkr"], "did you mean 'walker'"),
    "branch from a run without a name": ([*TRAIN_POLE, "--from", ""], "cannot name a run"),
    "branch from no generation": ([*TRAIN_POLE, "--from", "walker:last"], "RUN:GENERATION"),
    "branch from nothing behind the colon": ([*TRAIN_POLE, "--from", "walker:"], "RUN:GENERATION"),
    "branch from a generation that is not there": ([*TRAIN_POLE, "--from", "walker:99"], "available: 1, "),
    "branch from digits that are none": ([*TRAIN_POLE, "--from", "walker:\N{SUPERSCRIPT TWO}"], "RUN:GENERATION"),
    "branch without more steps": (["train", "new", "--from", "walker"], "larger --total-steps"),
    "store on Drive without a folder": (["status", "--store", "drive:"], "drive:colab_rl"),
    "store of an address alone": (["status", "--store", "https://drive.google.com/drive/folders/1A"], "follows drive:"),
    "store of a bare address": (["status", "--store", "Drive.Google.com/drive/folders/1A"], "follows drive:"),
}


@pytest.mark.parametrize(("arguments", "named"), WRONG_USAGE.values(), ids=WRONG_USAGE)
def test_wrong_usage_leaves_with_2_and_one_line_that_helps(command, here, arguments, named):
    before = snapshot(here)
    code, output, errors = command(*arguments)
    assert (code, output) == (2, "")
    assert named in errors
    assert errors.count("\n") == 1 and errors.endswith("\n"), errors
    assert snapshot(here) == before


@pytest.mark.parametrize(("arguments", "named"), [
    (["trian", "walker"], "trian"), (["train", "new", "--envs", "4"], "--envs"), (["train"], "run"), ([], "COMMAND"),
    (["status", "walker", "pole"], "pole"), (["evaluate", "walker", "--episodes"], "--episodes"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_line_that_cannot_be_parsed_leaves_with_2_and_says_why_last(command, here, arguments, named):
    before = snapshot(here)
    code, output, errors = command(*arguments)
    assert (code, output) == (2, "")
    assert named in errors.splitlines()[-1]
    assert snapshot(here) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_is_refused(command):
    code, _, errors = command(*TRAIN_POLE, "--device", "cuda")
    assert code == 2 and "no CUDA GPU" in errors and errors.count("\n") == 1


def folder_without_a_run(here: Path) -> list[object]:
    (here / "runs" / "notes").mkdir()
    (here / "runs" / "notes" / "diary.txt").write_text("dear diary")
    return ["train", "notes"]


def file_as_a_run(here: Path) -> list[object]:
    (here / "runs" / "notes").write_text("dear diary")
    return ["train", "notes"]


def root_that_is_a_file(here: Path) -> list[object]:
    (here / "file").write_text("no folder")
    return ["train", "new", "--root", here / "file"]


def root_of_status_that_is_a_file(here: Path) -> list[object]:
    (here / "file").write_text("no folder")
    return ["status", "--root", here / "file"]


def root_that_is_a_loop_of_links(here: Path) -> list[object]:
    (here / "loop").symlink_to(here / "loop")
    return ["train", "new", "--root", here / "loop"]


def store_that_is_not_there(here: Path) -> list[object]:
    return ["train", "new", "--store", here / "no" / "such" / "drive"]


def store_that_is_a_file(here: Path) -> list[object]:
    (here / "file").write_text("no folder")
    return ["status", "walker", "--store", here / "file"]


def damaged_identity(here: Path) -> list[object]:
    os.truncate(here / "runs" / "walker" / "run.json", 100)
    return ["train", "walker"]


def identity_of_nonsense(here: Path) -> list[object]:
    (here / "runs" / "walker" / "run.json").write_text("[]")
    return ["status", "walker"]


def identity_of_a_newer_version(here: Path) -> list[object]:
    path = here / "runs" / "walker" / "run.json"
    content = {**json.loads(path.read_text()), "format": 3}
    del content["identity_sha256"]
    path.write_text(json.dumps({**content, "identity_sha256": checksum(content)}))
    return ["train", "walker"]


def identity_with_a_flipped_digit(here: Path) -> list[object]:
    path = here / "runs" / "walker" / "run.json"
    path.write_text(path.read_text().replace('"gamma": 0.9', '"gamma": 0.8'))
    return ["train", "walker"]


def two_runs_of_one_name(here: Path) -> list[object]:
    shutil.copytree(here / "runs" / "pole", here / "other" / "walker")
    return ["train", "walker", "--store", here / "other"]


def every_checkpoint_damaged(here: Path) -> list[object]:
    for path in (here / "runs" / "walker" / "checkpoints").glob("*.safetensors"):
        os.truncate(path, 10)
    return ["evaluate", "walker"]


FAILURES = {
    folder_without_a_run: "is not a run",
    file_as_a_run: "notes",
    root_that_is_a_file: "file",
    root_of_status_that_is_a_file: "file",
    root_that_is_a_loop_of_links: "Too many levels of symbolic links",
    store_that_is_not_there: "store",
    store_that_is_a_file: "it is a file",
    damaged_identity: "damaged run.json",
    identity_of_nonsense: "damaged run.json",
    identity_of_a_newer_version: "newer colab_rl",
    identity_with_a_flipped_digit: "damaged run.json (other content than was saved)",
    two_runs_of_one_name: "two different runs",
    every_checkpoint_damaged: "none of the",
}


@pytest.mark.parametrize(("prepare", "named"), FAILURES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_failure_leaves_with_1_and_one_line_that_says_what_is_wrong(command, here, prepare, named):
    arguments = prepare(here)
    before = snapshot(here)
    code, output, errors = command(*arguments)
    assert (code, output) == (1, "")
    lines = [line for line in errors.splitlines() if not line.startswith("skipping a checkpoint")]
    assert len(lines) == 1 and lines[0].startswith("error: ") and named in lines[0]
    assert snapshot(here) == before


def test_an_environments_module_that_leaves_on_import_is_a_failure_like_any_other(command, here, monkeypatch):
    (here / "leaving.py").write_text("import sys; sys.exit(3)")
    monkeypatch.syspath_prepend(here)
    code, output, errors = command("train", "new", "--env", "leaving:Env-v0")
    where = here / "leaving.py"
    assert (code, output, errors) == (
        1, "", f"error: leaving:Env-v0 could not be made: SystemExit: 3 ({where}, line 1)\n")
    assert not (here / "runs" / "new").exists()


def test_a_damaged_run_does_not_hide_the_others(command, here):
    (here / "runs" / "pole" / "run.json").write_text("{")
    code, output, errors = command("status", "walker", "--json")
    assert (code, errors) == (0, "") and json.loads(output)["run"] == "walker"
    output, errors = command("status")[1:]
    assert "walker: CartPole-v1" in output and "pole" in output + errors


def test_a_run_that_cannot_be_read_is_not_no_run(command, here):
    identity_of_a_newer_version(here)
    shutil.rmtree(here / "runs" / "pole")
    code, output, errors = command("status")
    assert (code, output) == (0, "") and "newer colab_rl; nothing was changed; install the newer version" in errors
    shutil.rmtree(here / "runs" / "walker")
    assert "no runs yet" in command("status")[1]


def test_a_copy_whose_name_cannot_be_a_run_does_not_hide_the_runs(command, here):
    shutil.copytree(here / "runs" / "pole", here / "runs" / "Copy of pole (1)")  # as a Drive calls it
    code, output, _ = command("status")
    assert code == 0 and "walker: CartPole-v1" in output


def test_a_damaged_identity_is_healed_from_the_store(command, here):
    sound = (here / "runs" / "walker" / "run.json").read_bytes()
    os.truncate(here / "runs" / "walker" / "run.json", 100)
    code, _, errors = command("train", "walker", "--store", here / "store")
    assert code == 0, errors
    assert (here / "runs" / "walker" / "run.json").read_bytes() == sound
    assert len((here / "runs" / "walker" / "run.json.bad").read_bytes()) == 100


@pytest.mark.parametrize("command", ["presets", "status"])
def test_nobody_reading_the_output_any_more_is_no_error(run_cli, command):
    unread, output = os.pipe()
    os.close(unread)
    try:
        done = run_cli(command, capture_output=False, stdout=output, stderr=subprocess.PIPE)
    finally:
        os.close(output)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2)], ids=str)
def test_closed_streams_are_no_error(run_cli, closed):
    done = run_cli("presets", preexec_fn=lambda: [os.close(stream) for stream in closed])
    assert (done.returncode, done.stderr) == (0, "") and ("gamma" in done.stdout) == (1 not in closed)


def test_a_name_that_standard_output_cannot_show_is_escaped(here, monkeypatch):
    name, shown = os.fsdecode(b"caf\xe9.html"), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, "utf-8", "strict"))
    assert main(["report", "walker", "--episodes", "0", "--out", name]) == 0
    assert shown.getvalue() == b"caf\\udce9.html\n" and (here / name).is_file()


@pytest.mark.parametrize(("arguments", "package"), [(["report", "walker"], "plotly"), (["doctor"], "gymnasium")],
                         ids=["report", "doctor"])
def test_a_package_that_is_missing_is_one_line_that_says_how_to_install_it(tmp_path, arguments, package):
    program = f"import sys; sys.modules[{package!r}] = None; import colab_rl.cli; sys.exit(colab_rl.cli.main())"
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "COLAB_RL_STORE": "none"}, timeout=240)
    assert done.returncode == 1 and list(tmp_path.iterdir()) == []
    if arguments == ["doctor"]:
        assert done.stderr == "" and "ok    Python 3" in done.stdout
        assert f"BAD   some checks were left out: {package} cannot be imported; pip install {package}" in done.stdout
    else:
        assert done.stdout == "" and done.stderr.count("\n") == 1
        assert done.stderr.startswith("error: ") and f"; pip install {package}, then" in done.stderr


@pytest.mark.parametrize("arguments", [["train", "new", "--env", "Nope-v0"], ["status", "zzz"],
                                       ["status", "--store", "/no/such/drive"]], ids=" ".join)
def test_the_program_itself_shows_no_traceback(run_cli, arguments):
    done = run_cli(*arguments)
    assert done.returncode == (1 if "/no/such/drive" in arguments else 2)
    assert "Traceback" not in done.stderr and done.stderr.count("\n") == 1
    assert done.stdout == ""
