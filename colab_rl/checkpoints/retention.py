"""Which checkpoints stay."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from colab_rl.checkpoints.confirmation import confirmation_of
from colab_rl.checkpoints.layout import CHECKPOINTS, METRICS, REPLAY, TELEMETRY, file_generation, manifest_generation
from colab_rl.checkpoints.manifest import Damaged, Manifest
from colab_rl.checkpoints.segments import segments_in
from colab_rl.checkpoints.tier import Tier

STAGES = 8        # equal parts of a training's steps, of each of which one checkpoint stays
SCORE_STAGES = 4  # equal parts of the way from the first score to the best, of each of which one stays
CANDIDATES = 3    # checkpoints among which a run's end looks for the best

SWEPT = (CHECKPOINTS, METRICS, TELEMETRY)


def best(manifests: Iterable[Manifest]) -> Manifest | None:
    """The checkpoint that fresh episodes chose when the run ended, or before that the one with the highest score, the
    newest of equals; None if none was evaluated.
    """
    manifests = list(manifests)
    confirmed = confirmation_of(manifests)
    chosen = [manifest for manifest in manifests if confirmed and confirmed.is_of(manifest)]
    return max(chosen or candidates(manifests)[:1], key=lambda manifest: manifest.generation, default=None)


def candidates(manifests: Iterable[Manifest]) -> list[Manifest]:
    """The CANDIDATES checkpoints with the highest scores, the best first, and of equals the newest."""
    scored = {manifest.state_sha256: manifest for manifest in manifests if manifest.criterion is not None}
    return sorted(scored.values(), key=lambda one: (one.criterion, one.iteration), reverse=True)[:CANDIDATES]


def may_be_candidate(criterion: float, manifests: Iterable[Manifest]) -> bool:
    """Whether a checkpoint with that criterion, newer than these, would be one of the `candidates`."""
    criteria = [one.criterion for one in candidates(manifests) if one.criterion is not None]
    return len(criteria) < CANDIDATES or criterion >= min(criteria)


def milestones(manifests: list[Manifest]) -> list[Manifest]:
    """At most `STAGES + SCORE_STAGES` checkpoints that show how a policy came about: the first of each stage by steps,
    and the first that reached each stage by score.

    In a stage by steps, one that was evaluated goes first: an episode of it is recorded. A checkpoint that alone needs
    past experience is none, since that is hundreds of megabytes.
    """
    if not manifests:
        return []
    oldest_first = sorted(manifests, key=lambda manifest: (manifest.generation, manifest.stem))
    newest = oldest_first[-1]
    small = [manifest for manifest in oldest_first if manifest.segments.keys() <= newest.segments.keys()]
    by_steps: dict[int, Manifest] = {}
    for manifest in sorted(small, key=lambda manifest: manifest.score is None):
        by_steps.setdefault(min(STAGES * manifest.step // newest.total_steps, STAGES - 1), manifest)
    scored = [manifest for manifest in small if manifest.criterion is not None]
    by_score: dict[int, Manifest] = {}
    if scored and (best_one := best(scored)):
        low, high = scored[0].criterion or 0.0, best_one.criterion or 0.0
        for manifest in scored:
            share = ((manifest.criterion or 0.0) - low) / (high - low) if high > low else 0.0
            by_score.setdefault(min(max(int(SCORE_STAGES * share), 0), SCORE_STAGES - 1), manifest)
    stems = {manifest.stem for manifest in (*by_steps.values(), *by_score.values())}
    return [manifest for manifest in oldest_first if manifest.stem in stems]


def kept(manifests: list[Manifest], keep_last: int, keep_every: int) -> list[Manifest]:
    """Of a run's checkpoints, those that stay: the newest `keep_last`, every `keep_every`-th, the first, the best, and
    those that may turn out to be the best, and the `milestones`.
    """
    newest = sorted(manifests, key=lambda manifest: manifest.generation, reverse=True)[:keep_last]
    chosen = (*newest, *candidates(manifests), *filter(None, [best(manifests)]), *milestones(manifests))
    stems = {manifest.stem for manifest in chosen}
    return [manifest for manifest in manifests
            if manifest.stem in stems or manifest.generation % keep_every == 0 or manifest.generation == 1]


def earlier_of(parent: Manifest | None, known: Container[str], keep_last: int, keep_every: int) -> dict[str, Any]:
    """`Manifest.earlier` of a parent's child: the parent, and of those that it tells of the ones that are kept.

    known: files that the child names itself.
    """
    before = {**parent.earlier_manifests, parent.name: (parent.record, parent)} if parent else {}
    staying = kept([manifest for _, manifest in before.values()], keep_last, keep_every)
    entries = {}
    for manifest in staying:
        content = manifest.to_json()
        for field in ("history", "earlier", "versions", "confirmed"):
            del content[field]
        content["files"] = {name: None if name in known else record for name, record in content["files"].items()}
        entries[manifest.name] = {"file": before[manifest.name][0].to_json(), **content}
    return entries


def prune(tier: Tier, verified: dict[str, Manifest], keep_last: int, keep_every: int,
          others: Iterable[Manifest] = ()) -> None:
    """Deletes what `kept` does not name, of the checkpoints that this session saw whole.

    verified: by stem; what is deleted is taken out. Others are left alone: a damaged one
    is for a person to look at. Nothing goes unless the newest, which it makes room for,
    is whole on another reading.
    others: checkpoints of the tier that are not known to be whole yet, whose files stay too.
    """
    staying = kept(list(verified.values()), keep_last, keep_every)
    stems = {manifest.stem for manifest in staying}
    leaving = [manifest for stem, manifest in verified.items() if stem not in stems]
    if not leaving:
        return
    newest = max(staying, key=lambda manifest: manifest.generation)
    # What all of these need too says nothing for keeping them: a full replay buffer is not read at every save.
    shared = set.intersection(*(set(manifest.files) for manifest in leaving))
    try:
        tier.check(newest, known=shared)
    except Damaged:
        return
    others = list(others)
    for manifest in leaving:
        tier.remove(manifest, [*staying, *others])
        del verified[manifest.stem]


def clear_leftovers(tier: Tier, newest: Manifest) -> None:
    """Deletes what a killed save or prune left. Called only while no other session writes."""
    for name in orphans(tier, newest):
        tier.storage.delete(name)


def orphans(tier: Tier, newest: Manifest) -> set[str]:
    """Files older than `newest` that no manifest names; not those of a generation whose manifest cannot be read.

    Of which generations a replay segment is, its name does not say: none goes while a manifest cannot be read.
    """
    named: set[str] = set()
    unreadable: set[int | None] = set()
    for name, manifest in tier.read_all().items():
        if manifest:
            named |= {*manifest.files, *manifest.history}
        else:
            unreadable.add(manifest_generation(name))
    last = max((segment.last for segment in segments_in(newest.files)), default=-1)
    segments = set() if unreadable else {segment.name for segment in segments_in(tier.storage.list(REPLAY))
                                         if segment.last <= last and segment.name not in named}
    return segments | {name for folder in SWEPT for name in tier.storage.list(folder)
            if name not in named and manifest_generation(name) is None and not name.endswith(".bad")
            and (generation := file_generation(name)) is not None
            and generation < newest.generation and generation not in unreadable}
