"""What is missing is found, what is there is left alone, and the package's wheel can be kept."""

import configparser
import importlib.metadata
import io
import itertools
import json
import os
import subprocess
import types
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from colab_rl import ColabRLError, __version__
from colab_rl.cli import main
from colab_rl.colab import install
from colab_rl.colab.cells import choose_run, keep_package, show_runs
from colab_rl.commands import doctor
from colab_rl.requirements import EXPORT, SEARCH
from colab_rl.storage import FolderStorage
from tools.resolve import packages

HOME = Path(__file__).parents[2]
IMAGES = sorted((HOME / ".ci").glob("colab-*.txt"))


@pytest.fixture
def pip(monkeypatch):
    """pip's command lines, which are noted and fail as without a network."""
    calls = []

    def run(command, **options):
        constraints = [Path(other).read_text() for one, other in itertools.pairwise(command)
                       if one == "--constraint"]
        calls.append((command, "".join(constraints)))
        return subprocess.CompletedProcess(command, 1, "", "WARNING: Retrying\nERROR: No matching distribution found\n")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


@pytest.fixture
def without(monkeypatch):
    """`without(*names)`: these packages are no longer installed."""
    def hide(*hidden):
        pretend(monkeypatch, **dict.fromkeys(hidden))
    return hide


def pretend(monkeypatch, **versions):
    """These versions are installed, of None none; the distributions' names have no hyphens."""
    real = importlib.metadata.distributions

    def distributions(**options):
        name = options.get("name", "").replace("-", "_")
        if name not in versions:
            return real(**options)
        return [types.SimpleNamespace(version=versions[name])] if versions[name] else []

    monkeypatch.setattr(importlib.metadata, "distributions", distributions)


def test_all_that_is_needed_is_here_and_nothing_is_installed(pip):
    assert all(need.fits for need in install.needs() if need.needed)
    install.complete()
    assert pip == []


def test_what_is_missing_is_asked_for_and_everything_else_held(pip, without):
    without("box2d")
    with pytest.raises(ColabRLError, match="box2d is missing and was not installed: No matching distribution found"):
        install.complete()
    (command, held), = pip
    assert command[-1] == "box2d<2.4,>=2.3.10" and "--constraint" in command
    assert f"numpy=={importlib.metadata.version('numpy')}\n" in held


def test_without_envpool_it_goes_on(pip, without, capsys):
    without("envpool")
    install.complete()
    (command, _), = pip
    assert command[-3:] == ["--only-binary", "envpool", "envpool<1.2.1,>=1.2"]
    assert "several times slower" in capsys.readouterr().err


def test_where_envpool_fails_the_rest_is_tried_alone(pip, without):
    without("envpool", "box2d")
    with pytest.raises(ColabRLError, match="box2d is missing and was not installed"):
        install.complete()
    assert [command[-2:] for command, _ in pip] == [["box2d<2.4,>=2.3.10", "envpool<1.2.1,>=1.2"],
                                                    [":none:", "box2d<2.4,>=2.3.10"]]


def test_what_is_too_old_is_not_touched(pip, monkeypatch):
    pretend(monkeypatch, gymnasium="1.1.0")
    with pytest.raises(ColabRLError, match=r'gymnasium 1.1.0; nothing was changed; run pip install "gymnasium<'):
        install.complete()
    assert pip == []
    assert "BAD   gymnasium 1.1.0" in doctor.describe_machine()


def test_the_wheel_holds_the_package_and_the_example_and_is_kept_once(tmp_path, monkeypatch):
    name, content = install.build_wheel()
    assert name == f"colab_rl-{__version__}-py3-none-any.whl"
    files = set(zipfile.ZipFile(io.BytesIO(content)).namelist())
    sources = {path.relative_to(HOME).as_posix() for path in (HOME / "colab_rl").rglob("*")
               if path.is_file() and "__pycache__" not in path.parts}
    assert sources <= files and len(content) < 2_000_000
    storage = FolderStorage(tmp_path)
    monkeypatch.setattr(FolderStorage, "list", None)  # it would walk through all runs of the store
    keep_package(storage)
    kept = (tmp_path / name).stat()
    keep_package(storage)
    assert (tmp_path / name).stat().st_mtime_ns == kept.st_mtime_ns
    (tmp_path / name).write_bytes(b"cut off")
    keep_package(storage)
    assert install.same_wheel((tmp_path / name).read_bytes(), content)


@pytest.fixture
def not_installed(monkeypatch):
    """The package is imported from a folder that nobody installed."""
    def requires(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)


def test_setup_cfg_requirements_and_a_folder_that_nobody_installed_agree(not_installed):
    setup = configparser.ConfigParser()
    setup.read(HOME / "setup.cfg")
    needed = {Requirement(line) for line in (HOME / "requirements.txt").read_text().split("\n") if line}
    assert {need.requirement for need in install.needs() if need.needed} == needed
    assert {str(need.requirement) for need in install.needs() if not need.needed} == \
        {f'{Requirement(setup["options.extras_require"]["fast"])}; extra == "fast"'}
    assert [line for line in setup["options.extras_require"]["export"].split("\n") if line] == list(EXPORT)
    assert [setup["options.extras_require"]["sweep"]] == list(SEARCH)


def test_a_folder_that_holds_the_package_alone_says_what_to_do(not_installed, monkeypatch, tmp_path, capsys):
    (tmp_path / "colab_rl").symlink_to(HOME / "colab_rl")
    monkeypatch.setattr("colab_rl.__file__", str(tmp_path / "colab_rl" / "__init__.py"))
    with pytest.raises(ColabRLError, match=r"nothing says what colab_rl needs: .* pip install its wheel"):
        install.complete()
    assert main(["doctor", "--store", "none", "--root", str(tmp_path)]) == 1
    assert "BAD   nothing says what colab_rl needs" in capsys.readouterr().out


def test_a_folder_that_nobody_installed_is_found_by_other_processes_too(not_installed, without, monkeypatch, capsys):
    without("colab_rl")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    install.prepare()
    assert os.environ["PYTHONPATH"] == f"{HOME}{os.pathsep}elsewhere" and "torch" in capsys.readouterr().out


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.stem)
def test_colabs_images_have_what_is_needed_but_box2d_and_envpool(image):
    held = packages(image)
    missing = set()
    for need in (need.requirement for need in install.needs()):
        if need.name not in held:
            missing.add(need.name)
        else:
            assert need.specifier.contains(held[need.name]), need
    assert missing == {"torch", "box2d", "envpool"}  # torch comes from a file of its own


def test_doctor_knows_the_versions_that_are_tested():
    pins = {Requirement(line).name.lower(): line.split("==")[1]
            for line in (HOME / "constraints.txt").read_text().splitlines() if "==" in line}
    assert {name: ".".join(pins[name].split(".")[:2]) for name in doctor.TESTED} == doctor.TESTED


def test_doctor_says_one_fix_a_line_and_fails_where_something_is_bad(monkeypatch, capsys, tmp_path, without):
    assert main(["doctor", "--store", "none", "--root", str(tmp_path)]) == 0
    assert all(line[:4] in ("ok  ", "note") for line in capsys.readouterr().out.splitlines())
    without("box2d")
    monkeypatch.setattr(doctor, "PYTHONS", ((3, 11), (3, 10)))
    assert main(["doctor", "--store", str(tmp_path / "gone" / "store")]) == 1
    shown = capsys.readouterr().out
    assert 'BAD   box2d is missing; pip install "box2d<2.4,>=2.3.10"' in shown
    assert "is newer than colab_rl was tested with" in shown
    assert f"BAD   store {tmp_path / 'gone' / 'store'} not found" in shown


def test_doctor_says_that_a_file_is_no_folder_of_runs(capsys, tmp_path):
    (path := tmp_path / "taken").write_text("no folder")
    for root in (path, path / "runs"):
        assert main(["doctor", "--store", "none", "--root", str(root)]) == 1
        assert f"BAD   {path} is a file, and runs need a folder; choose another" in capsys.readouterr().out


def test_who_has_runs_is_not_shown_the_example(tmp_path, capsys):
    root = tmp_path / "runs"
    assert choose_run("walker", "none", root) == ("example-walker", "none")
    assert choose_run("walker", "none", root) == ("example-walker", "none")
    assert capsys.readouterr().out.count("not a run of yours") == 2
    assert main(["verify", "example-walker", "--root", str(root), "--store", "none"]) == 0
    begin = ["train", "mine", "--env", "CartPole-v1", "--root", str(root), "--store", "none", "--total-steps", "100"]
    assert main([*begin, "--backend", "gymnasium", "--set", "num_envs=2", "num_steps=32", "eval_episodes=1"]) == 0
    assert choose_run("mine", "none", root) == ("mine", "none")
    (tmp_path / "store").mkdir()
    capsys.readouterr()
    show_runs(tmp_path / "store", root)
    shown = capsys.readouterr().out.splitlines()
    assert [line.rpartition(", ")[2] for line in sorted(shown)] == ["comes with colab_rl", "not in the store yet"]
    with pytest.raises(ColabRLError, match=r"no run 'walker' .*available: example-walker, mine"):
        choose_run("walker", "none", root)


def test_if_no_run_can_be_read_a_line_says_so(tmp_path):
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "run.json").write_bytes(b"{")
    with pytest.raises(ColabRLError, match="no run to show: torn cannot be read; nothing was changed; restore a whole"):
        choose_run("", "none", tmp_path)
    choose_run("walker", "none", tmp_path / "other")
    (tmp_path / "torn").rename(tmp_path / "other" / "torn")
    assert choose_run("", "none", tmp_path / "other")[0] == "example-walker"


def test_a_run_goes_on_from_the_example(tmp_path, capsys):
    places = ["--root", str(tmp_path), "--store", "none"]
    choose_run("walker", "none", tmp_path)
    assert main(["train", "mine", "--from", "example-walker:1", *places, "--total-steps", "100",
                 "--set", "eval_episodes=1"]) == 0
    capsys.readouterr()
    assert main(["status", "mine", "--json", *places]) == 0
    assert json.loads(capsys.readouterr().out)["finished"]
