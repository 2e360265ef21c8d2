"""A folder imports only from the floors below its own (docs/architecture.md); files of one folder import each other."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "colab_rl"
# From the ground up. Parts of one floor do not know each other.
FLOORS = [
    {"errors", "example"},
    {"arguments", "fingerprint", "machine", "progress", "requirements", "settings"},
    {"environments", "storage"},
    {"checkpoints", "networks"},
    {"algorithms"},
    {"evaluation"},
    {"runs"},
    {"policies"},
    {"training"},
    {"views"},
    {"commands"},
    {"cli", "colab"},
    {"__main__", "__init__"},
]
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}


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


def test_every_part_has_its_floor():
    parts = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert parts - {"__pycache__"} == set(FLOOR_OF)
