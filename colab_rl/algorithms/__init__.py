"""Algorithms: mathematics without files, logging or devices but the tensors'.

Each lies in a folder of its own, with the same file names: `config`, `presets`, `policy`, `loss`, `fused`, and the
algorithm itself. A new one is a folder and a line in registry.py, or a class that is given to `train`.
"""

from colab_rl.algorithms.base import Algorithm

__all__ = ["Algorithm"]
