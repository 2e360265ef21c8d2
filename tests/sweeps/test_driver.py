"""Trials in their order, with runs that die, diverge, fall behind and are stopped."""

import contextlib
import json

import pytest
from formula_runner import TOTAL, FormulaRunner, Killed, Silent, drive

from colab_rl import ColabRLError, UsageError, sweep
from colab_rl.environments import describe
from colab_rl.runs.best_settings import best_settings
from colab_rl.runs.places import Places
from colab_rl.sweeps.choices import Range
from colab_rl.sweeps.driver import MOST_DEATHS, MOST_REFUSALS, Driver, Live
from colab_rl.sweeps.folder import SweepFolder
from colab_rl.sweeps.plan import DamagedPlan, Plan, agreed, check_plan
from colab_rl.sweeps.runners import Ended, Progress
from colab_rl.sweeps.trials import Record, RunRecord


def plan_of(**parts):
    return Plan(**{"sweep": "walk", "env_id": "CartPole-v1", "env_is_function": False, "algorithms": ("ppo",),
                   "settings": {"total_steps": TOTAL}, "grid": {"gamma": [0.9, 0.95, 0.99]}, "trials": 3,
                   "seeds": (0, 1), "judges": 2, **parts})


def score(settings, share):
    return 100 * share * settings["gamma"] + settings["seed"]


@pytest.fixture
def folder(tmp_path):
    return SweepFolder(Places(tmp_path / "runs", "none"), "walk")


class Mishaps(FormulaRunner):
    """Some runs end otherwise, each time they are begun."""

    def __init__(self, ends, **options):
        super().__init__(score, **options)
        self._ends = ends

    def submit(self, task):
        super().submit(task)
        if task.run in self._ends:
            self._stopping.add(task.run)

    def events(self, timeout):
        found = super().events(timeout)
        return [Ended(one.run, *self._ends[one.run]) if isinstance(one, Ended) and one.run in self._ends else one
                for one in found]


def test_seeds_of_a_trial_are_trained_together_and_the_best_is_kept(folder, tmp_path):
    result = drive(plan_of(), folder, runner := FormulaRunner(score))
    assert runner.submitted == [f"walk-t00{trial}-s{seed}" for trial in range(3) for seed in range(2)]
    assert result.finished and result.best_trial == 2
    assert result.trials[2].scores == [99.0, 100.0] and result.trials[2].iqm == 99.5
    assert result.trials[2].low == 99.0 and result.trials[2].high == 100.0
    best = best_settings(Places(tmp_path / "runs", "none"), "walk")
    assert (best.trial, best.settings) == (2, {"total_steps": TOTAL, "gamma": 0.99})


def test_a_driver_that_is_killed_leaves_no_run_out_and_none_twice(folder):
    submitted, sessions = [], 0
    while True:
        sessions += 1
        try:
            runner = FormulaRunner(score, salt=sessions, kill_after=25)
            result = drive(plan_of(), folder, runner)
            break
        except Killed:
            submitted += runner.submitted
    lines = [line["run"] for line in folder.journal() if "run" in line]
    assert sessions > 2 and sorted(lines) == sorted({run for trial in result.trials for run in trial.runs})


def test_a_line_that_a_kill_cut_off_is_left_out(folder):
    drive(plan_of(), folder, FormulaRunner(score))
    path = folder.root / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    result = drive(plan_of(), folder, runner := FormulaRunner(score))
    assert len(runner.submitted) == 1 and result.finished
    assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_the_last_line_of_a_run_counts_and_one_that_is_not_final_replaces_none_that_is(folder):
    plan = plan_of(grid={"gamma": [0.9]}, trials=1, seeds=(0,))
    pending, refused, final = (RunRecord(run="walk-t000-s0", **parts).to_line() for parts in (
        {"state": "finished", "score": 5.0, "final": False},
        {"state": "failed", "reason": "another session trains it", "final": False},
        {"state": "finished", "score": 5.0}))
    folder.begin_journal([])
    for line in (pending, refused, pending):
        folder.add(line)
    assert Record(plan, folder.journal()).state_of(0) == "finished"
    for line in (final, refused):
        folder.add(line)
    assert Record(plan, folder.journal()).result().finished


def test_a_longer_copy_in_the_store_says_what_came_last(tmp_path):
    (tmp_path / "store").mkdir()
    folder = SweepFolder(Places(tmp_path / "runs", tmp_path / "store"), "walk")
    lines = [{"run": "walk-t000-s0", "state": state, "final": False} for state in ("finished", "failed")]
    text = [json.dumps(line) + "\n" for line in lines]
    for storage, texts in ((folder.local, text[:1]), (folder.remote, text)):
        storage.put("journal.jsonl", "".join(texts).encode())
    assert folder.journal() == lines


def test_a_trial_is_open_until_all_of_its_runs_have_ended(folder):
    with pytest.raises(Killed):
        drive(plan_of(), folder, FormulaRunner(score, slots=1, kill_after=15))
    standing = Record(plan_of(), folder.journal()).result()
    assert [len([one for one in trial.scores if one]) for trial in standing.trials] == [1, 0, 0]
    assert standing.counts() == "3 open"


def test_what_earlier_sessions_trained_is_not_counted_in_the_time_left(folder):
    plan = plan_of(grid={"gamma": [0.9]}, trials=1, seeds=(0,))
    driver = Driver(plan, folder, Record(plan, []), FormulaRunner(score), {}, b"", Silent())
    driver._live["walk-t000-s0"] = Live("walk-t000-s0", 0)
    for step in range(100, 1100, 100):
        driver._hear(Progress("walk-t000-s0", {"step": step, "seconds": 1.0, "evaluation/score": 1.0}, 2 * TOTAL,
                              earlier=step <= 800), False)
    driver._began -= 10
    assert driver.picture().left == pytest.approx(10 / 200 * 1000, rel=0.01)


def test_a_run_that_diverges_fails_its_trial_and_no_other(folder, capsys):
    result = drive(plan_of(), folder, Mishaps({"walk-t001-s0": ("failed", "loss is nan")}))
    assert [trial.state for trial in result.trials] == ["finished", "failed", "finished"]
    assert result.finished and not result.problems and "walk-t001-s0 failed: loss is nan" in capsys.readouterr().err


def test_if_all_fail_it_says_so(folder):
    ends = {run: ("failed", "loss is nan") for trial in range(3) for run in plan_of().runs_of(trial)}
    result = drive(plan_of(), folder, Mishaps(ends))
    assert result.best_trial is None
    assert result.problems == ["all 3 trials failed; the first with: loss is nan"]


def test_a_process_that_always_dies_is_given_up_and_tried_again_by_the_next_session(folder):
    result = drive(plan_of(), folder, runner := Mishaps({"walk-t000-s1": ("died", "killed by signal 9")}))
    assert runner.submitted.count("walk-t000-s1") == MOST_DEATHS
    assert [trial.state for trial in result.trials] == ["failed", "finished", "finished"]
    lines = folder.journal()
    assert [line for line in lines if line.get("run") == "walk-t000-s1"][-1]["final"] is False
    (problem,) = result.problems
    assert not result.finished and problem.startswith("walk-t000-s1: its process died 5 times")


def test_the_only_trial_that_fails_is_called_so(folder):
    plan = plan_of(grid={"gamma": [0.9]}, trials=1, seeds=(0,))
    assert drive(plan, folder, Mishaps({"walk-t000-s0": ("failed", "loss is nan")})).problems == [
        "the only trial failed: loss is nan"]


@pytest.mark.parametrize("end", [("refused", "no space left"), ("finished", "it is not in the store yet", {
    "step": TOTAL, "state_sha256": "", "score": 1.0, "pending": 2})], ids=["refused", "pending"])
def test_a_sweep_is_finished_only_when_nothing_is_left_to_do(folder, end):
    result = drive(plan_of(), folder, Mishaps({"walk-t001-s0": end}))
    assert not result.finished and result.problems == [f"walk-t001-s0: {end[1]}"]
    standing = Record(plan_of(), folder.journal()).result()
    assert not standing.finished and standing.problems == result.problems
    assert "walk: not finished, the same command continues" in standing.summary()


def test_trouble_that_all_trials_have_ends_the_sweep(folder):
    plan = plan_of(grid={"gamma": [0.9 + i / 1000 for i in range(30)]}, trials=30)
    ends = {run: ("refused", "no space left") for trial in range(30) for run in plan.runs_of(trial)}
    with pytest.raises(ColabRLError, match=f"{MOST_REFUSALS} trials failed one after another.*no space left"):
        drive(plan, folder, runner := Mishaps(ends))
    assert len(runner.submitted) <= 2 * MOST_REFUSALS + runner.slots


def test_a_trial_of_many_seeds_that_all_fail_does_not_end_the_others(folder):
    plan = plan_of(seeds=tuple(range(2 * MOST_REFUSALS)))
    result = drive(plan, folder, Mishaps({run: ("refused", "no such file") for run in plan.runs_of(0)}))
    assert [trial.state for trial in result.trials] == ["failed", "finished", "finished"]
    assert not result.finished and len(result.problems) == len(plan.seeds)


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_pruning_decides_the_same_whichever_run_is_the_fastest(folder, tmp_path, slots):
    gammas = [0.9, 0.95, 0.91, 0.96, 0.92, 0.5, 0.97, 0.6, 0.98, 0.93]
    plan = plan_of(grid={"gamma": gammas}, trials=10, prune=True, at_once=-(-slots // 2), judges=min(slots, 2))
    results = []
    for salt in range(3):
        folder = SweepFolder(Places(tmp_path / str(salt), "none"), "walk")
        results.append(drive(plan, folder, FormulaRunner(score, slots, salt)))
    assert all(result.to_json() == results[0].to_json() for result in results)
    states = [trial.state for trial in results[0].trials]
    assert states[7] == "pruned" and results[0].best_trial == 8
    journal = {line["pruned"]: line["step"] for line in folder.journal() if "pruned" in line}
    assert journal[7] == TOTAL // 5  # at the first rung


def test_a_plan_is_read_back_and_a_damaged_one_is_refused(folder):
    plan = plan_of()
    folder.write_plan(plan)
    assert folder.plan() == plan
    path = folder.root / "plan.json"
    path.write_text(path.read_text().replace("0.95", "0.94"))
    with pytest.raises(DamagedPlan, match=r"plan.json is damaged.*nothing was changed"):
        folder.plan()


def test_more_seeds_extend_a_plan_and_what_differs_is_named():
    plan = plan_of()
    assert agreed(plan, {"seeds": (0, 1, 2)}).seeds == (0, 1, 2)
    assert agreed(plan, {"seeds": (1,), "settings": {"total_steps": TOTAL}}) == plan
    with pytest.raises(UsageError, match=r"exists and differs: env is CartPole-v1, not Pendulum-v1; vary is "
                                         "gamma=0.9,0.95,0.99, not gamma=0.9; nothing was changed"):
        agreed(plan, {"env_id": "Pendulum-v1", "grid": {"gamma": [0.9]}, "seeds": (0,)})
    held = plan_of(settings={"total_steps": TOTAL, "num_envs": 4})
    assert agreed(held, {"settings": {"num_envs": 4}}) == held
    with pytest.raises(UsageError, match=r"differs: total_steps is 1000, not 5; gamma is varied, not 0.9; layer_norm "
                                         "is left out, not True; nothing was changed"):
        agreed(held, {"settings": {"num_envs": 4, "total_steps": 5, "gamma": 0.9, "layer_norm": True}})
    with pytest.raises(UsageError, match="trials is 3"):
        agreed(plan, {"trials": 4})


def test_fewer_seeds_or_trials_change_nothing_and_a_line_says_so(capsys):
    plan = plan_of(seeds=(0, 1, 2, 7), trials=40, grid={}, space={"gamma": [0.9, 0.99]})
    for asked, said in (({"seeds": (0, 1)}, "keeps its seeds 0-2,7: fewer change nothing"),
                        ({"trials": 30}, "keeps its 40 trials: fewer change nothing"),
                        ({"seeds": (7, 2, 1, 0), "trials": 40}, "")):
        assert agreed(plan, asked) == plan
        assert capsys.readouterr().err == (f"{plan.sweep} {said}\n" if said else "")
    assert agreed(plan, {"seeds": (0, 8)}).seeds == (0, 1, 2, 7, 8) and not capsys.readouterr().err


def test_the_end_of_a_range_is_tried_with_the_middle_of_the_others():
    def checked(**space):
        check_plan(plan_of(env_id="Pendulum-v1", algorithms=("sac",), settings={"total_steps": 100_000}, grid={},
                      space=space), lambda wrappers: describe("Pendulum-v1"))

    checked(minibatch_size=Range(64, 4096), buffer_size=Range(4000, 100_000))  # the largest fits no smallest buffer
    with pytest.raises(UsageError, match=r"minibatch_size = 60000 is more than the buffer holds .*= 52000.*nothing"):
        checked(minibatch_size=Range(64, 60_000), buffer_size=Range(4000, 100_000))


def test_a_grid_is_every_combination_the_last_setting_fastest():
    plan = plan_of(algorithms=("ppo", "sac"), grid={"gamma": [0.9, 0.99], "num_envs": [1, 2, 3]}, trials=12)
    found = [plan.settings_of(trial) for trial in range(12)]
    assert found[0] == {"algo": "ppo", "gamma": 0.9, "num_envs": 1} and found[1]["num_envs"] == 2
    assert found[11] == {"algo": "sac", "gamma": 0.99, "num_envs": 3}
    assert list(found[0]) == ["algo", "gamma", "num_envs"]
    assert len({json.dumps(settings) for settings in found}) == 12
    assert plan.training_of(found[11]) == ("sac", {"total_steps": TOTAL, "gamma": 0.99, "num_envs": 3})


def test_the_journal_and_the_plan_travel_to_the_store(tmp_path):
    (tmp_path / "store").mkdir()
    here = SweepFolder(Places(tmp_path / "one", tmp_path / "store"), "walk")
    with pytest.raises(Killed):
        drive(plan_of(), here, FormulaRunner(score, kill_after=25))
    here.close()
    elsewhere = SweepFolder(Places(tmp_path / "two", tmp_path / "store"), "walk")
    assert elsewhere.plan() == plan_of() and elsewhere.journal() == here.journal() != []
    result = drive(plan_of(), elsewhere, runner := FormulaRunner(score))
    elsewhere.close()
    assert result.finished and not {line["run"] for line in here.journal() if "run" in line} - {
        run for trial in result.trials for run in trial.runs}
    assert len(runner.submitted) < 6


def test_a_session_that_is_killed_does_not_leave_a_worse_trial_as_the_best(folder, tmp_path):
    """The last trial, the best one, has ended; another machine's journal lacks those before it."""
    drive(plan_of(), folder, FormulaRunner(score))
    lines = [line for line in folder.journal() if line["run"].startswith("walk-t002")]
    for evaluations in (5, 25):  # in trial 0, and in trial 1
        folder.local.put("journal.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
        with contextlib.suppress(Killed):
            drive(plan_of(), folder, FormulaRunner(score, slots=1, kill_after=evaluations))
        assert best_settings(Places(tmp_path / "runs", "none"), "walk").trial == 2


def test_of_equal_trials_the_lower_number_is_the_best_whichever_ended_first(folder, tmp_path):
    class Backwards(FormulaRunner):
        """The run that began last ends first."""

        def events(self, timeout):
            last = max(self._here)
            self._random.choice = lambda runs: last
            return super().events(timeout)

    ended = []
    folder.write_best = lambda content, write=folder.write_best: (ended.append(content["trial"]), write(content))
    result = drive(plan_of(seeds=(0,)), folder, Backwards(lambda settings, share: 5.0, slots=3))
    assert ended[0] == 2 and result.best_trial == 0
    assert best_settings(Places(tmp_path / "runs", "none"), "walk").trial == 0


def test_a_resumed_sweep_writes_no_worse_trial_as_the_best_on_its_way(folder):
    drive(plan_of(), folder, FormulaRunner(score))
    written = []
    folder.write_best = lambda content: written.append(content["trial"])
    drive(plan_of(grid={"gamma": [0.9, 0.95, 0.99, 0.8]}, trials=4), folder, FormulaRunner(score))
    assert written == [2, 2]


def test_of_two_machines_best_json_the_one_of_more_ended_runs_counts(tmp_path):
    (tmp_path / "store").mkdir()
    here, elsewhere = (Places(tmp_path / name, tmp_path / "store") for name in ("one", "two"))
    for places, evaluations in ((here, 25), (elsewhere, 100)):
        folder = SweepFolder(places, "walk")
        with contextlib.suppress(Killed):
            drive(plan_of(), folder, FormulaRunner(score, slots=1, kill_after=evaluations))
        folder.close()
    assert SweepFolder(here, "walk").local.get("best.json") != SweepFolder(elsewhere, "walk").local.get("best.json")
    assert best_settings(here, "walk") == best_settings(elsewhere, "walk") and best_settings(here, "walk").trial == 2


@pytest.mark.parametrize("left", [None, b'{"trial": 0}'], ids=["none", "of another trial"])
def test_a_sweep_killed_after_its_last_run_gets_its_best_json_and_its_journal(tmp_path, left):
    """The kill came before best.json was written, and before the store had the last line."""
    root, store = tmp_path / "runs", tmp_path / "store"
    store.mkdir()
    folder = SweepFolder(Places(root, store), "walk")
    result = drive(plan_of(), folder, FormulaRunner(score))
    folder.close()
    for trial in result.trials:
        for run in trial.runs:
            (root / run).mkdir()
    journal, best = (folder.local.get(name) for name in ("journal.jsonl", "best.json"))
    for storage in (folder.local, folder.remote):
        storage.delete("best.json")
        if left:
            storage.put("best.json", left)
    folder.remote.put("journal.jsonl", journal[:journal.index(b"\n") + 1])
    assert sweep("walk", root=root, store=store).finished
    for storage in (folder.local, folder.remote):
        assert storage.get("best.json") == best and storage.get("journal.jsonl") == journal
