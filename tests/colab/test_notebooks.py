"""The notebooks, executed for real in kernels: on Colab as far as it can be had, and in plain Jupyter.

The kernels run in this Python, or in `$COLAB_RL_KERNEL`'s, which `make test-colab` gives Colab's versions, and where
the package and what Colab's image lacks have to be installed by the notebooks themselves.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbclient
import nbformat
import pytest
from browser import CHROMIUM, visit
from helpers import TINY

from colab_rl.requirements import SOURCES

HOME = Path(__file__).parents[2]
KERNEL = os.environ.get("COLAB_RL_KERNEL", sys.executable)
BARE = sys.executable != KERNEL
SETTINGS = dict(setting.split("=") for setting in TINY)
LONG = 3000  # steps of a run that takes long enough to be killed in
RUN = {"RUN_NAME": "book", "ENV_ID": "CartPole-v1", "ALGORITHM": "ppo", "SEED": 3, "SETTINGS": SETTINGS}


class Machine:
    """A machine that notebooks run on: its disk, and a Drive that outlives it. colab: as Colab, or as any Jupyter."""

    def __init__(self, folder, monkeypatch, colab=False):
        self.disk, self.drive, self.calls = folder / "disk", folder / "drive", folder / "calls"
        self.store = "" if colab else str(folder / "store")
        self.repository = str(HOME)
        self.disk.mkdir()
        self.environment = {"COLAB_RL_MOUNT": str(self.drive), "COLAB_CALLS": str(self.calls), "NO_GCE_CHECK": "true",
                            "XDG_CONFIG_HOME": str(folder), "COLAB_RL_STORE": "", "TMPDIR": str(folder),
                            "PYTHONPATH": "" if BARE else str(HOME),
                            **({"COLAB_RELEASE_TAG": "release-colab_20260819"} if colab else {})}
        program = [str(HOME / "tests" / "colab_kernel.py")] if colab else ["-m", "ipykernel_launcher"]
        kernel = folder / "jupyter" / "kernels" / "machine" / "kernel.json"
        kernel.parent.mkdir(parents=True)
        kernel.write_text(json.dumps({"argv": [KERNEL, *program, "-f", "{connection_file}"], "language": "python",
                                      "display_name": "machine", "env": self.environment}))
        monkeypatch.setenv("JUPYTER_PATH", str(folder / "jupyter"))

    def open(self, name, **parameters):
        """A notebook with these parameters, to be executed."""
        book = nbformat.read(HOME / "notebooks" / f"{name}.ipynb", as_version=4)
        cell = next(cell for cell in book.cells if "parameters" in cell.metadata.get("tags", []))
        chosen = {"RUN_NAME": "book", "STORE": self.store, **parameters}
        cell.source += "".join(f"\n{name} = {value!r}" for name, value in chosen.items())
        first = next(cell for cell in book.cells if cell.cell_type == "code")
        first.source = first.source.replace('"YOUR_NAME/colab_rl"', repr(self.repository)).replace(
            "/content/drive", str(self.drive))
        return nbclient.NotebookClient(book, timeout=240, kernel_name="machine",
                                       resources={"metadata": {"path": self.disk}})

    def run(self, name, **parameters):
        """Runs a notebook from top to bottom; returns it."""
        client = self.open(name, **parameters)
        client.execute()
        return client

    def train(self, total_steps):
        """Runs 01_train."""
        return self.run("01_train", TOTAL_STEPS=total_steps, **RUN)

    def asked(self):
        """What google.colab was asked for."""
        return self.calls.read_text().split() if self.calls.exists() else []


@pytest.fixture
def jupyter(tmp_path, monkeypatch):
    yield Machine(tmp_path, monkeypatch)
    end_tensorboards(tmp_path)


@pytest.fixture
def colab(tmp_path, monkeypatch):
    yield Machine(tmp_path, monkeypatch, colab=True)
    end_tensorboards(tmp_path)


def end_tensorboards(folder):
    """Ends those that show a folder's runs: they outlive the kernel that started them."""
    for info in folder.glob(".tensorboard-info/*.info"):
        os.kill(json.loads(info.read_text())["pid"], signal.SIGTERM)


def outputs_of(client):
    return [output for cell in client.nb.cells if cell.cell_type == "code" for output in cell.outputs]


def text_of(client):
    return "".join(output.get("text", "") for output in outputs_of(client))


def html_of(client):
    return [output.data["text/html"] for output in outputs_of(client) if "text/html" in output.get("data", {})]


def hash_in(text):
    return re.search(r"state_sha256=([0-9a-f]{64})", text)[1]


def pip(*arguments):
    return subprocess.run([KERNEL, "-m", "pip", *arguments], check=True, capture_output=True, text=True).stdout


def needed_by(package):
    """What pip brings with it, in lower case: its requirements, theirs, and so on."""
    shown = pip("show", package)
    direct = {name.lower() for name in re.search("^Requires:(.*)$", shown, re.MULTILINE)[1].replace(",", " ").split()}
    return direct.union(*map(needed_by, direct))


def become_bare():
    """Takes away what Colab's image has not, where the kernels run in an environment of their own."""
    if BARE:
        pip("uninstall", "-q", "-y", "colab-rl", "box2d", "envpool")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The hash that a run of LONG steps ends with if nothing happens to it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        machine = Machine(folder, patch)
        machine.store = "none"
        ended = hash_in(text_of(machine.train(LONG)))
    end_tensorboards(folder)
    return ended


def test_the_suite_on_colab_from_a_bare_machine_twice(colab, tmp_path):
    become_bare()
    if BARE:  # the form names a copy of the repository in Drive
        copy = colab.drive / "MyDrive" / "Colab Notebooks" / "mine"
        for name in SOURCES:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (HOME / name).is_dir() else shutil.copyfile)(HOME / name, copy / name)
        colab.repository = str(copy)
    before = set(pip("list", "--format=freeze").split()) if BARE else set()
    trained = []
    for again in (False, True):
        set_up = text_of(colab.run("00_setup"))
        assert "store" in set_up and "written, read back and removed" in set_up and "is kept in" in set_up
        assert "torch" in set_up and "CPU cores" in set_up and "EnvPool 1.2" in set_up
        assert ("installing what is missing here: box2d" in set_up) == (BARE and not again)
        assert ("no runs yet" in set_up) != again
        client = colab.train(600)
        trained.append(hash_in(text_of(client)))
        assert "finished" in text_of(client) and "is verified in the store" in text_of(client)
        assert len(live_plots(client)) == 1 and "600" in live_plots(client)[0]
        analyzed = colab.run("02_analyze")
        assert "book: CartPole-v1, ppo" in text_of(analyzed) and any("<iframe" in shown for shown in html_of(analyzed))
        assert any("contenders" in shown for shown in html_of(analyzed)) and "report is" in text_of(analyzed)
        filmed = colab.run("03_render", SECONDS=0.5)
        assert [shown[:6] for shown in html_of(filmed)] == ["<video"]
    assert trained[0] == trained[1]
    assert colab.asked().count("mount") == (0 if BARE else 1)  # a mount that is there asks nobody
    store = colab.drive / "MyDrive" / "colab_rl"
    assert len(list(store.glob("colab_rl-*.whl"))) == 1 and (store / "book" / "run.json").exists()
    if BARE:  # nothing that the image has was changed
        after = set(pip("list", "--format=freeze").split())
        brought = {line.split("=")[0].lower() for line in after - before}
        assert before < after and brought - needed_by("envpool") == {"box2d", "envpool"}


def test_the_suite_in_plain_jupyter(jupyter, tmp_path):
    first = jupyter.train(600)
    again = jupyter.train(600)
    assert hash_in(text_of(again)) == hash_in(text_of(first))
    assert "finished" in text_of(again) and "installing" not in text_of(again)
    assert len(live_plots(again)) == 1 and "<polyline" in live_plots(again)[0]
    assert "book: CartPole-v1, ppo" in text_of(jupyter.run("00_setup"))
    analyzed = jupyter.run("02_analyze", RUN_NAME="")
    assert any("100" in shown and "contenders" in shown for shown in html_of(analyzed))
    assert any("book-report.html" in shown for shown in html_of(analyzed))
    assert not [output for output in outputs_of(first) + outputs_of(analyzed) if output.get("name") == "stderr"]
    for _ in range(2):
        filmed = jupyter.run("03_render", SECONDS=0.5, OUTPUT="film.mp4")
        assert "return" in text_of(filmed) and (jupyter.disk / "film.mp4").exists()
    assert "will be replaced" in text_of(filmed)
    taken = jupyter.run("03_render", SECONDS=0.5, EXPORT=True)
    assert "policy.onnx" in text_of(taken) and "Policy of book" in html_of(taken)[-1]
    assert len(list((tmp_path / "store" / "book" / "exports").glob("*/policy.json"))) == 1
    assert len(list((tmp_path / "store" / "book" / "videos").glob("book-*-episode-*.mp4"))) == 1
    if CHROMIUM:
        check_page(analyzed, first, filmed, tmp_path)


def live_plots(client):
    return [shown for shown in html_of(client) if "time left" in shown or "trained for" in shown]


def check_page(analyzed, trained, filmed, folder):
    """What the cells show is drawn in a browser, without an error."""
    parts = [shown for client in (trained, analyzed, filmed) for shown in html_of(client)
             if "tensorboard-frame" not in shown]
    page = folder / "page.html"
    page.write_text("<!DOCTYPE html><meta charset=utf-8><body><script>onload = () => document.body.dataset.drawn = 1"
                    f"</script>{''.join(parts)}")
    found, errors = visit(page, [
        "document.querySelectorAll('svg polyline').length",
        "new Promise(done => setInterval(() => document.querySelector('iframe').contentDocument.body.dataset.drawn"
        " && done(document.querySelector('iframe').contentDocument.querySelectorAll('.js-plotly-plot').length), 50))",
        "document.querySelector('video').play().then(() => document.querySelector('video').videoWidth)"],
        folder / "profile")
    assert errors == [] and found[0] == 1 and found[1] > 2 and found[2] > 100


def in_background(client):
    """Executes a notebook in a thread; returns it, and a list that gets the error that ends it."""
    errors = []

    def run():
        try:
            client.execute()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, errors


def wait_for_checkpoints(folder, count):
    deadline = time.monotonic() + 240
    while len(list(folder.glob("book/checkpoints/*.json"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_killed_kernel_and_a_lost_machine_change_nothing_in_the_end(colab, undisturbed):
    colab.run("00_setup")
    client = colab.open("01_train", TOTAL_STEPS=LONG, **RUN)
    thread, errors = in_background(client)
    wait_for_checkpoints(colab.drive / "MyDrive" / "colab_rl", 3)
    client.km.provisioner.process.kill()
    thread.join()
    assert errors and isinstance(errors[0], nbclient.exceptions.DeadKernelError)
    shutil.rmtree(colab.disk)
    colab.disk.mkdir()
    become_bare()

    colab.repository = "nobody/nothing"  # the wheel in Drive has to do
    client = colab.train(LONG)
    assert "continuing from generation" in text_of(client)
    assert hash_in(text_of(client)) == undisturbed


def test_the_stop_button_saves_and_run_all_goes_on(jupyter, undisturbed):
    client = jupyter.open("01_train", TOTAL_STEPS=LONG, **RUN)
    thread, errors = in_background(client)
    wait_for_checkpoints(jupyter.disk / "runs", 3)
    os.killpg(client.km.provisioner.pgid, signal.SIGINT)  # as Jupyter does: the workers get it too
    thread.join()
    assert not errors and "book: stopped, " in text_of(client) and "Run all continues from here" in text_of(client)
    again = jupyter.train(LONG)
    assert "continuing from generation" in text_of(again)
    assert hash_in(text_of(again)) == undisturbed


def test_who_has_no_run_sees_the_example(colab):
    analyze = colab.open("02_analyze")
    analyze.nb.cells = [cell for cell in analyze.nb.cells if cell.id != "report"]  # a hundred episodes of the walker
    analyze.execute()
    shown = html.unescape("".join(html_of(analyze)))
    assert "no runs yet" in text_of(analyze) and "example-walker: not a run of yours" in text_of(analyze)
    assert "example-walker" in shown and "BipedalWalker-v3" in shown
    filmed = colab.run("03_render", SECONDS=0.5)
    assert "example-walker: not a run of yours" in text_of(filmed) and "<video" in html_of(filmed)[0]
    assert not (colab.drive / "MyDrive" / "colab_rl" / "example-walker").exists()


def test_a_changed_form_names_another_run_and_one_thing_can_be_changed(jupyter):
    jupyter.store = "none"
    form = {**RUN, "RUN_NAME": "", "TOTAL_STEPS": 600}
    client = jupyter.run("01_train", **form)
    assert "cartpole-ppo-3: finished" in text_of(client)
    client = jupyter.open("01_train", **{**form, "RUN_NAME": "cartpole-ppo-3", "ENV_ID": "Acrobot-v1"})
    change = next(cell for cell in client.nb.cells if cell.id == "change")
    change.source = change.source.replace('CHANGE = ""', 'CHANGE = "learning_rate=1e-2"')
    client.execute()
    other = "cartpole-ppo-3-acrobot-ppo-3"
    assert f"{other}: finished" in text_of(client) and f"{other}-learning_rate-1e-2 scores" in text_of(client)
    assert "95 % interval" in text_of(client) and "is gone" not in text_of(client)
    assert f"return of {other}" in live_plots(client)[-1] and "solved at -100" in live_plots(client)[-1]


def test_a_sweep_is_trained_shown_and_extended(jupyter):
    jupyter.store = "none"
    form = {"SWEEP_NAME": "walk", "ENV_ID": "CartPole-v1", "TOTAL_STEPS": 200, "SETTINGS": SETTINGS, "SEEDS": "0"}
    first = jupyter.run("04_sweep", **form)
    assert "walk: finished; trials: 1 finished" in text_of(first)
    assert any("The report, to open or save" in shown and "walk-report.html" in shown for shown in html_of(first))
    assert any("walk: 1 of 1 trials" in shown and "<table" in shown for shown in html_of(first))
    assert "srcdoc" in html_of(first)[-1] and "Performance profile" in html_of(first)[-1]
    again = jupyter.run("04_sweep", **{**form, "SEEDS": "0-1"})
    assert "walk-t000-s1" not in text_of(first) and (jupyter.disk / "runs" / "walk-t000-s1").exists()
    assert "walk: finished" in text_of(again)


def test_a_cells_own_environment_network_and_algorithm_train_continue_and_are_filmed(jupyter):
    first = jupyter.run("05_own", RUN_NAME="boat", TOTAL_STEPS=1600)
    assert "boat: finished" in text_of(first) and "<video" in "".join(html_of(first))
    assert "x thrust" in "".join(html_of(first)) and '"algorithm": "gentle"' in (
        jupyter.disk / "runs" / "boat" / "run.json").read_text()
    longer = jupyter.run("05_own", RUN_NAME="boat", TOTAL_STEPS=3200)
    assert "continuing from generation" in text_of(longer) and "not bit-exact" not in text_of(longer)


def test_an_error_is_one_line_and_no_traceback(jupyter):
    jupyter.store = "none"
    client = jupyter.open("01_train", TOTAL_STEPS=-5, **RUN)
    with pytest.raises(nbclient.exceptions.CellExecutionError):
        client.execute()
    shown = [output for output in outputs_of(client) if output.output_type == "error"]
    assert shown[0].traceback == ["error: setting total_steps = -5 is out of range (at least 1)"]
