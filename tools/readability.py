"""How easy the documents are to read: `python tools/readability.py [FILE ...]` prints a table.

A word is one outside code blocks, tables and headings. A mean sentence is in words. The Flesch reading ease is
textstat's: 60 is plain English, 30 is an academic text. Code between backquotes counts as the word "code", and a link
as its text. The longest row is the longest line of a table, in characters, without the addresses of its links.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HOME = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "docs/tutorial.md", "docs/guides/*.md", "docs/extending/*.md",
         "docs/design/*.md", "docs/reference/*.md", "docs/results.md"]


def plain(text: str) -> str:
    """Markdown with its code, links and pictures as words."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"`[^`]*`", "code", text).replace("*", "")


def prose(text: str) -> list[str]:
    """The paragraphs and list items of a page."""
    text = re.sub(r"^( *)```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in text.splitlines() if not line.startswith(("|", "#", "<"))]
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:-|\d+\.) )", plain("\n".join(lines)))
    return [" ".join(re.sub(r"^\s*(-|\d+\.) ", "", block).split()) for block in blocks if block.strip()]


def sentences(paragraphs: list[str]) -> list[str]:
    """Each sentence; one that introduces a list ends with its colon."""
    found = [part for paragraph in paragraphs for part in re.split(r"(?<=[.!?:])\s+(?=[A-Z0-9\"])", paragraph)]
    return [sentence for sentence in found if len(sentence.split()) > 1]


def longest_row(text: str) -> int:
    """Characters of the longest line of a table, without the addresses of links."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return max((len(re.sub(r"\]\([^)]*\)", "]", line)) for line in rows), default=0)


def main(files: list[str]) -> None:
    """Prints the table."""
    import textstat

    paths = [Path(file) for file in files] or [path for page in PAGES for path in sorted(HOME.glob(page))]
    print(f"{'page':38} {'words':>6} {'sentence':>9} {'longest':>8} {'Flesch':>7} {'row':>5}")
    for path in paths:
        text = path.read_text()
        found = sentences(prose(text))
        counts = [len(sentence.split()) for sentence in found] or [0]
        ease = textstat.flesch_reading_ease(" ".join(sentence.rstrip(".!?:") + "." for sentence in found) or ".")
        name = path.resolve().relative_to(HOME).as_posix()
        print(f"{name:38} {sum(counts):6} {sum(counts) / len(counts):9.1f} {max(counts):8} {ease:7.0f} "
              f"{longest_row(text):5}")


if __name__ == "__main__":
    main(sys.argv[1:])
