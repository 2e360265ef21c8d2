"""What cells of several notebooks show: a page in a frame, and a report to download."""

from __future__ import annotations

import contextlib
import html
from pathlib import Path

from colab_rl.machine import on_colab


def framed(page: str) -> dict[str, str]:
    """A page's output. In a frame of its own, its script and style and the notebook's leave each other alone."""
    return {"text/html": f'<iframe srcdoc="{html.escape(page)}" style="width:100%;height:900px;border:0"></iframe>'}


def offer(report: Path) -> None:
    """Offers a report for download."""
    from IPython.display import FileLink, display

    if not on_colab():
        display(FileLink(str(report), result_html_prefix="The report, to open or save: "))
        return
    print(f"the report is {report}")
    with contextlib.suppress(ImportError):
        import ipywidgets
        from google.colab import files

        button = ipywidgets.Button(description="Download the report", layout={"width": "auto"})
        button.on_click(lambda _button: files.download(str(report)))
        display(button)
