"""The notebooks' first cell finds the package. This Python has neither colab_rl nor a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from helpers import snapshot

from colab_rl.colab.install import build_wheel

HOME = Path(__file__).parents[2]


class BareMachine:
    """A Python that has pip and no colab_rl, and no network; its Drive lies in /content/drive."""

    def __init__(self, folder):
        self.python = folder / "bare" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", self.python.parents[1]], check=True)

    def first_cell(self, folder, repository, **environment):
        """Runs the first cell in folder/content until it has found colab_rl. Returns the finished process."""
        (folder / "content" / "drive").mkdir(parents=True, exist_ok=True)
        subprocess.run([self.python, "-m", "pip", "uninstall", "-q", "-y", "colab-rl"], check=True)
        cell = next(cell for cell in nbformat.read(HOME / "notebooks" / "00_setup.ipynb", as_version=4).cells
                    if cell.cell_type == "code")
        source = cell.source.replace('"YOUR_NAME/colab_rl"', repr(repository)).replace(
            "/content/drive", str(folder / "content" / "drive"))
        call = 'importlib.import_module("colab_rl.colab.install").prepare()'
        assert call in source
        source = source.replace(call, "print(importlib.import_module('colab_rl').__file__)")
        environment = {"PYTHONPATH": "", "COLAB_RL_STORE": "",
                       "HTTPS_PROXY": "http://127.0.0.1:9", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull,
                       "TMPDIR": str(folder), **environment}
        return subprocess.run([self.python, "-c", source],
                              cwd=folder / "content", capture_output=True, text=True, timeout=120,
                              env={**os.environ, **environment})


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    return BareMachine(tmp_path_factory.mktemp("machine"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    name, content = build_wheel()
    path = tmp_path_factory.mktemp("my wheels") / name
    path.write_bytes(content)
    return path


def test_without_network_the_first_cell_says_what_to_do(tmp_path, bare):
    done = bare.first_cell(tmp_path, "some-one/walkers")
    assert done.returncode == 1 and "Traceback" not in done.stderr and "github.com" in done.stderr
    assert done.stderr.endswith("type owner/name at REPOSITORY above\n")


def test_the_placeholder_is_never_fetched(tmp_path, bare):
    done = bare.first_cell(tmp_path, "YOUR_NAME/colab_rl")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "type owner/name at REPOSITORY above\n")


@pytest.mark.parametrize("repository", ["", "."])
def test_a_folder_that_is_no_copy_of_the_package_is_not_installed_from(tmp_path, bare, repository):
    """On Colab the current folder holds the mounted Drive, and a store in it is called colab_rl."""
    mine = tmp_path / "content" / "drive" / "MyDrive" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("precious")
    (tmp_path / "content" / "colab_rl").mkdir()
    before = snapshot(tmp_path)
    done = bare.first_cell(tmp_path, repository)
    assert done.returncode == 1 and "at REPOSITORY above" in done.stderr and "Traceback" not in done.stderr
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("where", ["named wheel", "named folder", "the folder above", "store", "Drive"])
def test_where_the_first_cell_finds_the_package(tmp_path, bare, wheel, where):
    repository, environment = "some-one/walkers", {}
    if where == "named wheel":
        repository = os.path.relpath(wheel, tmp_path / "content")
    elif where == "named folder":
        repository = str(HOME)
    elif where == "the folder above":  # a clone's notebooks/
        (tmp_path / "colab_rl").symlink_to(HOME / "colab_rl")
    elif where == "store":
        environment = {"COLAB_RL_STORE": str(shutil.copytree(wheel.parent, tmp_path / "[my] store"))}
    else:
        (tmp_path / "content" / "drive" / "MyDrive").mkdir(parents=True)
        shutil.copytree(wheel.parent, tmp_path / "content" / "drive" / "MyDrive" / "colab_rl")
    done = bare.first_cell(tmp_path, repository, **environment)
    folder = {"named folder": HOME, "the folder above": tmp_path}.get(where, bare.python.parents[1])
    assert done.returncode == 0 and Path(done.stdout.strip()).is_relative_to(folder), done.stderr
