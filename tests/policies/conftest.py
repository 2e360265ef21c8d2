"""Small trained runs of each kind, made once."""

from __future__ import annotations

import pytest
from policy_kinds import KINDS

from colab_rl import export, train
from colab_rl.settings import parse_settings


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """Where the runs are."""
    return tmp_path_factory.mktemp("trained")


@pytest.fixture(scope="session")
def trained(root):
    """`trained("sac")`: what names that run."""
    done = set()

    def run(kind):
        if kind not in done:
            env, algo, settings, more = KINDS[kind]
            train(kind, env=env, algo=algo, total_steps=400, backend="gymnasium", root=root, store="none",
                  settings={**parse_settings(settings), **more})
            done.add(kind)
        return {"run": kind, "root": root, "store": "none"}
    return run


@pytest.fixture(scope="session")
def exported(trained, tmp_path_factory):
    """`exported("sac")`: what `export` gave for that run."""
    done = {}

    def run(kind):
        if kind not in done:
            done[kind] = export(**trained(kind), out=tmp_path_factory.mktemp("exported") / kind)
        return done[kind]
    return run
