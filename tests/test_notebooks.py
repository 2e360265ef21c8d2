"""The notebooks, executed for real in a kernel: top to bottom, twice, and after the kernel was killed."""

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbclient
import nbformat
import pytest

from tests.helpers import TINY

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SETTINGS = dict(setting.split("=") for setting in TINY)


def parameters(total_steps, store):
    return (f"RUN_NAME = 'book'\nSTORE = {str(store)!r}\nENV_ID = 'CartPole-v1'\nALGORITHM = 'ppo'\n"
            f"TOTAL_STEPS = {total_steps}\nSEED = 3\nSETTINGS = {SETTINGS!r}\n")


def client_of(folder, total_steps, store):
    """01_train with small parameters, to be run in `folder`."""
    book = nbformat.read(NOTEBOOKS[0].with_name("01_train.ipynb"), as_version=4)
    cell = next(cell for cell in book.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source = parameters(total_steps, store)
    folder.mkdir(exist_ok=True)
    return nbclient.NotebookClient(book, timeout=240, kernel_name="python3", resources={"metadata": {"path": folder}})


def output_of(client):
    return "".join(output.get("text", "") for cell in client.nb.cells if cell.cell_type == "code"
                   for output in cell.outputs)


def hash_in(text):
    return re.search(r"state_sha256=([0-9a-f]{64})", text)[1]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_outputs_and_with_short_cells(path):
    book = json.loads(path.read_text())
    assert "widgets" not in book["metadata"]
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            assert len(cell["source"]) <= 25


def test_run_all_trains_and_run_all_again_changes_nothing(tmp_path):
    first = client_of(tmp_path / "here", 600, tmp_path / "store")
    first.execute()
    again = client_of(tmp_path / "here", 600, tmp_path / "store")
    again.execute()
    assert hash_in(output_of(again)) == hash_in(output_of(first))
    assert "finished" in output_of(again)
    assert list((tmp_path / "here" / "runs" / "tensorboard" / "book").iterdir())


def test_set_up_runs_from_top_to_bottom_twice(tmp_path):
    for shown in ("written, read back and removed", "no runs yet"):
        book = nbformat.read(NOTEBOOKS[0].with_name("00_setup.ipynb"), as_version=4)
        cell = next(cell for cell in book.cells if "parameters" in cell.metadata.get("tags", []))
        cell.source = f"RUN_NAME = 'book'\nSTORE = {str(tmp_path / 'store')!r}\nVERIFY = True\n"
        client = nbclient.NotebookClient(book, timeout=240, kernel_name="python3",
                                         resources={"metadata": {"path": tmp_path}})
        client.execute()
        assert shown in output_of(client)


def test_a_killed_kernel_and_a_lost_disk_change_nothing_in_the_end(tmp_path):
    steps = 3000
    settings = [f"{name}={value}" for name, value in SETTINGS.items()]
    undisturbed = subprocess.run(
        [sys.executable, "-m", "colab_rl", "train", "book", "--env", "CartPole-v1", "--seed", "3", "--total-steps",
         str(steps), "--root", str(tmp_path / "other"), "--store", "none", "--set", *settings],
        capture_output=True, text=True, timeout=240)
    client = client_of(tmp_path / "here", steps, tmp_path / "store")
    errors = []

    def run():
        try:
            client.execute()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    manifests = tmp_path / "store" / "book" / "checkpoints"
    deadline = time.monotonic() + 120
    while len(list(manifests.glob("*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    client.km.provisioner.process.kill()
    thread.join(timeout=120)
    assert errors and isinstance(errors[0], nbclient.exceptions.DeadKernelError)
    shutil.rmtree(tmp_path / "here")

    after = client_of(tmp_path / "here", steps, tmp_path / "store")
    after.execute()
    assert "going on from generation" in output_of(after)
    assert hash_in(output_of(after)) == hash_in(undisturbed.stdout)


def test_the_render_notebook_shows_a_film_and_does_so_again(tmp_path):
    client_of(tmp_path, 600, tmp_path / "store").execute()
    book = nbformat.read(next(path for path in NOTEBOOKS if path.stem == "03_render"), as_version=4)
    cell = next(cell for cell in book.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source += f"\nRUN_NAME, STORE, SECONDS, OUTPUT = 'book', {str(tmp_path / 'store')!r}, 0.5, 'film.mp4'\n"
    for _ in range(2):
        client = nbclient.NotebookClient(book, timeout=240, kernel_name="python3",
                                         resources={"metadata": {"path": tmp_path}})
        client.execute()
        outputs = [output for cell in client.nb.cells if cell.cell_type == "code" for output in cell.outputs]
        shown = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
        assert len(shown) == 1 and shown[0].startswith("<video") and "src=\"data:video/mp4;base64,AAAA" in shown[0]
        assert "return" in output_of(client) and (tmp_path / "film.mp4").exists()
    assert "will be replaced" in output_of(client)
    assert len(list((tmp_path / "store" / "book" / "videos").glob("episode-*.mp4"))) == 1


def test_an_error_is_one_line_and_no_traceback(tmp_path):
    client = client_of(tmp_path / "here", -5, "none")
    with pytest.raises(nbclient.exceptions.CellExecutionError):
        client.execute()
    shown = [output for cell in client.nb.cells if cell.cell_type == "code" for output in cell.outputs
             if output.output_type == "error"]
    assert shown[0].traceback == ["error: setting total_steps = -5 is out of range (at least 1)"]
