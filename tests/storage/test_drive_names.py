"""Which folder of Drive a store's name means."""

from __future__ import annotations

import unicodedata

import pytest
from drive_calls import DATA

from colab_rl.errors import StorageError, StorageRefused, UsageError

pytestmark = pytest.mark.usefixtures("short_pauses")


@pytest.mark.parametrize("place", ["drive:", "drive:/", "drive:a//b", "drive:..", "drive:a/../b", "drive: ",
                                   "drive:https://example.com/folders/1"])
def test_bad_names_of_a_store_are_refused(drive, place):
    with pytest.raises(UsageError, match="folder"):
        drive.open(place)
    assert drive.tree() == {} and len(drive.files) == 1


@pytest.mark.parametrize("title", ["It's a 'quoted' \"folder\"", "läufer 🚶", "a b", "back\\slash"])
def test_a_store_may_have_any_title(drive, title):
    drive.open(f"drive:{title}").put("run.json", DATA)
    assert drive.open(f"drive:{title}", make=False).get("run.json") == DATA
    assert drive.tree() == {f"{title}/run.json": DATA}


def decomposed(title: str) -> str:
    """As a Mac writes it."""
    return unicodedata.normalize("NFD", title)


@pytest.mark.parametrize(("there", "named"), [
    (decomposed("Données"), "Données"), ("Données", decomposed("Données")),
    (decomposed("Ångström 한글"), "Ångström 한글"), ("colab_rl ", "colab_rl"), ("colab_rl", "colab_rl "),
    (" my  runs", "my runs"), ("my\xa0runs", "my runs"),
    ("runs 🏃\ufe0f", "runs 🏃"), ("Bob's \"best\" \\ 🎉 runs ", "Bob's \"best\" \\ 🎉 runs"), ("run\u200bs", "runs"),
    ("a: b", "a: b"), ("%41'); --", "%41'); --")])
def test_the_folder_that_looks_as_named_is_found(drive, there, named):
    drive.add(f"{there}/runs", None)
    drive.open(f"drive:{named}").put("run.json", DATA)
    drive.open(f"drive:{named}/runs", make=False).put("run.json", DATA)
    drive.open(f"drive:{named}/new").put("run.json", DATA)
    assert drive.tree() == {f"{there}/{name}": DATA for name in ("run.json", "runs/run.json", "new/run.json")}


def test_the_folder_of_the_very_name_comes_before_those_that_look_like_it(drive):
    for title in (decomposed("Données"), "Données", "Donnees", "données"):
        drive.add(title, None)
        drive.open(f"drive:{title}", make=False).put("run.json", title.encode())
    assert drive.tree() == {f"{title}/run.json": title.encode() for title in (
        decomposed("Données"), "Données", "Donnees", "données")}
    drive.open("drive:DONNÉES").put("run.json", b"made")
    assert drive.tree()["DONNÉES/run.json"] == b"made"


def test_a_file_that_looks_like_the_store_is_in_nobodys_way(drive):
    drive.add(decomposed("Données"), b"mine")
    drive.open("drive:Données").put("run.json", DATA)
    assert drive.tree() == {decomposed("Données"): b"mine", "Données/run.json": DATA}


@pytest.mark.parametrize("place", ["drive:shared_rl", "drive:projects/shared_rl", "drive:shared_rl/runs"])
def test_a_shortcut_to_a_folder_is_that_folder(drive, place):
    top = drive.add_shared_drive("team")
    target = drive.add("somebody's runs", None, parent=top.id)
    inner = drive.add("runs", None, parent=target.id) if place.endswith("/runs") else target
    above = drive.add("projects", None) if "projects" in place else drive.files["root"]
    drive.add_shortcut("shared_rl", target.id, parent=above.id)
    before = len(drive.files)
    for make in (True, False):
        drive.open(place, make=make).put("walker/run.json", DATA)
    assert drive.open(place).folders() == ["walker"]
    assert drive.tree(inner.id) == {"walker/run.json": DATA} and len(drive.files) == before + 2


def test_a_run_that_is_a_shortcut_in_the_store_is_a_run(drive, store):
    target = drive.add("elsewhere/walker of a friend", None)
    drive.add("checkpoints/a.json", DATA, parent=target.id)
    drive.add_shortcut("walker", target.id, parent=drive.at("colab_rl").id)
    drive.add("run.json", DATA, parent=target.id)
    store = drive.open()
    assert store.folders() == ["a", "walker"]
    assert store.subfolder("walker").list("") == {"run.json": len(DATA), "checkpoints/a.json": len(DATA)}
    store.subfolder("walker").put("checkpoints/b.json", DATA)
    assert drive.tree(target.id) == {"run.json": DATA, "checkpoints/a.json": DATA, "checkpoints/b.json": DATA}
    assert store.list_files(["walker", "walker/checkpoints"]).keys() == {
        "walker/run.json", "walker/checkpoints/a.json", "walker/checkpoints/b.json"}


@pytest.mark.parametrize("gone", ["never was", "trashed", "deleted", "a file"])
def test_a_shortcut_to_what_is_gone_is_told_and_nothing_is_made_beside_it(drive, gone):
    target = drive.add("there", b"a file" if gone == "a file" else None)
    drive.add_shortcut("shared_rl", "nonsense" if gone == "never was" else target.id)
    if gone == "trashed":
        target.trashed = True
    elif gone == "deleted":
        del drive.files[target.id]
    before = set(drive.files)
    for place in ("drive:shared_rl", "drive:shared_rl/runs"):
        for make in (True, False):
            with pytest.raises(StorageError, match="a shortcut to a folder that is gone or was not shared"):
                drive.open(place, make=make)
    assert set(drive.files) == before


def test_shortcuts_that_lead_nowhere_or_round_in_a_store_hide_nothing(drive, store):
    top = drive.at("colab_rl").id
    drive.add_shortcut("old-run", "gone for good", parent=top)
    drive.add_shortcut("loop", top, parent=drive.at("colab_rl/a").id)
    drive.add_shortcut("a", drive.at("colab_rl/a").id, parent=top)  # the same folder twice
    opened = drive.open()
    assert opened.folders() == ["a", "old-run"] and opened.list_files(["a", "old-run"]).keys() == {"a/old"}
    assert opened.subfolder("old-run").list("") == {}
    assert set(opened.list("a/")) == {"a/old"}


def test_a_store_may_lie_deeper_and_only_its_own_folder_is_made(drive):
    with pytest.raises(StorageError, match="no folder 'projects'"):
        drive.open("drive:projects/rl")
    drive.add("projects", None)
    drive.open("drive:projects/rl").put("run.json", DATA)
    assert drive.tree() == {"projects/rl/run.json": DATA}
    with pytest.raises(StorageError, match="no folder 'none'"):
        drive.open("drive:none", make=False)


def test_a_store_may_be_given_by_its_address(drive):
    folder = drive.add("shared with me", None, parent=drive.add_shared_drive("team").id)
    address = f"drive:https://drive.google.com/drive/folders/{folder.id}?usp=sharing"
    drive.open(address).put("run.json", DATA)
    assert drive.open(address).list("") == {"run.json": len(DATA)}
    with pytest.raises(StorageError, match="was not shared with this login; nothing was changed"):
        drive.open("drive:https://drive.google.com/drive/folders/nonsense")
    drive.add("a file", b"1")
    with pytest.raises(StorageError, match="no folder"):
        drive.open(f"drive:https://drive.google.com/drive/folders/{drive.at('a file').id}")


def test_a_file_in_the_stores_place_is_left_alone(drive):
    drive.add("colab_rl", b"mine")
    for make in (True, False):
        with pytest.raises(StorageError, match="file"):
            drive.open(make=make)
    assert drive.tree() == {"colab_rl": b"mine"}


def test_a_read_only_share_is_read_and_not_written(drive, store):
    drive.read_only = True
    assert store.get("a/old") == DATA
    with pytest.raises(StorageRefused, match="not write to it"):
        store.put("a/new", DATA)
