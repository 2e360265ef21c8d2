"""Places that a person names by a path: absolute from the first line on, and found however their names are coded."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from helpers import TINY
from wanderer import Wanderer

from colab_rl import UsageError, status, train
from colab_rl.runs.places import Places
from colab_rl.settings import parse_settings
from colab_rl.storage import absolute_path, open_store


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    (home := tmp_path / "home").mkdir()
    monkeypatch.chdir(home)
    for name in ("COLAB_RL_ROOT", "COLAB_RL_STORE"):
        monkeypatch.delenv(name, raising=False)
    return home


def session(environment: type, total: int, **places) -> int:
    """Trains where this process stands, wherever the environment goes; returns the generation that it ends with."""
    here = Path.cwd()
    settings = {**parse_settings(TINY), "num_envs": 1, "eval_episodes": 1, "checkpoint_every": 2}
    try:
        result = train("a", env=environment, total_steps=total, settings=settings, **places)
    finally:
        os.chdir(here)
    assert result.finished and result.pending == 0
    return result.generation


@pytest.mark.parametrize(("when", "places"), [("made", {}), ("reset", {"root": "./a/../b", "store": "store"})], ids=str)
def test_a_run_lies_where_the_command_was_given(home, tmp_path, one_core, when, places):
    (simulator := tmp_path / "simulator").mkdir()
    given = {"store": "none", **places}
    environment = type("Wanderer", (Wanderer,), {"when": when, "where": str(simulator)})
    first = session(environment, 70, **given)
    assert session(environment, 140, **given) > first
    assert not list(simulator.iterdir()) and [run["run"] for run in status(**given)] == ["a"]


@pytest.mark.parametrize(("given", "environ", "where"), [
    ({}, "", "home/runs"), ({}, "mine", "home/mine"), ({"root": "../beside"}, "mine", "home/../beside"),
    ({"root": "./a/../b"}, "", "home/a/../b"), ({"store": "store"}, "", "home/runs")])
def test_places_are_absolute_from_the_first_line_on(home, tmp_path, monkeypatch, given, environ, where):
    monkeypatch.setenv("COLAB_RL_ROOT", environ)
    places = Places(**given, make_store=True)
    monkeypatch.chdir(tmp_path)
    assert places.root == tmp_path / where and places.local("a").root.is_absolute()
    assert places.store is None or places.store.root == home / "store"


def test_a_working_folder_that_an_environment_removes_loses_nothing(home, one_core):
    (home / "store").mkdir()
    environment = type("Wanderer", (Wanderer,), {"when": "reset", "where": None})
    first = session(environment, 70, store="store")
    assert session(environment, 140, store="store") > first
    assert sorted(path.name for path in home.iterdir()) == ["runs", "store"]


@pytest.mark.parametrize(("places", "told"), [
    ({}, "root runs is relative"), ({"root": "x"}, "root x is relative"),
    ({"root": "/tmp/absolute", "store": "y"}, "store y is relative"),
    ({"root": "~/here", "store": "none"}, ""), ({"root": "/tmp/absolute", "store": "none"}, "")])
def test_a_working_folder_that_is_gone_is_told_where_it_is_needed(home, monkeypatch, places, told):
    (gone := home / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    if told:
        with pytest.raises(UsageError, match=f"{told}, and the current folder is gone; nothing was changed"):
            Places(**places)
    else:
        assert Places(**places).root.is_absolute()


LOOKS = ["Données", "läufer 🚶 runs", "Ångström/ﬁle", "한글", "a b"]
CODED = {"decomposed": lambda name: unicodedata.normalize("NFD", name), "space at the end": lambda name: f"{name} ",
         "no-break space": lambda name: name.replace(" ", "\xa0"), "emoji": lambda name: name.replace("🚶", "🚶\ufe0f")}


@pytest.mark.parametrize("coded", CODED)
@pytest.mark.parametrize("name", LOOKS)
def test_a_folder_that_looks_as_named_is_found(tmp_path, name, coded):
    folder = tmp_path.joinpath(*(CODED[coded](part) for part in name.split("/")), "runs")
    folder.mkdir(parents=True)
    assert absolute_path(tmp_path / name / "runs", "root") == folder
    assert open_store(f"{tmp_path}/{name}/runs", make=True).root == folder
    assert absolute_path(tmp_path / name / "new", "root") == folder.with_name("new")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_of_the_very_name_comes_first_and_none_is_made_up(tmp_path):
    coded = unicodedata.normalize("NFD", "Données")
    for name in ("Données", coded, "Donnees", "données", "runs"):
        (tmp_path / name).mkdir()
    for name in ("Données", coded, "Donnees", "données"):
        assert absolute_path(tmp_path / name, "store") == tmp_path / name
    for name in ("DONNÉES", "Runs", "run", "runs/x"):
        assert absolute_path(tmp_path / name, "store") == tmp_path / name
