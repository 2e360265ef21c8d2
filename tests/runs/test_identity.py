"""What run.json says of a run, told apart from what people call things."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import gymnasium
import pytest
from helpers import TINY

from colab_rl import evaluate, record, status, train
from colab_rl.cli import main
from colab_rl.errors import UsageError
from colab_rl.runs.identity import FORMAT, Identity, write_identity
from colab_rl.runs.places import Places
from colab_rl.sealed import checksum
from colab_rl.settings import parse_settings
from colab_rl.storage import FolderStorage
from colab_rl.views.files import copy_to_store

cloudpickle.register_pickle_by_value(sys.modules[__name__])
SETTINGS = parse_settings(TINY)
MODULE = '''
import gymnasium
gymnasium.register("make", "gymnasium.envs.classic_control:CartPoleEnv", max_episode_steps=20)
gymnasium.register("Pole-v4", "gymnasium.envs.classic_control:CartPoleEnv", max_episode_steps=20)
'''


def make() -> gymnasium.Env:
    return gymnasium.make("CartPole-v1")


@pytest.fixture
def custom(tmp_path, monkeypatch) -> Path:
    """A module called `custom` on the path, and a folder for runs."""
    (tmp_path / "custom.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "runs"
    sys.modules.pop("custom", None)
    for name in ("make", "Pole-v4"):
        gymnasium.registry.pop(name, None)


def go(root: Path, run: str = "pole", **options: Any) -> Any:
    return train(run, root=root, store="none", backend="gymnasium", settings=SETTINGS,
                 **{"total_steps": 64, **options})


@pytest.mark.parametrize("env_id", ["custom:Pole-v4", "custom:make"])
def test_a_module_called_custom_is_a_module(custom, env_id):
    assert go(custom, env=env_id).finished
    assert go(custom, env=env_id, total_steps=96).step >= 96
    assert go(custom).finished  # its name is enough, as for every id
    assert go(custom, "branch", origin="pole", total_steps=200).finished
    assert evaluate("pole", episodes=1, root=custom, store="none").lengths[0] <= 20
    assert record("pole", root=custom, store="none").length <= 20
    assert status("pole", root=custom, store="none")[0]["env_id"] == env_id


def test_a_function_and_an_id_of_one_name_are_two_environments(custom, capsys):
    assert go(custom, "function", env=make).finished and go(custom, "id", env="custom:make").finished
    with pytest.raises(UsageError, match=r"env is custom:make, not the id custom:make"):
        go(custom, "function", env="custom:make")
    with pytest.raises(UsageError, match=r"env is custom:make, not the function custom:make"):
        go(custom, "id", env=make)
    with pytest.raises(UsageError, match=r"trains on custom:make, not the id custom:make"):
        go(custom, "branch", env="custom:make", origin="function", total_steps=200)
    assert main(["train", "function", "--root", str(custom), "--store", "none"]) == 2
    assert "on make, a function: give it with --env test_identity:make, or from Python with train(..., env=that" \
        in capsys.readouterr().err


def test_a_run_named_nothing_is_not_the_origin_of_one_that_has_none(custom):
    go(custom, "nothing", env="custom:Pole-v4")
    go(custom, env="custom:Pole-v4")
    with pytest.raises(UsageError, match="from is nothing, not nothing"):
        go(custom, origin="nothing")


IDENTITY = Identity(name="walker", run_id="1", created="", env_id="", algorithm="ppo", backend="gymnasium",
                    device="cpu", threads=1, config={}, spaces={}, versions={})


@pytest.mark.parametrize(("name", "is_function"), [
    ("custom:make", True), ("custom:<lambda>", True), ("custom:test.<locals>.Mine", True), ("custom:Größe", True),
    ("custom:partial", True), ("custom:Ant2-v4", False), ("custom:my/Ant-v0", False), ("Ant-v5", False),
    ("mine:Ant-v5", False), ("make", False),
])
def test_runs_of_0_1_0_are_told_apart_by_the_form_of_the_name(name, is_function):
    content = {"format": 1, **dataclasses.asdict(dataclasses.replace(IDENTITY, env_id=name))}
    del content["env_is_function"]
    data = json.dumps({**content, "identity_sha256": checksum(content)}).encode()
    identity = Identity.from_bytes(data, "here")
    assert identity.trains_on_function is is_function
    if is_function:
        with pytest.raises(UsageError, match="a function: give it"):
            identity.environment(None, "evaluate")
    else:
        assert identity.environment(None, "evaluate") == name


@pytest.mark.parametrize("is_function", [True, False])
def test_run_json_says_whether_a_function_makes_the_environment(is_function):
    identity = dataclasses.replace(IDENTITY, env_id="custom:make", env_is_function=is_function)
    assert json.loads(identity.to_bytes())["format"] == FORMAT == 2
    assert Identity.from_bytes(identity.to_bytes(), "here").trains_on_function is is_function


def test_run_json_is_asked_for_by_its_name(tmp_path, monkeypatch):
    """A listing walks through the whole folder of a run, on a mount with a call over the network for each file."""
    (tmp_path / "store").mkdir()
    places = Places(tmp_path / "runs", tmp_path / "store")
    here = places.local("walker")
    monkeypatch.setattr(FolderStorage, "list", None)
    assert write_identity(IDENTITY, here, places.remote("walker")) == here.get("run.json") == IDENTITY.to_bytes()
    here.put("run.json", b"damaged")
    for _ in range(2):
        assert write_identity(IDENTITY, here, None) == here.get("run.json") == IDENTITY.to_bytes()
    assert here.get("run.json.bad") == b"damaged" and len(list(here.root.iterdir())) == 2
    for name in ("reports/one.html", "reports/two.html"):
        assert copy_to_store(places, IDENTITY, name, b"page").storage.get(name) == b"page"
    assert places.remote("walker").get("run.json") == IDENTITY.to_bytes()
