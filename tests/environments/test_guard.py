"""A line names what an environment raises, and its place in the user's code."""

import subprocess
import sys

import pytest

from colab_rl.user_code import with_cells

PROGRAM = """
from IPython.core.interactiveshell import InteractiveShell
from {module} import {compiler}
InteractiveShell.compiler_class = {compiler}
shell = InteractiveShell.instance()
shell.run_cell("import gymnasium", store_history=True)
shell.run_cell('''
from gymnasium.envs.classic_control import CartPoleEnv
class Broken(CartPoleEnv):
    def step(self, action):
        raise RuntimeError("the joint came off")
''', store_history=True)
shell.run_cell('''
import numpy as np
from colab_rl.environments import describe
from colab_rl.environments.guard import environment_guarded
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
def here():
    with environment_guarded("Broken"):
        Broken().step(0)
def in_a_worker():
    with GymnasiumVectorEnvironment(Broken, describe(Broken), 1) as envs:
        envs.reset()
        envs.step(np.zeros(1, np.int64))
for call in (here, in_a_worker):
    try:
        call()
    except Exception as error:
        print(error)
''', store_history=True)
"""


@pytest.mark.parametrize(("module", "compiler"), [
    ("IPython.core.compilerop", "CachingCompiler"), ("ipykernel.compiler", "XCachingCompiler")])
def test_a_fault_in_a_notebooks_cell_names_the_cell(module, compiler):
    pytest.importorskip("ipykernel")
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(module=module, compiler=compiler)],
                          capture_output=True, text=True, timeout=120)
    lines = [line for line in done.stdout.splitlines() if "joint" in line]
    assert [line.partition(" failed: ")[2] for line in lines] == \
        ["RuntimeError: the joint came off (cell In[2], line 4)"] * 2, done


def test_a_file_keeps_its_name():
    message = "RuntimeError: (of In[3]) (/home/me/crane (old).py, line 5)"
    assert with_cells(message) == message
