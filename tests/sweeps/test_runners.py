"""What every runner does, with real processes: runs are trained, stopped, killed and continued, and end exactly."""

import os
import signal
import time
from pathlib import Path

import gymnasium
import pytest
from helpers import TINY, comes

from colab_rl import status, train
from colab_rl.environments.likeness import packed
from colab_rl.settings import parse_settings
from colab_rl.sweeps.runners import Ended, Progress, Runner, Task
from colab_rl.sweeps.runners.local import LocalRunner
from colab_rl.sweeps.runners.process import _train

SETTINGS = parse_settings(TINY)
STEPS, LONG_STEPS = 300, 1_000_000


@pytest.fixture(params=["local", "ray"])
def runner(request, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    if request.param == "ray":
        pytest.importorskip("ray", reason="a Ray cluster needs the package ray")
        from colab_rl.sweeps.runners.ray import RayRunner

        runner: Runner = RayRunner("", 2, tmp_path / "logs")
    else:
        runner = LocalRunner(2, tmp_path / "logs")
    yield runner
    runner.close()


def task_of(tmp_path, run="walk-t000-s0", steps=STEPS, env="CartPole-v1", **settings):
    options = {"algo": "ppo", "backend": "auto", "root": str(tmp_path / "runs"), "store": "none",
               "settings": {**SETTINGS, "total_steps": steps, **settings}}
    return Task(run, options, packed((env, [], [])))


def until(runner, wanted):
    """All events up to one that is wanted, the last one."""
    found, deadline = [], time.monotonic() + 120
    while not (found and wanted(found[-1])):
        assert time.monotonic() < deadline, found
        for event in runner.events(0.5):
            found.append(event)
            if wanted(event):
                break
    return found


def has_ended(event):
    return isinstance(event, Ended)


def process_of(tmp_path, run):
    """The process that trains a run: it holds its lock."""
    path = tmp_path / "runs" / run / ".lock"
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                if any(os.readlink(one) == str(path) for one in (folder / "fd").iterdir()):
                    return int(folder.name)
            except OSError:
                continue
    return None


def test_a_run_ends_as_train_ends_it_after_its_process_was_killed_and_after_a_stop(runner, tmp_path):
    alone = train("walk-t000-s0", env="CartPole-v1", settings={**SETTINGS, "total_steps": STEPS},
                  root=tmp_path / "alone", store="none")
    runner.submit(task_of(tmp_path))
    assert isinstance(until(runner, lambda event: isinstance(event, Progress))[0], Progress)
    os.kill(process_of(tmp_path, "walk-t000-s0"), signal.SIGKILL)
    died = until(runner, has_ended)[-1]
    assert (died.run, died.kind, died.reason) == ("walk-t000-s0", "died", "killed by signal 9")

    runner.submit(task_of(tmp_path))
    until(runner, lambda event: isinstance(event, Progress))
    runner.stop("walk-t000-s0")
    assert until(runner, has_ended)[-1].kind in ("stopped", "finished")  # the run is short

    runner.submit(task_of(tmp_path))
    events = until(runner, has_ended)
    assert events[-1].kind == "finished"
    assert events[-1].facts["state_sha256"] == alone.state_sha256
    scores = [event.row for event in events if isinstance(event, Progress) and "evaluation/score" in event.row]
    assert [row["iteration"] for row in scores] == sorted({row["iteration"] for row in scores})
    assert events[-1].facts["score"] == alone.confirmed.mean and scores[-1]["step"] == alone.step


def test_what_goes_wrong_is_told_in_a_line_and_two_runs_go_side_by_side(runner, tmp_path):
    def broken():
        raise ValueError("no such robot")

    runner.submit(task_of(tmp_path, "walk-t000-s0", env=broken))
    runner.submit(task_of(tmp_path, "walk-t001-s0", steps=200, env=lambda: gymnasium.make("CartPole-v1")))
    ends = {event.run: event for event in until(runner, has_ended) + until(runner, has_ended) if has_ended(event)}
    assert ends["walk-t000-s0"].kind == "refused" and "no such robot" in ends["walk-t000-s0"].reason
    assert ends["walk-t001-s0"].kind == "finished"


def test_without_score_episodes_a_run_has_the_score_that_status_prints_and_rows_say_when_they_were_trained(tmp_path):
    class Told(list):
        send = list.append

    task = task_of(tmp_path, num_envs=1, score_episodes=0, eval_every=1)
    ended = _train(task, told := Told())
    (found,) = status("walk-t000-s0", root=tmp_path / "runs", store="none")
    assert ended.kind == "finished" and ended.facts["score"] == found.best_score is not None
    assert told and not any(event.earlier for event in told)
    again = Told()
    assert _train(task, again) == ended
    assert [event.row for event in again] == [event.row for event in told if "evaluation/score" in event.row]
    assert all(event.earlier for event in again)


def test_a_run_leaves_when_its_runner_closes(runner, tmp_path):
    runner.submit(task_of(tmp_path, steps=LONG_STEPS))
    until(runner, lambda event: isinstance(event, Progress))
    assert process_of(tmp_path, "walk-t000-s0")
    runner.close()
    assert comes(lambda: process_of(tmp_path, "walk-t000-s0") is None)
