"""Stores that can be hurt, each in the ways of its own: a folder, the tests' Drive, a FUSE mount with write-back."""

from __future__ import annotations

import contextlib
import pathlib
import random
import time

import rclone_mount
from fake_drive import FakeDrive

RUN = "run"
SWEPT = ("checkpoints/", "metrics/", "telemetry/")
HOW = ("cut", "flip", "empty", "remove")
# Kinds of calls to Drive, and what may befall any of them, or one of them alone.
KINDS = ("token", "ids", "list", "get", "download", "insert", "session", "delete", "patch")
PASSING = ("500", "html", "503", "rate", "reset", "429")
OWN = {"session": ("drop", "cut", "flip", "lost", "wrong_md5"), "insert": ("drop",), "delete": ("drop",),
       "download": ("cut", "flip"), "list": ("empty", "cut")}


def spoilt(data: bytes, how: str, rng: random.Random) -> bytes | None:
    """A file's content after a damage of HOW; None where the file is gone."""
    if how == "flip" and data:
        position = rng.randrange(len(data))
        return data[:position] + bytes([data[position] ^ 1]) + data[position + 1:]
    return {"cut": data[:len(data) // 2], "empty": b"", "remove": None}.get(how, data)


def read_folder(folder: pathlib.Path) -> dict[str, bytes]:
    """Content of every file below a folder by name; what vanishes meanwhile is left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(OSError):
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


class Folder:
    """A folder. `place`: its name for --store; `damaged`: names of the files of the run that were damaged in it."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.top = folder / "disk" / "store"
        self.place = str(self.top)
        self.endpoint: str | None = None
        self.damaged: set[str] = set()
        self._troubled = -float("inf")
        self.top.mkdir(parents=True)

    def files(self) -> dict[str, bytes]:
        """What it holds of the run for good, by name."""
        return read_folder(self.top / RUN)

    def hurt(self, rng: random.Random, files: bool = True) -> str | None:
        """Does something to it, to its files too if that is wanted; returns what, None where there was nothing."""
        if files and rng.random() < 0.4:
            return self.damage(rng)
        what = self._trouble(rng)
        self._troubled = time.monotonic()
        return what

    @property
    def troubled(self) -> float:
        """When it had trouble last, on the monotonic clock."""
        return self._troubled

    def damage(self, rng: random.Random) -> str | None:
        """Damages a file of the run."""
        names = [name for name in self.files() if name.startswith(SWEPT) and ".tmp-" not in name]
        if not names:
            return None
        name, how = rng.choice(names), rng.choice(HOW)
        try:
            self._spoil(name, how, rng)
        except (OSError, KeyError):  # pruned meanwhile
            return None
        self.damaged.add(name)
        return f"file {how}"

    def lose_machine(self) -> None:
        """What dies with the machine that used it."""

    def heal(self) -> None:
        """From here on nothing befalls it."""

    def close(self) -> None:
        """Ends what serves it."""

    def _trouble(self, rng: random.Random) -> str | None:
        """Its disk is not there for a moment."""
        away = self.folder / "away"
        self.top.parent.rename(away)
        time.sleep(rng.uniform(0, 1))
        away.rename(self.top.parent)
        return "disk away"

    def _spoil(self, name: str, how: str, rng: random.Random) -> None:
        path = self.top / RUN / name
        data = spoilt(path.read_bytes(), how, rng)
        if data is None:
            path.unlink()
        else:
            path.write_bytes(data)


class Drive(Folder):
    """Drive by its API: calls of a kind meet an error a few times, tokens end, files are damaged."""

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self.place = "drive:colab_rl"
        self.server = FakeDrive()
        self.server.__enter__()
        self.endpoint = self.server.url
        self.server.add("colab_rl", None)

    def files(self) -> dict[str, bytes]:
        """See Folder. A second file of a name is NAME#2."""
        with self.server.lock:
            tree = self.server.tree()
        inside = f"colab_rl/{RUN}/"
        return {name.removeprefix(inside): data for name, data in tree.items() if name.startswith(inside)}

    @property
    def troubled(self) -> float:
        """See Folder. A fault waits for a call to meet it."""
        return self.server.troubled

    def heal(self) -> None:
        """See Folder."""
        self.server.clear_faults()

    def close(self) -> None:
        """See Folder."""
        self.server.__exit__()

    def _trouble(self, rng: random.Random) -> str | None:
        kind = rng.choice(KINDS)
        action = "503" if kind == "token" else rng.choice((*PASSING, *OWN.get(kind, ())))
        self.server.fault(kind, action, times=rng.randint(1, 3))
        if kind == "token" or rng.random() < 0.2:
            self.server.expire_tokens()
        return f"{kind} {action}"

    def _spoil(self, name: str, how: str, rng: random.Random) -> None:
        with self.server.lock:
            try:
                file = self.server.at(f"colab_rl/{RUN}/{name}")
            except AssertionError as error:
                raise KeyError(name) from error
            file.content = spoilt(file.content or b"", how, rng) or b""
            file.trashed = how == "remove"


class Mount(Folder):
    """A FUSE mount by rclone that writes back a little later: it dies, with what it had not written, and comes back."""

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self.mount = rclone_mount.Mount(folder, "200ms")
        self.top = self.mount.behind / "store"
        self.top.mkdir()
        self.place = str(self.mount.point / "store")
        self.mount.mount()

    def lose_machine(self) -> None:
        """See Folder."""
        self.mount.unmount()
        self.mount.mount()

    def close(self) -> None:
        """See Folder."""
        self.mount.unmount()

    def _trouble(self, rng: random.Random) -> str | None:
        self.mount.kill()
        time.sleep(rng.uniform(0, 1))  # errno 107
        self.mount.unmount()
        time.sleep(rng.uniform(0, 1))  # a plain empty folder
        self.mount.mount()
        return "mount killed"


STORES = {"folder": Folder, "drive": Drive, "mount": Mount}
