"""A run says `exact: false`, and why, if the code that trains it is another than before."""

from __future__ import annotations

import ast
import json
import os
import py_compile
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import gymnasium
import pytest
import torch
from helpers import TINY

import colab_rl
from colab_rl import status, train
from colab_rl.algorithms.ppo.ppo import PPO
from colab_rl.algorithms.registry import ALGORITHMS
from colab_rl.settings import parse_settings
from colab_rl.training.code import code_of, differences, own_code
from colab_rl.training.code.proven import PROVEN

pytestmark = pytest.mark.usefixtures("one_core")
cloudpickle.register_pickle_by_value(sys.modules[__name__])

SETTINGS = parse_settings(TINY)
OLD = Path(__file__).parents[2] / "data" / "runs-0.1.0"
Edit = Callable[[Path], None]


def manifest(root: Path, run: str = "walker") -> dict[str, Any]:
    return json.loads(max((root / run / "checkpoints").glob("*.json")).read_text())


@pytest.fixture(scope="module")
def begun(one_core: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a run that the code of now has begun."""
    root = tmp_path_factory.mktemp("begun")
    train("walker", env="CartPole-v1", backend="gymnasium", total_steps=200, settings=SETTINGS, root=root, store="none")
    return root


def go_on_with(edit: Edit, begun: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """The run continues with an edited copy of the package, in a process of its own."""
    shutil.copytree(begun / "walker", folder / "runs" / "walker")
    package = folder / "copy" / "colab_rl"
    shutil.copytree(colab_rl.__path__[0], package, ignore=shutil.ignore_patterns("example-walker"))
    edit(package)
    env = {**os.environ, "PYTHONPATH": str(package.parent), "COLAB_RL_STORE": "none"}
    done = subprocess.run([sys.executable, "-m", "colab_rl", "train", "walker", "--total-steps", "300"], env=env,
                          cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    return done


def replaced(folder: Path, before: str, after: str) -> None:
    """Replaces a text in the one file of a folder that has it."""
    [path] = [path for path in folder.rglob("*.py") if before in path.read_text()]
    path.write_text(path.read_text().replace(before, after))


def test_an_edited_loss_is_said(begun, tmp_path):
    def edit(package: Path) -> None:
        replaced(package / "algorithms" / "ppo", "(values - batch.targets).square()", "(values - batch.targets).abs()")

    done = go_on_with(edit, begun, tmp_path)
    assert "not bit-exact: code of algorithms/ppo changed" in done.stderr
    newest = manifest(tmp_path / "runs")
    assert (newest["exact"], newest["inexact"]) == (False, ["code of algorithms/ppo changed"])
    assert status("walker", root=tmp_path / "runs", store="none")[0]["exact"] is False


def rewritten(source: str) -> str:
    """The same code in another format, without comments, with other docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            node.body[0] = ast.Expr(ast.Constant("Words."))
    return ast.unparse(tree)


def test_what_changes_no_number_of_the_run_is_not_said(begun, tmp_path):
    def edit(package: Path) -> None:
        for path in package.rglob("*.py"):
            path.write_text(rewritten(path.read_text()).replace("algorithms.normalization", "algorithms.normalizing"))
        algorithms = package / "algorithms"
        (algorithms / "normalization.py").rename(algorithms / "normalizing.py")
        before, function = (algorithms / "rollout.py").read_text().split("def generalized_advantages")
        (algorithms / "rollout.py").write_text(before)
        (package / "networks" / "gae.py").write_text(f"import numpy as np\n\ndef generalized_advantages{function}")
        replaced(algorithms, ", generalized_advantages", "\nfrom colab_rl.networks.gae import generalized_advantages")
        replaced(algorithms / "sac", "class SAC(", "OTHER = 1\n\n\nclass SAC(")
        (algorithms / "ppo" / "unused.py").write_text("OTHER = 1\n")

    go_on_with(edit, begun, tmp_path)
    newest, versions = manifest(tmp_path / "runs"), manifest(begun)["versions"]
    assert (newest["exact"], newest["inexact"]) == (True, [])
    assert newest["versions"]["code of algorithms"] != versions["code of algorithms"]  # what was moved from there
    assert newest["versions"]["code"] == versions["code"]
    shutil.copytree(begun / "walker", tmp_path / "walker")
    assert newest["state_sha256"] == train("walker", total_steps=300, root=tmp_path, store="none").state_sha256


def test_code_that_cannot_be_read_is_said(begun, tmp_path):
    def edit(package: Path) -> None:
        source = package / "settings.py"
        py_compile.compile(str(source), str(package / "settings.pyc"))
        source.unlink()

    go_on_with(edit, begun, tmp_path)
    newest = manifest(tmp_path / "runs")
    assert (newest["exact"], newest["inexact"]) == (False, ["code unknown"])


def test_another_version_of_colab_rl_is_said(begun, tmp_path, monkeypatch):
    shutil.copytree(begun / "walker", tmp_path / "walker")
    monkeypatch.setattr("colab_rl.machine.__version__", "9.0")
    train("walker", total_steps=300, root=tmp_path, store="none")
    assert manifest(tmp_path)["inexact"] == [f"colab_rl {colab_rl.__version__} -> 9.0"]


# ---- a user's own environment --------------------------------------------------------------------------------------


CELL = """
    import gymnasium

    LENGTH = 30

    class Short(gymnasium.Wrapper):
        made = 0

        def __init__(self, env):
            super().__init__(env)
            Short.made += 1

        def step(self, action):
            observation, reward, terminated, truncated, info = self.env.step(action)
            return observation, 0.5 * reward, terminated, truncated, info

    def make():
        return Short(gymnasium.make("CartPole-v1", max_episode_steps=LENGTH))
    """


def make_of(cell: str) -> Callable[[], gymnasium.Env]:
    """The function that a cell defines, run in a fresh kernel."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(textwrap.dedent(cell), "<cell>", "exec"), namespace)
    return namespace["make"]


@pytest.mark.parametrize(("before", "after", "reasons"), [
    ("LENGTH = 30", "# steps\n\n    LENGTH = 30", []),
    ("0.5 * reward", "0.6 * reward", ["code of the environment changed"]),
], ids=["a comment", "a method"])
def test_an_environment_of_a_cell_is_compared(tmp_path, before, after, reasons):
    places = {"root": tmp_path, "store": "none"}
    train("walker", env=make_of(CELL), total_steps=200, settings=SETTINGS, **places)
    identity = json.loads((tmp_path / "walker" / "run.json").read_text())
    assert identity["env_id"] == "custom:make"
    assert identity["versions"]["code of the environment"] == manifest(tmp_path)["versions"]["code of the environment"]
    train("walker", env=make_of(CELL.replace(before, after)), total_steps=300, **places)
    assert (manifest(tmp_path)["exact"], manifest(tmp_path)["inexact"]) == (not reasons, reasons)
    if not reasons:  # what is begun with other code is exact from there
        train("branch", origin="walker", env=make_of(CELL.replace("0.5 *", "0.6 *")), total_steps=400, **places)
        assert manifest(tmp_path, "branch")["exact"]


def test_the_module_of_an_environment_is_compared(tmp_path, monkeypatch):
    def code(walker: str, physics: str) -> str:
        (tmp_path / "own_walker.py").write_text(walker)
        (tmp_path / "own_physics.py").write_text(physics)
        hashes = code_of(ALGORITHMS["ppo"], "gymnasium", environment=own_code("own_walker:Own-v0"))
        return hashes["code of the environment"]

    walker, physics = "from own_physics import step\n\nSPEED = 1\n", "def step(x):\n    return x + 1\n"
    monkeypatch.syspath_prepend(tmp_path)
    first = code(walker, physics)
    assert code(walker.replace("1", "2"), physics) != first
    assert code(walker, physics.replace("1", "2")) != first
    assert code(walker.replace("= 1", "=  1  # m/s"), physics) == first


def test_the_file_of_an_environment_that_is_registered_by_its_place_is_compared(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(gymnasium.registry, "Placed-v0", gymnasium.envs.registration.EnvSpec(
        "Placed-v0", entry_point="own_placed:Own"))
    (tmp_path / "own_placed.py").write_text("SPEED = 1\n")
    assert "code of the environment" in code_of(ALGORITHMS["ppo"], "gymnasium", environment=own_code("Placed-v0"))


def test_an_environment_of_a_package_has_no_code_of_a_users(begun):
    assert not [name for name in manifest(begun)["versions"] if name.startswith("code of the ")]


def test_what_a_users_code_calls_of_ours_is_compared():
    make = make_of("from colab_rl.algorithms.sac.loss import critic_loss\ndef make():\n    return critic_loss")
    assert "code of algorithms/sac" in code_of(PPO, "gymnasium", environment=own_code(make))
    assert "code of algorithms/sac" not in code_of(PPO, "gymnasium")


def test_an_algorithm_and_a_network_of_a_users_are_compared(tmp_path):
    def go(weight: float, width: int) -> list[str]:
        class Mine(PPO):
            name = "mine"

            def value_loss(self, values, batch):
                loss, metrics = super().value_loss(values, batch)
                return weight * loss, metrics

        def narrow(observation, outputs):
            return torch.nn.Sequential(torch.nn.Linear(*observation.shape, width), torch.nn.Linear(width, outputs))

        train("walker", env="CartPole-v1", algo=Mine, settings={**SETTINGS, "network": narrow}, total_steps=steps.pop(),
              backend="gymnasium", root=tmp_path, store="none")
        return manifest(tmp_path)["inexact"]

    steps = [400, 300, 200]
    assert go(1.0, 4) == []
    versions = manifest(tmp_path)["versions"]
    assert {"code of the algorithm", "code of the network", "code of algorithms/ppo"} <= versions.keys()
    assert "code of algorithms/sac" not in versions
    assert go(2.0, 4) == ["code of the algorithm changed"]
    assert "code of the network changed" in differences(versions, {**versions, "code of the network": "0"}, "")


def test_an_environment_that_cannot_be_read_is_said_and_trained():
    class Deep:
        def __init__(self) -> None:
            self.values: list = []
            for _ in range(100_000):
                self.values = [self.values]

    deep = Deep()
    code = code_of(ALGORITHMS["ppo"], "gymnasium", environment=own_code(lambda: deep))
    assert code["code of the environment"] == "unknown"
    assert differences(code, code, "") == ["code of the environment unknown"]


# ---- runs of 0.1.0 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", PROVEN)
def test_the_code_of_now_is_that_which_was_tried_on_runs_of_0_1_0(run):
    algorithm, backend = run.split()
    assert code_of(ALGORITHMS[algorithm], backend) == PROVEN[run], (
        f"the code that trains {run} has changed. If `pytest tests/training/test_old_runs.py` still passes, its "
        "arithmetic is that of 0.1.0: write the new hashes with `python tools/proven.py`")


def test_a_users_environment_of_which_0_1_0_kept_nothing_is_taken_for_the_same():
    now = {"colab_rl": "9.0", **PROVEN["ppo gymnasium"], "code of the environment": "0"}
    assert differences({}, now, "ppo gymnasium") == []


@pytest.mark.parametrize(("versions", "reasons"), [
    ({}, []),
    ({"code": "0", "code of algorithms/ppo": "0"}, ["colab_rl 0.1.0 -> 9.0", "code of algorithms/ppo changed"]),
    (None, ["colab_rl 0.1.0 -> 9.0", "code changed"]),
], ids=["proven", "changed", "not proven"])
def test_a_run_of_0_1_0_goes_on_exactly_if_the_code_is_proven(tmp_path, monkeypatch, versions, reasons):
    shutil.copytree(OLD / "ppo-gymnasium-cartpole", tmp_path / "walker")
    monkeypatch.setattr("colab_rl.machine.__version__", "9.0")
    now = code_of(ALGORITHMS["ppo"], "gymnasium")
    if versions is None:
        monkeypatch.delitem(PROVEN, "ppo gymnasium")
    else:
        monkeypatch.setitem(PROVEN, "ppo gymnasium", {**now, **versions})
    train("walker", total_steps=600, root=tmp_path, store="none")
    ours = [reason for reason in manifest(tmp_path)["inexact"] if reason.startswith(("code", "colab_rl"))]
    assert ours == reasons
