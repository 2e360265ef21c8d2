"""A store that is slow or away is waited for as little as it can be."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import LONG, TINY, comes
from stored_runs import session

from colab_rl import train
from colab_rl.checkpoints.layout import manifest_generation
from colab_rl.progress import Watcher
from colab_rl.settings import parse_settings
from colab_rl.training.metrics import Row, from_csv

pytestmark = pytest.mark.usefixtures("short_pauses")


def test_a_store_that_is_too_slow_is_waited_for_once_and_not_at_every_checkpoint(tmp_path, drive, monkeypatch, capfd):
    monkeypatch.setattr("colab_rl.checkpoints.pace.LONGEST_WAIT", 1.5)
    monkeypatch.setattr("colab_rl.checkpoints.pace.UNSAID_WAIT", 0.5)
    monkeypatch.setattr("colab_rl.runs.push.LAST_WAIT", 1.0)
    drive.open()
    drive.latency = 1.0
    began = time.monotonic()
    result = session(tmp_path, "drive:colab_rl")
    assert result.finished and result.pending > 5 and result.store_error is None
    tables = [from_csv(path.read_bytes()) for path in (tmp_path / "cart" / "metrics").glob("*.csv")]
    waits = [row["time/checkpoint"] for table in tables for row in table if row.get("time/checkpoint", 0) >= 1.5]
    assert len(waits) == 1, (waits, time.monotonic() - began)
    shown = capfd.readouterr().err
    assert shown.count("at most: it takes longer for a checkpoint") == 1 and "pending" in shown


class Pace(Watcher):
    """After every iteration, calls `each` with the newest generation and the state of its copies."""

    def __init__(self, each: Callable[[int, str], None]):
        self.each = each

    def goal(self, total_steps: int) -> None:
        pass

    def past(self, row: Row) -> None:
        pass

    def row(self, row: Row, where: str) -> None:
        found = re.match(r"checkpoint (\d+): (.*)", where)
        assert found
        self.each(int(found[1]), found[2])


@pytest.mark.parametrize("how", ["stopped", "finished"])
def test_the_last_checkpoint_of_a_session_is_queued_at_once(tmp_path, monkeypatch, how):
    """However the store does: a machine that is taken away gives a few seconds."""
    monkeypatch.setattr("colab_rl.checkpoints.pace.LONGEST_WAIT", 20.0)
    monkeypatch.setattr("colab_rl.runs.push.FAILING_WAIT", 0.0)
    store, asked = tmp_path / "store", []
    store.mkdir()

    def pace(generation: int, where: str) -> None:
        if generation == 1 and "pending" not in where and "local" not in where and store.exists():
            store.rename(tmp_path / "away")  # generation 2 waits for nothing, and stays pending; generation 3 waits
        elif generation == 1 and store.exists():
            time.sleep(0.05)
        elif generation == 2 and how == "stopped" and not asked:
            asked.append(threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)))
            asked[0].start()

    began = time.monotonic()
    steps = 900 if how == "finished" else 1500  # some 60 each iteration
    result = train("cart", env="CartPole-v1", backend="gymnasium", total_steps=steps, root=tmp_path / "root",
                   store=str(store), watcher=Pace(pace),
                   settings={**parse_settings(TINY), **parse_settings(["checkpoint_every=8", "eval_every=100"])})
    assert not store.exists() and time.monotonic() - began < 15.0
    assert result.signal_number == (signal.SIGTERM if how == "stopped" else None)
    assert (result.generation, result.pending) == (3, 2)


def test_training_waits_for_the_store_at_regular_checkpoints_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("colab_rl.checkpoints.pace.LONGEST_WAIT", 1.5)
    monkeypatch.setattr("colab_rl.runs.push.FAILING_WAIT", 0.0)
    store = tmp_path / "store"
    store.mkdir()

    def pace(generation: int, where: str) -> None:
        if store.exists():  # after the first iteration
            assert comes(lambda: list(store.glob("cart/checkpoints/*.json")))
            store.rename(tmp_path / "away")

    train("cart", env="CartPole-v1", backend="gymnasium", total_steps=500, root=tmp_path / "root", store=str(store),
          watcher=Pace(pace),
          settings={**parse_settings(TINY), **parse_settings(["checkpoint_every=2", "eval_every=3"])})
    rows = {row["iteration"]: row for path in (tmp_path / "root").glob("cart/metrics/*.csv")
            for row in from_csv(path.read_bytes())}
    assert "evaluation/score" in rows[3]  # the first one is the best so far, and a checkpoint
    # Regular ones are the second, which has none before it, and the fourth; a row tells of those before it.
    assert [number for number in range(1, 7) if rows[number]["time/checkpoint"] >= 1.5] == [5]


def test_a_machine_that_dies_while_the_store_is_away_for_a_moment_would_lose_little(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("colab_rl.checkpoints.pace.LONGEST_WAIT", LONG)
    monkeypatch.setattr("colab_rl.checkpoints.pace.UNSAID_WAIT", 0.1)
    disk, away, results = tmp_path / "disk", tmp_path / "away", []
    (disk / "store").mkdir(parents=True)

    def newest(folder: Path) -> int:
        names = (f"checkpoints/{path.name}" for path in folder.glob("cart/checkpoints/*.json"))
        return max((manifest_generation(name) or 0 for name in names), default=0)

    thread = threading.Thread(
        target=lambda: results.append(session(tmp_path / "root", str(disk / "store"), steps=1000)))
    thread.start()
    deadline = time.monotonic() + LONG
    while newest(disk / "store") < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    disk.rename(away)
    shown = ""
    while "waiting for the store, 60 s at most" not in shown and time.monotonic() < deadline:
        shown += capfd.readouterr().err
        time.sleep(0.01)
    assert "disk/store no longer exists" in shown
    time.sleep(1.5)  # training waits
    assert newest(away / "store") < newest(tmp_path / "root") <= newest(away / "store") + 2
    away.rename(disk)
    thread.join(LONG)
    assert results[0].finished and results[0].pending == 0
    rows = [row for path in (tmp_path / "root").glob("cart/metrics/*.csv") for row in from_csv(path.read_bytes())]
    assert max(row.get("time/checkpoint", 0) for row in rows) >= 1.5
