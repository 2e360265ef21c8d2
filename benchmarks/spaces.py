"""Kills runs of every kind of space, as kills.py does, and compares their ends with those of runs never killed.

    python benchmarks/spaces.py --kills 20
    python benchmarks/spaces.py --kinds gru image --kills 5

The kinds are those of tests/space_kinds.py: numbers, choices, several choices, bits, images, Dict and Tuple of them,
and a network with memory.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import tempfile

import kills

TESTS = pathlib.Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))
os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])

from space_kinds import KINDS  # noqa: E402  the folder is known only now


def settings_of(kind: str) -> list[str]:
    """What a run of this kind is given."""
    network = KINDS[kind].network
    named = "space_kinds:Pixels" if network == "Pixels" else network
    return [f"network={named}", "hidden_sizes=16",
            *(f"{name}={value}" for name, value in KINDS[kind].settings.items())]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    given = parser.parse_args()
    wrong = 0
    for kind in given.kinds:
        options = argparse.Namespace(algo="ppo", backend="gymnasium", device="cpu", kills=given.kills, seed=given.seed,
                                     iterations=20 * given.kills, where=False, set=settings_of(kind),
                                     env_set=[f"kind={kind}"])
        with tempfile.TemporaryDirectory() as folder:
            row = kills.measure("space_kinds:Bits", options, pathlib.Path(folder))
        equal = row["equal"] and row["exact"] and row["kills"] == given.kills
        wrong += not equal
        print(f"{kind:16} {row['kills']} kills in {row['sessions']} sessions: {'equal' if equal else 'DIFFERENT'}",
              flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
