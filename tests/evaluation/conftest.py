"""A recorded walk."""

from __future__ import annotations

import pytest
from recordings import recorded


@pytest.fixture(scope="module")
def walk():
    return max((recorded("BipedalWalker-v3", seed) for seed in range(2)), key=lambda episode: episode.length)
