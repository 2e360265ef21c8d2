"""What a person gives wrongly leaves with 2, and one line that helps."""

from __future__ import annotations

import pytest
import torch
from helpers import snapshot

pytestmark = pytest.mark.usefixtures("one_core")
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
    "steps given twice and alike": (["train", "new", "--env", "BipedalWaker-v3", "--total-steps", "1e3", "--set",
                                     "total_steps=1000"], "unknown environment"),
    "a list too deep for Python": ([*TRAIN_POLE, "--set", f"wrappers=[{'-' * 100_000}1]"], "wrappers takes a list"),
    "evaluate in another environment": (["evaluate", "walker", "--env", "Acrobot-v1"],
                                        "walker trains on CartPole-v1, not Acrobot-v1; nothing was changed"),
    "render in another environment": (["render", "walker", "--env", "Acrobot-v1"], "not Acrobot-v1"),
    "export with another environment": (["export", "walker", "--env", "Acrobot-v1"], "not Acrobot-v1"),
    "a setting given twice": ([*TRAIN_POLE, "--set", "gamma=.9", "gamma = .8"],
                              "--set gives gamma twice, as .9 and as .8"),
    "a setting given twice apart": ([*TRAIN_POLE, "--set", "gamma=.9", "--set", "gamma=.9"], "--set gives gamma twice"),
    "an argument of the environment given twice": (
        ["train", "new", "--env", "LunarLander-v3", "--env-set", "gravity=-8", "gravity=-9"],
        "--env-set gives gravity twice, as -8 and as -9"),
    "a setting of a sweep given twice": (["sweep", "new", "--set", "gamma=.9", "gamma=.8"], "--set gives gamma twice"),
    "few steps and choices": ([*TRAIN_POLE, "--algo", "sac", "--total-steps", "99"], "discrete: use --algo ppo"),
    "few steps and memory": (["train", "new", "--env", "Pendulum-v1", "--algo", "tqc", "--total-steps", "99", "--set",
                              "network=gru"], "does not train networks with memory (gru)"),
    "a function that is nearly in its module": ([*TRAIN_POLE, "--env", "json:dump_"], "did you mean 'json:dump'"),
    "what is no function": ([*TRAIN_POLE, "--env", "json:decoder"], "json:decoder is a module, and no function"),
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
