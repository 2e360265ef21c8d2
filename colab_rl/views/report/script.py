"""What a report's page does: it draws the figures, their legends and buttons, and takes the reader's colours."""

from __future__ import annotations

import json

from colab_rl.views.dashboards.plots import LEGEND_LINE
from colab_rl.views.palette import DARK, DARK_BACKS, DARK_TEXTS, LIGHT_BACKS, LIGHT_TEXTS

SCRIPT = f"const DARK = {json.dumps(DARK)}, TEXTS = {json.dumps([LIGHT_TEXTS[0], DARK_TEXTS[0]])}, " \
         f"BACKS = {json.dumps([LIGHT_BACKS[0], DARK_BACKS[0]])}, " \
         f"LINE_PIXELS = {LEGEND_LINE}, WIDE_LINE = 130;" + r"""
"use strict";
const dark = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 700px)");
const ours = new RegExp(Object.keys(DARK).join("|"), "g");
const hidden = {};   // by figure the keys of its legend that are switched off
function plainText(html) {
  const element = document.createElement("i");
  element.innerHTML = html;
  return element.textContent;
}
function read(holder) {
  let text = document.getElementById(holder.id + "-data").textContent;
  if (dark.matches) text = text.replace(ours, color => DARK[color]);
  const figure = JSON.parse(text), layout = figure.layout, pixels = (layout.meta || {}).legend_pixels || 0;
  if (!narrow.matches) {   // a title and its key fit in one line
    for (const note of layout.annotations || []) if (/^title/.test(note.name)) note.text = inOneLine(note.text);
    for (const slider of layout.sliders || []) for (const step of slider.steps)
      for (const [key, value] of Object.entries(step.args[1] || {}))
        if (/^annotations.*text$/.test(key)) step.args[1][key] = inOneLine(value);
    raise(layout, joinSentences(layout));
  }
  if (pixels) {   // the page's own legend stands for the drawn one
    layout.annotations = layout.annotations.filter(note => !/^legend/.test(note.name));
    raise(layout, pixels);
  }
  if (narrow.matches) {   // a finger scrolls the page, and does not zoom
    layout.dragmode = false;
    for (const side of ["l", "r"]) layout.margin[side] = Math.min(layout.margin[side], 54);
  }
  const text_color = TEXTS[+dark.matches], back = dark.matches ? "#2a2f36" : "#ffffff";
  layout.font = {...layout.font, color: text_color};
  layout.hoverlabel = {...layout.hoverlabel, bgcolor: back, font: {color: text_color}};
  return figure;
}
function raise(layout, pixels) {   // takes so many pixels out of the room over the plots
  const inner = layout.height - layout.margin.t - layout.margin.b;
  layout.margin.t -= pixels;
  layout.height -= pixels;
  for (const control of [...(layout.updatemenus || []), ...(layout.sliders || [])]) control.y -= pixels / inner;
}
function joinSentences(layout) {   // the lines over the plots are a phone's; the pixels that joining them frees
  const lines = (layout.annotations || []).filter(note => /^above/.test(note.name)), kept = [];
  for (const line of lines) {
    const last = kept.at(-1), text = line.text.trim();
    const joins = last && last.name.split("-")[0] === line.name.split("-")[0]
      && plainText(last.text + " " + text).length <= WIDE_LINE;
    if (joins) last.text += " " + text; else kept.push(line);
  }
  kept.forEach((line, i) => line.yshift = lines.at(-1).yshift + (kept.length - 1 - i) * LINE_PIXELS);
  layout.annotations = (layout.annotations || []).filter(note => !lines.includes(note) || kept.includes(note));
  return (lines.length - kept.length) * LINE_PIXELS;
}
function inOneLine(text) {   // a title that was broken is one, and its key stands apart from it
  return text.replace(/<b>.*?<\/b>/g, title => title.replaceAll("<br>", " ")).replaceAll("<br>", "  ");
}
async function draw(holder) {
  const figure = read(holder);
  holder.style.height = figure.layout.height + "px";
  await Plotly.newPlot(holder, figure.data, figure.layout, {responsive: true, displayModeBar: false});
  if (figure.frames.length) await Plotly.addFrames(holder, figure.frames);
  holder.on("plotly_sliderchange", () => setTimeout(() => show(holder), 0));
  addTools(holder, (figure.layout.meta || {}).keys || []);
  if (hidden[holder.id]) show(holder);
}
function addTools(holder, keys) {
  const tools = holder.previousElementSibling;
  tools.replaceChildren();
  const [legend, files] = ["keys", "files"].map(name => {
    const part = tools.appendChild(document.createElement("div"));
    part.className = name;
    return part;
  });
  const off = hidden[holder.id] ||= new Set();
  for (const {name, color, sign} of keys.length > 1 ? keys : []) {
    const button = legend.appendChild(document.createElement("button")), mark = document.createElement("span");
    mark.style.color = color;
    mark.textContent = sign + " ";
    button.append(mark, name);
    button.title = "click: hide or show; double click: this one alone";
    button.setAttribute("aria-pressed", !off.has(name));
    const set = () => {
      for (const one of legend.children) one.setAttribute("aria-pressed", !off.has(one.lastChild.data));
      show(holder);
    };
    button.onclick = () => { off.delete(name) || off.add(name); set(); };
    button.ondblclick = () => {
      off.clear();
      for (const key of keys) if (key.name !== name) off.add(key.name);
      set();
    };
  }
  for (const [kind, save] of [["PNG", saveImage], ["SVG", saveImage], ["CSV", saveTable]]) {
    const button = files.appendChild(document.createElement("button"));
    button.textContent = kind;
    button.title = "save this figure as " + kind;
    button.onclick = () => save(holder, kind.toLowerCase());
  }
}
function show(holder) {   // hides what the legend has switched off, and shows the rest of what a slider shows
  const off = hidden[holder.id], at = [], values = [];
  holder.data.forEach((trace, i) => {
    const now = trace.visible === undefined ? true : trace.visible, name = trace.meta || trace.legendgroup;
    const wanted = now === false ? false : off.has(trace.meta) || off.has(trace.legendgroup) ? "legendonly" : true;
    if (name && wanted !== now) { at.push(i); values.push(wanted); }
  });
  if (at.length) Plotly.restyle(holder, {visible: values}, at);
}
function save(name, url) {
  const link = document.createElement("a");
  link.href = url, link.download = name;
  link.click();
}
async function saveImage(holder, format) {
  const layout = {...holder.layout, paper_bgcolor: BACKS[+dark.matches], updatemenus: [], sliders: []};
  const size = {width: holder.clientWidth, height: holder.clientHeight, scale: format === "png" ? 2 : 1};
  const url = await Plotly.toImage({data: holder.data, layout}, {format, ...size});
  save(`${holder.dataset.name}.${format}`, url);
}
function saveTable(holder) {
  const rows = [["plot", "series", "x", "y"]], titles = {};
  for (const note of holder.layout.annotations || []) {
    const number = /^title(\d+)/.exec(note.name || "");
    if (number) titles[number[1]] = plainText(/^<b>(.*?)<\/b>/.exec(note.text)?.[1] ?? note.text);
  }
  holder._fullData.forEach((trace, i) => {
    if (trace.visible !== true || trace.hoverinfo === "skip" || !trace.y) return;
    const x = holder.data[i].x ?? trace.y.map((_, k) => trace.x0 + k * trace.dx);
    const names = [titles[trace.xaxis.slice(1) || "1"] || "", plainText(trace.name)];
    trace.y.forEach((y, k) => rows.push([...names, x[k], y ?? ""]));
  });
  const quoted = cell => /[",\n]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : cell;
  const text = rows.map(row => row.map(quoted).join(",") + "\n").join("");
  save(holder.dataset.name + ".csv", URL.createObjectURL(new Blob([text], {type: "text/csv"})));
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
dark.addEventListener("change", () => document.querySelectorAll(".figure").forEach(draw));
// Plotly rejects an animation that another one interrupts, with no reason: that is no error.
addEventListener("unhandledrejection", event => { if (event.reason === undefined) event.preventDefault(); });
drawAll();
"""
