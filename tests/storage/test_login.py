"""Logging in to Drive without a person: a browser that is a thread, tokens that end, service accounts."""

from __future__ import annotations

import datetime
import json
import stat
import subprocess
import threading
import urllib.request
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import google.oauth2.credentials
import pytest
from fake_drive import FakeDrive
from google.auth import _helpers

from colab_rl import UsageError, train
from colab_rl.cli import main
from colab_rl.errors import StorageRefused
from colab_rl.storage.drive import login
from colab_rl.storage.drive.client import DriveClient
from colab_rl.storage.drive.storage import open_drive


@pytest.fixture
def drive(monkeypatch) -> Iterator[FakeDrive]:
    with FakeDrive() as drive:
        # A saved login is refreshed at Google, whatever its file says.
        monkeypatch.setattr(google.oauth2.credentials, "_GOOGLE_OAUTH2_TOKEN_ENDPOINT", drive.url + "token")
        yield drive


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch) -> None:
    """Nobody is logged in here."""
    for name in (login.ENDPOINT, "GOOGLE_APPLICATION_CREDENTIALS", "COLAB_RL_STORE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_CONFIG_HOME", "HOME", "CLOUDSDK_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.fixture
def client_secrets(tmp_path, drive) -> Path:
    """The file that a person downloads from Google's console."""
    path = tmp_path / "client_secret.json"
    path.write_text(json.dumps({"installed": {
        "client_id": "client", "client_secret": "hush-client", "redirect_uris": ["http://localhost"],
        "auth_uri": drive.url + "auth", "token_uri": drive.url + "token"}}))
    return path


@pytest.fixture
def browser(monkeypatch) -> None:
    """A browser in which somebody follows where the page of consent leads."""
    def visit(url: str) -> None:
        urllib.request.urlopen(url).read()

    monkeypatch.setattr(webbrowser, "open", lambda url, **options: threading.Thread(target=visit, args=(url,)).start())


def later(monkeypatch, drive: FakeDrive, **time: float) -> None:
    """Time passes, and tokens end on Google's side."""
    now = _helpers.utcnow() + datetime.timedelta(**time)
    monkeypatch.setattr(_helpers, "utcnow", lambda: now)
    drive.expire_tokens()


def test_consent_is_saved_for_its_owner_alone_and_lasts(drive, client_secrets, browser, monkeypatch, capfd):
    assert main(["login", str(client_secrets)]) == 0
    assert stat.S_IMODE(login.saved_login().stat().st_mode) == 0o600
    shown = "".join(capfd.readouterr())
    assert "logged in; saved for you alone in" in shown and "hush" not in shown and "a-refresh" not in shown
    store = open_drive(DriveClient(login.credentials(), drive.url), "drive:colab_rl", make=True)
    store.put("run.json", b"1")
    for hours in (2, 30, 1000):  # each is a refresh ahead of the call, and no call that is refused
        later(monkeypatch, drive, hours=hours)
        drive.calls.clear()
        assert store.get("run.json") == b"1"
        assert drive.count("token") == 1 and drive.count("download") == 1
    assert drive.grants[0] == "authorization_code" and set(drive.grants[1:]) == {"refresh_token"}


def test_a_refusal_in_the_browser_is_one_line_and_saves_nothing(drive, client_secrets, browser, capfd):
    drive.declined = True
    assert main(["login", str(client_secrets)]) == 1
    assert "error: nobody logged in; nothing was saved" in capfd.readouterr().err
    assert not login.saved_login().exists()


@pytest.mark.parametrize("content", ["{torn", "{}", '{"installed": {}}', '{"type": "service_account"}'])
def test_a_file_that_is_no_client_is_one_line(tmp_path, content, capsys):
    (tmp_path / "wrong.json").write_text(content)
    assert main(["login", str(tmp_path / "wrong.json")]) == 2
    assert "is not an OAuth client of the kind desktop app" in capsys.readouterr().err
    with pytest.raises(UsageError, match="there is no file"):
        login.save_login(tmp_path / "none.json")


def test_a_login_that_was_withdrawn_says_so_when_its_token_ends(drive, client_secrets, browser, monkeypatch):
    login.save_login(client_secrets)
    store = open_drive(DriveClient(login.credentials(), drive.url), "drive:colab_rl", make=True)
    drive.revoked = True
    store.put("run.json", b"1")  # its token still holds
    later(monkeypatch, drive, hours=2)
    with pytest.raises(StorageRefused, match="log in again"):
        store.get("run.json")


def test_a_service_account_uses_the_folder_that_it_was_given(drive, tmp_path, monkeypatch):
    key = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], capture_output=True, text=True).stdout
    account = {"type": "service_account", "project_id": "p", "private_key_id": "1", "private_key": key,
               "client_email": "robot@p.iam.gserviceaccount.com", "token_uri": drive.url + "token"}
    (tmp_path / "key.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    found = login.credentials()
    assert found.service_account_email == account["client_email"]
    assert list(found.scopes) == list(login.SCOPES)
    folder = drive.add("runs", None, parent=drive.add_shared_drive("team").id)
    place = f"drive:https://drive.google.com/drive/folders/{folder.id}"
    store = open_drive(DriveClient(found, drive.url), place, make=True)
    store.put("run.json", b"1")
    later(monkeypatch, drive, hours=2)
    assert store.get("run.json") == b"1"
    assert drive.grants == ["urn:ietf:params:oauth:grant-type:jwt-bearer"] * 2


def test_a_saved_login_is_used_and_a_damaged_one_is_said():
    login.write_login({"type": "authorized_user", "client_id": "client", "client_secret": "hush",
                       "refresh_token": "hush-refresh", "token_uri": "http://127.0.0.1:1/token"})
    assert login.credentials().refresh_token == "hush-refresh"
    login.saved_login().write_text("{torn")
    with pytest.raises(StorageRefused, match="cannot be read") as caught:
        login.credentials()
    assert "hush" not in str(caught.value)


STRANGE = ["", "null", "[]", '"x"', "7", "{}", "[" * 100_000, '{"type": "service_account"}', '{"type": 1}']


@pytest.mark.parametrize("content", STRANGE, ids=lambda content: content[:20] or "empty")
@pytest.mark.parametrize("which", ["saved", "key"])
def test_a_login_that_is_none_is_one_line(tmp_path, monkeypatch, capsys, which, content):
    path = login.saved_login() if which == "saved" else tmp_path / "key.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    if which == "key":
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    assert main(["status", "--store", "drive:colab_rl", "--root", str(tmp_path / "runs")]) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and "log in first" in told[0]


def test_a_home_folder_of_nobody_is_one_line(tmp_path, capsys):
    assert main(["status", "--store", "~nosuchuser/x", "--root", str(tmp_path / "runs")]) == 2
    assert "~nosuchuser/x begins with the home folder of a user whom" in capsys.readouterr().err


def test_without_a_login_it_is_said_what_to_do(tmp_path):
    with pytest.raises(StorageRefused, match="log in first"):
        train("cart", env="CartPole-v1", root=tmp_path / "runs", store="drive:colab_rl")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("home", [None, "", "/nobody-may-read", "relative"])
def test_a_machine_without_a_home_folder_has_no_login_and_says_so(drive, monkeypatch, tmp_path, home):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path if home is None else path.replace("~", home, 1))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    assert not login.may_have_login()
    with pytest.raises(StorageRefused, match="nobody is logged in to Drive here"):
        login.credentials()
    if home in (None, "relative"):
        with pytest.raises(StorageRefused, match="there is no home folder to save a login in; nothing was saved"):
            login.write_login({})
    assert not list(tmp_path.iterdir())
