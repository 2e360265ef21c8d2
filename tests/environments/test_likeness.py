"""A worker process looks to an environment like the process that started it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

# A program that makes itself peculiar. Its environment writes a portrait of the process in which it is reset.
PROGRAM = '''
import dataclasses, enum, json, locale, multiprocessing, os, pathlib, pickle, resource, sys, warnings
import gymnasium, numpy as np
from colab_rl.environments import describe
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment

class MyWarning(UserWarning):
    pass

class Gait(enum.Enum):
    WALK = 1

@dataclasses.dataclass
class State:
    gait: Gait = Gait.WALK

def double(x):
    return 2 * x

def portrait():
    import in_a_zip, in_a_relative_folder, in_the_working_folder
    umask = os.umask(0)
    os.umask(umask)
    main = sys.modules["__main__"]
    return {
        "argv": sys.argv, "path": [repr(place) for place in sys.path], "folder": os.getcwd(), "umask": umask,
        "main": [main.__name__, getattr(main, "__file__", None), main.__package__],
        "spec": getattr(main.__spec__, "name", None),
        "filters": [repr(one) for one in warnings.filters], "options": sys.warnoptions,
        "locale": locale.setlocale(locale.LC_ALL),
        "environ": {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
        "errors": np.geterr(), "limits": [resource.getrlimit(getattr(resource, name)) for name in dir(resource)
                                          if name.startswith("RLIMIT")], "nice": os.nice(0),
        "recursion": sys.getrecursionlimit(), "digits": sys.get_int_max_str_digits(), "flags": repr(sys.flags),
        "x": sys._xoptions, "encodings": [sys.getdefaultencoding(), sys.getfilesystemencoding(), locale.getencoding()],
        "method": multiprocessing.get_start_method(), "parent": multiprocessing.parent_process() is None,
        "asserts": __debug__, "executable": sys.executable, "prefix": sys.prefix,
        "affinity": sorted(os.sched_getaffinity(0)),
        "pickled": [repr(pickle.loads(pickle.dumps(thing))) for thing in (State(), Gait.WALK, MyWarning("w"))]
            + [pickle.loads(pickle.dumps(double))(4), main.State is State, State.__module__],
        "modules": [in_a_zip.WHERE, in_a_relative_folder.WHERE, in_the_working_folder.WHERE],
        "registered": [str(gymnasium.spec("Mine-v0").max_episode_steps), str(gymnasium.spec("CartPole-v1").kwargs)],
    }

class Mine(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        pathlib.Path(os.environ["PORTRAITS"], f"{os.getpid()}.json").write_text(json.dumps(portrait()))
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 0.0, False, False, {}

os.chdir("elsewhere")
sys.path[1:1] = ["", pathlib.Path("."), "../packed.zip", "relative"]
sys.argv += ["--mine", "\\udcff"]
os.environ["SET_LATER"] = "yes"
os.umask(0o027)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
os.nice(1)
warnings.filterwarnings("error", category=MyWarning)
warnings.filterwarnings("always", "of .* kind", DeprecationWarning, "mine", 7)
locale.setlocale(locale.LC_NUMERIC, "C.UTF-8")
np.seterr(divide="raise", under="warn")
sys.setrecursionlimit(4321)
sys.set_int_max_str_digits(5000)
multiprocessing.set_start_method("spawn")
gymnasium.register("Mine-v0", Mine, max_episode_steps=17)
gymnasium.spec("CartPole-v1").kwargs["sutton_barto_reward"] = True
Mine().reset()
for source in ("Mine-v0", lambda: gymnasium.make("Mine-v0")):
    with GymnasiumVectorEnvironment(source, describe(source), 2, num_workers=2) as envs:
        envs.reset()
'''


@pytest.mark.parametrize("way", ["script", "module", "no file"])
def test_a_worker_looks_like_the_process_that_started_it(tmp_path, way):
    for folder in ("elsewhere/relative", "portraits", "package"):
        (tmp_path / folder).mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.writestr("in_a_zip.py", "WHERE = __file__")
    (tmp_path / "elsewhere/relative/in_a_relative_folder.py").write_text("WHERE = __file__")
    (tmp_path / "elsewhere/in_the_working_folder.py").write_text("WHERE = __file__")
    (tmp_path / "package/program.py").write_text(PROGRAM)
    how = {"script": ["program_of_mine.py"], "module": ["-m", "package.program"], "no file": ["-c", PROGRAM]}[way]
    (tmp_path / "program_of_mine.py").write_text(PROGRAM)
    package = Path(__file__).parents[2]
    options = ["-O", "-B", "-Xutf8", "-Xno_debug_ranges", "-Wignore::ImportWarning"]
    subprocess.run(
        [sys.executable, *options, *how, "--flag", "1"], check=True, cwd=tmp_path,
        env={**os.environ, "PORTRAITS": str(tmp_path / "portraits"), "PYTHONPATH": str(package), "LC_ALL": "C.UTF-8"})
    portraits = [json.loads(path.read_text()) for path in (tmp_path / "portraits").iterdir()]
    assert len(portraits) == 1 + 2 * 2
    for portrait in portraits[1:]:
        assert portrait == portraits[0]
    found = portraits[0]
    assert found["argv"][1:] == ["--flag", "1", "--mine", "\udcff"] and found["folder"] == str(tmp_path / "elsewhere")
    assert "''" in found["path"] and "PosixPath('.')" in found["path"] and found["umask"] == 0o027
    assert found["main"][:2] == ["__main__", {"script": str(tmp_path / "program_of_mine.py"), "no file": None,
                                              "module": str(tmp_path / "package/program.py")}[way]]
    assert any("MyWarning" in one for one in found["filters"]) and "ignore::ImportWarning" in found["options"]
    assert found["environ"]["SET_LATER"] == "yes" and found["environ"]["PYTHONPATH"] == str(package)
    assert found["errors"]["divide"] == "raise" and found["recursion"] == 4321 and not found["asserts"]
    assert "no_debug_ranges" in found["x"] and found["method"] == "spawn"
    assert found["pickled"] == ["State(gait=<Gait.WALK: 1>)", "<Gait.WALK: 1>", "MyWarning('w')", 8, True, "__main__"]
    assert found["registered"] == ["17", "{'sutton_barto_reward': True}"]
