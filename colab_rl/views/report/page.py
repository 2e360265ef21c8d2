"""One HTML page of figures: everything inside, nothing fetched, light or dark as the reader's screen is."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from colab_rl.views.report.look import STYLE
from colab_rl.views.report.script import SCRIPT

# Nothing is fetched from anywhere, whatever a name in the page says.
POLICY = ("default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
          "media-src data:; font-src data:; base-uri 'none'; form-action 'none'")


class Element(Protocol):
    """What is no figure, such as a table."""

    def html(self) -> str:
        """As an element of a page."""


@dataclass(frozen=True)
class Section:
    """A heading, a sentence on what is seen, and figures under it. All text is escaped."""

    title: str
    sentence: str
    figures: Sequence[go.Figure | Element] = field(default_factory=list)


def file_name(*words: object) -> str:
    """What a figure is called as a file: `walker-learning-0`."""
    return re.sub("[^A-Za-z0-9_.-]+", "-", "-".join(map(str, words)))[:80].lower().strip("-")


def panel(figure: go.Figure, name: str, label: str, file: str) -> str:
    """A figure as an element of a page, whose script draws it. name: of the element. file: what it is saved as."""
    # Of all of JSON only "<" could end the element that holds it.
    data = json.dumps({"frames": [], **json.loads(figure.to_json())}, separators=(",", ":")).replace("<", "\\u003c")
    return (f'<div class="panel"><div class="tools"></div><div class="figure" id="{name}" role="img" '
            f'aria-label="{html.escape(label)}" data-name="{file}" style="height:{int(figure.layout.height)}px"></div>'
            f'</div><script type="application/json" id="{name}-data">{data}</script>')


def page(title: str, facts: Sequence[tuple[str, str]], sections: Sequence[Section], missing: Sequence[str] = (),
         footer: str = "", opening: Sequence[Element] = ()) -> str:
    """The page as text. opening: stands first, under the title."""
    parts = [f"<h1>{html.escape(title)}</h1>", *(element.html() for element in opening), "<dl>"]
    parts += [f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in facts]
    parts.append("</dl>")
    if missing:
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in missing)
        parts.append(f'<ul class="missing" aria-label="What is missing">{lines}</ul>')
    links = "".join(f'<a href="#section{i}">{html.escape(section.title)}</a>' for i, section in enumerate(sections))
    parts.append(f"<nav>{links}</nav>")
    number = 0
    for i, section in enumerate(sections):
        parts.append(f'<h2 id="section{i}">{html.escape(section.title)}</h2><p>{html.escape(section.sentence)}</p>')
        for figure in section.figures:
            if not isinstance(figure, go.Figure):
                parts.append(figure.html())
                continue
            parts.append(panel(figure, f"figure{number}", section.title, file_name(title, section.title, number)))
            number += 1
    parts.append(f"<footer>{html.escape(footer)}</footer>")
    return ("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n<body>{''.join(parts)}\n"
            # Last, since it takes a second to load: what is written above it can be read by then.
            f"<script>{get_plotlyjs()}</script><script>{SCRIPT}</script></body></html>\n")
