"""Runs that an earlier version wrote are read, and end in the state that it would have reached."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from colab_rl import evaluate, record, train, verify
from colab_rl.sealed import checksum
from colab_rl.training.code.proven import PROVEN

OLD = Path(__file__).parents[1] / "data" / "runs-0.1.0"
EXPECTED = json.loads((OLD / "expected.json").read_text())


@pytest.fixture(params=sorted(EXPECTED))
def old_run(request, tmp_path):
    """A copy of an old run; its name."""
    if "envpool" in request.param and importlib.util.find_spec("envpool") is None:
        pytest.skip("EnvPool is not installed")
    shutil.copytree(OLD / request.param, tmp_path / request.param)
    return request.param


def test_it_is_whole_scored_and_recorded(old_run, tmp_path):
    assert verify(old_run, root=tmp_path, store="none")["bad"] == []
    result = evaluate(old_run, episodes=2, root=tmp_path, store="none")
    assert record(old_run, seed=1, root=tmp_path, store="none").total_return == result.returns[1]


def test_it_ends_where_the_version_that_began_it_would_have(old_run, tmp_path):
    """To the last bit on a machine like that one; elsewhere it says why not."""
    result = train(old_run, total_steps=1024, root=tmp_path, store="none")
    newest = json.loads(max((tmp_path / old_run / "checkpoints").glob("*.json")).read_text())
    assert result.finished and newest["exact"] is not bool(newest["inexact"])
    # An edit of the code is no excuse, unless proven.py (by tools/proven.py) says that its arithmetic is another.
    other_machine = [reason for reason in newest["inexact"] if not reason.startswith(("code", "colab_rl "))]
    algorithm, backend, _ = old_run.split("-")
    if not other_machine and f"{algorithm} {backend}" in PROVEN:
        assert result.state_sha256 == EXPECTED[old_run]


def test_one_with_a_target_is_told_that_the_rule_that_stops_it_is_another(tmp_path):
    old = "ppo-gymnasium-cartpole"
    shutil.copytree(OLD / old, tmp_path / old)
    identity = json.loads((tmp_path / old / "run.json").read_text())
    del identity["identity_sha256"]
    identity["config"]["target_score"] = 1e6
    (tmp_path / old / "run.json").write_text(json.dumps({**identity, "identity_sha256": checksum(identity)}))
    result = train(old, total_steps=1024, root=tmp_path, store="none")
    newest = json.loads(max((tmp_path / old / "checkpoints").glob("*.json")).read_text())
    assert result.finished and newest["exact"] is False
    assert "the rule that stops at target_score changed" in newest["inexact"]
