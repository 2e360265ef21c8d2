"""A sweep on a Ray cluster of several nodes on this machine: a node is lost, a driver is killed, or none is there."""

import json
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from helpers import TINY

from colab_rl import UsageError, status, sweep, train
from colab_rl.settings import parse_settings

ray = pytest.importorskip("ray", reason="a Ray cluster needs the package ray")
from colab_rl.sweeps.runners.ray import RayRunner  # noqa: E402  it needs Ray

SETTINGS = {**parse_settings(TINY), "total_steps": 3000}


@pytest.fixture
def cluster(monkeypatch):
    """A head without CPUs, and two nodes with one each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    cluster.nodes = [cluster.add_node(num_cpus=1, include_dashboard=False) for _ in range(2)]
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def arguments(tmp_path, address):
    return ["sweep", "walk", "--env", "CartPole-v1", "--seeds", "0-2", "--on", f"ray:{address}", "--set", *TINY,
            "--total-steps", "3000", "--root", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]


def checkpoints(tmp_path):
    return len(list((tmp_path / "store").glob("walk-t*/checkpoints/*.json")))


def comes(condition, driver):
    """Whether it holds before a driver ends; Ray begins slowly."""
    while driver.poll() is None:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_a_lost_node_and_a_killed_driver_change_nothing_in_the_end(cluster, tmp_path):
    (tmp_path / "store").mkdir()
    command = [sys.executable, "-m", "colab_rl", *arguments(tmp_path, cluster.address)]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert comes(lambda: checkpoints(tmp_path) >= 4, driver)
    driver.send_signal(signal.SIGKILL)
    driver.wait()

    driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    before = checkpoints(tmp_path)
    assert comes(lambda: checkpoints(tmp_path) > before, driver)
    cluster.remove_node(cluster.nodes[0], allow_graceful=False)
    out, err = driver.communicate(timeout=240)
    assert driver.returncode == 0, err
    assert "1 finished" in out and "2 at a time on Ray, 3 nodes" in err
    lines = [json.loads(line) for line in (tmp_path / "runs/sweeps/walk/journal.jsonl").read_text().splitlines()]
    assert sorted(line["run"] for line in lines) == [f"walk-t000-s{seed}" for seed in range(3)]
    alone = train("alone", env="CartPole-v1", settings=SETTINGS, seed=1, root=tmp_path / "alone", store="none")
    found = status("walk-t000-s1", root=tmp_path / "runs", store=tmp_path / "store")[0]
    assert found.state_sha256 == alone.state_sha256 and found.exact


def test_a_node_with_other_versions_is_named(cluster, tmp_path):
    """Its Python finds another version of numpy first, as far as the package's record says."""
    record = tmp_path / "site" / "numpy-0.0.1.dist-info" / "METADATA"
    record.parent.mkdir(parents=True)
    record.write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.0.1\n")
    paths = f"{record.parents[1]}:{Path(__file__).parents[2]}"
    cluster.add_node(num_cpus=1, include_dashboard=False, env_vars={"PYTHONPATH": paths})
    runner = RayRunner(cluster.address, None, tmp_path / "logs")
    try:
        [note] = runner.notes()
    finally:
        runner.close()
    assert re.fullmatch(rf"node \S+ differs \(numpy {re.escape(version('numpy'))} -> 0.0.1\): a run that moves there "
                        "continues, and is not bit-exact", note)


def test_a_cluster_that_is_not_there_and_one_without_a_store_are_refused(tmp_path):
    places = {"env": "CartPole-v1", "settings": SETTINGS, "root": tmp_path / "runs"}
    with pytest.raises(UsageError, match="share runs through a store"):
        sweep("walk", on="ray:127.0.0.1:6399", store="none", **places)
    (tmp_path / "store").mkdir()
    with pytest.raises(UsageError, match=r"no Ray cluster answers at 127.0.0.1:6399 .*nothing was started"):
        sweep("walk", on="ray:127.0.0.1:6399", store=tmp_path / "store", **places)
