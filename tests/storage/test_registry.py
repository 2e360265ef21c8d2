"""What a store's name opens, and a user's storage: as docs/extending/README.md shows it."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import memory_storage
import pytest
from helpers import TINY, comes

from colab_rl import train
from colab_rl.errors import UsageError
from colab_rl.settings import parse_settings
from colab_rl.storage import FolderStorage, open_store, register_storage
from colab_rl.storage.registry import needs_google_login


def trained(root: Path, files) -> str:
    """Trains with a memory that is `files`; returns the hash of the state that it ends with."""
    memory_storage.FILES = files
    return train("cart", env="CartPole-v1", backend="gymnasium", total_steps=1_000, root=root, store="memory:runs",
                 settings=parse_settings(TINY)).state_sha256


def test_a_run_in_a_storage_of_a_persons_own_is_killed_and_goes_on_exactly(tmp_path):
    """This process holds the files; the one that trains is killed, and its machine's folder is lost."""
    with multiprocessing.Manager() as manager:
        files = manager.dict()
        process = multiprocessing.get_context("spawn").Process(target=trained, args=(tmp_path / "killed", files))
        process.start()
        assert comes(lambda: sum("/checkpoints/" in name for name, _ in files.items()) >= 6 or not process.is_alive())
        process.kill()
        process.join()
        assert process.exitcode < 0
        resumed = trained(tmp_path / "another", files)
    assert resumed == trained(tmp_path / "undisturbed", {})


def test_the_storage_that_the_documentation_shows_is_short():
    assert len(Path(memory_storage.__file__).read_text().splitlines()) <= 40


def test_a_scheme_is_one_registration_and_colab_asks_for_what_it_needs(tmp_path):
    opened = []
    register_storage("gs", lambda place, make: opened.append((place, make)) or FolderStorage(tmp_path),
                     google_login=True)
    assert open_store("gs:bucket/runs", make=False).root == tmp_path and opened == [("gs:bucket/runs", False)]
    assert [needs_google_login(place) for place in ("gs:x", "drive:x", "memory:x", "/tmp", "none", "")] == [
        True, True, False, False, False, False]
    with pytest.raises(UsageError, match="small letters"):
        register_storage("S3:", lambda place, make: FolderStorage(tmp_path))


@pytest.mark.parametrize("place", ["s3:bucket", "S3://bucket/runs", "Drive:colab_rl", "file:///tmp",
                                   "gdrive:colab_rl"])
def test_a_scheme_that_nobody_registered_is_no_folder(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"choose from .*drive:"):
        open_store(place, make=True)
    assert not list(tmp_path.iterdir())


def test_a_folder_may_have_a_colon_in_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a:b").mkdir()
    for place in ("a:b", "./c:d", f"{tmp_path}/e:f"):
        open_store(place, make=True).put("run.json", b"{}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a:b", "c:d", "e:f"]


@pytest.mark.parametrize("place", ["none", "None", ""])
def test_none_is_no_store(place, monkeypatch):
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    assert open_store(place, make=True) is None
