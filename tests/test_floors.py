"""A folder imports only from floors below its own (docs/design/architecture.md)."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "colab_rl"
# From the roof down, each part with what it is for. Parts of one floor do not know each other.
FLOORS = [
    {"__main__": "python -m colab_rl", "__init__": "the public names"},
    {"cli": "the command line", "colab": "the notebooks' cells; Colab's mount, consent and end; installing"},
    {"commands": "status, verify, evaluate, record, export, bench, doctor"},
    {"views": "dashboards, report, video, history, live plot: they read a run, and never train"},
    {"sweeps": "a plan of many runs, its search, its runners, its statistics"},
    {"training": "what was asked, a session of a run, the loop, metrics"},
    {"policies": "a policy: out of its run, as a function, as a folder with ONNX"},
    {"runs": "names, run.json, places, lock; bringing a run to its store"},
    {"evaluation": "the score; episodes recorded, played again, and their files"},
    {"algorithms": "PPO, SAC, TQC and what they share: mathematics without files or logging"},
    {"checkpoints": "a training state on disk that can be trusted, here and in the store",
     "networks": "from observations to outputs: the seam, MLP, convolutions, GRU, distributions"},
    {"environments": "made, described, stepped together, saved and restored", "storage": "places for files"},
    {"requirements": "what the package needs"},
    {"arguments": "their types, in sentences", "arithmetic": "how torch computes; the global generators",
     "fingerprint": "of code",
     "machine": "its cores, memory and versions",
     "progress": "bars and lines", "sealed": "JSON files that show if they were changed",
     "settings": "one flat dataclass a run",
     "user_code": "a person's own class: found by name, and what it raises in one line"},
    {"errors": "messages for people", "example": "a trained run that ships with the package"},
]
FLOOR_OF = {name: number for number, names in enumerate(reversed(FLOORS)) for name in names}


def drawing():
    """The floors as docs/design/architecture.md shows them."""
    lines = []
    for number, parts in zip(reversed(range(len(FLOORS))), FLOORS, strict=True):
        for name, purpose in parts.items():
            lines.append(f"{number if name == next(iter(parts)) else '':>3}  {name:13} {purpose}")
    return "```\n" + "\n".join(lines) + "\n```\n"


def imported(path):
    """The parts of the package that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            part = name.split(".")[1] if name.startswith("colab_rl.") else None
            if part in FLOOR_OF:  # `from colab_rl import __version__` is no part
                yield part


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downward(path):
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for other in imported(path):
        assert other == part or FLOOR_OF[other] < FLOOR_OF[part], f"{part} imports {other}"


def test_who_keeps_the_files_is_known_to_storage_alone():
    """Others say what a storage is called, so that a new one needs no change of theirs."""
    for part in ("checkpoints", "algorithms", "evaluation", "runs", "policies", "training", "views"):
        for path in (PACKAGE / part).rglob("*.py"):
            assert not re.search(r"\bDrive\b|drive:", path.read_text()), path


# One question that each folder of an algorithm, or each file of an environment, answers in its own way.
ANSWERED_BY_EACH = ("algorithms/ppo/", "algorithms/sac/", "algorithms/tqc/", "environments/known/")


def test_a_name_means_one_thing():
    """No two public classes, types or functions of different files have one name."""
    owners = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        place = str(path.relative_to(PACKAGE))
        for node in ast.parse(path.read_text()).body:
            named = [node.name] if isinstance(node, ast.ClassDef | ast.FunctionDef) else [
                target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)
                and re.fullmatch("[A-Z][a-z]\\w+", target.id)]
            for name in named:
                if not name.startswith("_") and not place.startswith(ANSWERED_BY_EACH) and name != "main":
                    owners.setdefault(name, []).append(place)
    assert {name: places for name, places in owners.items() if len(places) > 1} == {}


def test_every_part_has_its_floor():
    parts = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert parts - {"__pycache__"} == set(FLOOR_OF)


def test_the_document_draws_these_floors():
    text = (PACKAGE.parent / "docs" / "design" / "architecture.md").read_text()
    assert drawing() in text, f"put this into docs/design/architecture.md:\n{drawing()}"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_of_ours_draws_from_a_global_generator(path):
    """A loss of the user's may, and its run resumes exactly: no thread of ours takes numbers from between."""
    drawn = re.findall(r"(?<![\w.])(?:np\.)?random\.(\w+)\(", path.read_text())
    assert set(drawn) <= {"Random", "default_rng", "SeedSequence", "getstate", "setstate", "get_state", "set_state",
                          "seed"}
