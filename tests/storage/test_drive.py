"""A store on Drive by its API: each failure that Drive is known for, over real HTTP, to its expected outcome."""

from __future__ import annotations

import io
import threading
import time
import unicodedata
from collections.abc import Iterator

import pytest
from fake_drive import FakeDrive
from google.oauth2.credentials import Credentials
from googleapiclient.errors import HttpError
from pydrive2.auth import GoogleAuth
from pydrive2.drive import GoogleDrive

from colab_rl.errors import StorageError, StorageRefused, UsageError
from colab_rl.storage import NotFound, Stat
from colab_rl.storage.drive import client as client_module
from colab_rl.storage.drive.storage import DriveStorage

DATA = bytes(range(256)) * 8
PASSING = ("500", "html", "503", "rate", "reset")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(client_module, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(client_module, "DEADLINE", 5.0)


@pytest.fixture
def drive() -> Iterator[FakeDrive]:
    with FakeDrive() as drive:
        yield drive


@pytest.fixture
def store(drive) -> DriveStorage:
    """A store that holds `a/old`, opened by a new session."""
    drive.open().put("a/old", DATA)
    store = drive.open()
    drive.calls.clear()
    return store


CALLS = {
    "put": (("insert", "session", "list", "ids", "token"), lambda store: store.put("a/new", DATA)),
    "replace": (("update", "session", "list"), lambda store: store.put("a/old", DATA + DATA)),
    "make a folder": (("insert", "list"), lambda store: store.put("b/new", DATA)),
    "get": (("download", "list"), lambda store: store.get("a/old")),
    "stat": (("get", "list"), lambda store: store.stat("a/old")),
    "list": (("list",), lambda store: store.list("")),
    "set aside": (("patch", "list"), lambda store: store.set_aside("a/old")),
    "delete": (("delete", "list"), lambda store: store.delete("a/old")),
}
AFTER = {
    "put": {"a/old": DATA, "a/new": DATA}, "replace": {"a/old": DATA + DATA},
    "make a folder": {"a/old": DATA, "b/new": DATA}, "set aside": {"a/old.bad": DATA}, "delete": {},
}


def contents(drive: FakeDrive) -> dict[str, bytes]:
    return {path.removeprefix("colab_rl/"): content for path, content in drive.tree().items()}


@pytest.mark.parametrize("action", PASSING)
@pytest.mark.parametrize(("call", "kind"), [(call, kind) for call, (kinds, _) in CALLS.items() for kind in kinds])
def test_what_passes_is_tried_again(drive, store, call, kind, action, times=2):
    if kind == "token":
        drive.expire_tokens()
        action = "503" if action == "rate" else action
    drive.fault(kind, action, times)
    CALLS[call][1](store)
    assert contents(drive) == AFTER.get(call, {"a/old": DATA})
    assert drive.count(kind) > (times if action != "reset" else 0)


@pytest.mark.parametrize(("kind", "call"), [("insert", "put"), ("session", "put"), ("insert", "make a folder"),
                                            ("session", "replace"), ("delete", "delete")])
def test_what_was_done_before_the_connection_broke_is_not_done_twice(drive, store, call, kind):
    drive.fault(kind, "drop")
    CALLS[call][1](store)
    assert contents(drive) == AFTER[call]
    assert sorted(file.title for file in drive.files.values() if file.content is None) == sorted(
        {path.split("/")[0] for path in contents(drive)} | {"My Drive", "colab_rl", "a"})


@pytest.mark.parametrize("kind", ["session", "insert"])
def test_an_upload_that_drive_forgot_is_begun_anew(drive, store, kind):
    drive.fault(kind, "lost", times=2)
    CALLS["put"][1](store)
    assert contents(drive) == AFTER["put"]


@pytest.mark.parametrize("action", ["quota", "403", "400"])
@pytest.mark.parametrize(("call", "kind"), [("put", "insert"), ("put", "session"), ("replace", "update"),
                                            ("get", "download"), ("list", "list")])
def test_what_a_person_must_change_is_said_at_once(drive, store, call, kind, action):
    drive.fault(kind, action, times=100)
    with pytest.raises(StorageRefused, match="Drive") as caught:
        CALLS[call][1](store)
    assert drive.count(kind) == 1  # no storm
    if action == "quota":
        assert "free space there" in str(caught.value)
    drive.clear_faults()
    assert contents(drive) == {"a/old": DATA}
    CALLS[call][1](store)
    assert contents(drive) == AFTER.get(call, {"a/old": DATA})


def test_the_wait_that_drive_asks_for_is_kept(drive, store):
    drive.fault("list", "429")  # with Retry-After: 1
    began = time.monotonic()
    store.list("a/")
    assert time.monotonic() - began >= 1.0


def test_trouble_that_does_not_pass_ends_at_the_deadline(drive, store, monkeypatch):
    monkeypatch.setattr(client_module, "DEADLINE", 0.3)
    drive.fault("list", "503", times=10_000)
    began = time.monotonic()
    with pytest.raises(StorageError, match="the Drive says backendError") as caught:
        store.list("")
    assert type(caught.value) is StorageError
    assert time.monotonic() - began < 3.0


@pytest.mark.parametrize("action", ["hang", "drip"])
@pytest.mark.parametrize(("call", "kind"), [("get", "download"), ("put", "session"), ("list", "list")])
def test_a_call_that_stands_still_or_drips_is_ended(drive, store, monkeypatch, call, kind, action):
    monkeypatch.setattr(client_module, "CALL_LIMIT", 0.3)
    drive.fault(kind, action, times=2)
    began = time.monotonic()
    CALLS[call][1](store)
    assert time.monotonic() - began < 8.0
    assert contents(drive) == AFTER.get(call, {"a/old": DATA})


def test_silence_is_bounded_too(drive, monkeypatch):
    monkeypatch.setattr(client_module, "SILENCE", 0.3)
    store = drive.open()
    drive.fault("list", "hang")
    assert store.list("") == {}


@pytest.mark.parametrize("action", ["flip", "cut"])
def test_a_damaged_download_is_read_again(drive, store, action):
    drive.fault("download", action)
    assert store.get("a/old") == DATA
    assert drive.count("download") >= 2


def test_content_whose_md5_drive_has_wrong_is_still_content(drive, store):
    drive.at("colab_rl/a/old").md5 = "0" * 32
    assert store.get("a/old") == DATA
    assert store.stat("a/old").md5 == "0" * 32


@pytest.mark.parametrize("action", ["flip", "cut", "wrong_md5"])
def test_a_damaged_upload_shows_in_its_stat(drive, store, action):
    drive.fault("session", action)
    store.put("a/new", DATA)
    assert store.stat("a/new") != Stat(len(DATA), drive.at("colab_rl/a/old").hash())
    store.put("a/new", DATA)
    if action != "wrong_md5":
        assert contents(drive) == AFTER["put"]
        assert store.stat("a/new") == store.stat("a/old")


# The login.


def test_tokens_that_expire_are_refreshed(drive, store):
    for _ in range(3):
        drive.expire_tokens()
        assert store.get("a/old") == DATA
        drive.expire_tokens()
        store.put("a/old", DATA)
    assert drive.count("token") >= 6


@pytest.mark.parametrize("call", CALLS)
def test_a_401_in_the_middle_is_refreshed(drive, store, call):
    for kind in CALLS[call][0][:1]:
        drive.fault(kind, "401")
    CALLS[call][1](store)
    assert contents(drive) == AFTER.get(call, {"a/old": DATA})


def test_a_login_that_was_withdrawn_is_said_and_not_tried_again(drive, store):
    drive.expire_tokens()
    drive.revoked = True
    with pytest.raises(StorageRefused, match="log in again") as caught:
        store.get("a/old")
    assert drive.count("token") <= 3
    assert "Bearer" not in str(caught.value) and "access-" not in str(caught.value)
    drive.revoked = False
    assert store.get("a/old") == DATA


def test_no_text_of_an_error_holds_a_token(drive, store, capfd):
    for kind, action in (("list", "403"), ("list", "400"), ("list", "401")):
        drive.clear_faults()
        drive.fault(kind, action, times=50)
        with pytest.raises(StorageError) as caught:
            store.list("")
        shown, error = [str(caught.value)], caught.value
        while error.__cause__ or error.__context__:
            error = error.__cause__ or error.__context__
            shown.append(repr(error))
        for header in drive.seen:
            assert header.removeprefix("Bearer ") not in " ".join(shown) or not header
    assert "access-" not in "".join(capfd.readouterr())


# Listings.


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


# The store's name.


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


# The control: PyDrive2 as its documentation uses it must fail what ours passes.


def naive(drive: FakeDrive) -> GoogleDrive:
    from colab_rl.storage.drive.client import _api, _LongLived, build_from_document

    auth = GoogleAuth(settings_file=None)
    login = Credentials(None, refresh_token="none", client_id="none", client_secret="none",
                        token_uri=drive.url + "token")
    auth.credentials = _LongLived(login, threading.local())
    auth.service = build_from_document(_api(drive.url), http=auth.Get_Http_Object())
    return GoogleDrive(auth)


def naive_put(drive: GoogleDrive) -> None:
    file = drive.CreateFile({"title": "new"})
    file.content = io.BytesIO(DATA)
    file.Upload()


@pytest.mark.parametrize("action", ["500", "html", "503", "rate"])
def test_the_control_gives_up_at_once(drive, action):
    drive.fault("insert", action)
    with pytest.raises((OSError, ValueError, HttpError)):
        naive_put(naive(drive))


def test_the_control_takes_damage_for_content(drive):
    file = drive.add("old", DATA)
    drive.fault("download", "flip")
    got = naive(drive).CreateFile({"id": file.id})
    assert b"".join(got.GetContentIOBuffer()) != DATA


def test_the_control_makes_two_of_one(drive):
    drive.fault("session", "drop")
    with pytest.raises(OSError):
        naive_put(naive(drive))
    naive_put(naive(drive))
    assert drive.tree() == {"new": DATA, "new#2": DATA}
