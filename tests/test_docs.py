"""The documentation holds what it says: messages are the product's, links lead somewhere."""

import ast
import json
import re
from pathlib import Path

import pytest

from colab_rl.algorithms.registry import DEFAULT_ALGORITHM, SURER
from tools.readability import longest_row, prose, sentences

HOME = Path(__file__).parents[1]
PAGES = [HOME / "README.md", HOME / "CONTRIBUTING.md", *sorted((HOME / "docs").rglob("*.md"))]
ELSE = "…"


def texts():
    """Every text in the package's and the notebooks' code; `…` stands for what is filled in."""
    sources = [path.read_text() for path in (HOME / "colab_rl").rglob("*.py")]
    sources += ["".join(cell["source"]) for path in (HOME / "notebooks").glob("*.ipynb")
                for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else ELSE for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_message_of_the_reference_is_one_that_the_product_prints():
    printed = list(texts())
    quoted = re.findall(r"^\| `(.+?)` \|", (HOME / "docs" / "reference" / "messages.md").read_text(), re.MULTILINE)
    assert len(quoted) > 30
    for message in quoted:
        parts = [part.strip() for part in message.split(ELSE) if part.strip()]
        assert any(all(part in text for part in parts) for text in printed), message


def headings(page):
    """What a page's headings are called in links."""
    return [re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
            for line in page.read_text().splitlines() if line.startswith("#")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(HOME).as_posix())
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" not in target:
            path, _, heading = target.partition("#")
            assert (page.parent / path).exists(), target
            if heading:
                assert heading in headings(page.parent / path if path else page), target


def test_the_readme_is_short():
    text = (HOME / "README.md").read_text()
    assert len(text.splitlines()) <= 100
    assert len(re.sub(r"\]\([^)]*\)", "]", text).split()) <= 700
    assert longest_row(text) <= 120


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "lab"],
                         ids=lambda page: page.relative_to(HOME).as_posix())
def test_sentences_are_short(page):
    counts = [len(sentence.split()) for sentence in sentences(prose(page.read_text()))]
    assert not counts or sum(counts) / len(counts) < 16


def test_the_algorithm_that_is_said_to_be_the_default_is_the_default():
    *first, last = SURER
    (algorithm,) = set(SURER.values())
    where = f"for {', '.join(first)} and {last}"
    assert f"(default: {algorithm} {where}, else {DEFAULT_ALGORITHM})" in (HOME / "docs/reference/cli.md").read_text()
    for notebook in ("01_train", "04_sweep"):
        assert f"Empty: `{algorithm}` {where}, and `{DEFAULT_ALGORITHM}` for others." in (
            HOME / f"notebooks/{notebook}.ipynb").read_text()


def test_every_page_can_be_found():
    """From the README, by links."""
    found, new = set(), {HOME / "README.md"}
    while new:
        found |= new
        targets = {(page.parent / target.partition("#")[0]).resolve() for page in new
                   for target in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in target}
        new = {page for page in targets if page.suffix == ".md"} - found
    assert set(PAGES) <= found
