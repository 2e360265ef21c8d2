"""The table of a sweep's trials in its report: it sorts, and a click opens a trial's own dashboards."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import plotly.graph_objects as go

from colab_rl.sweeps.trials import TrialResult
from colab_rl.views.dashboards.style import rounded
from colab_rl.views.dashboards.trials import TrialCurves
from colab_rl.views.palette import COLORS, DARK
from colab_rl.views.report.page import file_name, panel
from colab_rl.views.values import text_of

STYLE = """
.trials { overflow: auto; max-height: 480px; margin-bottom: 18px; }
.trials table { border-collapse: collapse; min-width: 100%; font-variant-numeric: tabular-nums; }
.trials th, .trials td { padding: 4px 10px; text-align: left; white-space: nowrap;
  border-bottom: 1px solid rgba(128,128,128,0.3); }
.trials th { position: sticky; top: 0; background: var(--back); cursor: pointer; }
.trials tbody tr { cursor: pointer; } .trials tbody tr:hover, .trials tr.shown { background: var(--card); }
#trial { border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px; margin-bottom: 18px; }
#trial code { overflow-wrap: anywhere; } #trial h3 { margin: 0 0 6px; font-size: 15px; }
#trial h4 { margin: 14px 0 2px; }
#trial > button { float: right; font: inherit; font-size: 13px; cursor: pointer; padding: 1px 8px; border-radius: 5px;
  border: 1px solid var(--line); background: none; color: var(--soft); }
#trial-plot { height: 260px; }
"""

SCRIPT = f"const COLORWAYS = {json.dumps([COLORS, [DARK[color] for color in COLORS]])};" + """
"use strict";
const trials = JSON.parse(document.getElementById("trials-data").textContent);
function showTrial(number) {
  const one = trials[number];
  if (!one) return;
  const box = document.getElementById("trial");
  box.hidden = false;
  box.querySelector("h3").textContent = one.title;
  box.querySelector("p").textContent = one.words;
  box.querySelector("code").textContent = one.command;
  const opened = box.querySelector(".opened"), panels = document.getElementById("trial-panels-" + number);
  opened.querySelectorAll(".figure").forEach(Plotly.purge);
  opened.replaceChildren(...panels ? panels.content.cloneNode(true).childNodes : []);
  const holders = [...opened.querySelectorAll(".figure")];
  (async () => { for (const holder of holders) if (holder.isConnected) await draw(holder); })();   // the page's
  document.querySelectorAll(".trials tr.shown").forEach(row => row.classList.remove("shown"));
  const row = document.querySelector('.trials tr[data-trial="' + number + '"]');
  if (row) row.classList.add("shown");
  document.getElementById("trial-plot").hidden = holders.length > 0;   // the dashboards show the scores
  const text = TEXTS[+dark.matches], back = BACKS[+dark.matches];
  if (!holders.length) Plotly.react("trial-plot", one.curves.map((curve, i) => (
    {x: curve[0], y: curve[1], name: one.names[i], mode: "lines+markers", line: {width: 1.6}, marker: {size: 4}})),
    {colorway: COLORWAYS[+dark.matches], margin: {l: 50, r: 10, t: 6, b: 40}, font: {color: text},
     paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", legend: {orientation: "h", y: 1.12},
     hoverlabel: {bgcolor: back},
     xaxis: {title: {text: "environment steps"}, gridcolor: "rgba(128,128,128,0.18)"},
     yaxis: {title: {text: "score"}, gridcolor: "rgba(128,128,128,0.18)"}}, {responsive: true, displayModeBar: false});
  box.scrollIntoView({block: "start"});
}
document.querySelector("#trial > button").onclick = () => { document.getElementById("trial").hidden = true; };
document.querySelectorAll(".trials tbody tr").forEach(row =>
  row.addEventListener("click", () => showTrial(row.dataset.trial)));
document.querySelectorAll(".trials th").forEach((head, column) => head.addEventListener("click", () => {
  const body = head.closest("table").tBodies[0], down = head.dataset.down !== "yes";
  head.dataset.down = down ? "yes" : "no";
  const key = row => { const text = row.cells[column].dataset.value ?? row.cells[column].textContent;
    return text === "" ? null : isNaN(text) ? text : Number(text); };
  const rows = [...body.rows].map(row => [key(row), row]);
  rows.sort(([one], [other]) => one === other ? 0 : one === null ? 1 : other === null ? -1 :
    (typeof one === typeof other ? one < other : String(one) < String(other)) === down ? 1 : -1);
  body.append(...rows.map(([, row]) => row));
}));
new MutationObserver((_, watcher) => {   // the page says when all figures are drawn
  watcher.disconnect();
  document.querySelectorAll(".figure").forEach(holder =>
    holder.on("plotly_click", event => showTrial(event.points[0].customdata)));
}).observe(document.body, {attributeFilter: ["data-drawn"]});
"""


@dataclass(frozen=True)
class TrialsTable:
    """The trials, the curves of their runs, and of some trials their dashboards, by title."""

    sweep: str
    results: Sequence[TrialResult]
    curves: Sequence[TrialCurves]
    reasons: Mapping[int, str]
    dashboards: Mapping[int, Mapping[str, go.Figure]] = field(default_factory=dict)

    def html(self) -> str:
        """As an element of the page. Its script runs when the page's own is there."""
        names = list(dict.fromkeys(name for one in self.results for name in one.settings))
        heads = "".join(f"<th>{html.escape(name)}</th>" for name in
                        ("trial", "state", "score", "95 % interval", *names))
        rows = "".join(self._row(one, names) for one in self.results)
        data = json.dumps({one.trial: self._details(one, curves)
                           for one, curves in zip(self.results, self.curves, strict=True)}, separators=(",", ":"))
        data = data.replace("<", "\\u003c")  # of all of JSON only it could end the element
        return (f'<style>{STYLE}</style>'
                f'<div class="trials"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
                '<div id="trial" hidden><button>close</button><h3></h3><p></p><div id="trial-plot"></div>'
                '<div class="opened"></div><p>The whole report of its runs, with films: <code></code></p></div>'
                f'{"".join(self._panels(trial) for trial in self.dashboards)}'
                f'<script type="application/json" id="trials-data">{data}</script>'
                f'<script>addEventListener("DOMContentLoaded", () => {{{SCRIPT}}});</script>')

    def _row(self, one: TrialResult, names: Sequence[str]) -> str:
        between = "" if one.low is None or one.high is None else f"{text_of(one.low)} to {text_of(one.high)}"
        score = "" if one.iqm is None else text_of(one.iqm)
        cells = [(f"t{one.trial:03d}", one.trial), (one.state, one.state), (score, "" if one.iqm is None else one.iqm),
                 (between, "" if one.low is None else one.low),
                 *((_shown(one.settings.get(name, "")), one.settings.get(name, "")) for name in names)]
        row = "".join(f'<td data-value="{html.escape(str(value))}">{html.escape(str(text))}</td>'
                      for text, value in cells)
        return f'<tr data-trial="{one.trial}">{row}</tr>'

    def _panels(self, trial: int) -> str:
        """A trial's dashboards, which the page shows and draws on a click."""
        parts = "".join(
            f"<h4>{html.escape(title)}</h4>" + panel(figure, f"trial-{trial}-{i}", title,
                                                     file_name(self.sweep, f"t{trial:03d}", title))
            for i, (title, figure) in enumerate(self.dashboards[trial].items()))
        return f'<template id="trial-panels-{trial}">{parts}</template>'

    def _details(self, one: TrialResult, curves: TrialCurves) -> dict[str, object]:
        scores = ", ".join("none" if score is None else text_of(score) for score in one.scores)
        words = f"{one.state}; scores of its runs: {scores}. {self.reasons.get(one.trial, '')}"
        shown = {run: curve for run, curve in zip(curves.runs, curves.curves, strict=True) if len(curve)}
        return {"title": f"Trial {one.trial}: {one.words()}", "words": words, "names": list(shown),
                "command": f"python -m colab_rl report {' '.join(one.runs[:6])}",
                "curves": [[rounded(curve[:, 0], 9), rounded(curve[:, 2])] for curve in shown.values()]}


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else f"{value:.6g}" \
        if isinstance(value, float) else str(value)
