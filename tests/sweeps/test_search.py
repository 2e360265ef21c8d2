"""A search that is killed proposes what the undisturbed one proposes."""

import math

import pytest
from formula_runner import TOTAL, FormulaRunner, Killed, drive

from colab_rl.runs.places import Places
from colab_rl.sweeps.choices import Range
from colab_rl.sweeps.folder import SweepFolder
from colab_rl.sweeps.plan import Plan

pytest.importorskip("optuna", reason="searches need the package optuna")


def plan_of(**parts):
    return Plan(**{"sweep": "find", "env_id": "CartPole-v1", "env_is_function": False, "algorithms": ("ppo",),
                   "settings": {"total_steps": TOTAL}, "trials": 40, "seeds": (0, 1), "at_once": 2, "judges": 2,
                   "space": {"learning_rate": Range(1e-5, 1e-1, True), "num_steps": [64, 128, 256],
                             "num_envs": Range(2, 16), "hidden_sizes": [[8], [16, 16]]}, **parts})


def score(settings, share):
    near = -abs(math.log10(settings["learning_rate"]) + 3) - abs(settings["num_envs"] - 8) / 10
    return share * 100 + 10 * near + (settings["num_steps"] == 128) + 0.1 * settings["seed"]


def proposals(folder):
    return {line["trial"]: line["settings"] for line in folder.journal() if "trial" in line}


def undisturbed(tmp_path, plan, salt):
    folder = SweepFolder(Places(tmp_path / f"undisturbed{salt}", "none"), "find")
    result = drive(plan, folder, FormulaRunner(score, 4, salt))
    return result, proposals(folder)


@pytest.mark.parametrize("prune", [False, True])
def test_resumed_ten_times_it_proposes_the_same(tmp_path, prune):
    plan = plan_of(prune=prune)
    result, proposed = undisturbed(tmp_path, plan, 0)
    assert len({tuple(map(str, settings.values())) for settings in proposed.values()}) == plan.trials
    folder, sessions = SweepFolder(Places(tmp_path / "runs", "none"), "find"), 0
    while True:
        sessions += 1
        try:
            resumed = drive(plan, folder, FormulaRunner(score, 4, salt=sessions, kill_after=25 + sessions))
            break
        except Killed:
            continue
    assert sessions > 10
    assert proposals(folder) == proposed
    assert resumed.to_json() == result.to_json()


def test_what_it_proposes_depends_on_no_order_of_events(tmp_path):
    plan = plan_of(trials=16, prune=True)
    first, proposed = undisturbed(tmp_path, plan, 1)
    second, again = undisturbed(tmp_path, plan, 2)
    assert proposed == again and first.to_json() == second.to_json()


def test_it_learns_from_what_it_was_told(tmp_path):
    result, _ = undisturbed(tmp_path, plan_of(), 0)
    late = [trial.iqm for trial in result.trials[25:]]
    assert sum(late) / len(late) > sum(trial.iqm for trial in result.trials[:10]) / 10
    assert result.trials[result.best_trial].iqm == max(trial.iqm for trial in result.trials)


def test_more_trials_extend_it_and_change_nothing_before(tmp_path):
    folder = SweepFolder(Places(tmp_path, "none"), "find")
    drive(plan_of(trials=12), folder, FormulaRunner(score, 4))
    drive(plan_of(trials=16), folder, runner := FormulaRunner(score, 4))
    assert {run.rpartition("-s")[0] for run in runner.submitted} == {f"find-t{trial:03d}" for trial in range(12, 16)}
    assert proposals(folder) == undisturbed(tmp_path, plan_of(trials=16), 3)[1]
