"""Finds phrases that newcomers stumble over: `python tools/dialect.py [FILE ...]`; `make lint` runs it.

It reads the documents, the notebooks and all Python files: texts, comments and docstrings. docs/lab and this file are
left out.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parents[1]
READ = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/", "notebooks/", "colab_rl/", "tests/", "benchmarks/",
        "tools/")
LEFT_OUT = ("docs/lab/", "colab_rl/example/", "tools/dialect.py")
# A phrase, and what to write in its place.
PHRASES = {
    r"where (there (is|are)|nobody|none|nothing|no|not|needed|possible)": 'a condition is "if"',
    r"where (it|they) (is|are|was|were|lie|lies)": "name the place: its folder",
    r"where (all|one|an?) ": 'a condition is "if"',
    r"from where": "name the place: the checkpoint that it continues from",
    r"any more": '"no longer"',
    r"(is|are|was|were) (said|told)": "name who says it: colab_rl prints, the message names",
    r"(go|goes|going|went|gone) on": '"continues"',
    r"in vain": '"without success"',
    r"whoever": '"if you"',
    r"mend(s|ed|ing)?": '"fix"',
    r"of (one's|a person's) own": '"your own"',
    r"of (then|old)": "say which: the earlier one",
    r"which there (is|are)": '"available"',
    r"no [\w ]{1,30} (is|are) there": '"not found"',
    r"there is:": '"available:"',
    r"held against": '"compared with"',
    r"stock gymnasium": '"Gymnasium itself", explained once in the glossary',
}


def findings(path: Path) -> list[str]:
    """A line for each phrase in a file: its place, the phrase, and what to write."""
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for phrase, advice in PHRASES.items():
            match = re.search(rf"\b{phrase}(?!\w)", line, re.IGNORECASE)
            if match:
                found.append(f"{path.relative_to(HOME)}:{number}: {match[0]!r}: {advice}")
    return found


def main(files: list[str]) -> int:
    """Prints what it finds; returns the exit code."""
    names = files or subprocess.run(["git", "ls-files", *READ], cwd=HOME, capture_output=True, text=True,
                                    check=True).stdout.splitlines()
    texts = [name for name in names if name.endswith((".md", ".py", ".ipynb")) and not name.startswith(LEFT_OUT)]
    found = [line for name in texts for line in findings(HOME / name)]
    print("\n".join(found) or "no phrase of the list found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
