"""A FUSE mount that writes back later, as Colab's Drive does: rclone's, of a folder on this disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

MISSING = None if os.path.exists("/dev/fuse") and shutil.which("rclone") and shutil.which("fusermount3") else \
    "needs /dev/fuse, rclone and fuse3 (apt-get install rclone fuse3)"


class Mount:
    """What is written below `point` shows there at once, and arrives in `behind` after `delay`."""

    def __init__(self, folder: Path, delay: str):
        self.behind, self.point, self.cache = folder / "behind", folder / "drive", folder / "cache"
        self.delay = delay
        self.process: subprocess.Popen | None = None
        for made in (self.behind / "MyDrive", self.point):
            made.mkdir(parents=True)

    def mount(self) -> None:
        """Mounts it, and waits until it is."""
        self.process = subprocess.Popen(
            ["rclone", "mount", str(self.behind), str(self.point), "--vfs-cache-mode", "writes", "--vfs-write-back",
             self.delay, "--cache-dir", str(self.cache), "--config", "/dev/null", "--dir-cache-time", "1s"],
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
        except subprocess.TimeoutExpired:  # the kernel waits for an answer from what is dead
            subprocess.run(["umount", "-f", str(self.point)], stderr=subprocess.DEVNULL)
            self.process.wait()
        shutil.rmtree(self.cache, ignore_errors=True)

    def unmount(self) -> None:
        """Leaves a plain empty folder."""
        if self.process:
            self.kill()
        subprocess.run(["fusermount3", "-uz", str(self.point)], stderr=subprocess.DEVNULL)
