"""A store on Drive by its API: each failure that Drive is known for, over real HTTP, to its expected outcome."""

from __future__ import annotations

import io
import threading
import time

import pytest
from drive_calls import AFTER, CALLS, DATA, PASSING, contents
from fake_drive import FakeDrive
from google.oauth2.credentials import Credentials
from googleapiclient.errors import HttpError
from pydrive2.auth import GoogleAuth
from pydrive2.drive import GoogleDrive

from colab_rl.errors import StorageError, StorageRefused
from colab_rl.storage import Stat
from colab_rl.storage.drive import client as client_module

pytestmark = pytest.mark.usefixtures("short_pauses")


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
