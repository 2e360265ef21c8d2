"""Colab's own things, with a google.colab that behaves as the real one: it asks first, and raises what it raises."""

from __future__ import annotations

import errno
import importlib
import os
import re
import shlex
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import google
import google.auth
import google.auth.exceptions
import pytest
from fake_drive import FakeDrive
from google.oauth2.credentials import Credentials
from helpers import TINY

from colab_rl import ColabRLError, train
from colab_rl.colab import cells, session
from colab_rl.runs.places import Places
from colab_rl.settings import parse_settings
from colab_rl.storage import FolderStorage
from colab_rl.storage.drive import mount


class MessageError(Exception):
    """What google.colab raises where a person declines."""


class TIMEOUT(Exception):
    """pexpect's."""


class FakeColab:
    """The google.colab modules. `answers`: what mounting and logging in meet, each once."""

    def __init__(self, point: Path):
        self.point = point
        self.calls: list[str] = []
        self.answers: dict[str, Exception] = {}
        self.logged_in = False
        self.drive = types.SimpleNamespace(mount=self._mount, flush_and_unmount=self._unmount)
        self.auth = types.SimpleNamespace(authenticate_user=self._authenticate)
        self.runtime = types.SimpleNamespace(unassign=lambda: self.calls.append("unassign"))

    def _ask(self, call: str) -> None:
        self.calls.append(call)
        if call.split()[0] in self.answers:
            raise self.answers.pop(call.split()[0])

    def _mount(self, mountpoint: str, force_remount: bool = False, timeout_ms: int = 120_000,
               readonly: bool = False) -> None:
        assert Path(mountpoint) == self.point
        self._ask("mount force" if force_remount else "mount")  # consent comes before any look at the mount
        (self.point / "MyDrive").mkdir(parents=True, exist_ok=True)

    def _unmount(self, timeout_ms: int = 24 * 60 * 60 * 1000) -> None:
        self._ask("unmount")

    def _authenticate(self) -> None:
        self._ask("authenticate")
        self.logged_in = True


@pytest.fixture
def google_colab(tmp_path, monkeypatch) -> FakeColab:
    fake = FakeColab(tmp_path / "content" / "drive")
    module = types.ModuleType("google.colab")
    for name in ("drive", "auth", "runtime"):
        setattr(module, name, getattr(fake, name))
    monkeypatch.setitem(sys.modules, "google.colab", module)
    monkeypatch.setattr(google, "colab", module, raising=False)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab_20260819")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("COLAB_RL_STORE", "COLAB_RL_DRIVE_ENDPOINT", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLAB_RL_ROOT", str(tmp_path / "runs"))
    for module in (session, mount):
        monkeypatch.setattr(module, "MOUNTED_DRIVE", fake.point)

    def default(scopes=None):
        if not fake.logged_in:
            raise google.auth.exceptions.DefaultCredentialsError("nobody")
        return Credentials("token"), None

    monkeypatch.setattr(google.auth, "default", default)
    return fake


@pytest.fixture
def drive(monkeypatch) -> Iterator[FakeDrive]:
    with FakeDrive() as drive:
        monkeypatch.setenv("COLAB_RL_DRIVE_ENDPOINT", drive.url)
        yield drive


def small_run(store: str) -> None:
    train("cart", env="CartPole-v1", backend="gymnasium", total_steps=200, store=store, settings=parse_settings(TINY))


def test_drive_is_mounted_once_and_a_mount_that_is_there_asks_nobody(google_colab):
    place = session.connect("")
    assert place == str(google_colab.point / "MyDrive" / "colab_rl")
    assert session.connect("") == place
    assert google_colab.calls == ["mount"]


@pytest.mark.parametrize(("error", "reason"), [
    (MessageError("credential propagation was unsuccessful"), "declined"),
    (ValueError("mount failed"), "mount failed"), (TIMEOUT("timeout"), "too long"),
    (NotImplementedError("no"), "no")])
def test_a_mount_that_fails_is_one_line_with_what_else_there_is(google_colab, error, reason, capsys):
    google_colab.answers["mount"] = error
    with pytest.raises(ColabRLError, match=reason) as caught:
        session.connect("")
    assert "drive:colab_rl" in str(caught.value) and '"none"' in str(caught.value)
    google_colab.answers["mount"] = error
    assert cells.set_up("") == "none"
    shown = capsys.readouterr().out
    assert reason in shown and "drive:colab_rl" in shown and "Traceback" not in shown


def test_a_dead_mount_is_mounted_by_force_and_no_other(google_colab, monkeypatch):
    session.connect("")
    real = os.stat

    def dead(path, *arguments, **options):
        if str(path) == str(google_colab.point / "MyDrive") and google_colab.calls[-1] != "mount force":
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", dead)
    session.connect("")
    assert google_colab.calls == ["mount", "mount force"]


def test_drive_without_a_mount_asks_for_a_login_once(google_colab):
    assert session.connect("drive:colab_rl") == "drive:colab_rl"
    session.connect("drive:colab_rl")
    assert google_colab.calls == ["authenticate"]


def test_a_declined_login_is_said(google_colab, capsys):
    google_colab.answers["authenticate"] = MessageError("no")
    with pytest.raises(ColabRLError, match="nobody logged in to Drive: the request was declined"):
        session.connect("drive:colab_rl")
    google_colab.answers["authenticate"] = MessageError("no")
    assert session.connect("", verify=True)  # the mount will do
    assert "not `verified`" in capsys.readouterr().err


@pytest.mark.parametrize("store", ["none", "/tmp", ""])
def test_elsewhere_nobody_is_asked(store, monkeypatch):
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    monkeypatch.delenv("COLAB_RL_STORE", raising=False)
    assert session.connect(store) == (store or None)


@pytest.mark.parametrize(("chosen", "place"), [("", "drive:mine"), ("none", "none")])
def test_the_environments_store_is_the_notebooks_too(google_colab, monkeypatch, chosen, place):
    monkeypatch.setenv("COLAB_RL_STORE", "drive:mine")
    assert session.connect(chosen) == place
    assert "mount" not in google_colab.calls


def test_a_relative_path_into_the_mount_is_drive_too(google_colab, monkeypatch):
    google_colab.point.parent.mkdir()
    monkeypatch.chdir(google_colab.point.parent)
    assert session.connect("drive/MyDrive/colab_rl") == "drive/MyDrive/colab_rl"
    assert google_colab.calls == ["mount"] and Places(None, "drive/MyDrive/colab_rl", make_store=True).store
    monkeypatch.chdir(google_colab.point)
    for name in ("none", "None"):  # which is no folder of Drive
        assert session.connect(name, verify=True) == name
    assert google_colab.calls == ["mount"]


def test_a_shell_on_colab_asks_nobody(monkeypatch):
    """`!python -m colab_rl`: the package google.colab is there, the kernel is not."""
    monkeypatch.setenv("COLAB_RELEASE_TAG", "1")
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    assert not session.on_colab()


def test_set_up_makes_the_folder_tries_it_and_shows_the_runs(google_colab, capsys):
    place = cells.set_up("", verify=False)
    first = capsys.readouterr().out
    assert "written, read back and removed" in first and "GB free" in first and "no runs yet" in first
    assert [path.suffix for path in Path(place).iterdir()] == [".whl"]  # no probe is left, and the package is kept
    small_run(place)
    cells.set_up("", verify=False)
    assert "cart: CartPole-v1, ppo" in (shown := capsys.readouterr().out)
    assert "in the store" in shown and "is kept in" in shown
    assert len(list(Path(place).glob("*.whl"))) == 1


def test_set_up_works_without_a_mount(google_colab, drive, capsys):
    cells.set_up("drive:colab_rl")
    small_run("drive:colab_rl")
    cells.set_up("drive:colab_rl")
    shown = capsys.readouterr().out
    assert "15.0 GB" in shown or "16.1 GB free" in shown
    assert re.search("cart: CartPole-v1, .*, in the store", shown)
    assert any(name.endswith(".whl") for name in drive.tree())
    assert not [name for name in drive.tree() if "probe" in name]


def test_tensorboard_gets_a_folder_with_a_space(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(importlib.import_module("tensorboard.notebook"), "start", asked.append)
    cells.show_tensorboard(tmp_path / "my runs")
    assert str(tmp_path / "my runs" / "tensorboard") in shlex.split(asked[0])


def test_set_up_outside_colab_says_that_there_is_no_store(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    monkeypatch.delenv("COLAB_RL_STORE", raising=False)
    monkeypatch.setenv("COLAB_RL_ROOT", str(tmp_path))
    cells.set_up("")
    assert "no store" in capsys.readouterr().out


def test_finish_gives_the_machine_back_only_where_all_is_verified(google_colab, drive, monkeypatch):
    place = session.connect("")
    small_run(place)
    session.finish("cart", place, session.KEEP)
    assert google_colab.calls == ["mount"]
    session.finish("cart", place, session.UNMOUNT)
    assert google_colab.calls == ["mount", "unmount"]
    monkeypatch.setattr(FolderStorage, "__init__", _as_a_mount(FolderStorage.__init__))
    monkeypatch.setattr("colab_rl.storage.folder.is_fuse", lambda folder: True)
    monkeypatch.setattr(mount, "witness_of", lambda folder: None)
    with pytest.raises(ColabRLError, match="the machine is kept"):
        session.finish("cart", place, session.GIVE_BACK)
    assert "unassign" not in google_colab.calls
    small_run("drive:colab_rl")
    session.finish("cart", "drive:colab_rl", session.GIVE_BACK)
    assert google_colab.calls[-1] == "unassign"


def test_finish_keeps_everything_where_the_store_refuses(google_colab, drive):
    small_run("none")
    drive.open()
    drive.fault("insert", "quota", times=1000)
    with pytest.raises(ColabRLError, match="Drive is full"):
        session.finish("cart", "drive:colab_rl", session.GIVE_BACK)
    assert google_colab.calls == []


def _as_a_mount(init):
    def made(self, root, within=None):
        init(self, root, within)
        self.proves = self.consistent = "content" not in str(root)
    return made
