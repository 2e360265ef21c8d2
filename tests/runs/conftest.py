"""A Drive and a mount for runs, and pauses that take no time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_drive import FakeDrive
from rclone_mount import Mount
from stored_runs import session

from colab_rl.checkpoints import replication
from colab_rl.storage.drive import client as client_module


@pytest.fixture
def short_pauses(monkeypatch) -> None:
    """Drive and a session try again at once."""
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(client_module, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(replication, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(replication, "LONGEST_PAUSE", 0.2)


@pytest.fixture
def drive(monkeypatch) -> Iterator[FakeDrive]:
    with FakeDrive() as drive:
        monkeypatch.setenv("COLAB_RL_DRIVE_ENDPOINT", drive.url)
        yield drive


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> str:
    """state_sha256 of the run that nothing happened to."""
    return session(tmp_path_factory.mktemp("undisturbed"), "none").state_sha256


@pytest.fixture
def mount(request, tmp_path) -> Iterator[Mount]:
    mount = Mount(tmp_path / "mounted", getattr(request, "param", "1s"))
    try:
        mount.mount()
        yield mount
    finally:
        mount.unmount()
