"""A folder for checkpoints, and a session that brings them to a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import RUN_ID, make_tier
from troubled_store import IDENTITY, Store

from colab_rl.checkpoints import Replicator, Tier, replication


@pytest.fixture
def short_pauses(monkeypatch) -> None:
    """A session tries again at once."""
    monkeypatch.setattr(replication, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(replication, "LONGEST_PAUSE", 0.02)


@pytest.fixture
def local(tmp_path) -> Tier:
    return make_tier(tmp_path / "local")


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def mounted(store, monkeypatch) -> None:
    """The store is a mount, which proves nothing."""
    monkeypatch.setattr("colab_rl.storage.folder.is_fuse", lambda folder: True)
    store.proves = store.consistent = False


@pytest.fixture
def start(local, store, short_pauses) -> Iterator[Callable[..., Replicator]]:
    """Begins a session's replication; all end with the test."""
    begun: list[Replicator] = []

    def begin(keep_last: int = 2, keep_every: int = 100, source: Tier = local) -> Replicator:
        begun.append(Replicator(source, Tier(store, RUN_ID), IDENTITY, keep_last, keep_every))
        return begun[-1]

    yield begin
    store.open.set()
    for replicator in begun:
        replicator.close()


@pytest.fixture
def witness(store, mounted, monkeypatch) -> Store:
    """Drive itself, behind the store, which is a mount; asked without a pause."""
    monkeypatch.setattr(replication, "CONFIRM_PAUSE", 0.01)
    store.witness = Store(store.root)
    store.witness.service = "Drive"
    return store.witness


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "local"


@pytest.fixture
def said() -> list[str]:
    return []
