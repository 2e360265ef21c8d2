"""`status`: all runs, and where their checkpoints are."""

from __future__ import annotations

from dataclasses import InitVar, dataclass

from colab_rl.arguments import checked
from colab_rl.checkpoints import Manifest, Tier
from colab_rl.checkpoints.confirmation import Confirmation, confirmation_of
from colab_rl.checkpoints.layout import RUN_JSON, manifest_generation
from colab_rl.checkpoints.retention import best
from colab_rl.commands.result import Result
from colab_rl.errors import StorageError
from colab_rl.progress import how_far, say
from colab_rl.runs.identity import Identity
from colab_rl.runs.places import Location, Places
from colab_rl.runs.survey import Checkpoints, survey
from colab_rl.storage import NotFound


@dataclass(frozen=True)
class CheckpointStatus:
    """A checkpoint, and its copies.

    local, store: `verified`, `written` (to a mount that proves nothing), `bad` or `absent`. The table
        calls a checkpoint that is whole on this machine `local`, as the documents do.
    step, score, state_sha256: None if no copy of the manifest can be read; score: also None without an evaluation.
    """

    generation: int
    step: int | None
    score: float | None
    state_sha256: str | None
    local: str
    store: str


@dataclass(frozen=True)
class RunStatus(Result):
    """A run, and its checkpoints, the newest first.

    iteration, step, state_sha256: of the newest checkpoint. score: of the newest that has one; best_score: of the best,
        which is the score that the run ended with, or before its end that of training's best evaluation.
    confirmed: how the score that the run ended with was measured (checkpoints/confirmation.py); None before its end,
        if score_episodes is 0, and of a run that version 0.1.0 finished.
    title: what people call the environment.
    pending: how many checkpoints are whole on this machine and not in the store.
    """

    run: str
    env_id: str
    algorithm: str
    backend: str
    seed: int
    iteration: int
    step: int
    total_steps: int
    finished: bool
    exact: bool
    score: float | None
    best_score: float | None
    state_sha256: str | None
    checkpoints: list[CheckpointStatus]
    pending: int
    confirmed: Confirmation | None
    title: InitVar[str] = ""

    def __post_init__(self, title: str) -> None:
        super().__post_init__()
        object.__setattr__(self, "_title", title or self.env_id)

    def summary(self) -> str:
        """The run, in a line."""
        score = ("not evaluated yet" if self.best_score is None else f"score {self.confirmed.summary()}"
                 if self.confirmed else f"best evaluation {self.best_score:.1f}, not confirmed")
        if self.finished and self.best_score is not None and not self.confirmed:
            score += f" (evaluate {self.run} scores it on fresh episodes)"
        return (f"{self.run}: {vars(self)['_title']}, {self.algorithm} on {self.backend}, seed {self.seed}; "
                f"{how_far(self.step, self.total_steps, self.finished)}, {score}"
                f"{'' if self.exact else ', not bit-exact'}"
                f"{f'; {self.pending} pending for the store' if self.pending else ''}")

    def table(self) -> str:
        """Its checkpoints, a line each."""
        stored = self.pending or any(row.store != "absent" for row in self.checkpoints)  # else there is no store
        lines = [f"{'generation':>10} {'step':>12} {'score':>9}  {'this machine':12} {'store' if stored else ''}"]
        for row in self.checkpoints:
            score = "" if row.score is None else f"{row.score:.1f}"
            step = "" if row.step is None else f"{row.step:,}"
            local = "local" if row.local == "verified" else row.local
            lines.append(f"{row.generation:>10} {step:>12} {score:>9}  {local:12} {row.store if stored else ''}")
        return "\n".join(map(str.rstrip, lines))


@checked
def status(run: str | None = None, *, root: Location = None, store: Location = None) -> list[RunStatus]:
    """The run, or all runs, and where their checkpoints are. Raises UsageError for an unknown run.

    For one run, `verified` and `written` mean that every file has the MD5 of its manifest: colab_rl reads it, or the
    storage gives its MD5. For all runs, colab_rl reads manifests only. It compares the sizes of other files, and their
    MD5 if a listing has it (`survey`).
    """
    return status_in(Places(root, store), run)


def status_in(places: Places, run: str | None = None) -> list[RunStatus]:
    """See `status`."""
    if run:
        identity = places.require(run)
        local, remote = places.tiers(identity)
        return [_row(identity, _checkpoints(local), _checkpoints(remote), places)]
    return [_row(*found, places) for found in survey(places)]


def _row(identity: Identity, here: Checkpoints, there: Checkpoints, places: Places) -> RunStatus:
    # By generation and hash, the newest first; two lines of one run may share a generation.
    names = sorted({**here, **there}, key=lambda name: (manifest_generation(name), name), reverse=True)
    rows, manifests = [], []
    for name in names:
        states = [found.get(name, (None, "absent")) for found in (here, there)]
        manifest = next((manifest for manifest, _ in states if manifest), None)
        step, score, digest = (manifest.step, manifest.score, manifest.state_sha256) if manifest else (None,) * 3
        rows.append(CheckpointStatus(manifest_generation(name) or 0, step, score, digest, states[0][1], states[1][1]))
        if any(state in ("verified", "written") for _, state in states):
            manifests += [manifest] if manifest else []
    newest: Manifest | None = manifests[0] if manifests else None
    best_one, confirmed = best(manifests), confirmation_of(manifests)
    best_score = confirmed.mean if confirmed else best_one.score if best_one else None
    missing = [row for row in rows if row.local == "verified" and row.store in ("absent", "bad")]
    scored = next((manifest for manifest in manifests if manifest.score is not None), None)
    return RunStatus(
        run=identity.name, env_id=identity.env_id, algorithm=identity.algorithm, backend=identity.backend,
        seed=identity.config["seed"], iteration=newest.iteration if newest else 0, step=newest.step if newest else 0,
        total_steps=newest.total_steps if newest else identity.config["total_steps"],
        finished=bool(newest and newest.finished), exact=newest.exact if newest else True,
        score=scored.score if scored else None, best_score=best_score,
        state_sha256=newest.state_sha256 if newest else None, checkpoints=rows,
        pending=len(missing) if places.store else 0, confirmed=confirmed, title=identity.title)


def _checkpoints(tier: Tier | None) -> Checkpoints:
    """Manifest and `verified`, `written` or `bad` of every checkpoint in a tier; each file is read."""
    states: Checkpoints = {}
    if tier is None:
        return states
    try:
        manifests = tier.read_all()
    except StorageError as error:
        say(f"{tier.storage.place} cannot be listed: {error}")
        return states
    whole = {manifest.name for manifest in tier.whole_among([*filter(None, manifests.values())])}
    good = "verified" if tier.storage.proves else "written"
    states = {name: (manifest, good if name in whole else "bad") for name, manifest in manifests.items()
              if name in whole or is_there(tier, name)}
    written = {name: manifest for name, (manifest, state) in states.items() if manifest and state == "written"}
    try:
        if written:
            confirmed = tier.confirmed(written.values(), tier.storage.get(RUN_JSON))
            states |= {manifest.name: (manifest, "verified") for manifest in confirmed}
    except StorageError as error:
        say(f"{tier.storage.place} cannot be verified behind the mount: {error}")
    return states


def is_there(tier: Tier, name: str) -> bool:
    """Whether a manifest is still there: a run that trains removes its oldest while they are read."""
    try:
        tier.storage.get(name)
    except NotFound:
        return False
    except StorageError:
        pass
    return True
