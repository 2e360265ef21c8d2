"""Which backend a run takes and keeps, and what it does on a machine where EnvPool is missing."""

from __future__ import annotations

import configparser
import functools
import importlib.metadata
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from helpers import TINY, changed, snapshot

from colab_rl import ColabRLError, TrainingResult, UsageError, status, train
from colab_rl.cli import main
from colab_rl.environments import describe
from colab_rl.environments.backends import choose_backend
from colab_rl.environments.envpool_vector import INSTALL
from colab_rl.runs.places import Places
from colab_rl.settings import parse_settings
from colab_rl.training.request import Request

pytestmark = pytest.mark.usefixtures("one_core")

pytest.importorskip("envpool")

STEPS = 400  # seven iterations or so
SETTINGS = parse_settings(changed(TINY, "checkpoint_every=5", "keep_last=20"))
FUNCTION = functools.partial(gymnasium.make, "CartPole-v1")  # an environment that is a function
Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def trained(one_core: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the finished runs `walker`, on EnvPool, and `pole`, on gymnasium."""
    root = tmp_path_factory.mktemp("trained")
    for run, backend in (("walker", "envpool"), ("pole", "gymnasium")):
        assert go(root, run, env="CartPole-v1", backend=backend).finished
    return root


@pytest.fixture
def root(trained: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(trained, tmp_path / "runs")


@pytest.fixture
def command(root: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """`command("train", "walker")`: exit code and standard error."""
    def run(*arguments: str) -> tuple[int, str]:
        code = main([*arguments, "--root", str(root), "--store", "none"])
        return code, capsys.readouterr().err
    return run


def go(root: Path, run: str = "walker", **options: Any) -> TrainingResult:
    """Trains in this process."""
    options = {"settings": SETTINGS, "store": "none", "total_steps": STEPS, **options}
    return train(run, root=root, **options)


def manifests(root: Path, run: str = "walker") -> list[dict[str, Any]]:
    """The run's manifests, oldest first."""
    return [json.loads(path.read_text()) for path in sorted((root / run).glob("checkpoints/*.json"))]


# ---- a machine without EnvPool -------------------------------------------------------------------------------------


class Hidden:
    """Stands first among the finders of packages, and finds EnvPool nowhere."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] == "envpool":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    def find_distributions(self, context: importlib.metadata.DistributionFinder.Context) -> list[Any]:
        if context.name == "envpool":
            raise importlib.metadata.PackageNotFoundError(context.name)
        return []


def hide(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setattr(sys, "meta_path", [Hidden(), *sys.meta_path])


def pretend(patch: pytest.MonkeyPatch, folder: Path, metadata: str) -> None:
    """Makes that the metadata of EnvPool: what stands first on the path is found first."""
    place = folder / "packages" / "envpool-0.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(metadata)
    patch.syspath_prepend(place.parent)


def age(patch: pytest.MonkeyPatch, folder: Path) -> None:
    pretend(patch, folder, "Metadata-Version: 2.1\nName: envpool\nVersion: 1.0.0\n")


def remove_half(patch: pytest.MonkeyPatch, folder: Path) -> None:
    pretend(patch, folder, "")


def break_import(patch: pytest.MonkeyPatch, folder: Path) -> None:
    package = folder / "packages" / "envpool"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('libstdc++ is too old\\nsee the manual')")  # of two lines
    patch.delitem(sys.modules, "envpool")
    patch.syspath_prepend(package.parent)


MISSING = {
    hide: "it is not installed", age: "1.0.0 is installed, and 1.2 is needed",
    remove_half: "installed",
    break_import: "it cannot be imported (ImportError: libstdc++ is too old",
}
every_way_of_missing = pytest.mark.parametrize(("miss", "reason"), MISSING.items(),
                                               ids=lambda value: getattr(value, "__name__", ""))


@every_way_of_missing
@pytest.mark.parametrize("options", [[], ["--backend", "envpool"]], ids=["auto", "envpool"])
def test_a_run_on_envpool_is_refused_where_it_is_missing_and_says_how_to_go_on(
        root, command, tmp_path, monkeypatch, miss, reason, options):
    miss(monkeypatch, tmp_path)
    before = snapshot(root)
    code, errors = command("train", "walker", "--total-steps", "500", *options)
    assert code == 1 and errors.count("\n") == 1 and errors.startswith("error: ")
    assert reason in errors and "nothing was changed" in errors
    assert "pip install 'envpool>=1.2,<1.2.1'" in errors and "--backend gymnasium" in errors
    assert snapshot(root) == before


def test_the_program_itself_says_in_one_line_that_envpool_cannot_be_imported(root, run_cli, tmp_path, monkeypatch):
    break_import(monkeypatch, tmp_path)
    before = snapshot(root)
    done = run_cli("train", "walker", env={"PYTHONPATH": os.pathsep.join(sys.path)})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert "cannot be imported (ImportError: libstdc++ is too old" in done.stderr
    assert snapshot(root) == before


@every_way_of_missing
def test_a_new_run_takes_gymnasium_where_envpool_is_missing_and_says_why(
        root, command, tmp_path, monkeypatch, capsys, miss, reason):
    miss(monkeypatch, tmp_path)
    pole = describe("CartPole-v1")
    assert choose_backend("auto", "CartPole-v1", pole) == "gymnasium"
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and errors.startswith("EnvPool does not step this run: ") and reason in errors
    before = snapshot(root)
    code, errors = command("train", "new", "--env", "CartPole-v1", "--backend", "envpool")
    assert code == 2 and errors.count("\n") == 1 and reason in errors
    assert "pip install 'envpool>=1.2,<1.2.1'" in errors and "--backend gymnasium" in errors
    assert snapshot(root) == before


def test_a_run_goes_on_with_gymnasium_where_envpool_is_missing_and_with_envpool_again_where_it_is_not(
        root, command, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        hide(patch, tmp_path)
        code, errors = command("train", "walker", "--backend", "gymnasium", "--total-steps", "500")
        assert code == 0 and "environments stepped by gymnasium" in errors
        assert "not bit-exact: " in errors and "backend envpool -> gymnasium" in errors
        assert command("evaluate", "walker", "--episodes", "1")[0] == 0  # as ever, on gymnasium
    newest = manifests(root)[-1]
    assert newest["finished"] and not newest["exact"] and "backend envpool -> gymnasium" in newest["inexact"]
    assert status("walker", root=root, store="none")[0]["exact"] is False

    code, errors = command("train", "walker", "--total-steps", "600")
    assert code == 0 and "environments stepped by envpool" in errors
    newest = manifests(root)[-1]
    assert newest["finished"] and newest["step"] >= 600 and newest["versions"]["envpool"][0].isdigit()
    assert not newest["exact"]
    assert {"backend envpool -> gymnasium", "backend gymnasium -> envpool"} <= set(newest["inexact"])


def test_another_version_of_envpool_goes_on_and_is_named(root, tmp_path, monkeypatch):
    before = importlib.metadata.version("envpool")
    pretend(monkeypatch, tmp_path, "Metadata-Version: 2.1\nName: envpool\nVersion: 1.2.999\n")
    assert go(root, total_steps=450).finished
    newest = manifests(root)[-1]
    assert (newest["exact"], newest["inexact"]) == (False, [f"envpool {before} -> 1.2.999"])


# ---- the choice ----------------------------------------------------------------------------------------------------


@pytest.fixture
def own_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The id of an environment in a module of the user's."""
    (tmp_path / "own_pole.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('OwnPole-v0', 'gymnasium.envs.classic_control:CartPoleEnv', max_episode_steps=50)\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_pole:OwnPole-v0"
    gymnasium.registry.pop("OwnPole-v0", None)
    sys.modules.pop("own_pole", None)


def test_auto_takes_envpool_where_it_has_the_environment_and_gymnasium_where_not(root, command, own_id, capsys):
    tiny = ["--total-steps", "60", "--set", *TINY]
    code, errors = command("train", "has", "--env", "CartPole-v1", *tiny)
    assert code == 0 and "environments stepped by envpool\n" in errors
    code, errors = command("train", "lacks", "--env", own_id, *tiny)
    assert code == 0 and "environments stepped by gymnasium\n" in errors
    assert f"EnvPool does not step this run: it has no {own_id}\n" in errors
    assert go(root, "function", env=FUNCTION, total_steps=60).finished
    assert "EnvPool does not step this run: it steps no environments that are functions\n" \
        in capsys.readouterr().err
    found = {run["run"]: run["backend"] for run in status(root=root, store="none")}
    assert found == {"has": "envpool", "lacks": "gymnasium", "function": "gymnasium", "walker": "envpool",
                     "pole": "gymnasium"}
    assert manifests(root, "lacks")[-1]["exact"] and "envpool" not in manifests(root, "lacks")[-1]["versions"]


def test_envpool_is_refused_for_what_it_cannot_step(root, command, own_id):
    before = snapshot(root)
    code, errors = command("train", "new", "--env", own_id, "--backend", "envpool")
    assert code == 2 and errors.count("\n") == 1 and f"it has no {own_id}" in errors
    assert "--backend gymnasium" in errors and "pip install" not in errors
    with pytest.raises(UsageError, match=r"functions.*--backend gymnasium") as refused:
        go(root, "new", env=FUNCTION, backend="envpool")
    assert refused.value.exit_code == 2 and "\n" not in str(refused.value) and "pip install" not in str(refused.value)
    assert snapshot(root) == before


@pytest.mark.parametrize(("typed", "near"), [("envpol", "envpool"), ("EnvPool", "envpool"), ("gym", "gymnasium")])
def test_an_unknown_backend_names_what_is_near(root, command, typed, near):
    before = snapshot(root)
    code, errors = command("train", "new", "--backend", typed)
    assert code == 2 and errors.count("\n") == 1 and f"did you mean {near!r}?" in errors
    assert snapshot(root) == before


@pytest.mark.parametrize(("run", "backend"), [("walker", "gymnasium"), ("pole", "envpool")])
def test_another_backend_than_the_runs_contradicts_it(root, command, run, backend):
    before = snapshot(root)
    code, errors = command("train", run, "--backend", backend, "--total-steps", "500")
    assert code == 2 and errors.count("\n") == 1 and "nothing was changed" in errors
    assert f"run {run} exists and differs: backend is {'gymnasium' if run == 'pole' else 'envpool'}, not {backend}" \
        in errors
    assert snapshot(root) == before


@pytest.mark.parametrize(("run", "backend"), [("walker", "envpool"), ("pole", "gymnasium")])
def test_the_runs_own_backend_is_no_contradiction(root, run, backend):
    before = snapshot(root / run)
    assert go(root, run, backend=backend).finished
    assert snapshot(root / run) == before


# ---- branches ------------------------------------------------------------------------------------------------------


def test_a_branch_goes_on_on_the_others_backend_exactly(root):
    left, *_, ended = manifests(root)[1:]
    assert left["iteration"] == 4  # the first evaluation, before the first regular checkpoint
    branch = go(root, "branch", origin=f"walker:{left['generation']}")
    assert branch.state_sha256 == ended["state_sha256"]
    found = status("branch", root=root, store="none")[0]
    assert (found["backend"], found["exact"]) == ("envpool", True)


@pytest.mark.parametrize(("origin", "asked", "taken"), [
    ("walker", "auto", "envpool"), ("walker", "envpool", "envpool"), ("walker", "gymnasium", "gymnasium"),
    ("pole", "auto", "gymnasium"), ("pole", "envpool", "envpool"),
])
def test_a_branch_keeps_the_others_backend_unless_another_is_asked_for(root, origin, asked, taken):
    request = Request(run="branch", origin=origin, backend=asked, settings={"total_steps": 500})
    assert request.branch(origin, Places(root, "none"))[0].backend == taken


def test_a_branch_takes_gymnasium_where_the_others_backend_is_missing(root, tmp_path, monkeypatch, capsys):
    hide(monkeypatch, tmp_path)
    with pytest.raises(ColabRLError, match="it is not installed"):
        go(root, "branch", origin="walker", backend="envpool", total_steps=450)
    assert go(root, "branch", origin="walker", total_steps=450).finished
    assert "EnvPool does not step this run: it is not installed" in capsys.readouterr().err
    newest = manifests(root, "branch")[-1]
    assert not newest["exact"] and "backend envpool -> gymnasium" in newest["inexact"]
    assert go(root, "branch", origin="walker", total_steps=450).finished  # gymnasium is its own backend now


def test_the_command_that_installs_envpool_is_the_extra_of_the_package():
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[2] / "setup.cfg")
    assert f"pip install '{setup['options.extras_require']['fast']}'" == INSTALL
