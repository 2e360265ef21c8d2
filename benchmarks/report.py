"""How long headless Chromium takes to open the report of a large run: 100,000 rows, six episodes of 2,000 steps.

    python benchmarks/report.py --rounds 5 --json opening.json

From navigation to the first text on the screen, to the end of the figure that is on the screen, and to that of the
last one; with the load average of that moment.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
import tempfile

TESTS = pathlib.Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "views")]

from browser import visit  # noqa: E402
from figures import large_page, make_walk  # noqa: E402

# When each figure begins: by then the one before is done.
WATCH = ("window.begun = {}; new MutationObserver(changes => { for (const {target} of changes)"
         "if (target.matches('.js-plotly-plot')) begun[target.id] ??= performance.now(); })"
         ".observe(document, {subtree: true, attributeFilter: ['class']});")
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = pathlib.Path(folder, "report.html")
        path.write_text(large_page(make_walk()))
        for number in range(options.rounds):
            (drawn, painted, first), errors = visit(path, ["performance.now()", PAINTED, "begun.figure1"],
                                                    pathlib.Path(folder, str(number)), before=WATCH)
            rounds.append({"first_text_s": painted / 1000, "on_screen_s": first / 1000, "all_drawn_s": drawn / 1000,
                           "load": os.getloadavg()[0], "megabytes": path.stat().st_size / 1e6, "errors": errors})
            print(rounds[-1])
    if options.json:
        options.json.write_text(json.dumps(rounds, indent=1))


if __name__ == "__main__":
    main()
