"""A file imports only from floors below its own (docs/architecture.md); files of one folder may import each other."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "colab_rl"
FLOORS = [
    {"errors", "example", "progress", "spaces"},
    {"arguments", "config", "install", "presets", "machine", "stopping", "storage"},
    {"environments", "checkpoints", "networks", "metrics", "normalization"},
    {"telemetry"},
    {"algorithms", "evaluation", "runs"},
    {"pushing", "request", "trainer"},
    {"training"},
    {"benchmark", "colab", "inspection"},
    {"views"},
    {"doctor"},
    {"cli", "notebook"},
    {"__main__", "__init__"},
]
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}


def imported(path):
    """The parts of the package that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("colab_rl."):
            yield node.module.split(".")[1]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downward(path):
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for other in imported(path):
        assert other == part or FLOOR_OF[other] < FLOOR_OF[part], f"{part} imports {other}"
