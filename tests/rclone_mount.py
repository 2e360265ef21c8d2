"""A FUSE mount that writes back later, as Colab's Drive does: rclone's, of a folder on this disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path

MISSING = None if os.path.exists("/dev/fuse") and shutil.which("rclone") and shutil.which("fusermount3") else \
    "needs /dev/fuse, rclone and fuse3 (apt-get install rclone fuse3)"


class Mount:
    """What is written below `point` shows there at once, and arrives in `behind` after `delay`.

    behind: another machine's, for a second mount of the same; one in `folder` if it is not given.
    """

    def __init__(self, folder: Path, delay: str, behind: Path | None = None):
        self.behind, self.point, self.caches = behind or folder / "behind", folder / "drive", folder / "caches"
        self.delay = delay
        self.count = 0  # of mounts so far
        self.process: subprocess.Popen | None = None
        for made in (self.behind / "MyDrive", self.point):
            made.mkdir(parents=True, exist_ok=True)

    def mount(self) -> None:
        """Mounts it, and waits until it is."""
        self.count += 1
        self.process = subprocess.Popen(
            ["rclone", "mount", str(self.behind), str(self.point), "--vfs-cache-mode", "writes", "--vfs-write-back",
             self.delay, "--cache-dir", str(self.caches / str(self.count)), "--config", "/dev/null",
             "--dir-cache-time", "1s"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.ismount(self.point):
            if self.process.poll() is not None:
                raise RuntimeError("rclone did not mount")
            time.sleep(0.05)

    def kill(self) -> None:
        """Ends it as a crash does: what was not written through is lost, and the path answers with errno 107."""
        assert self.process
        self.process.kill()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:  # the kernel waits for an answer from what is dead: it never runs code again
            for command in (["umount", "-f"], ["fusermount3", "-uz"]):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    subprocess.run([*command, str(self.point)], stderr=subprocess.DEVNULL, timeout=10)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        shutil.rmtree(self.caches, ignore_errors=True)

    def unmount(self) -> None:
        """Leaves a plain empty folder."""
        if self.process:
            self.kill()
            self.process = None
        subprocess.run(["fusermount3", "-uz", str(self.point)], stderr=subprocess.DEVNULL, timeout=60)
