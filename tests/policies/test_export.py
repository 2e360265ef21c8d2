"""`export`: what the folder holds acts as the run does, needs little, and is whole or not there."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import onnx
import pytest
from helpers import flip, snapshot

from colab_rl import ColabRLError, UsageError, evaluate, export, load_policy
from colab_rl.policies import card
from colab_rl.policies.export import COMPARED, LARGEST_DIFFERENCE
from colab_rl.policies.policy import Score

SUPPORT = str(Path(__file__).parents[1])
FILES = ["README.md", "example.py", "policy.json", "policy.onnx", "policy.safetensors"]


def about_of(exported):
    return json.loads((exported.path / "policy.json").read_text())


def python(program, *arguments, **options):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([SUPPORT, *sys.path])}
    return subprocess.run([sys.executable, "-c", program, *map(str, arguments)], text=True, capture_output=True,
                          env=environment, **options)


@pytest.fixture
def copy(exported, tmp_path):
    """A copy of an exported folder, to be damaged."""
    return shutil.copytree(exported("discrete").path, tmp_path / "copy")


@pytest.mark.parametrize("kind", ["discrete", "continuous", "sac", "tqc", "own", "wide"])
def test_onnx_acts_as_training_does(trained, exported, kind):
    found, about = exported(kind), about_of(exported(kind))
    assert found.files == FILES and found.missing is None
    assert about["onnx"]["compared"] == COMPARED
    assert found.max_difference == about["max_difference"] <= LARGEST_DIFFERENCE
    ours, theirs = load_policy(**trained(kind)), load_policy(found.path)
    rng, shape = np.random.default_rng(1), ours.spaces.observation.shape
    rows = (rng.normal(size=(2000, *shape)) * 10.0 ** rng.uniform(-3, 20, (2000, 1))).astype(np.float32)
    with np.errstate(over="ignore"):
        expected, taken = ours(rows), theirs(rows)
    assert taken.dtype == expected.dtype and taken.shape == expected.shape
    span = np.ptp([theirs.spaces.action_low, theirs.spaces.action_high]) if kind != "discrete" else 1
    assert np.abs(taken - expected).max() <= LARGEST_DIFFERENCE * span
    assert theirs.spaces.to_json() == ours.spaces.to_json()
    assert np.array_equal(theirs.value(rows[0]), ours.value(rows[0]))  # torch is there
    assert np.array_equal(theirs(rows, deterministic=False), load_policy(**trained(kind), deterministic=False)(rows))


@pytest.mark.parametrize("kind", ["discrete", "continuous", "sac", "own"])
def test_the_score_is_that_of_evaluate_and_onnx_reaches_it(trained, exported, kind):
    result, policy = evaluate(**trained(kind)), load_policy(exported(kind).path)
    score = policy.score
    assert isinstance(score, Score) and score == exported(kind).score == result.returns.mean()
    assert (score.std, score.episodes, score.seed) == (result.returns.std(), 100, 0)
    environment = gymnasium.make_vec(about_of(exported(kind))["environment"], 100, vectorization_mode="sync")
    obs, _ = environment.reset(seed=0)  # of episode i: i
    returns, running = np.zeros(100), np.ones(100, bool)
    while running.any():
        obs, rewards, terminated, truncated, _ = environment.step(policy(obs))
        returns += rewards * running
        running &= ~(terminated | truncated)
    assert abs(returns.mean() - score) <= max(score.std / 10, 1e-3)


@pytest.mark.parametrize("kind", ["discrete", "continuous", "own", "unexportable", "wide", "wrapped"])
def test_the_example_prints_the_return_of_evaluate(trained, exported, kind):
    path = exported(kind).path / "example.py"
    blocked = "" if kind == "unexportable" else "'torch', 'colab_rl', 'safetensors', 'tqdm'"
    program = (f"import runpy, sys\nsys.modules.update(dict.fromkeys([{blocked}]))\n"
               "if 'colab_rl' not in sys.modules:\n"
               "    import policy_kinds\n    from colab_rl.networks.registry import register_network\n"
               "    register_network(policy_kinds.Unexportable)\n"
               f"sys.argv = ['example.py', '3']\nrunpy.run_path({str(path)!r}, run_name='__main__')")
    shown = python(program)
    assert shown.returncode == 0, shown.stderr
    found = float(shown.stdout.split()[1])
    assert found == pytest.approx(evaluate(**trained(kind), episodes=4).returns[3], rel=1e-4)


def test_the_example_of_a_function_names_what_to_write(exported, tmp_path):
    folder = shutil.copytree(exported("discrete").path, tmp_path / "policy")
    about = {**about_of(exported("discrete")), "function": True, "environment": "custom:make_pole"}
    (folder / "example.py").write_text(card.example(about, onnx=True))
    shown = subprocess.run([sys.executable, folder / "example.py"], capture_output=True, text=True)
    assert shown.returncode == 1 and shown.stderr == (
        "edit example.py: it needs what makes the environment, as make_pole did for training\n")


def test_a_folder_runs_with_numpy_and_onnxruntime_alone(exported):
    blocked = ["torch", "gymnasium", "onnx", "safetensors", "tqdm", "tensorboard", "plotly"]
    program = ("import sys, time\nsys.modules.update(dict.fromkeys(sys.argv[2:]))\nimport numpy, onnxruntime\n"
               "began = time.process_time()\n"
               "import colab_rl\npolicy = colab_rl.load_policy(sys.argv[1], root='/nowhere')\n"
               "seconds = time.process_time() - began\n"
               "policy.reset(); print(policy(numpy.zeros(3)), policy.score, seconds)\npolicy._repr_html_()")
    shown = python(program, exported("continuous").path, *blocked)
    assert shown.returncode == 0, shown.stderr
    assert float(shown.stdout.split()[-1]) < 1


def test_what_needs_gymnasium_says_so_if_it_is_missing(exported, monkeypatch):
    flat, lake = exported("continuous").path, exported("lake").path
    assert load_policy(lake)(3) in range(4) and load_policy(flat).spaces
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ColabRLError, match=r"the policy of lake, .* needs gymnasium, .*: pip install gymnasium"):
        load_policy(lake)
    with pytest.raises(ColabRLError, match=r"policy\.spaces needs gymnasium"):
        _ = load_policy(flat).spaces


def test_the_graph_stands_alone(exported):
    model = onnx.load(exported("own").path / "policy.onnx")
    onnx.checker.check_model(model, full_check=True)
    [opset] = model.opset_import
    assert (opset.domain, opset.version) == ("", about_of(exported("own"))["onnx"]["opset"])
    [obs], [action] = model.graph.input, model.graph.output
    assert (obs.name, action.name) == ("obs", "action")
    assert obs.type.tensor_type.shape.dim[0].dim_param == action.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_what_onnx_cannot_hold_is_named_and_the_torch_form_is_there(trained, exported, tmp_path):
    found = exported("unexportable")
    assert found.files == [name for name in FILES if name != "policy.onnx"] and found.max_difference is None
    assert "svd" in found.missing and found.missing in about_of(found)["onnx"]["missing"] in found.summary()
    rows = np.random.default_rng(0).normal(size=(9, 4))
    assert np.array_equal(load_policy(found.path)(rows), load_policy(**trained("unexportable"))(rows))
    assert "There is no ONNX form" in (found.path / "README.md").read_text()


def test_policy_json_says_what_it_is(exported):
    about = about_of(exported("sac"))
    assert about["format"] == 1 and about["license"] == "unknown"
    assert about["environment"] == "Pendulum-v1" and about["algorithm"] == "sac"
    assert list(about["channels"]["units"]) == ["cos_angle", "sin_angle", "speed"]
    assert about["channels"]["actions"] == ["torque"] and about["spaces"]["action_high"] == [2.0]
    assert {"run_id", "generation", "step", "state_sha256"} <= set(about["provenance"])
    assert {"colab_rl", "torch", "python"} <= set(about["versions"])
    for name, record in about["files"].items():
        data = (exported("sac").path / name).read_bytes()
        assert record == {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert set(about["files"]) | {"policy.json"} == set(exported("sac").files)


def test_the_model_card_has_the_block_that_the_hub_reads(exported):
    yaml = pytest.importorskip("yaml")
    text = (exported("sac").path / "README.md").read_text()
    block = yaml.safe_load(text.split("---\n")[1])
    score = exported("sac").score
    assert block["library_name"] == "colab_rl"
    assert {"reinforcement-learning", "Pendulum-v1", "sac"} <= set(block["tags"])
    [result] = block["model-index"][0]["results"]
    assert result["task"]["type"] == "reinforcement-learning" and result["dataset"]["name"] == "Pendulum-v1"
    assert result["metrics"][0]["value"] == f"{score:.2f} +/- {score.std:.2f}"
    assert f"{score:.2f} +- {score.std:.2f} over 100 episodes, seeds 0 to 99" in text


@pytest.mark.parametrize(("suffix", "element"), [(".mp4", "video"), (".gif", "img")])
def test_the_newest_video_goes_along(trained, tmp_path, root, suffix, element):
    videos = root / "discrete" / "videos"
    trained("discrete")
    videos.mkdir(exist_ok=True)
    (videos / f"old{suffix}").write_bytes(b"old")
    (videos / f"new{suffix}").write_bytes(b"new")
    os.utime(videos / f"old{suffix}", (1, 1))
    try:
        found = export(**trained("discrete"), checkpoint=1, out=tmp_path / "filmed")
    finally:
        shutil.rmtree(videos)
    assert f"replay{suffix}" in found.files and (found.path / f"replay{suffix}").read_bytes() == b"new"
    assert f'<{element} src="replay{suffix}"' in (found.path / "README.md").read_text()


def test_it_lies_in_the_runs_folder_and_in_the_store_and_again_changes_nothing(trained, root, tmp_path):
    (tmp_path / "store").mkdir()
    options = {**trained("continuous"), "root": tmp_path / "runs", "store": tmp_path / "store"}
    shutil.copytree(root / "continuous", tmp_path / "runs" / "continuous")
    found = export(**options)
    assert found.path.parent == tmp_path / "runs" / "continuous" / "exports"
    copied = tmp_path / "store" / "continuous" / "exports" / found.path.name
    assert found.store == str(copied) and found.store_state == "verified" and "verified" in found.summary()
    assert snapshot(copied) == snapshot(found.path) and set(snapshot(copied)) == set(found.files)
    before = {path: path.stat().st_mtime_ns for path in found.path.iterdir()}
    again = export(**options)
    assert again.score == found.score and {path: path.stat().st_mtime_ns for path in found.path.iterdir()} == before
    flip(found.path / "policy.onnx")  # a damaged one is made anew
    assert export(**options).path == found.path and snapshot(found.path) == snapshot(copied)
    assert [path.name for path in found.path.parent.iterdir()] == [found.path.name]


def test_a_store_that_fails_leaves_the_folder_whole(trained, root, tmp_path):
    shutil.copytree(root / "discrete", tmp_path / "runs" / "discrete")
    store = tmp_path / "store" / "discrete"
    store.mkdir(parents=True)
    shutil.copy(root / "discrete" / "run.json", store)
    (store / "exports").write_text("in the way")
    found = export("discrete", root=tmp_path / "runs", store=tmp_path / "store")
    assert found.store_state == "absent" and found.store_error and load_policy(found.path)


@pytest.mark.parametrize("name", ["policy.onnx", "policy.safetensors", "policy.json"])
def test_a_changed_byte_is_found(copy, name):
    for position in (0, 40, -3):
        before = (copy / name).read_bytes()
        flip(copy / name, position)
        with pytest.raises(ColabRLError, match=r"has other content than was exported|cannot be read"):
            load_policy(copy)
        (copy / name).write_bytes(before)
    assert load_policy(copy)(np.zeros(4)) in (0, 1)
    (copy / name).unlink()
    with pytest.raises(ColabRLError, match=r"no exported policy|cannot be read"):
        load_policy(copy)


def test_a_card_may_be_edited(copy):
    (copy / "README.md").write_text("mine")
    assert load_policy(copy)(np.zeros(4)) in (0, 1)


def rewritten(folder, **changes):
    """policy.json with other content, and a hash that fits."""
    about = json.loads((folder / "policy.json").read_text()) | changes
    del about["policy_sha256"]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    (folder / "policy.json").write_text(json.dumps({**about, "policy_sha256": digest}))


def test_a_newer_format_and_what_is_no_export(copy, tmp_path):
    rewritten(copy, format=2)
    with pytest.raises(ColabRLError, match=r"newer colab_rl \(format 2"):
        load_policy(copy)
    for place in (tmp_path, str(tmp_path / "nowhere"), Path("nowhere")):
        with pytest.raises(UsageError, match="is no exported policy"):
            load_policy(place)
    with pytest.raises(UsageError, match="holds one policy"):
        load_policy(copy, checkpoint="latest")


def test_a_file_outside_of_the_folder_is_not_read(copy):
    (copy.parent / "secret").write_text("secret")
    digest = hashlib.sha256(b"secret").hexdigest()
    rewritten(copy, files={"../secret": {"size": 6, "sha256": digest}})
    with pytest.raises(ColabRLError, match=r"names a file '\.\./secret'"):
        load_policy(copy)


@pytest.mark.parametrize("changes", [{"spaces": {}}, {"score": 3}, {"settings": None}, {"files": {}}, {"versions": {}}])
def test_what_others_made_of_policy_json_is_no_traceback(copy, changes):
    rewritten(copy, **changes)
    try:
        load_policy(copy)
    except ColabRLError as error:
        assert "\n" not in str(error)


def test_a_graph_that_onnxruntime_cannot_read(copy):
    about = json.loads((copy / "policy.json").read_text())
    (copy / "policy.onnx").write_bytes(b"nothing")
    record = {"size": 7, "sha256": hashlib.sha256(b"nothing").hexdigest()}
    rewritten(copy, files={**about["files"], "policy.onnx": record})
    with pytest.raises(ColabRLError, match="this onnxruntime cannot read"):
        load_policy(copy)


def test_a_folder_that_exists_is_left_alone(trained, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("there", "file"):
        with pytest.raises(ColabRLError, match="exists already; nothing was changed"):
            export(**trained("discrete"), out=tmp_path / name)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "mine.txt", "there"]


def test_a_disk_that_refuses_leaves_nothing(exported, tmp_path):
    from colab_rl.policies.folder import write_folder

    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ColabRLError, match="nothing was exported"):
        write_folder(tmp_path / "file" / "export", {"policy.onnx": b"x"}, {})
    with pytest.raises(ColabRLError, match="nothing was exported"):
        write_folder(tmp_path / "export", {"policy.onnx": b"x", "no/such/folder": b"x"}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_its_command(trained, missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ColabRLError, match=f"export needs {missing}; nothing was written; pip install {missing},"):
        export(**trained("discrete"))


def test_without_onnxruntime_a_folder_names_the_command(exported, monkeypatch):
    path = exported("discrete").path
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ColabRLError, match="pip install onnxruntime"):
        load_policy(path)


def test_the_command(run_cli, trained, root, tmp_path):
    trained("discrete")
    shutil.copytree(root / "discrete", tmp_path / "runs" / "discrete")
    done = run_cli("export", "discrete", "--out", "taken", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == ["path", "files", "checkpoint", "score", "max_difference"]
    assert found["files"] == FILES and isinstance(found["score"], float)
    again = run_cli("export", "discrete", "--out", "taken")
    assert again.returncode == 1 and "taken exists already" in again.stderr and "Traceback" not in again.stderr
    assert run_cli("export", "nobody").returncode == 2
