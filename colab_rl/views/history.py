"""What a run left behind, read for the views: its metrics, its checkpoints, recorded episodes.

Reads this machine and the store, whichever has it, while a run trains too. What is missing
or damaged is left out, and said in `missing`.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from colab_rl.arguments import checked
from colab_rl.checkpoints import Damaged, FileRecord, Manifest
from colab_rl.checkpoints.layout import METRICS, TELEMETRY
from colab_rl.checkpoints.recovery import load_from_any, manifests_in, read_whole
from colab_rl.checkpoints.retention import best
from colab_rl.environments import EnvironmentSource
from colab_rl.environments.threshold import goal_of
from colab_rl.errors import ColabRLError, StorageError
from colab_rl.evaluation.episode import Episode, from_npz
from colab_rl.evaluation.evaluator import EVALUATION_SEED
from colab_rl.policies.load import record_checkpoint
from colab_rl.progress import progress_bar, say
from colab_rl.runs.identity import Identity
from colab_rl.runs.places import Location, Places
from colab_rl.training.metrics import Row, from_csv
from colab_rl.views.dashboards.curves import Curves, Mark, table_of
from colab_rl.views.values import text_of

MOST_EPISODES = 10  # checkpoints whose episodes a figure shows


@checked
def history(run: str, *, root: Location = None, store: Location = None) -> Any:
    """A run's metrics as a pandas DataFrame: a row for each iteration, a column for each metric, `step` among them.

    Raises UsageError for an unknown run, ColabRLError if pandas is missing.
    """
    try:
        pandas = importlib.import_module("pandas")
    except ImportError as error:
        raise ColabRLError(f"the table needs pandas, which cannot be imported ({error}): pip install pandas") from error
    places = Places(root, store)
    found = History(places.require(run), places)
    for sentence in found.missing:
        say(sentence)
    return pandas.DataFrame(dict(found.curves.table))


def checkpoint_names(run: str, places: Places) -> list[tuple[str, str]]:
    """What a list offers of a run's checkpoints: words and `best`, `latest` or a generation."""
    manifests = manifests_in(filter(None, places.tiers(places.require(run))))
    offers = [("best", "best"), ("latest", "latest")]
    for manifest in reversed(manifests):
        score = "" if manifest.score is None else f", score {text_of(manifest.score)}"
        offers.append((f"generation {manifest.generation}, step {manifest.step:,}{score}", str(manifest.generation)))
    return offers


class History:
    """One run.

    checkpoints: manifests of what either place holds, oldest first.
    curves: its metrics up to the newest of them. missing: sentences on what is not there.
    """

    def __init__(self, identity: Identity, places: Places):
        self.identity = identity
        self.missing: list[str] = []
        self._tiers = [tier for tier in places.tiers(identity) if tier]
        self.checkpoints = manifests_in(self._tiers, self.missing.append)
        if not self.checkpoints:
            self.missing.append(f"{identity.name} has no checkpoint yet.")
        self.curves = Curves(identity.name, table_of(self._rows()), [
            Mark(manifest.generation, manifest.iteration, manifest.step, manifest.seconds, manifest.score)
            for manifest in self.checkpoints], goal_of(identity.env_id, identity.config.get("target_score")),
            identity.config.get("seed"))
        if self.checkpoints and not self.curves.has("evaluation/score"):
            self.missing.append(f"{identity.name} was not evaluated yet: evaluations come every "
                                f"{identity.config['eval_every']} iterations.")

    @property
    def newest(self) -> Manifest | None:
        """The newest checkpoint."""
        return self.checkpoints[-1] if self.checkpoints else None

    def label(self, manifest: Manifest) -> str:
        """What a checkpoint is called in the figures; two lines of the run may have one of the same generation."""
        lines = sum(other.generation == manifest.generation for other in self.checkpoints)
        which = f" ({manifest.state_sha256[:8]})" if lines > 1 else ""
        return f"generation {manifest.generation}{which}, step {manifest.step:,}"

    def spread(self, count: int, shown: Manifest | None = None) -> list[Manifest]:
        """At most `count` checkpoints over the whole run: the first, the best, the newest, `shown`, some between."""
        if len(self.checkpoints) <= count:
            return list(self.checkpoints)
        picked = {0, len(self.checkpoints) - 1}
        picked |= {self.checkpoints.index(one) for one in (best(self.checkpoints), shown) if one in self.checkpoints}
        for position in np.linspace(0, len(self.checkpoints) - 1, count).round().astype(int).tolist():
            if len(picked) < count:
                picked.add(position)
        return [self.checkpoints[i] for i in sorted(picked)]

    def episodes(self, manifests: Sequence[Manifest], source: EnvironmentSource | None) -> dict[str, Episode]:
        """The first evaluation episode of each checkpoint, by its label.

        If a checkpoint has no telemetry, or a damaged one, the episode is played and recorded here;
        `source` makes its environment. What cannot be had is left out, and said.
        """
        found = {}
        for manifest in progress_bar(len(manifests), "reading telemetry", "checkpoint", iterable=manifests):
            episode = self._recorded(manifest)
            if episode is None and source is not None:
                try:
                    checkpoint = load_from_any(self._tiers, manifest)
                    episode = record_checkpoint(self.identity, checkpoint, EVALUATION_SEED, source)
                except ColabRLError as error:
                    self.missing.append(f"generation {manifest.generation}: {error}")
            elif episode is None:
                self.missing.append(f"generation {manifest.generation} has no telemetry, and its environment is not "
                                    "at hand to record it now.")
            if episode is not None:
                found[self.label(manifest)] = episode
        return found

    def _recorded(self, manifest: Manifest) -> Episode | None:
        """From its telemetry; None if it has none that is whole."""
        names = [name for name in manifest.files if name.startswith(TELEMETRY)]
        for name in names:
            with contextlib.suppress(ValueError, IndexError):
                return from_npz(self._read(name, manifest.files[name]))[0]
        if names:
            self.missing.append(f"The telemetry of generation {manifest.generation} is missing or damaged.")
        return None

    def _rows(self) -> list[Row]:
        """All rows up to the newest checkpoint, each once; a table that is damaged leaves a gap."""
        newest = self.newest
        if newest is None:
            return []
        tables = {name: record for name, record in {**newest.history, **newest.files}.items()
                  if name.startswith(METRICS)}
        found: dict[str, bytes] = {}
        for tier in self._tiers:
            found |= read_whole(tier, {name: record for name, record in tables.items() if name not in found})
        rows: list[Row] = []
        for name in tables:
            try:
                rows += from_csv(found[name])
            except (KeyError, ValueError):
                self.missing.append(f"The table {name} is missing or damaged: the curves have a gap there.")
        return rows

    def _read(self, name: str, record: FileRecord) -> bytes:
        """A file from the first place that has it whole. Raises ValueError if none has."""
        for tier in self._tiers:
            with contextlib.suppress(Damaged, StorageError):
                data = tier.storage.get(name)
                record.check(name, data)
                return data
        raise ValueError(f"{name} is nowhere whole")
