"""One HTML page of figures: everything inside, nothing fetched, light or dark as the reader's screen is."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

STYLE = """
:root { color-scheme: light dark; --text: #24292f; --soft: #5b636d; --back: #ffffff; --card: #f6f7f9; --line: #d9dde3; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e2e6eb; --soft: #9aa3ad; --back: #15181c; --card: #1d2126; --line: #343a42; }
  .updatemenu-item-rect[style*="fill: rgb(244, 250, 255)"] { fill: #3b434d !important; } } /* Plotly's pressed button */
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 20px 14px 60px; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 24px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 40px 0 2px; padding-top: 14px; border-top: 1px solid var(--line); }
p { margin: 0 0 10px; color: var(--soft); max-width: 75ch; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 8px; margin: 14px 0; }
dl div { background: var(--card); border-radius: 8px; padding: 8px 12px; min-width: 0; }
dt { font-size: 12px; color: var(--soft); overflow-wrap: anywhere; }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
ul.missing { background: var(--card); border-left: 4px solid #BBA52B; border-radius: 4px; padding: 10px 14px 10px 32px;
  margin: 14px 0; overflow-wrap: anywhere; }
nav { margin: 12px 0; } nav a { color: #4C8BD6; margin-right: 16px; overflow-wrap: anywhere; }
.figure { width: 100%; margin-bottom: 18px; }
footer { margin-top: 40px; font-size: 12px; color: var(--soft); }
"""

SCRIPT = """
"use strict";
const dark = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 700px)");
function colors() {
  const text = dark.matches ? "#d5dae0" : "#3b4048";
  return {text: text, back: dark.matches ? "#2a2f36" : "#ffffff"};
}
function recolor(holder) {
  const {text, back} = colors();
  Plotly.relayout(holder, {"font.color": text, "hoverlabel.font.color": text, "hoverlabel.bgcolor": back});
}
async function draw(holder) {
  const figure = JSON.parse(document.getElementById(holder.id + "-data").textContent);
  if (narrow.matches) {   // a finger scrolls the page, and does not zoom
    figure.layout.dragmode = false;
    for (const axis of ["l", "r"]) figure.layout.margin[axis] = Math.min(figure.layout.margin[axis], 54);
  }
  const {text, back} = colors();
  figure.layout.font = {...figure.layout.font, color: text};
  figure.layout.hoverlabel = {...figure.layout.hoverlabel, bgcolor: back, font: {color: text}};
  await Plotly.newPlot(holder, figure.data, figure.layout, {responsive: true, displayModeBar: false});
  if (figure.frames.length) await Plotly.addFrames(holder, figure.frames);
}
function unseen(holder) {   // pixels between it and what is on the screen
  const {top, bottom} = holder.getBoundingClientRect();
  return Math.max(top - innerHeight, -bottom, 0);
}
async function drawAll() {
  const waiting = [...document.querySelectorAll(".figure")];
  while (waiting.length) {   // the nearest to the reader first, who may have scrolled meanwhile
    waiting.sort((one, other) => unseen(one) - unseen(other));
    await draw(waiting.shift());
    await new Promise(done => setTimeout(done, 0));   // the page stays alive between figures
  }
  document.body.dataset.drawn = "all";
}
dark.addEventListener("change", () => document.querySelectorAll(".figure").forEach(recolor));
// Plotly rejects an animation that another one interrupts, with no reason: that is no error.
addEventListener("unhandledrejection", event => { if (event.reason === undefined) event.preventDefault(); });
drawAll();
"""

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
            # Of all of JSON only "<" could end the element that holds it.
            data = json.dumps({"frames": [], **json.loads(figure.to_json())}, separators=(",", ":"))
            data = data.replace("<", "\\u003c")
            parts.append(f'<div class="figure" id="figure{number}" style="height:{int(figure.layout.height)}px"></div>'
                         f'<script type="application/json" id="figure{number}-data">{data}</script>')
            number += 1
    parts.append(f"<footer>{html.escape(footer)}</footer>")
    return ("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n<body>{''.join(parts)}\n"
            # Last, since it takes a second to load: what is written above it can be read by then.
            f"<script>{get_plotlyjs()}</script><script>{SCRIPT}</script></body></html>\n")
