"""Which files a training reaches."""

from __future__ import annotations

import sys
from pathlib import Path

import colab_rl
from colab_rl.algorithms.registry import OUR_ALGORITHMS, algorithm_class
from colab_rl.environments.backends import BACKENDS
from colab_rl.training.code.files import FOLLOWED, STATELESS, is_followed, reached

PACKAGE = Path(colab_rl.__file__).parent

def test_every_file_is_reached_by_some_training_or_left_aside():
    """So that no file drops out, because it is imported in another way, say."""
    training = ["colab_rl.training.trainer", "colab_rl.environments.worker",
                *(f"colab_rl.environments.{backend}_vector" for backend in BACKENDS if backend != "auto"),
                *(algorithm_class(name).__module__ for name in OUR_ALGORITHMS)]
    names = {".".join(["colab_rl", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
             for path in PACKAGE.rglob("*.py")}
    there = {name for name in names - {"colab_rl"} if name.split(".")[1] in FOLLOWED}
    aside = {name for name in there if not is_followed(name)}
    assert set(reached(training)) == there - aside
    assert all(any(f".{name}." in f"{module}." for module in aside) for name in STATELESS)


def test_a_users_own_files_are_reached_by_their_imports_and_installed_ones_are_not(tmp_path, monkeypatch):
    files = {"own_physics/__init__.py": "from .bodies import Body\n", "own_physics/bodies.py": "class Body: pass\n",
             "own_physics/unused.py": "ONE = 1\n", "own_physics/deep/__init__.py": "",
             "own_physics/deep/wheel.py": "from .. import joints\nfrom ...elsewhere import nothing\n",
             "own_physics/joints.py": "import numpy\nfrom torch import nn\n",
             "own_walker.py": "import own_physics.deep.wheel as wheel\nimport own_helper\n",
             "own_helper.py": "import own_walker\nimport missing_module\n"}
    for name, source in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    assert set(reached(["own_walker"])) == {
        "own_walker", "own_helper", "own_physics", "own_physics.bodies", "own_physics.deep", "own_physics.deep.wheel",
        "own_physics.joints"}
    assert not set(reached(["own_walker"])) & set(sys.modules)  # nothing was imported for it


def test_a_file_that_changes_is_read_again(tmp_path, monkeypatch):
    path = tmp_path / "own_walker.py"
    monkeypatch.syspath_prepend(tmp_path)
    path.write_text("SPEED = 1\n")
    first = reached(["own_walker"])
    path.write_text("SPEED = 2\n")
    assert reached(["own_walker"]) != first
