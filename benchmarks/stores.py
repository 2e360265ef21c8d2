"""What a store survives, what it costs, and how soon a bare machine goes on from it.

    python benchmarks/stores.py faults --store drive --events 200 --seed 0
    python benchmarks/stores.py slow
    python benchmarks/stores.py resume --generations 500

The Drive is that of the tests: API v2 on loopback, over real HTTP, with real PyDrive2 in front. The mount is rclone's,
with write-back. Every figure is that of whole commands in processes of their own.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fake_drive import FakeDrive  # noqa: E402

from colab_rl.checkpoints.retention import orphans  # noqa: E402
from colab_rl.metrics import from_csv  # noqa: E402
from colab_rl.runs import Places  # noqa: E402

SMALL = ("num_envs=2", "num_steps=64", "minibatch_size=64", "update_epochs=1", "checkpoint_every=2", "keep_last=2",
         "keep_every=5", "eval_every=20", "eval_episodes=1", "hidden_sizes=8")
KINDS = ("token", "ids", "list", "get", "download", "insert", "session", "delete", "patch")
PASSING = ("500", "html", "503", "rate", "reset", "429")
OWN = {"session": ("drop", "cut", "flip", "lost"), "insert": ("drop",), "delete": ("drop",),
       "download": ("cut", "flip"), "list": ("empty",)}


def start(run: str, root: pathlib.Path, store: str, *options: str, endpoint: str | None = None) -> subprocess.Popen:
    env = {**os.environ, **({"COLAB_RL_DRIVE_ENDPOINT": endpoint} if endpoint else {})}
    return subprocess.Popen([sys.executable, "-m", "colab_rl", "train", run, "--root", str(root), "--store", store,
                             *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=ROOT)


def ended(process: subprocess.Popen) -> str:
    """The state's hash that a session ends with."""
    output, errors = process.communicate()
    match = re.search(r"state_sha256=([0-9a-f]{64})", output)
    if not match:
        raise SystemExit(f"a session failed: {errors[-2000:]}")
    return match[1]


class Store:
    """A store that can be hurt. `place`: its name for --store."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.place = str(folder / "store")
        pathlib.Path(self.place).mkdir()
        self.endpoint: str | None = None

    def hurt(self, rng: random.Random) -> str:
        """Does something to it; returns what."""
        files = sorted(path for path in pathlib.Path(self.place).rglob("*.*")
                       if path.is_file() and path.parent.name in ("checkpoints", "metrics"))
        if not files:
            return "nothing"
        path, how = rng.choice(files), rng.choice(("cut", "flip", "empty", "remove"))
        try:
            data = bytearray(path.read_bytes())
            if how == "remove":
                path.unlink()
            else:
                if how == "flip" and data:
                    data[rng.randrange(len(data))] ^= 1
                path.write_bytes({"cut": data[:len(data) // 2], "flip": data, "empty": b""}[how])
        except OSError:  # pruned meanwhile, or the mount is away
            return "nothing"
        return f"file {how}"

    def close(self) -> None:
        """Ends what serves it."""


class Drive(Store):
    """Drive by its API."""

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self.place = "drive:colab_rl"
        self.server = FakeDrive()
        self.server.__enter__()
        self.endpoint = self.server.url
        self.server.add("colab_rl", None)

    def hurt(self, rng: random.Random) -> str:
        """A few calls of a kind meet an error."""
        kind = rng.choice(KINDS)
        action = rng.choice((*PASSING, *OWN.get(kind, ())))
        self.server.fault(kind, action if kind != "token" else "503", times=rng.randint(1, 3))
        if rng.random() < 0.3:
            self.server.expire_tokens()
        return f"{kind} {action}"

    def close(self) -> None:
        """See Store."""
        self.server.__exit__()


class Mount(Store):
    """A FUSE mount that writes back a second later."""

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self.behind, self.point, self.cache = folder / "behind", folder / "mounted", folder / "cache"
        for path in (self.behind, self.point):
            path.mkdir()
        (self.behind / "store").mkdir()
        self.place = str(self.point / "store")
        self.mount()

    def mount(self) -> None:
        """Mounts it, and waits until it is."""
        self.process = subprocess.Popen(
            ["rclone", "mount", str(self.behind), str(self.point), "--vfs-cache-mode", "writes", "--vfs-write-back",
             "1s", "--cache-dir", str(self.cache), "--config", "/dev/null", "--dir-cache-time", "1s"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.ismount(self.point):
            time.sleep(0.05)

    def hurt(self, rng: random.Random) -> str:
        """The mount dies and comes back, or a file is damaged."""
        if rng.random() < 0.5:
            return super().hurt(rng)
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.cache, ignore_errors=True)  # what was not written through is lost
        time.sleep(rng.uniform(0, 1))
        self.close()
        time.sleep(rng.uniform(0, 1))
        self.mount()
        return "mount killed"

    def close(self) -> None:
        """See Store."""
        subprocess.run(["fusermount3", "-uz", str(self.point)], stderr=subprocess.DEVNULL)
        self.process.kill()
        self.process.wait()


STORES = {"folder": Store, "drive": Drive, "mount": Mount}


def faults(options: argparse.Namespace, folder: pathlib.Path) -> dict:
    """Random faults and kills over one run; its end beside that of the run that nothing happened to."""
    rng = random.Random(options.seed)
    train = ("--env", "CartPole-v1", "--backend", "gymnasium", "--total-steps", str(options.steps), "--set", *SMALL)
    expected = ended(start("run", folder / "whole", "none", *train))
    store = STORES[options.store](folder)
    if store.endpoint:
        os.environ["COLAB_RL_DRIVE_ENDPOINT"] = store.endpoint
    happened: collections.Counter[str] = collections.Counter()
    kills = wiped = sessions = 0
    root = folder / "root"
    while sum(happened.values()) + kills < options.events:
        process = start("run", root, store.place, *train)
        sessions += 1
        until = time.monotonic() + rng.uniform(options.least, options.most)
        while time.monotonic() < until and process.poll() is None:
            time.sleep(rng.uniform(0.1, 1.0))
            if rng.random() < 0.7:
                happened[store.hurt(rng)] += 1
                del happened["nothing"]
        if process.poll() is None:
            process.kill()
            kills += 1
            process.communicate()
            if rng.random() < 0.3:  # the machine is gone
                shutil.rmtree(root, ignore_errors=True)
                wiped += 1
        elif process.returncode not in (0, 1):
            raise SystemExit(process.communicate()[1][-2000:])
        elif process.returncode == 0:
            shutil.rmtree(root, ignore_errors=True)  # finished: from here on it is resumed from the store and checked
    if isinstance(store, Drive):
        store.server.clear_faults()
    state = ended(start("run", root, store.place, *train))
    places = Places(root, store.place)
    _, remote = places.tiers(places.require("run"))
    newest = remote.whole()[0]
    names = remote.storage.list("")
    found = {"store": options.store, "seed": options.seed, "events": sum(happened.values()) + kills, "kills": kills,
            "machines lost": wiped, "sessions": sessions, "what": dict(happened), "equal": state == expected,
            "orphans": len(orphans(remote, newest)), "set aside": sum(name.endswith(".bad") for name in names),
            "duplicates": sum("#" in name for name in store.server.tree()) if isinstance(store, Drive) else 0,
            "newest in the store is the end": newest.state_sha256 == expected}
    store.close()
    return found


def slow(options: argparse.Namespace, folder: pathlib.Path) -> dict:
    """Steps per second with a store of 1 MB/s and 500 ms a call, beside none; the two take turns."""
    rates: dict[str, list[float]] = {"none": [], "slow": []}
    with FakeDrive(latency=0.5, bandwidth=1e6) as server:
        for turn in range(options.rounds):
            for name, store in (("none", "none"), ("slow", "drive:colab_rl")):
                root = folder / f"{name}{turn}"
                ended(start(f"run{turn}", root, store, "--env", "BipedalWalker-v3", "--total-steps",
                            str(options.steps), endpoint=server.url))
                tables = sorted((root / f"run{turn}" / "metrics").glob("*.csv"))
                rows = [row for table in tables for row in from_csv(table.read_bytes())]
                rates[name].append((rows[-1]["step"] - rows[0]["step"]) / (rows[-1]["seconds"] - rows[0]["seconds"]))
    means = {name: sum(found) / len(found) for name, found in rates.items()}
    return {"rates": rates, "slow over none": means["slow"] / means["none"]}


def resume(options: argparse.Namespace, folder: pathlib.Path) -> dict:
    """Seconds until a bare machine trains on, from a Drive with a long history and 100 ms a call."""
    with FakeDrive() as server:
        steps = options.generations * 128
        train = ("--env", "CartPole-v1", "--backend", "gymnasium", "--set", *SMALL[:4], "checkpoint_every=1",
                 "eval_every=100000", *SMALL[5:6], "keep_every=10", *SMALL[8:])
        ended(start("run", folder / "root", str(folder), "--total-steps", str(steps), *train))
        for path in sorted((folder / "run").rglob("*")):
            if path.is_file():
                server.add(f"colab_rl/{path.relative_to(folder).as_posix()}", path.read_bytes())
        server.latency = 0.1
        server.calls.clear()
        began = time.perf_counter()
        process = start("run", folder / "bare", "drive:colab_rl", "--total-steps", str(2 * steps), endpoint=server.url)
        for line in process.stderr:
            if "going on from generation" in line:
                break
        seconds, calls = time.perf_counter() - began, len(server.calls)
        process.kill()
        process.communicate()
    return {"generations": options.generations, "seconds": seconds, "calls": calls, "line": line.strip()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for function in (faults, slow, resume):
        command = commands.add_parser(function.__name__, help=function.__doc__.splitlines()[0])
        command.set_defaults(function=function)
        command.add_argument("--json", type=pathlib.Path)
        if function is faults:
            command.add_argument("--store", choices=STORES, required=True)
            command.add_argument("--events", type=int, default=200)
            command.add_argument("--seed", type=int, default=0)
            command.add_argument("--steps", type=int, default=40_000)
            command.add_argument("--least", type=float, default=4.0, help="seconds of a session")
            command.add_argument("--most", type=float, default=20.0)
        elif function is slow:
            command.add_argument("--steps", type=int, default=500_000)
            command.add_argument("--rounds", type=int, default=2)
        else:
            command.add_argument("--generations", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        found = options.function(options, pathlib.Path(folder))
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
