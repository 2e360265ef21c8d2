"""What fails leaves with 1, and one line that says what is wrong."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import TINY, snapshot

from colab_rl.cli import main
from colab_rl.sealed import checksum

pytestmark = pytest.mark.usefixtures("one_core")


def folder_without_a_run(here: Path) -> list[object]:
    (here / "runs" / "notes").mkdir()
    (here / "runs" / "notes" / "diary.txt").write_text("dear diary")
    return ["train", "notes"]


def file_as_a_run(here: Path) -> list[object]:
    (here / "runs" / "notes").write_text("dear diary")
    return ["train", "notes"]


def root_that_is_a_file(here: Path) -> list[object]:
    (here / "file").write_text("no folder")
    return ["train", "new", "--root", here / "file"]


def root_of_status_that_is_a_file(here: Path) -> list[object]:
    (here / "file").write_text("no folder")
    return ["status", "--root", here / "file"]


def root_that_is_a_loop_of_links(here: Path) -> list[object]:
    (here / "loop").symlink_to(here / "loop")
    return ["train", "new", "--root", here / "loop"]


def store_that_is_not_there(here: Path) -> list[object]:
    return ["train", "new", "--store", here / "no" / "such" / "drive"]


def store_that_is_a_file(here: Path) -> list[object]:
    (here / "file").write_text("no folder")
    return ["status", "walker", "--store", here / "file"]


def damaged_identity(here: Path) -> list[object]:
    os.truncate(here / "runs" / "walker" / "run.json", 100)
    return ["train", "walker"]


def identity_of_nonsense(here: Path) -> list[object]:
    (here / "runs" / "walker" / "run.json").write_text("[]")
    return ["status", "walker"]


def identity_of_a_newer_version(here: Path) -> list[object]:
    path = here / "runs" / "walker" / "run.json"
    content = {**json.loads(path.read_text()), "format": 3}
    del content["identity_sha256"]
    path.write_text(json.dumps({**content, "identity_sha256": checksum(content)}))
    return ["train", "walker"]


def identity_with_a_flipped_digit(here: Path) -> list[object]:
    path = here / "runs" / "walker" / "run.json"
    path.write_text(path.read_text().replace('"gamma": 0.9', '"gamma": 0.8'))
    return ["train", "walker"]


def two_runs_of_one_name(here: Path) -> list[object]:
    shutil.copytree(here / "runs" / "pole", here / "other" / "walker")
    return ["train", "walker", "--store", here / "other"]


def every_checkpoint_damaged(here: Path) -> list[object]:
    for path in (here / "runs" / "walker" / "checkpoints").glob("*.safetensors"):
        os.truncate(path, 10)
    return ["evaluate", "walker"]


FAILURES = {
    folder_without_a_run: "is not a run",
    file_as_a_run: "notes",
    root_that_is_a_file: "file",
    root_of_status_that_is_a_file: "file",
    root_that_is_a_loop_of_links: "Too many levels of symbolic links",
    store_that_is_not_there: "store",
    store_that_is_a_file: "it is a file",
    damaged_identity: "damaged run.json",
    identity_of_nonsense: "damaged run.json",
    identity_of_a_newer_version: "newer colab_rl",
    identity_with_a_flipped_digit: "damaged run.json (other content than was saved)",
    two_runs_of_one_name: "two different runs",
    every_checkpoint_damaged: "none of the",
}


@pytest.mark.parametrize(("prepare", "named"), FAILURES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_failure_leaves_with_1_and_one_line_that_says_what_is_wrong(command, here, prepare, named):
    arguments = prepare(here)
    before = snapshot(here)
    code, output, errors = command(*arguments)
    assert (code, output) == (1, "")
    lines = [line for line in errors.splitlines() if not line.startswith("skipping a checkpoint")]
    assert len(lines) == 1 and lines[0].startswith("error: ") and named in lines[0]
    assert snapshot(here) == before


def test_an_environments_module_that_leaves_on_import_is_a_failure_like_any_other(command, here, monkeypatch):
    (here / "leaving.py").write_text("import sys; sys.exit(3)")
    monkeypatch.syspath_prepend(here)
    code, output, errors = command("train", "new", "--env", "leaving:Env-v0")
    where = here / "leaving.py"
    assert (code, output, errors) == (
        1, "", f"error: leaving:Env-v0 could not be made: SystemExit: 3 ({where}, line 1)\n")
    assert not (here / "runs" / "new").exists()


def test_a_damaged_run_does_not_hide_the_others(command, here):
    (here / "runs" / "pole" / "run.json").write_text("{")
    code, output, errors = command("status", "walker", "--json")
    assert (code, errors) == (0, "") and json.loads(output)["run"] == "walker"
    output, errors = command("status")[1:]
    assert "walker: CartPole-v1" in output and "pole" in output + errors


def test_a_run_that_cannot_be_read_is_not_no_run(command, here):
    identity_of_a_newer_version(here)
    shutil.rmtree(here / "runs" / "pole")
    code, output, errors = command("status")
    assert (code, output) == (0, "") and "by a newer colab_rl (format 3, this one reads up to 2); nothing was" in errors
    shutil.rmtree(here / "runs" / "walker")
    assert "no runs yet" in command("status")[1]


def test_a_copy_whose_name_cannot_be_a_run_does_not_hide_the_runs(command, here):
    shutil.copytree(here / "runs" / "pole", here / "runs" / "Copy of pole (1)")  # as a Drive calls it
    code, output, _ = command("status")
    assert code == 0 and "walker: CartPole-v1" in output


def test_a_damaged_identity_is_healed_from_the_store(command, here):
    sound = (here / "runs" / "walker" / "run.json").read_bytes()
    os.truncate(here / "runs" / "walker" / "run.json", 100)
    code, _, errors = command("train", "walker", "--store", here / "store")
    assert code == 0, errors
    assert (here / "runs" / "walker" / "run.json").read_bytes() == sound
    assert len((here / "runs" / "walker" / "run.json.bad").read_bytes()) == 100


@pytest.mark.parametrize("command", ["presets", "status"])
def test_nobody_reading_the_output_any_more_is_no_error(run_cli, command):
    unread, output = os.pipe()
    os.close(unread)
    try:
        done = run_cli(command, capture_output=False, stdout=output, stderr=subprocess.PIPE)
    finally:
        os.close(output)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2)], ids=str)
def test_closed_streams_are_no_error(run_cli, closed):
    done = run_cli("presets", preexec_fn=lambda: [os.close(stream) for stream in closed])
    assert (done.returncode, done.stderr) == (0, "") and ("gamma" in done.stdout) == (1 not in closed)


def test_a_name_that_standard_output_cannot_show_is_escaped(here, monkeypatch):
    name, shown = os.fsdecode(b"caf\xe9.html"), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, "utf-8", "strict"))
    assert main(["report", "walker", "--episodes", "0", "--out", name]) == 0
    assert shown.getvalue() == b"caf\\udce9.html\n" and (here / name).is_file()


@pytest.mark.parametrize(("arguments", "package"), [(["report", "walker"], "plotly"), (["doctor"], "gymnasium")],
                         ids=["report", "doctor"])
def test_a_package_that_is_missing_is_one_line_that_says_how_to_install_it(tmp_path, arguments, package):
    program = f"import sys; sys.modules[{package!r}] = None; import colab_rl.cli; sys.exit(colab_rl.cli.main())"
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "COLAB_RL_STORE": "none"}, timeout=240)
    assert done.returncode == 1 and list(tmp_path.iterdir()) == []
    if arguments == ["doctor"]:
        assert done.stderr == "" and "ok    Python 3" in done.stdout
        assert f"BAD   some checks were left out: {package} cannot be imported; pip install {package}" in done.stdout
    else:
        assert done.stdout == "" and done.stderr.count("\n") == 1
        assert done.stderr.startswith("error: ") and f"; pip install {package}, then" in done.stderr


@pytest.mark.parametrize("arguments", [["train", "new", "--env", "Nope-v0"], ["status", "zzz"],
                                       ["status", "--store", "/no/such/drive"]], ids=" ".join)
def test_the_program_itself_shows_no_traceback(run_cli, arguments):
    done = run_cli(*arguments)
    assert done.returncode == (1 if "/no/such/drive" in arguments else 2)
    assert "Traceback" not in done.stderr and done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_ctrl_c_in_a_command_that_trains_nothing_says_nothing_of_checkpoints(command, here, monkeypatch):
    (here / "stopping.py").write_text(f"""
import contextlib, os
from gymnasium.envs.classic_control import CartPoleEnv

class Stopping(CartPoleEnv):
    def step(self, action):
        with contextlib.suppress(FileNotFoundError):
            os.unlink({str(here / "stop")!r})  # one process can
            os.kill({os.getpid()}, {int(signal.SIGINT)})
        return super().step(action)
""")
    monkeypatch.syspath_prepend(here)
    made_by = ["--env", "stopping:Stopping"]
    assert command("train", "own", *made_by, "--total-steps", "100", "--set", *TINY)[0] == 0
    (here / "stop").touch()
    assert command("evaluate", "own", *made_by) == (130, "", "stopped\n")
