"""How a run was made: its settings, versions and machine, and the command that makes it again."""

from __future__ import annotations

import html
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from colab_rl.algorithms.registry import OUR_ALGORITHMS, make_config, preset
from colab_rl.checkpoints import Manifest
from colab_rl.errors import ColabRLError
from colab_rl.runs.identity import Identity
from colab_rl.settings import as_text, keyword_text, to_json
from colab_rl.views.dashboards.comparison import Table

OWN = " (not the preset's)"
NOT_THERE = "-"
STYLE = """
.command { background: var(--card); border-radius: 6px; padding: 8px 12px; overflow-x: auto; font-size: 13px;
  white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; margin-bottom: 8px; }
"""


@dataclass(frozen=True)
class Made:
    """Commands in a box, and a table that unfolds. All text is escaped."""

    commands: Sequence[str]
    summary: str
    table: Table

    def html(self) -> str:
        """As an element of a page."""
        lines = html.escape("\n".join(self.commands))
        return (f'<style>{STYLE}</style><pre class="command">{lines}</pre>'
                f"<details><summary>{html.escape(self.summary)}</summary>{self.table.html()}</details>")


def made_of(runs: Sequence[tuple[Identity, Manifest | None]]) -> Made:
    """Of one run all that decided it; of several what differs among them."""
    columns = [_facts(identity, newest) for identity, newest in runs]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [(name, [column.get(name, NOT_THERE) for column in columns]) for name in names]
    if len(runs) > 1:
        rows = [(name, cells) for name, cells in rows if len(set(cells)) > 1]
    own = sum(OWN in cell for _, cells in rows for cell in cells)
    summary = (f"What differs among these runs: {len(rows)} rows" if len(runs) > 1 else
               f"All settings, versions and the machine; {own} differ from the preset")
    return Made([command_of(identity, newest) for identity, newest in runs], summary,
                Table([identity.name for identity, _ in runs], rows))


def command_of(identity: Identity, newest: Manifest | None = None) -> str:
    """The command that trains such a run as far as its newest checkpoint was to come."""
    config, usual = _config(identity, newest), _usual(identity)
    words = ["python", "-m", "colab_rl", "train", identity.name]
    named = identity.env_path if identity.trains_on_function else identity.env_id
    words += ["--env", named] if named else []
    kwargs = [f"{name}={keyword_text(value)}" for name, value in identity.env_kwargs.items()]
    words += ["--env-set", *kwargs] if kwargs else []
    words += ["--algo", identity.algorithm, "--backend", identity.backend, "--seed", str(config.get("seed"))]
    if identity.origin and "run" in identity.origin:  # of a sweep it has the settings alone, and they follow
        words += ["--from", "{run}:{generation}".format(**identity.origin)]
    changed = [f"{name}={as_text(value)}" for name, value in config.items()
               if name != "seed" and usual.get(name, NOT_THERE) != value]
    words += ["--set", *changed] if changed else []
    notes = [] if named else ["on a function: give it in Python"]
    if begun_with := _extended_to_other_bits(identity, config):
        notes.append(f"the run began with total_steps={begun_with} and was extended: one command gives other bits")
    return shlex.join(words) + (f"   # {'; '.join(notes)}" if notes else "")


def _config(identity: Identity, newest: Manifest | None) -> dict[str, Any]:
    """The settings, with the total_steps that the run was extended to."""
    return {**identity.config, **({"total_steps": newest.total_steps} if newest else {})}


def _extended_to_other_bits(identity: Identity, config: dict[str, Any]) -> int | None:
    """The total_steps that an extended run began with. None if all of them at once train to the same bits.

    They do if nothing follows total_steps: neither a schedule, nor the level of a target's test. Of an algorithm that
    is not ours nobody knows.
    """
    begun_with = identity.config.get("total_steps")
    if begun_with in (None, config.get("total_steps")):
        return None
    schedules = {value for name, value in config.items() if name.endswith("_schedule")}
    follows = schedules - {"constant"} or config.get("target_score") is not None
    return begun_with if follows or identity.algorithm not in OUR_ALGORITHMS else None


def _facts(identity: Identity, newest: Manifest | None) -> dict[str, str]:
    """Settings, then versions of the newest checkpoint."""
    usual = _usual(identity)
    facts = {name: as_text(value) + ("" if name == "seed" or usual.get(name, value) == value else OWN)
             for name, value in _config(identity, newest).items()}
    versions = (newest.versions if newest else None) or identity.versions
    code = versions.get("code")
    return {"environment": identity.environment_words, "algorithm": identity.algorithm, "backend": identity.backend,
            "device": identity.device, "begun": identity.created, **facts,
            **{name: value for name, value in versions.items() if not name.startswith("code")},
            **({"code": code} if code else {})}


def _usual(identity: Identity) -> dict[str, Any]:
    """The settings that the same command without --set gives; empty if it cannot be told."""
    try:
        return to_json(make_config(identity.algorithm, preset(identity.env_id, identity.algorithm)))
    except ColabRLError:
        return {}
