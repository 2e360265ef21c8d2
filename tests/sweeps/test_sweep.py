"""`sweep` from the command line and from Python: killed, resumed, extended, branched from, and given wrong input."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest
from formula_runner import FormulaRunner
from helpers import TINY, comes

from colab_rl import UsageError, status, sweep, train
from colab_rl.cli import main
from colab_rl.commands import sweep as command
from colab_rl.runs.places import Places
from colab_rl.settings import parse_settings
from colab_rl.sweeps.folder import SweepFolder
from colab_rl.sweeps.plan import Plan
from colab_rl.sweeps.trials import RunRecord
from colab_rl.views.report.settings_table import command_of

SETTINGS = parse_settings(TINY)
ARGUMENTS = ["sweep", "walk", "--env", "CartPole-v1", "--vary", "learning_rate=3e-4,1e-3", "--set", *TINY,
             "--total-steps", "300"]


def begin(tmp_path, *arguments):
    """The command line in a process of its own."""
    env = {**os.environ, "COLAB_RL_ROOT": str(tmp_path / "runs"), "COLAB_RL_STORE": "none",
           "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen([sys.executable, "-m", "colab_rl", *arguments], env=env, cwd=tmp_path, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def children_of(pid):
    """Processes that a driver began; they lead sessions of their own."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def test_a_sweep_whose_driver_is_killed_goes_on_exactly_and_trains_no_run_twice(tmp_path):
    root = tmp_path / "runs"
    driver = begin(tmp_path, *ARGUMENTS)
    assert comes(lambda: len(list(root.glob("walk-t*/checkpoints/*.json"))) >= 3)
    processes = children_of(driver.pid)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert processes and comes(lambda: not any(Path(f"/proc/{one}").exists() for one in processes))
    began = {path.parent.name: json.loads(path.read_text())["run_id"] for path in root.glob("walk-t*/run.json")}

    done = begin(tmp_path, *ARGUMENTS)
    out, err = done.communicate(timeout=240)
    assert done.returncode == 0, err
    assert "walk: finished; trials: 2 finished" in out and "train NAME --from walk" in out
    found = {path.parent.name: json.loads(path.read_text())["run_id"] for path in root.glob("walk-t*/run.json")}
    assert sorted(found) == ["walk-t000-s0", "walk-t001-s0"] and began.items() <= found.items()
    for run, rate in (("walk-t000-s0", 3e-4), ("walk-t001-s0", 1e-3)):
        alone = train("alone-" + run, env="CartPole-v1", total_steps=300, settings={**SETTINGS, "learning_rate": rate},
                      root=tmp_path / "alone", store="none")
        assert status(run, root=root, store="none")[0].state_sha256 == alone.state_sha256

    # Given again it says so, and trains nothing. `--from` begins with the best settings, and continues with them.
    again = begin(tmp_path, "sweep", "walk", "--json")
    told = json.loads(again.communicate(timeout=60)[0])
    assert set(told) == {"sweep", "finished", "trials", "best_trial"} and told["finished"]
    assert set(told["trials"][0]) == {"trial", "settings", "state", "runs", "scores", "iqm", "low", "high"}
    best = told["trials"][told["best_trial"]]
    for _ in range(2):
        result = train("best", origin="walk", root=root, store="none")
    rate = json.loads((root / "best" / "run.json").read_text())["config"]["learning_rate"]
    assert rate == best["settings"]["learning_rate"]
    words = command_of(Places(root).require("best")).split()  # as its report has it
    again = train("again", env="CartPole-v1", settings=parse_settings(words[words.index("--set") + 1:]), root=root,
                  store="none", backend=words[words.index("--backend") + 1])
    assert again.state_sha256 == result.state_sha256 and "--from" not in words
    assert result.state_sha256 == status(best["runs"][0], root=root, store="none")[0].state_sha256
    stacked = {"wrappers": '["FrameStackObservation(stack_size=2)"]'}
    assert train("stacked", origin="walk", settings=stacked, root=root, store="none").finished
    with pytest.raises(UsageError, match="from is walk, not other"):
        train("best", origin="other", root=root, store="none")
    with pytest.raises(UsageError, match="trained on CartPole-v1, not Pendulum-v1"):
        train("best2", origin="walk", env="Pendulum-v1", root=root, store="none")


def test_a_store_that_goes_away_loses_nothing_and_gets_everything_later(tmp_path):
    """As when a mount is lost. The run that trains continues on this machine. The next one fails, and begins later."""
    store, away = tmp_path / "drive" / "colab_rl", tmp_path / "away"
    store.mkdir(parents=True)
    arguments = [*ARGUMENTS, "--store", str(store), "--workers", "1"]
    driver = begin(tmp_path, *arguments)
    assert comes(lambda: list(store.glob("walk-t000-s0/checkpoints/*.json")))
    store.parent.rename(away)
    store.parent.write_bytes(b"")  # where the mount was
    out, err = driver.communicate(timeout=240)
    assert driver.returncode == 1 and "Traceback" not in err and "the same command tries again" in err
    assert "trials: 1 finished, 1 failed" in out
    assert re.search(r"walk-t001-s0 failed: store .* not found .*; nothing was changed", err)

    store.parent.unlink()
    away.rename(store.parent)
    again = begin(tmp_path, *arguments)
    out, err = again.communicate(timeout=240)
    assert again.returncode == 0 and "trials: 2 finished" in out, err
    for run, rate in (("walk-t000-s0", 3e-4), ("walk-t001-s0", 1e-3)):
        alone = train("alone-" + run, env="CartPole-v1", total_steps=300, settings={**SETTINGS, "learning_rate": rate},
                      root=tmp_path / "alone", store="none")
        found = status(run, root=tmp_path / "elsewhere", store=store)[0]
        assert found.finished and found.state_sha256 == alone.state_sha256
    journals = [(place / "sweeps/walk/journal.jsonl").read_bytes() for place in (tmp_path / "runs", store)]
    assert journals[0] == journals[1]


def test_functions_work_ctrl_c_saves_and_more_seeds_extend(tmp_path, monkeypatch):
    class Stops:
        """Sends Ctrl-C when the first run has taken a step."""

        sent = False

        def show(self, picture):
            if not self.sent and any(live.step for live in picture.live):
                self.sent = True
                os.kill(os.getpid(), signal.SIGINT)

        def ended(self, trial, record):
            pass

        def close(self):
            pass

    def short():
        return gymnasium.make("CartPole-v1", max_episode_steps=50)

    options = {"env": short, "settings": {**SETTINGS, "total_steps": 4000}, "root": tmp_path / "runs", "store": "none",
               "workers": 1}  # so many that the first is seen on its way
    stopped = sweep("own", watcher=Stops(), **options)
    assert stopped.signal_number == signal.SIGINT and not stopped.finished
    assert list((tmp_path / "runs" / "own-t000-s0" / "checkpoints").glob("*.json"))
    with pytest.raises(UsageError, match=r"trains on .*short, a function: give it from Python"):
        sweep("own", **{**options, "env": None})
    result = sweep("own", **options, seeds="0-1")
    assert result.finished and result.trials[0].runs == ["own-t000-s0", "own-t000-s1"]
    assert all(0 < score <= 50 for score in result.trials[0].scores)
    assert result.to_json() == sweep("own", **options).to_json()


def test_keyword_arguments_travel_and_wrappers_may_vary(tmp_path):
    places = {"root": tmp_path, "store": "none"}
    vary = {"wrappers": [["FrameStackObservation(stack_size=2)"], ["TimeLimit(max_episode_steps=20)"]]}
    options = {"env": "CartPole-v1", "env_kwargs": {"sutton_barto_reward": True}, "vary": vary,
               "settings": {**SETTINGS, "total_steps": 128}}
    assert sweep("kept", **options, **places).finished
    kept = [json.loads((tmp_path / run / "run.json").read_text()) for run in ("kept-t000-s0", "kept-t001-s0")]
    assert [one["env_kwargs"] for one in kept] == [{"sutton_barto_reward": True}] * 2
    assert [one["config"]["wrappers"] for one in kept] == vary["wrappers"]
    train("best", origin="kept", **places)
    assert json.loads((tmp_path / "best" / "run.json").read_text())["env_kwargs"] == {"sutton_barto_reward": True}
    with pytest.raises(UsageError, match=r"env_kwargs is sutton_barto_reward=True, not nothing"):
        sweep("kept", **{**options, "env_kwargs": {}}, **places)


@pytest.mark.parametrize("arguments, said", [
    (["--vary", "learning_rat=1,2"], "unknown setting 'learning_rat' of ppo; did you mean 'learning_rate'"),
    (["--vary", "learning_rate=0.1,2"], "learning_rate = 2.0 is out of range"),
    (["--vary", "num_envs=1,8", "num_steps=4,8"], "trial 0: num_envs .* num_steps = 4"),
    (["--search", "gamma=0.9:2"], "gamma = 2.0 is out of range"),
    (["--search", "num_envs=1.5:3"], "num_envs takes a whole number, not 1.5"),
    (["--search", "activation=1:3"], "activation"),
    (["--search", "network=1:2"], "search cannot take network from a range: give it values, network=v1,v2"),
    (["--total-steps", "1e308", "--seeds", "0-9999", "--vary", "gamma=0.9,0.99"],
     "20,000 runs of .* steps, about .*; nothing was started; give --yes"),
    (["--algo", "ppo", "sac", "--env", "CartPole-v1"], "trial 1: sac learns continuous actions"),
    (["--algo", "ppo", "ppo"], "different algorithms"),
    (["--algo", "pop"], "unknown algorithm 'pop'; did you mean 'ppo'"),
    (["--env", "Nope-v1"], "unknown environment 'Nope-v1'"),
    (["--env-set", "gravity=1"], "CartPole-v1 takes no keyword argument 'gravity'"),
    (["--vary", "wrappers=FrameStackObservation(stack_size=2),Nothing"], "Nothing"),
    (["--set", "seed=3"], "seeds have an option of their own"),
    (["--set", "gamma=0.9", "--vary", "gamma=0.9,0.99"], "gamma is given twice"),
    (["--vary", "gamma=0.9,0.99", "--search", "num_envs=1,2"], "a grid .* or a search"),
    (["--vary", "gamma=0.9,0.99", "--trials", "4"], "trials is of a search"),
    (["--seeds", "4-1"], "seeds are numbers and ranges"),
    (["--workers", "0"], "workers is between"),
    (["--on", "mars"], "on takes local, ray or ray:ADDRESS"),
    (["--seeds", "0-999", "--vary", "gamma=" + ",".join(str(i / 1000) for i in range(1000))],
     r"1,000,000 runs of 150,000 steps, about .*nothing was started; give --yes"),
])
def test_wrong_input_is_one_line_before_anything_starts(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.setattr(command, "MEASURED", 0.01)
    if "--search" in arguments and "--vary" not in arguments:
        pytest.importorskip("optuna", reason="searches need the package optuna")
    env = [] if "--env" in arguments else ["--env", "CartPole-v1"]
    code = main(["sweep", "walk", *env, *arguments, "--root", str(tmp_path), "--store", "none"])
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == 2
    assert re.search(said, error), error
    assert not list(tmp_path.iterdir())


def test_as_many_trials_are_under_way_as_the_runner_has_room_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "MEASURED", 0.01)
    runner = FormulaRunner(lambda settings, share: share * settings["gamma"], slots=24)
    monkeypatch.setattr(command, "_runner_of", lambda *options: lambda: runner)
    result = sweep("walk", env="CartPole-v1", vary={"gamma": [i / 100 for i in range(20)]}, seeds="0-2", prune=True,
                   root=tmp_path, store="none")
    plan = json.loads((tmp_path / "sweeps/walk/plan.json").read_text())
    assert (plan["at_once"], plan["judges"]) == (8, 3) and result.finished
    assert ", 24 at a time, at the" in capsys.readouterr().err


def test_as_many_runs_as_there_are_share_the_time(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "_speed", lambda *_: 1000.0)  # steps/s
    monkeypatch.setattr(command, "_runner_of", lambda *options: lambda: FormulaRunner(lambda settings, share: share))
    for name, seeds, said in (("one", "0", "1 run of 120,000 steps, about 2 min, 1 at a time"),
                              ("three", "0-2", "3 runs of 120,000 steps, about 4 min, 2 at a time")):
        sweep(name, env="CartPole-v1", seeds=seeds, total_steps=120_000, root=tmp_path, store="none")
        assert said in capsys.readouterr().err


def test_a_finished_sweep_needs_no_environment_and_no_optuna(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "MEASURED", 0.01)
    monkeypatch.setattr(command, "_runner_of", lambda *options: lambda: FormulaRunner(lambda settings, share: share))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_env_of_sweep.py").write_text("import gymnasium\ndef make():\n"
                                                  "    return gymnasium.make('CartPole-v1')\n")
    places = {"root": tmp_path / "runs", "store": "none"}
    begun = {"env": "own_env_of_sweep:make", "settings": {"num_envs": 4, "total_steps": 500}}
    done = sweep("own", **begun, **places)
    for run in done.trials[0].runs:
        (tmp_path / "runs" / run).mkdir()
    assert sweep("own", **places).to_json() == sweep("own", env=begun["env"], total_steps=500, **places).to_json()
    assert done.best_command == (f"python -m colab_rl train NAME --from own --env own_env_of_sweep:make --root "
                                 f"{tmp_path / 'runs'} --store none begins a run with its settings")
    with pytest.raises(UsageError, match=r"a function: give it with --env own_env_of_sweep:make, or from Python with"):
        sweep("own", seeds="0-1", **places)

    plan = Plan(sweep="find", env_id="CartPole-v1", env_is_function=False, algorithms=("ppo",), trials=1, seeds=(0,),
                space={"gamma": [0.9, 0.99]})
    folder = SweepFolder(Places(**places), "find")
    folder.begin_journal([{"trial": 0, "settings": {"gamma": 0.9}},
                          RunRecord(run="find-t000-s0", state="finished", score=1.0).to_line()])
    folder.write_plan(plan)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match="needs the package optuna"):
        sweep("find", **places)
    (tmp_path / "runs" / "find-t000-s0").mkdir()
    assert sweep("find", **places).finished


def test_a_sweep_without_a_finished_trial_has_no_best_settings(tmp_path):
    folder = SweepFolder(Places(tmp_path, "none"), "find")
    folder.begin_journal([])
    folder.write_plan(Plan(sweep="find", env_id="CartPole-v1", env_is_function=False, algorithms=("ppo",), trials=1,
                           seeds=(0,)))
    with pytest.raises(UsageError, match=rf"no trial of sweep find has finished; nothing was started; train it first: "
                                         rf"python -m colab_rl sweep find --root {tmp_path} --store none"):
        train("new", origin="find", root=tmp_path, store="none")


def test_names_that_are_taken_are_refused_before_the_speed_is_measured(tmp_path, capsys):
    places = {"root": tmp_path, "store": "none"}
    train("walk-t000-s0", env="CartPole-v1", total_steps=64, settings=SETTINGS, **places)
    with pytest.raises(UsageError, match="a run walk-t000-s0 is there and is not of this sweep"):
        sweep("walk", env="CartPole-v1", **places)
    with pytest.raises(UsageError, match="a run is called walk-t000-s0"):
        sweep("walk-t000-s0", env="CartPole-v1", **places)
    assert "steps/s that this machine trains" not in capsys.readouterr().err
    assert not (tmp_path / "sweeps").exists()


def test_without_the_packages_it_says_which(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"--search needs the package optuna.*pip install"):
        sweep("walk", env="CartPole-v1", search={"gamma": (0.9, 0.99)}, root=tmp_path, store="none")
    with pytest.raises(UsageError, match=r"--on ray needs the package ray.*pip install"):
        sweep("walk", env="CartPole-v1", on="ray", root=tmp_path, store="none")
    with pytest.raises(UsageError, match="no run 'nothing'"):
        train("new", origin="nothing", root=tmp_path, store="none")
