"""What a store survives, what it costs, and how soon a bare machine continues from it.

    python benchmarks/stores.py faults --store drive --events 200 --seed 0
    python benchmarks/stores.py slow
    python benchmarks/stores.py resume --generations 500

The Drive is that of the tests: API v2 on loopback, over real HTTP, with real PyDrive2 in front. The mount is rclone's,
with write-back. Every figure is that of whole commands in processes of their own.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fake_drive import FakeDrive  # noqa: E402
from faults import places as hurting  # noqa: E402
from faults.ledger import Ledger, leftovers, whole  # noqa: E402
from faults.sessions import Session  # noqa: E402

from colab_rl.checkpoints.pace import LONGEST_WAIT  # noqa: E402
from colab_rl.training.metrics import from_csv  # noqa: E402

FAULTS = ("checkpoint_every=2", "keep_last=2", "keep_every=5", "num_envs=4", "num_steps=1024",
          "minibatch_size=512", "update_epochs=4", "eval_every=20", "eval_episodes=1", "hidden_sizes=8")

SMALL = ("num_envs=2", "num_steps=64", "minibatch_size=64", "update_epochs=1", "checkpoint_every=2", "keep_last=2",
         "keep_every=5", "eval_every=20", "eval_episodes=1", "hidden_sizes=8")


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


def newest_generation(run: pathlib.Path) -> int:
    """The newest manifest's of a run on this machine."""
    names = (path.name for path in (run / "checkpoints").glob("[0-9]*.json"))
    return max((int(name.split("-")[0]) for name in names), default=0)


def disturbed(session: Session, store: hurting.Folder, root: pathlib.Path, rng: random.Random,
              starts: list[float]) -> list[str]:
    """Lets things befall the store while a session starts and trains, up to a random moment; returns what did.

    The moment is counted in checkpoints and not in seconds, so that a slow or a frozen machine changes little.
    starts: seconds that earlier sessions took until they continued.
    """
    happened: list[str | None] = []
    early = rng.random() < 0.25 and len(starts) > 2
    until = rng.uniform(0, 1.2 * statistics.median(starts)) if early else float("inf")
    if rng.random() < 0.3:
        time.sleep(rng.uniform(0, statistics.median(starts or [5.0])))
        happened.append(store.hurt(rng, files=False))  # not what it is about to continue from: that is measured
    while session.continued_from is None and session.alive and time.monotonic() - session.began < until:
        time.sleep(0.05)
    if session.continued_from is None:
        return [what for what in happened if what]
    seen = first = session.continued_from[0]
    last = first + rng.randint(0, 3)
    while session.alive:
        now = newest_generation(root / hurting.RUN)
        if now > seen and rng.random() < 0.6:
            time.sleep(rng.uniform(0, 0.3))
            happened.append(store.hurt(rng))
        seen = max(seen, now)
        if seen >= last:
            time.sleep(rng.expovariate(2.0))  # an interval takes 0.6 s
            break
        time.sleep(0.05)
    return [what for what in happened if what]


def faults(options: argparse.Namespace, folder: pathlib.Path) -> dict:
    """Random faults and kills over one run; its end beside that of the run that nothing happened to."""
    rng = random.Random(options.seed)
    train = ("--env", "CartPole-v1", "--backend", "gymnasium", "--total-steps", str(options.steps), "--set", *FAULTS)
    expected = ended(start("run", folder / "whole", "none", *train))
    store, root = hurting.STORES[options.store](folder), folder / "root"
    ledger = Ledger(*(int(setting.partition("=")[2]) for setting in FAULTS[:3]))
    happened: collections.Counter[str] = collections.Counter()
    lost = sessions = finished = 0
    starts: list[float] = []
    local_damaged: set[str] = set()
    errors: collections.Counter[str] = collections.Counter()
    signal.signal(signal.SIGINT, lambda *_: setattr(options, "events", 0))  # enough: to the end, and what was found
    while sum(happened.values()) + len(ledger.kills) < options.events and finished < 3:
        session = Session(hurting.RUN, root, store.place, train, store.endpoint)
        sessions += 1
        happened.update(disturbed(session, store, root, rng, starts))
        alive = session.alive
        session.kill()
        if session.continued_from:
            ledger.continued(*session.continued_from)
            starts.append(session.seconds_to_start)
        if not alive:  # it ended by itself
            finished += session.exit_code == 0
            errors[(re.findall("error: .{,80}", session.errors()) or [f"exit code {session.exit_code}"])[-1]] += 1
            if "Traceback" in session.errors():
                ledger.violations.append(session.errors()[-3000:])
            continue
        machine_lost = rng.random() < 0.3
        if machine_lost:
            store.lose_machine()
            lost += 1
        elif rng.random() < 0.15:
            happened.update(damage_newest(root / hurting.RUN, rng, local_damaged))
        local = hurting.read_folder(root / hurting.RUN)
        troubled = time.monotonic() - store.troubled < LONGEST_WAIT
        ledger.killed(local, store.files(), store.damaged, local_damaged, machine_lost, troubled)
        if machine_lost:
            shutil.rmtree(root, ignore_errors=True)  # a session that was killed early may have made none
            local_damaged.clear()
        events = sum(happened.values()) + len(ledger.kills)
        print(f"{events} events, {len(ledger.kills)} kills, {ledger.kills[-1]}", file=sys.stderr, flush=True)
    store.heal()
    states = []
    while len(states) < 12 and (len(states) < 2 or session.exit_code != 0):
        # The second one finds everything done, and clears up.
        session = Session(hurting.RUN, root, store.place, train, store.endpoint)
        states.append(session.end())
        if session.continued_from:
            ledger.continued(*session.continued_from)
    files = store.files()
    for _ in range(600):  # the mount may still be writing through
        if any(one.state_sha256 == expected for one in whole(files).values()):
            break
        time.sleep(0.5)
        files = store.files()
    local = hurting.read_folder(root / hurting.RUN)
    ends = {tier: max(whole(found).values(), key=lambda one: one.generation).state_sha256 == expected
            for tier, found in (("local", local), ("store", files))}
    found = {"store": options.store, "seed": options.seed, "events": sum(happened.values()) + len(ledger.kills),
             "kills": len(ledger.kills), "machines lost": lost, "sessions": sessions,
             "finished before its end": finished, "what": dict(sorted(happened.items())),
             "sessions that ended by themselves": dict(errors), "equal": states[-1] == expected,
             "newest whole is the end": ends, "left over": {"local": leftovers(local), "store": leftovers(files)},
             "set aside in the store": sum(name.endswith(".bad") for name in files), **ledger.summary()}
    store.close()
    return found


def damage_newest(run: pathlib.Path, rng: random.Random, damaged: set[str]) -> list[str]:
    """Damages a file of this machine's newest checkpoint."""
    names = sorted(path.relative_to(run).as_posix() for path in run.glob(f"*/{newest_generation(run):08d}-*"))
    if not names:
        return []
    name, how = rng.choice(names), rng.choice(hurting.HOW)
    data = hurting.spoilt((run / name).read_bytes(), how, rng)
    (run / name).unlink()
    if data is not None:
        (run / name).write_bytes(data)
    damaged.add(name)
    return [f"local file {how}"]


def slow(options: argparse.Namespace, folder: pathlib.Path) -> dict:
    """Seconds of the walker's training with a store of 1 MB/s and 500 ms a call, beside none, in turns.

    Both do the same work, iteration for iteration. Each is killed at a checkpoint, with as many before it; what the
    store still lacks then is another session's.
    """
    seconds: dict[str, list[list[float]]] = {"none": [], "drive:colab_rl": []}
    stored = []
    with FakeDrive(latency=0.5, bandwidth=1e6) as server:
        server.add("colab_rl", None)
        for turn in range(options.rounds):
            for store in sorted(seconds, reverse=bool(turn % 2)):  # who comes first changes, as the machine's load may
                run, root = f"run{turn}", folder / store.partition(":")[0]
                session = Session(run, root, store, ("--env", "BipedalWalker-v3", "--algo", "ppo"), server.url)
                while session.alive and newest_generation(root / run) <= options.checkpoints:
                    time.sleep(0.5)
                session.kill()
                tables = sorted((root / run / "metrics").glob("*.csv"))[:options.checkpoints + 1]
                ends = [0.0, *(row["seconds"] for table in tables for row in from_csv(table.read_bytes()))]
                if len(ends) == 1:
                    raise SystemExit(f"a session failed: {session.errors()[-2000:]}")
                seconds[store].append([after - before for before, after in itertools.pairwise(ends)])
            stored.append(sum(name.endswith(".json") and f"/{run}/checkpoints/" in name for name in server.tree()))
            print(f"{turn + 1} of {options.rounds}: throughput "
                  f"{throughput({store: sum(rounds[-1]) for store, rounds in seconds.items()}):.4f} of that without",
                  file=sys.stderr, flush=True)
    # What befalls an iteration in one round alone is the machine's; what the store costs comes in each.
    typical = {store: sum(map(statistics.median, zip(*rounds, strict=True))) for store, rounds in seconds.items()}
    sums = {store: list(map(sum, rounds)) for store, rounds in seconds.items()}
    pairs = [throughput(dict(zip(sums, pair, strict=True))) for pair in zip(*sums.values(), strict=True)]
    return {"iterations": len(seconds["none"][0]), "seconds": sums, "checkpoints in the store": stored,
            "throughput, without a store 1": pairs, "their median": statistics.median(pairs),
            "by each iteration's median": throughput(typical)}


def throughput(seconds: dict[str, float]) -> float:
    """Throughput with the store, that without one as 1."""
    return seconds["none"] / seconds["drive:colab_rl"]


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
            if "continuing from generation" in line:
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
            command.add_argument("--store", choices=hurting.STORES, required=True)
            command.add_argument("--events", type=int, default=200)
            command.add_argument("--seed", type=int, default=0)
            command.add_argument("--steps", type=int, default=2_000_000)
        elif function is slow:
            command.add_argument("--rounds", type=int, default=4)
            command.add_argument("--checkpoints", type=int, default=2, help="intervals of a session")
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
