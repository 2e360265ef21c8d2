"""A page in headless Chromium, driven over its DevTools protocol, with every error that it reports."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def visit(path: Path, scripts: list[str], profile: Path, width: int = 1080, dark: bool = False,
          offline: bool = True, before: str = "") -> tuple[list, list[str]]:
    """Opens a file, runs the scripts one after the other; what each gave, and the console's errors.

    before: a script that runs before any of the page's own.
    """
    process = subprocess.Popen(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
         f"--user-data-dir={profile}", "about:blank"], stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            found = re.search(r"ws://\S+:(\d+)/", line)
            if found:
                return asyncio.run(_visit(int(found[1]), path, scripts, width, dark, offline, before))
        raise RuntimeError("Chromium did not start")
    finally:
        process.kill()
        process.wait()


async def _visit(port, path, scripts, width, dark, offline, before):
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
    return answers[1:], errors
