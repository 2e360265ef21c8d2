"""Results: what --json holds and readers print, that they repeat, and that readers change nothing."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import shutil

import pytest
from helpers import TINY, flip, snapshot

from colab_rl import record, status, verify
from colab_rl.checkpoints import FileRecord
from colab_rl.checkpoints.layout import numbered_name
from colab_rl.checkpoints.serialization import deserialize, serialize
from colab_rl.environments import describe
from colab_rl.environments.backends import reason_not_available
from colab_rl.policies.load import find_checkpoint
from colab_rl.runs.places import Places

pytestmark = pytest.mark.usefixtures("one_core")

STATUS = {"run", "env_id", "algorithm", "backend", "seed", "iteration", "step", "total_steps", "finished", "exact",
          "score", "best_score", "state_sha256", "checkpoints", "pending", "confirmed"}
CHECKPOINT = {"generation", "step", "score", "state_sha256", "local", "store"}
EVALUATION = {"mean", "std", "min", "max", "mean_length", "episodes"}


def test_status_has_exactly_the_promised_keys(command, here):
    code, output, errors = command("status", "walker", "--json", "--store", here / "store")
    found = json.loads(output)
    assert (code, errors) == (0, "")
    assert set(found) == STATUS
    assert found["checkpoints"] and all(set(row) == CHECKPOINT for row in found["checkpoints"])
    assert found["run"] == "walker" and found["env_id"] == "CartPole-v1" and found["algorithm"] == "ppo"
    missing = reason_not_available("envpool", "CartPole-v1", describe("CartPole-v1"))
    assert found["backend"] == ("gymnasium" if missing else "envpool")
    assert found["seed"] == 0 and found["total_steps"] == 400
    assert found["finished"] is True and found["exact"] is True and found["pending"] == 0
    assert found["step"] >= 400 and found["iteration"] == found["checkpoints"][0]["generation"] - 1
    assert found["state_sha256"] == found["checkpoints"][0]["state_sha256"]
    assert found["best_score"] > 0 and found["score"] > 0  # of fresh episodes, and of the newest evaluation
    assert {(row["local"], row["store"]) for row in found["checkpoints"]} == {("verified", "verified")}


def test_sweeps_that_cannot_be_read_hide_no_run(command, here):
    (here / "store" / "sweeps").symlink_to(here / "store" / "sweeps")
    code, output, errors = command("status", "walker", "--store", here / "store")
    assert (code, errors) == (0, "") and output.startswith("walker: CartPole-v1")


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
