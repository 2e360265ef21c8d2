"""What a report opens with: whether the environment is solved, how sure that is, and what to do next."""

from __future__ import annotations

import html
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from colab_rl.checkpoints import Manifest
from colab_rl.evaluation.intervals import bootstrap_interval
from colab_rl.runs.identity import Identity
from colab_rl.settings import as_text
from colab_rl.views.values import text_of

SOLVED, NOT_SURE, NOT_SOLVED, NO_GOAL = "solved", "not sure", "not solved", "no goal"
COMMAND = "python -m colab_rl"
STYLE = """
.verdict { background: var(--card); border-left: 5px solid #8A8F98; border-radius: 6px; padding: 10px 16px;
  margin: 14px 0; }
.verdict.solved { border-color: #228833; } .verdict.not-solved { border-color: #BB5566; }
.verdict p { margin: 2px 0; } .verdict p:first-of-type { color: var(--text); font-size: 18px; font-weight: 600; }
.verdict code { overflow-wrap: anywhere; }
"""


@dataclass(frozen=True)
class Judged:
    """The episodes behind a checkpoint's score.

    returns: (E,). mishap: what one that went wrong is called. mishaps: (E,) bool. seed: of the first.
    measured: when and in what, in words. candidates: see Confirmation.
    """

    returns: np.ndarray
    mishap: str
    mishaps: np.ndarray
    seed: int
    measured: str
    candidates: Sequence[dict] = ()


@dataclass(frozen=True)
class Verdict:
    """A judgement in one word, and its sentences, the most important one first; text between ` is a command."""

    kind: str
    sentences: Sequence[str]

    def brief(self, label: str) -> Verdict:
        """What it comes to, of a checkpoint among others."""
        return Verdict(self.kind, [f"{label}: {self.sentences[0]}"])

    def html(self) -> str:
        """As an element of a page."""
        lines = "".join(f"<p>{_with_code(sentence)}</p>" for sentence in self.sentences)
        return f'<style>{STYLE}</style><div class="verdict {self.kind.replace(" ", "-")}">{lines}</div>'


def verdict_of(identity: Identity, shown: Manifest, newest: Manifest, judged: Judged, goal: float | None,
               options: str = "") -> Verdict:
    """The verdict on a checkpoint of a run. goal: the environment's own threshold. options: those of Places."""
    returns, count, title = judged.returns, len(judged.returns), identity.title
    mean = float(returns.mean())
    low, high = bootstrap_interval(returns) if count > 1 else (mean, mean)
    kind = NO_GOAL if goal is None else SOLVED if low >= goal else NOT_SOLVED if high < goal else NOT_SURE
    score = f"{text_of(mean)} (95 % interval {text_of(low)} to {text_of(high)}, {count} episodes)"
    if goal is None:
        first = f"Score {score}. {title} names no score from which it is solved."
    else:
        first = {SOLVED: f"{title} is solved: {score}, and {goal:g} is enough.",
                 NOT_SOLVED: f"{title} is not solved: {score}, and it takes {goal:g}.",
                 NOT_SURE: f"{title} may be solved, and these episodes cannot tell: {score}, and it takes {goal:g}."
                 }[kind]
    sentences = [first, _episodes_sentence(judged, goal), _standing_sentence(shown, newest, judged),
                 f"Measured over {count} episodes, seeds {judged.seed} to {judged.seed + count - 1}, that chose no "
                 f"checkpoint: {judged.measured}."]
    return Verdict(kind, [*filter(None, sentences), _next_sentence(identity, kind, newest, judged, options)])


def _episodes_sentence(judged: Judged, goal: float | None) -> str:
    count, wrong = len(judged.returns), int(judged.mishaps.sum())
    parts = [f"{judged.mishap} in {wrong} of {count} episodes"] if judged.mishap else []
    if goal is not None:
        parts.append(f"{int((judged.returns < goal).sum())} of {count} below {goal:g}")
    parts.append(f"the worst is {text_of(judged.returns.min())}")
    sentence = ", ".join(parts)
    return sentence[0].upper() + sentence[1:] + "."


def _standing_sentence(shown: Manifest, newest: Manifest, judged: Judged) -> str:
    where = f"This is generation {shown.generation}, saved at step {shown.step:,} of {newest.step:,}."
    if not judged.candidates:
        return where
    rows = ", ".join(f"{row['generation']} with {text_of(row['mean'])}" for row in judged.candidates)
    return (f"{where} It was chosen among the {len(judged.candidates)} best generations ({rows}, over "
            f"{judged.candidates[0]['episodes']} other episodes each).")


def _next_sentence(identity: Identity, kind: str, newest: Manifest, judged: Judged, options: str) -> str:
    run = identity.name

    def call(name: str, which: str = run, **arguments: Any) -> str:
        return _call(identity, options, name, which, **arguments)

    if not newest.finished:
        return f"Next: {call('train')} continues the training, which has not ended."
    if kind in (NOT_SOLVED, NOT_SURE):
        look = " Look below at an episode that went wrong." if judged.mishaps.any() else ""
        longer, target = 2 * newest.total_steps, identity.config.get("target_score")
        if target is not None and newest.step < newest.total_steps:
            branch = call("train", f"{run}-longer", origin=f"{run}:{newest.generation}",
                          settings={"target_score": None}, total_steps=longer)
            return (f"Next: {branch} trains it longer, as a new run. {run} itself stops at once, since it reached its "
                    f"target_score of {target:g}.{look}")
        return f"Next: {call('train', total_steps=longer)} trains it longer.{look}"
    return f"Next: {call('render')} films it, and {call('export')} makes a folder to take away."


def _call(identity: Identity, options: str, name: str, run: str, **arguments: Any) -> str:
    """A command between `, or a call in Python if a command cannot find the function that the run trains on.

    arguments: of that call.
    """
    if identity.trains_on_function and identity.env_path is None:
        words = shlex.split(options)
        places = {option.removeprefix("--"): value for option, value in zip(words[::2], words[1::2], strict=True)}
        given = "".join(f", {key}={value!r}" for key, value in {**arguments, **places}.items())
        return f"`colab_rl.{name}({run!r}, env=...{given})` in Python"
    words = [name, run, *(["--env", identity.env_path] if identity.trains_on_function and identity.env_path else [])]
    for key, value in arguments.items():
        if key == "settings":
            words += ["--set", *(f"{setting}={as_text(one)}" for setting, one in value.items())]
        else:
            words += ["--from" if key == "origin" else f"--{key.replace('_', '-')}", str(value)]
    return f"`{COMMAND} {shlex.join(words)}{options}`"


def _with_code(sentence: str) -> str:
    """A sentence, escaped, with what stands between ` in the letters of code."""
    parts = html.escape(sentence).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
