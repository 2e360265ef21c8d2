"""The code that trains a run, as hashes: ours, and a user's own. A checkpoint keeps them. Nothing is executed."""

from colab_rl.training.code.compared import CODE, code_of, differences, own_changes, own_code
from colab_rl.training.code.objects import ObjectCode

__all__ = ["CODE", "ObjectCode", "code_of", "differences", "own_changes", "own_code"]
