"""The score that a run ends with."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
from pathlib import Path

import pytest
from helpers import TINY

from colab_rl import evaluate, status, train
from colab_rl.checkpoints import Manifest
from colab_rl.checkpoints.confirmation import Confirmation, confirmation_of
from colab_rl.evaluation.evaluator import Evaluator
from colab_rl.evaluation.intervals import bootstrap_interval
from colab_rl.settings import parse_settings
from colab_rl.training import scoring

SETTINGS = {**parse_settings(TINY), "eval_every": 1, "keep_last": 2, "keep_every": 100, "checkpoint_every": 2,
            "learning_rate": 0.05}


def trained(root: Path, total: int = 640, **options):
    return train("run", env="CartPole-v1", backend="gymnasium", total_steps=total, settings=SETTINGS, root=root,
                 **options)


def manifests(root: Path) -> list[Manifest]:
    paths = sorted((root / "run" / "checkpoints").glob("*.json"))
    run_id = json.loads((root / "run" / "run.json").read_text())["run_id"]
    return [Manifest.from_bytes(f"checkpoints/{path.name}", path.read_bytes(), run_id) for path in paths]


def said(root: Path) -> Confirmation:
    found = confirmation_of(manifests(root))
    assert found is not None
    return dataclasses.replace(found, created="")


def test_the_winner_of_the_three_best_is_scored_on_episodes_that_chose_none(tmp_path):
    result, confirmed = trained(tmp_path), said(tmp_path)
    there = manifests(tmp_path)
    scored = [one for one in there if one.criterion is not None]
    ranked = sorted(scored, key=lambda one: (-one.criterion, -one.iteration))[:3]
    assert {row["generation"] for row in confirmed.candidates} == {one.generation for one in ranked}
    for row in confirmed.candidates:
        again = evaluate("run", checkpoint=row["generation"], episodes=3, seed=scoring.CHOOSING_SEED, root=tmp_path)
        assert row["mean"] == again.returns.mean()
    assert confirmed.generation == max(confirmed.candidates, key=lambda row: row["mean"])["generation"]
    score = evaluate("run", episodes=3, root=tmp_path)  # `best` is the winner
    assert score.returns.tolist() == confirmed.returns and (confirmed.low, confirmed.high) == bootstrap_interval(
        score.returns)
    assert result.best_score == confirmed.mean == status("run", root=tmp_path)[0].best_score
    assert f"score {confirmed.mean:.1f} (95 % interval" in result.summary()
    assert confirmed.mishap == "falls"
    assert confirmed.mishaps == [number for number, earned in enumerate(confirmed.returns) if earned < 500]


class Stopper:
    """A watcher that asks a run to stop after some iterations."""

    def __init__(self, iteration: int):
        self.iteration = iteration

    def past(self, row):
        """See progress.Watcher."""

    def goal(self, total_steps):
        """See progress.Watcher."""

    def row(self, row, where):
        """See progress.Watcher."""
        if row["iteration"] == self.iteration:
            signal.raise_signal(signal.SIGTERM)


def test_what_a_run_says_before_its_end_is_not_called_a_score(tmp_path):
    result = trained(tmp_path, watcher=Stopper(5))
    assert result.signal_number == signal.SIGTERM and result.confirmed is None
    assert "best evaluation" in result.summary() and "not confirmed" in result.summary()
    assert "not confirmed" in status("run", root=tmp_path)[0].summary()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody stopped: its hash and its score."""
    root = tmp_path_factory.mktemp("whole")
    return trained(root).state_sha256, said(root)


def same_but_for_generations(one: Confirmation, other: Confirmation) -> bool:
    """Generations count the stops, too."""
    def plain(confirmed: Confirmation) -> dict:
        rows = [{**row, "generation": 0} for row in confirmed.candidates]
        return {**confirmed.to_json(), "generation": 0, "candidates": rows}
    return plain(one) == plain(other)


class Killed(BaseException):
    """As good as a kill: nothing that catches errors catches it."""


@pytest.mark.parametrize("call", [0, 2, 3], ids=["choosing", "choosing the third", "scoring"])
def test_a_run_that_is_killed_while_it_scores_ends_with_the_same_score(tmp_path, monkeypatch, whole, call):
    calls = []
    original = Evaluator.evaluate

    def dying(self, act, episodes, seed, **options):
        if seed in (scoring.CHOOSING_SEED, scoring.SCORING_SEED):
            calls.append(seed)
            if len(calls) == call + 1:
                raise Killed
        return original(self, act, episodes, seed, **options)

    monkeypatch.setattr(Evaluator, "evaluate", dying)
    with pytest.raises(Killed):
        trained(tmp_path)
    monkeypatch.undo()
    assert not any(one.finished for one in manifests(tmp_path))
    result = trained(tmp_path)
    assert (result.state_sha256, said(tmp_path)) == whole


def test_a_run_that_is_asked_to_stop_while_it_scores_saves_and_scores_later(tmp_path, monkeypatch, whole):
    original = Evaluator.evaluate

    def stopping(self, act, episodes, seed, **options):
        if seed == scoring.CHOOSING_SEED:
            signal.raise_signal(signal.SIGTERM)
        return original(self, act, episodes, seed, **options)

    monkeypatch.setattr(Evaluator, "evaluate", stopping)
    result = trained(tmp_path)
    assert result.signal_number == signal.SIGTERM and result.finished and result.confirmed is None
    assert manifests(tmp_path)[-1].confirmed == {} and result.state_sha256 == whole[0]
    monkeypatch.undo()
    again = trained(tmp_path)
    assert again.state_sha256 == whole[0] and same_but_for_generations(said(tmp_path), whole[1])
    assert trained(tmp_path).generation == again.generation  # and no third time


def test_a_bare_machine_finds_the_candidates_in_the_store(tmp_path, whole):
    trained(tmp_path / "one", store=tmp_path / "store", watcher=Stopper(9))
    shutil.rmtree(tmp_path / "one")
    result = trained(tmp_path / "two", store=tmp_path / "store")
    assert result.state_sha256 == whole[0] and same_but_for_generations(said(tmp_path / "two"), whole[1])


def test_an_environment_that_fails_while_it_is_scored_costs_the_score_and_nothing_else(tmp_path, monkeypatch, capfd):
    from colab_rl.errors import EnvironmentFault
    original = Evaluator.evaluate

    def failing(self, act, episodes, seed, **options):
        if seed == scoring.SCORING_SEED:
            raise EnvironmentFault("out of order")
        return original(self, act, episodes, seed, **options)

    monkeypatch.setattr(Evaluator, "evaluate", failing)
    for _ in range(2):  # each session tries once
        result = trained(tmp_path)
        assert result.finished and result.confirmed is None
        assert capfd.readouterr().err.count("the final score could not be measured: out of order") == 1
    monkeypatch.undo()
    assert trained(tmp_path).confirmed


def test_score_episodes_0_leaves_the_score_out(tmp_path):
    result = train("run", env="CartPole-v1", total_steps=128, root=tmp_path,
                   settings={**SETTINGS, "score_episodes": 0})
    assert result.confirmed is None and manifests(tmp_path)[-1].confirmed is None
    assert "evaluate run scores it" in status("run", root=tmp_path)[0].summary()
