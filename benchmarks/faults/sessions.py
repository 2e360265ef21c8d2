"""`train` in processes of their own that start fast: forked from one that has imported everything and done nothing."""

from __future__ import annotations

import multiprocessing
import os
import pathlib
import re
import sys
import tempfile
import time

PRELOADED = ("colab_rl.cli", "colab_rl.training.session", "colab_rl.storage.drive.storage", "torch.utils.tensorboard")


def _train(arguments: list[str], endpoint: str | None, folder: str) -> None:
    for descriptor, name in ((1, "output"), (2, "errors")):
        os.dup2(os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    if endpoint:
        os.environ["COLAB_RL_DRIVE_ENDPOINT"] = endpoint
    from colab_rl.cli import main

    sys.exit(main(arguments))


class Session:
    """One session of a run. `continued_from`: generation and iteration that it continues from, once it has said so."""

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))

    def __init__(self, run: str, root: pathlib.Path, store: str, options: tuple[str, ...], endpoint: str | None):
        self._folder = tempfile.TemporaryDirectory()
        arguments = ["train", run, "--root", str(root), "--store", store, *options]
        self._process = self.context.Process(target=_train, args=(arguments, endpoint, self._folder.name))
        self.began = time.monotonic()
        self.seconds_to_start: float | None = None
        self._continued_from: tuple[int, int] | None = None
        self._process.start()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.is_alive()

    @property
    def exit_code(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.exitcode

    @property
    def continued_from(self) -> tuple[int, int] | None:
        """See the class."""
        if self._continued_from is None:
            text = self.errors()
            match = re.search(r"continuing from generation (\d+) \(iteration ([\d,]+)", text)
            if match or "has no checkpoint yet" in text:
                self._continued_from = (int(match[1]), int(match[2].replace(",", ""))) if match else (0, 0)
                self.seconds_to_start = time.monotonic() - self.began
        return self._continued_from

    def errors(self) -> str:
        """What it has said so far."""
        return self._read("errors")

    def kill(self) -> None:
        """Ends it with SIGKILL, if it still runs."""
        self._process.kill()
        self._process.join()

    def end(self) -> str | None:
        """Waits for its end; returns the state's hash that it printed."""
        self._process.join()
        match = re.search(r"state_sha256=([0-9a-f]{64})", self._read("output"))
        return match[1] if match else None

    def _read(self, name: str) -> str:
        path = pathlib.Path(self._folder.name, name)
        return path.read_text(errors="replace") if path.exists() else ""
