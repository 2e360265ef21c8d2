"""A Drive, a store on it, and pauses that take no time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from drive_calls import DATA
from fake_drive import FakeDrive

from colab_rl.storage.drive import client as client_module
from colab_rl.storage.drive.storage import DriveStorage


@pytest.fixture
def short_pauses(monkeypatch) -> None:
    """Drive is asked again at once."""
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
