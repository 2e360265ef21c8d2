"""Two trained runs, and the command line in a copy of their folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import TINY

from colab_rl.cli import main

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def trained(one_core: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs `walker` and, after it, `pole`; `walker` is in a store too."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "store").mkdir()
    begin = ["train", "--env", "CartPole-v1", "--root", str(folder / "runs"), "--total-steps", "400", "--set", *TINY]
    assert main([*begin, "--store", str(folder / "store"), "--", "walker"]) == 0
    assert main([*begin, "--store", "none", "--", "pole"]) == 0
    return folder


@pytest.fixture
def here(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, where commands that name no root and no store find it."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLAB_RL_ROOT", str(tmp_path / "runs"))
    monkeypatch.setenv("COLAB_RL_STORE", "none")
    return tmp_path


@pytest.fixture
def command(here: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """`command("status", "walker")`: exit code, standard output, standard error."""
    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as left:  # as argparse does
            code = left.code
        output = capsys.readouterr()
        return code, output.out, output.err
    return run
