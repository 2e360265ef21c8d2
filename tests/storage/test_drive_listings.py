"""What lies in a store on Drive is listed whole, whatever hides, doubles or throws away its files."""

from __future__ import annotations

import threading

import pytest
from drive_calls import CALLS, DATA, PASSING, contents

from colab_rl.errors import StorageError, StorageRefused
from colab_rl.storage import NotFound

pytestmark = pytest.mark.usefixtures("short_pauses")


def test_a_listing_of_many_pages_is_whole(drive):
    store = drive.open()
    names = {f"a/{number:03}" for number in range(60)}
    for name in names:
        drive.add(f"colab_rl/{name}", b"1")
    drive.page_size = 7
    assert set(store.list("a/")) == names
    assert drive.count("list") >= 9


@pytest.mark.parametrize("action", [*PASSING, "403", "cut"])
def test_an_error_on_page_two_never_gives_half_a_listing(drive, action):
    for number in range(20):
        drive.add(f"colab_rl/a/{number}", b"1")
    store = drive.open()
    drive.page_size = 7
    drive.fault("list", action, after=1, times=1, title="^a$")
    if action == "403":
        with pytest.raises(StorageRefused):
            store.list("a/")
    else:
        assert len(store.list("a/")) == 20


def test_listing_takes_one_call_for_a_thousand_files(drive):
    for number in range(900):
        drive.add(f"colab_rl/a/{number}", b"1")
    store = drive.open()
    drive.calls.clear()
    stats = store.stats([f"a/{number}" for number in range(900)])
    assert len(stats) == 900
    assert len(drive.calls) <= 2


def test_files_of_one_title_are_one_file(drive, store):
    drive.add("colab_rl/a/old", DATA)
    drive.add("colab_rl/a/old", b"")  # a torn one
    assert store.list("") == {"a/old": len(DATA)}
    assert store.get("a/old") == DATA
    store.put("a/old", b"short")
    again = drive.open()
    assert again.get("a/old") == b"short"
    assert again.list("") == {"a/old": 5, "a/old.bad": len(DATA), "a/old.2.bad": 0}


def test_folders_of_one_title_are_one_folder(drive, store):
    drive.add("a", None, parent=drive.at("colab_rl").id)
    second = drive.add("colab_rl", None)
    drive.add("a/other", b"2", parent=second.id)
    store = drive.open()
    assert store.list("") == {"a/old": len(DATA), "a/other": 1}
    assert store.get("a/other") == b"2"
    store.put("a/new", b"3")
    assert drive.tree(drive.at("colab_rl/a").id) == {"old": DATA, "new": b"3"}


def test_one_empty_listing_hides_nothing(drive, store):
    for kind in ("My Drive", "colab_rl", "a"):
        drive.fault("list", "empty", title=f"^{kind}$")
    again = drive.open()
    assert again.list("") == {"a/old": len(DATA)}
    drive.fault("list", "empty", title="^a$")
    again.put("a/old", b"new")
    assert contents(drive) == {"a/old": b"new"}


def test_nothing_is_ever_searched_for_by_its_name(drive, store):
    """A search finds new files only after minutes."""
    for call in ("put", "replace", "make a folder", "get", "stat", "set aside"):
        CALLS[call][1](store)
    drive.open().subfolder("run").put("run.json", b"1")
    assert drive.count("list") and drive.count("search") == 0


def test_shared_drives_are_found_by_their_names_on_any_page(drive, store):
    tops = {name: drive.add_shared_drive(name).id for name in ("one", "two", "three")}
    for name, top in tops.items():
        assert store._client.shared_drives(name) == [top]
    assert store._client.shared_drives("four") == []


def test_a_listing_that_is_old_loses_nothing(drive, store):
    drive.freeze_listings()
    store.put("a/new", DATA)
    drive.fault("list", "stale", times=100)
    assert store.get("a/new") == DATA  # by its id
    assert store.stat("a/new").size == len(DATA)


def test_what_lies_in_the_trash_is_not_there(drive, store):
    drive.at("colab_rl/a/old").trashed = True
    assert store.list("") == {}
    with pytest.raises(NotFound):
        store.stat("a/old")


def test_a_file_that_goes_into_the_trash_is_missed(drive, store):
    store.list("")
    drive.at("colab_rl/a/old").trashed = True
    with pytest.raises(NotFound):
        store.stat("a/old")


@pytest.mark.parametrize("how", ["trash", "delete"])
def test_a_store_that_was_thrown_away_is_said_and_not_made_again(drive, store, how):
    store.list("")
    top = drive.at("colab_rl")
    if how == "trash":
        top.trashed = True
    else:
        del drive.files[top.id]
    for _ in range(2):
        with pytest.raises(StorageError, match=r"trash|not there|notFound"):
            store.put("b/new", DATA)
    assert contents(drive) == {}
    if how == "trash":
        top.trashed = False
        store.put("b/new", DATA)
        assert contents(drive)["b/new"] == DATA


def test_a_runs_folder_that_was_thrown_away_is_made_again(drive, store):
    store.list("")
    drive.at("colab_rl/a").trashed = True
    with pytest.raises(StorageError):
        store.put("a/new", DATA)
    store.put("a/new", DATA)
    assert contents(drive)["a/new"] == DATA


def test_where_nothing_may_be_deleted_it_goes_to_the_trash(drive, store):
    drive.fault("delete", "403")
    store.delete("a/old")
    assert store.list("") == {}
    assert drive.count("trash") == 1


def test_what_strangers_put_there_is_left_alone(drive, store):
    drive.add("colab_rl/a/My notes / 'quoted' 🚶.txt", b"mine")
    drive.add("colab_rl/a/../..", b"mine")
    drive.add("colab_rl/A document", b"").mime = "application/vnd.google-apps.document"
    before = drive.tree()
    assert store.list("a/") == {"a/old": len(DATA), "a/My notes / 'quoted' 🚶.txt": 4}
    store.put("a/new", DATA)
    store.delete("a/new")
    assert drive.tree() == before


def test_threads_share_a_store(drive):
    store, errors = drive.open(), []

    def work(number: int) -> None:
        try:
            for turn in range(4):
                store.put(f"folder/{number}-{turn}", DATA)
                assert store.get(f"folder/{number}-{turn}") == DATA
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(contents(drive)) == 24
