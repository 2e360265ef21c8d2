"""Algorithms: mathematics without files, logging or devices but the tensors'.

Each lies in a folder of its own, with like file names: `config`, `presets`, `loss`, `fused`, the algorithm itself, and
its networks in `policy` and `critic`. TQC has SAC's policy. A new one is a folder and a line in registry.py, or a class
that is given to `train`.
"""

from colab_rl.algorithms.base import Algorithm

__all__ = ["Algorithm"]
