"""The notebooks as files: what they repeat is the same, their forms and calls fit the package."""

import ast
import importlib
import inspect
import json
import re
import shutil
from pathlib import Path

import pytest

from colab_rl.algorithms.registry import ALGORITHMS
from colab_rl.colab import session
from colab_rl.views.video.film import FORMS
from tools import notebooks as tool

HOME = Path(__file__).parents[2]
NOTEBOOKS = sorted((HOME / "notebooks").glob("*.ipynb"))
NAMES = {"00_setup": {"RUN_NAME", "STORE", "VERIFY"},
         "01_train": {"RUN_NAME", "STORE", "VERIFY", "ENV_ID", "ALGORITHM", "TOTAL_STEPS", "SEED", "SETTINGS"},
         "02_analyze": {"RUN_NAME", "STORE", "CHECKPOINT", "COMPARE"},
         "03_render": {"RUN_NAME", "STORE", "CHECKPOINT", "OUTPUT", "FORM", "AGAINST", "SEED", "OVERLAY", "SIZE",
                       "SPEED", "SECONDS", "GIF", "EXPORT"},
         "04_sweep": {"SWEEP_NAME", "STORE", "VERIFY", "ENV_ID", "ALGORITHM", "TOTAL_STEPS", "SEEDS", "SEED",
                      "SETTINGS", "VARY", "SEARCH", "TRIALS", "PRUNE"},
         "05_own": {"RUN_NAME", "STORE", "TOTAL_STEPS", "SEED"}}
CHOICES = {"ALGORITHM": ["", *ALGORITHMS], "FORM": list(FORMS), "WHEN_DONE": list(session.ENDS)}
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "raw": (dict, list)}

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def fields(path):
    """Name, default, and what follows #@param, of every form field."""
    for cell in code_cells(path):
        for line in cell["source"]:
            if found := re.match(r"([A-Z_]+) = (.*?)  #@param (.*)", line):
                yield found[1], ast.literal_eval(found[2]), found[3]


@each_notebook
def test_they_are_stored_without_outputs_and_with_short_cells(path):
    book = json.loads(path.read_text())
    assert "widgets" not in book["metadata"]
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    for cell in code_cells(path):
        assert cell["outputs"] == [] and cell["execution_count"] is None
        assert len(cell["source"]) <= 25
        assert cell["source"][0].startswith("#@title ")
        own = "own" in cell["metadata"].get("tags", [])  # code that a user reads and changes
        assert cell["metadata"].get("cellView") == (None if own else "form")


@each_notebook
def test_the_first_cell_is_everywhere_the_same_and_can_be_read(path):
    first = tool.first_cell(json.loads(path.read_text()))["source"]
    assert first == code_cells(NOTEBOOKS[0])[0]["source"]
    assert len(first) == 10 and max(len(line.rstrip("\n")) for line in first) <= 125


def test_one_command_stamps_the_repository_everywhere(tmp_path):
    for name in ("notebooks", "docs", "colab_rl/__init__.py", "setup.cfg", "README.md", "CONTRIBUTING.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (shutil.copytree if (HOME / name).is_dir() else shutil.copyfile)(HOME / name, tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    tool.main(tmp_path)
    assert {path: path.read_bytes() for path in before} == before  # what is committed is stamped
    tool.main(tmp_path, "some-one/walkers")
    for path in [*tmp_path.glob("notebooks/*.ipynb"), tmp_path / "README.md"]:
        text = path.read_text()
        assert "github/some-one/walkers/blob/" in text and "YOUR_NAME/" not in text
    assert "url = https://github.com/some-one/walkers\n" in (tmp_path / "setup.cfg").read_text()
    with pytest.raises(SystemExit, match="owner/name"):
        tool.main(tmp_path, "https://github.com/some-one/walkers")


@each_notebook
def test_badges_and_links_lead_to_notebooks_that_exist(path):
    text = path.read_text()
    assert f"/blob/main/notebooks/{path.name})" in text
    linked = set(re.findall(r"/blob/main/(notebooks/\w+\.ipynb)\)", text))
    assert linked == {f"notebooks/{other.name}" for other in NOTEBOOKS}


@each_notebook
def test_form_fields_have_their_names_types_and_choices(path):
    parameters = [cell for cell in code_cells(path) if "parameters" in cell["metadata"].get("tags", [])]
    assert len(parameters) == 1
    assigned = {line.split(" = ")[0] for line in parameters[0]["source"] if " = " in line and line[0] != "#"}
    assert assigned == NAMES[path.stem]
    for name, default, form in fields(path):
        if kind := re.match(r'\{type:"(\w+)"\}', form):
            assert isinstance(default, TYPES[kind[1]]), name
            assert kind[1] == "boolean" or not isinstance(default, bool)
        else:
            choices = ast.literal_eval(form.removesuffix(" {allow-input: true}"))
            assert default in choices
            assert name not in CHOICES or choices == CHOICES[name]


@each_notebook
def test_everything_imported_is_there_and_every_call_fits(path):
    for cell in code_cells(path)[1:]:
        tree = ast.parse("".join(cell["source"]))
        names = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                names |= {alias.name: getattr(importlib.import_module(node.module), alias.name)
                          for alias in node.names}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in names:
                values = {keyword.arg: None for keyword in node.keywords}
                inspect.signature(names[node.func.id]).bind(*node.args, **values)
