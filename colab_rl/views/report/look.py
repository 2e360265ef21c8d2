"""How a report's page looks: light or dark as the reader's screen is, on a desk or a phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from colab_rl.views.palette import DARK, DARK_BACKS, DARK_TEXTS, LIGHT_BACKS, LIGHT_TEXTS


def _variables(texts: Sequence[str], backs: Sequence[str], colors: Mapping[str, str]) -> str:
    """A theme's colours as CSS variables."""
    named = {"text": texts[0], "soft": texts[1], "back": backs[0], "card": backs[1],
             **{f"c{light[1:]}": color for light, color in colors.items()}}
    return " ".join(f"--{name}: {color};" for name, color in named.items())


STYLE = f"""
:root {{ color-scheme: light dark; --line: #d9dde3; {_variables(LIGHT_TEXTS, LIGHT_BACKS, {c: c for c in DARK})} }}
@media (prefers-color-scheme: dark) {{ :root {{ --line: #343a42; {_variables(DARK_TEXTS, DARK_BACKS, DARK)} }} }}
""" + """
@media (prefers-color-scheme: dark) {
  .updatemenu-item-rect[style*="fill: rgb(244, 250, 255)"] { fill: #3b434d !important; } } /* Plotly's pressed button */
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 20px 14px 60px; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 24px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 40px 0 2px; padding-top: 14px; border-top: 1px solid var(--line); }
p { margin: 0 0 10px; color: var(--soft); max-width: 75ch; overflow-wrap: anywhere; }
dl { display: flex; flex-wrap: wrap; gap: 8px; margin: 14px 0; }
dl div { background: var(--card); border-radius: 8px; padding: 8px 10px; flex: 1 1 auto; max-width: 100%; }
dt { font-size: 12px; color: var(--soft); overflow-wrap: anywhere; }
dd { margin: 0; font-weight: 600; font-size: 14px; overflow-wrap: anywhere; }
ul.missing { background: var(--card); border-left: 4px solid var(--c84700F); border-radius: 4px;
  padding: 10px 14px 10px 32px; margin: 14px 0; overflow-wrap: anywhere; }
nav { margin: 12px 0; } nav a { color: var(--c3B6EA8); margin-right: 16px; display: inline-block; }
.panel { margin-bottom: 18px; break-inside: avoid; }
.figure { width: 100%; }
.tools { position: sticky; top: 0; z-index: 2; display: flex; gap: 4px 14px; align-items: flex-start;
  justify-content: space-between; background: var(--back); padding: 3px 0; }
.keys, .files { display: flex; flex-wrap: wrap; gap: 2px 4px; }
.files { flex-wrap: nowrap; }
.tools button { font: inherit; font-size: 13px; border: 0; border-radius: 5px; padding: 1px 6px; cursor: pointer;
  background: none; color: var(--text); text-align: left; }
.tools button:hover, .tools button:focus-visible { background: var(--card); outline: 1px solid var(--line); }
.keys button[aria-pressed="false"] { color: var(--soft); text-decoration: line-through; }
.files button { color: var(--soft); }
footer { margin-top: 40px; font-size: 12px; color: var(--soft); }
@media (max-width: 700px) { .keys { max-height: 9em; overflow-y: auto; } }
@media print { h2, h3 { break-after: avoid; } .panel { break-inside: auto; }
  .tools { position: static; } .files { display: none; } }
"""
