"""What a session of training gives: how it ended, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass

from colab_rl.checkpoints import Manifest, Replicator, Tier
from colab_rl.checkpoints.confirmation import Confirmation, confirmation_of
from colab_rl.checkpoints.retention import best
from colab_rl.progress import how_far
from colab_rl.runs.identity import Identity
from colab_rl.runs.places import Places


@dataclass(frozen=True)
class TrainingResult:
    """How a session of training ended.

    best_score: mean return of the best checkpoint (see `best_by`) that this machine or the store holds: of `confirmed`
        if the run has ended, else of the evaluation that training made there.
    confirmed: the score that the run ended with; None before its end, if score_episodes is 0, and of a run that version
        0.1.0 finished.
    signal_number: the signal that stopped it early, None if none did.
    pending: checkpoints that the store does not hold yet; store_error: why.
    folder, store: where the run is on this machine and beyond it.
    options: what a command needs to find it again, such as ` --root /tmp/runs`; empty if it needs nothing.
    """

    run: str
    iteration: int
    step: int
    total_steps: int
    finished: bool
    generation: int
    state_sha256: str
    best_score: float | None
    confirmed: Confirmation | None
    signal_number: int | None
    pending: int
    store_error: str | None
    folder: str
    store: str | None
    options: str = ""

    @property
    def problem(self) -> str | None:
        """What the store lacks, why, and what to do; None if it lacks nothing."""
        return (f"{self.pending} checkpoints are not verified in the store yet: {self.store_error or 'it is slow'}; "
                "they are kept here; the same command tries again") if self.pending else None

    def summary(self) -> str:
        """How it ended, in a line."""
        how = how_far(self.step, self.total_steps, self.finished)
        score = "" if self.best_score is None else f", best evaluation {self.best_score:.1f}, not confirmed"
        score = f", score {self.confirmed.summary()}" if self.confirmed else score
        on = "" if self.finished else "stopped, the same command continues from here; "
        return f"{self.run}: {on}{how}; generation {self.generation} saved{score}"

    def next_steps(self) -> str:
        """The run's folder, and the commands to give next, in two lines."""
        lies = f"it is in {self.folder}" + (f" and in {self.store}" if self.store else "")
        def command(name: str) -> str:
            return f"python -m colab_rl {name} {self.run}{self.options}"

        return (f"{lies}\nnext: {command('report')} shows how it learned; {command('render')} films it; "
                f"{command('export')} takes the policy away")


def result_of(identity: Identity, places: Places, newest: Manifest, local: Tier, remote: Tier | None,
              replicator: Replicator | None, signal_number: int | None) -> TrainingResult:
    """Of a session that ended with a checkpoint. newest: its manifest. local, remote: where the run is."""
    manifests = [newest, *local.manifests(), *(replicator.held if replicator else ())]
    best_one, confirmed = best(manifests), confirmation_of(manifests)
    score = confirmed.mean if confirmed else best_one.score if best_one else None
    options = places.options + (f" --env {identity.env_path}" if identity.env_path else "")
    return TrainingResult(identity.name, newest.iteration, newest.step, newest.total_steps, newest.finished,
                          newest.generation, newest.state_sha256, score, confirmed, signal_number,
                          replicator.pending if replicator else 0, replicator.error if replicator else None,
                          local.storage.place, remote.storage.place if remote else None, options)
