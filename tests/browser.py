"""A page in headless Chromium, driven over its DevTools protocol, with every error that it reports."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

from colab_rl.views.palette import contrast

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def visit(path: Path, scripts: list[str], profile: Path, width: int = 1080, dark: bool = False,
          offline: bool = True, before: str = "", picture: Path | None = None, downloads: Path | None = None
          ) -> tuple[list, list[str]]:
    """Opens a file, runs the scripts one after the other; what each gave, and the console's errors.

    before: a script that runs before any of the page's own. picture: a PNG of the whole page, made at the end.
    downloads: the folder that saved files go to.
    """
    process = subprocess.Popen(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
         f"--user-data-dir={profile}", "about:blank"], stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            found = re.search(r"ws://\S+:(\d+)/", line)
            if found:
                return asyncio.run(_visit(int(found[1]), path, scripts, width, dark, offline, before, picture,
                                          downloads))
        raise RuntimeError("Chromium did not start")
    finally:
        process.kill()
        process.wait()


async def _visit(port, path, scripts, width, dark, offline, before, picture, downloads):
    from tornado.websocket import websocket_connect

    targets = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json"))
    address = next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page")
    socket = await websocket_connect(address, max_message_size=2**28)
    errors, number = [], 0

    async def call(method, **parameters):
        nonlocal number
        number += 1
        await socket.write_message(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(await asyncio.wait_for(socket.read_message(), 120))
            if message.get("id") == number:
                return message.get("result", message)
            what = message.get("params", {})
            if message["method"] in ("Runtime.exceptionThrown", "Log.entryAdded") or what.get("type") == "error":
                errors.append(json.dumps(what))

    for domain in ("Runtime", "Log", "Page", "Network"):
        await call(f"{domain}.enable")
    if offline:
        await call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0,
                   uploadThroughput=0)
    await call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    await call("Emulation.setEmulatedMedia",
               features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
    if downloads:
        await call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
    await call("Page.addScriptToEvaluateOnNewDocument", source=before)
    await call("Page.navigate", url=path.absolute().as_uri())
    drawn = ("new Promise(done => { const look = setInterval(() => { if (document.body && document.body.dataset.drawn)"
             " { clearInterval(look); done(true); } }, 20); })")
    answers = []
    for script in [drawn, *scripts]:
        result = await call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        answers.append(result["result"].get("value"))
        if "exceptionDetails" in result:
            errors.append(json.dumps(result["exceptionDetails"]))
    if picture:
        shot = await call("Page.captureScreenshot", captureBeyondViewport=True)
        picture.write_bytes(base64.b64decode(shot["data"]))
    return answers[1:], errors


# What stands in each text of a page, its colour, and the colour behind it, as the browser computes them; figures too.
TEXTS = """(() => {
  const parse = color => (color.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const behind = element => {
    for (let one = element; one; one = one.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(one).backgroundColor);
      if (a > 0.9) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const found = [];
  const kinds = "h1, h2, p, dt, dd, li, a, button, span, td, th, footer, text, tspan";
  for (const element of document.querySelectorAll(kinds)) {
    const own = [...element.childNodes].filter(node => node.nodeType === 3 && node.data.trim()).map(node => node.data);
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    if (!own.length || !box.width || style.visibility === "hidden" || parseFloat(style.opacity) === 0) continue;
    if (parseFloat(style.fontSize) < 2) continue;   // a slider's own labels, which are not shown
    const color = parse(element instanceof SVGElement ? style.fill : style.color);
    if ((color[3] ?? 1) > 0.05) found.push([own.join(" ").slice(0, 60), color.slice(0, 3), behind(element)]);
  }
  return found;
})()"""


def low_contrasts(found):
    """Of what TEXTS finds, what a reader can hardly see."""
    def color(parts):
        return "#" + "".join(f"{round(part):02x}" for part in parts)

    return [(words, color(front), color(back)) for words, front, back in found
            if contrast(color(front), color(back)) < 4.5]
