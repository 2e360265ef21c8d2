"""Environments of every kind of space learn, are killed and resume exactly, and their policies leave their runs."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import space_kinds
from gymnasium.spaces import Box
from gymnasium.vector import utils
from helpers import TINY, changed
from space_kinds import KINDS, LENGTH, Bits, begin

from colab_rl import evaluate, export, load_policy, record, status, train
from colab_rl.settings import parse_settings

pytestmark = pytest.mark.usefixtures("one_core")
STEPS, KILLS = 2560, 3


def newest(root: Path) -> int:
    """The sum of the runs' newest generations."""
    generations: dict[str, int] = {}
    for path in root.glob("*/checkpoints/0*.json"):
        run = path.parts[-3]
        generations[run] = max(generations.get(run, 0), int(path.name[:8]))
    return sum(generations.values())


kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Runs of all kinds that were never disturbed."""
    root = tmp_path_factory.mktemp("runs")
    for kind in KINDS:
        begin(kind, str(root), STEPS)
    return root


@kinds
def test_it_learns(root, kind):
    assert status(kind, root=root, store="none")[0]["score"] > 0.9 * LENGTH


def test_runs_killed_at_random_moments_end_like_those_never_killed(root, tmp_path):
    command = [sys.executable, space_kinds.__file__, str(tmp_path), str(STEPS)]
    rng, goal = random.Random(3), 0

    for _ in range(KILLS):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        goal += rng.randint(3, 10)
        while newest(tmp_path) < goal:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        process.kill()
        process.communicate()
    subprocess.run(command, check=True, capture_output=True)
    for kind in KINDS:
        [there], [here] = (status(kind, root=place, store="none") for place in (root, tmp_path))
        assert here["exact"] and here["finished"] and here["state_sha256"] == there["state_sha256"], kind


@kinds
def test_a_policy_acts_in_the_environments_own_spaces_as_it_does_in_evaluate(root, kind):
    score = evaluate(kind, env=partial(Bits, kind), episodes=20, root=root, store="none").returns
    policy, environment = load_policy(kind, root=root, store="none"), Bits(kind)
    for seed, expected in enumerate(score):
        observation, _ = environment.reset(seed=seed)
        policy.reset()
        total, done = 0.0, False
        while not done:
            observation, reward, _, done, _ = environment.step(policy(observation))
            total += reward
        assert total == expected
    assert np.isfinite(policy.value(observation))
    observations = environment.observation_space
    batch = [observations.sample() for _ in range(3)]
    stacked = utils.concatenate(observations, batch, utils.create_empty_array(observations, 3))
    policy.reset()
    actions = list(utils.iterate(utils.batch_space(environment.action_space, 3), policy(stacked)))
    alone = []
    for one in batch:
        policy.reset()
        alone.append(policy(one))
    assert repr(actions) == repr(alone)


@kinds
def test_an_episode_is_recorded(root, kind):
    episode = record(kind, env=partial(Bits, kind), root=root, store="none", seed=4)
    assert episode.length == LENGTH and len(episode.action_names) == (1 if kind.startswith("image") else 2)
    assert list(episode.units) == list(episode.series)


@pytest.mark.parametrize("kind", ["dict", "image", "mixed", "gru"])
def test_an_exported_policy_acts_the_same(root, kind, tmp_path):
    place = export(kind, env=partial(Bits, kind), out=tmp_path / "out", root=root, store="none").path
    theirs, ours = load_policy(Path(place)), load_policy(kind, root=root, store="none")
    for _ in range(5):
        observation = Bits(kind).observation_space.sample()
        assert repr(theirs(observation)) == repr(ours(observation))


class Dial(gymnasium.Env):
    """One number is seen, and the action has to be it: both are Boxes of shape ()."""

    observation_space, action_space = Box(-1, 1, (), np.float32), Box(-0.1, 0.3, (), np.float64)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.steps, self.shown = 0, np.array(self.np_random.uniform(-0.1, 0.3), np.float32)
        return self.shown, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        assert isinstance(action, np.ndarray) and self.action_space.contains(action), action
        self.steps += 1
        return self.shown, -abs(float(action - self.shown)), False, self.steps == LENGTH, {}


OFF_POLICY = [*(one for one in TINY if "update_epochs" not in one), "learning_starts=32", "replay_ratio=0.2",
              "buffer_size=500"]


@pytest.mark.parametrize(("algo", "settings"), {"ppo": TINY, "sac": OFF_POLICY}.items())
def test_a_box_of_shape_nothing_is_acted_in_evaluated_recorded_resumed_and_exported(tmp_path, algo, settings):
    places = {"root": tmp_path / "runs", "store": "none"}
    settings = parse_settings(changed(settings, "eval_every=100", "checkpoint_every=10", "score_episodes=1"))
    train("dial", env=Dial, algo=algo, total_steps=128, settings=settings, **places)
    assert train("dial", env=Dial, total_steps=256, **places).step >= 256
    assert len(evaluate("dial", env=Dial, episodes=2, **places).returns) == 2
    assert record("dial", env=Dial, **places).length == LENGTH
    theirs = load_policy(Path(export("dial", env=Dial, out=tmp_path / "out", **places).path))
    ours = load_policy("dial", **places)
    for seen in (np.array(0.2, np.float32), np.array([0.2, -0.1, 0.3], np.float32)):
        assert repr(theirs(seen)) == repr(ours(seen)) and ours(seen).shape == seen.shape
    assert Dial.action_space.contains(ours(np.array(0.2, np.float32)))
