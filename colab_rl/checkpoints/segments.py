"""A replay buffer as immutable files.

    replay/<first>-<last>-<sha8>.safetensors     rows first to last, each array of the buffer a tensor

Rows are numbered from the run's beginning and never change, so a save writes only those that are new, and its
manifest names every segment of which the buffer still holds a row. If saves come often, the newest segment
is replaced by a longer one until it has SMALLEST_SEGMENT bytes, which bounds how many there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

import numpy as np
import safetensors
import safetensors.numpy

from colab_rl.checkpoints.layout import REPLAY
from colab_rl.checkpoints.manifest import FileRecord

NAME = re.compile(rf"{REPLAY}(?P<first>\d{{10,}})-(?P<last>\d{{10,}})-[0-9a-f]{{8}}\.safetensors", re.ASCII)
SMALLEST_SEGMENT, LARGEST_SEGMENT = 2**18, 2**22  # bytes; a longer one is written in parts

Rows = tuple[int, Mapping[str, np.ndarray]]  # number of the first row, and (rows, ...) each array


class RowSource(Protocol):
    """What a replay buffer tells of its rows; those held are first <= row < end."""

    end: int

    @property
    def first(self) -> int:
        """The oldest row that is held."""

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""

    def rows(self, first: int, end: int) -> Mapping[str, np.ndarray]:
        """Copies of the rows first <= row < end, by array."""


class Segment(NamedTuple):
    """What a segment's name says; `last` is in it."""

    first: int
    last: int
    name: str


def segments_in(names: Iterable[str]) -> list[Segment]:
    """Those of the files that are segments, in the order of their rows."""
    matches = [match for name in names if (match := NAME.fullmatch(name))]
    return sorted(Segment(int(match["first"]), int(match["last"]), match[0]) for match in matches)


def extend_segments(before: Mapping[str, FileRecord],
                    buffer: RowSource) -> tuple[dict[str, FileRecord], dict[str, bytes]]:
    """The segments that hold the buffer's rows, and the content of those that are not in `before`.

    before: files of the checkpoint before, of the same run; empty if there is none.
    """
    kept = [segment for segment in segments_in(before) if segment.last >= buffer.first]
    start = kept[-1].last + 1 if kept else buffer.first
    if kept and start < buffer.end and before[kept[-1].name].size < SMALLEST_SEGMENT:
        start = max(buffer.first, kept.pop().first)
    records, contents = {segment.name: before[segment.name] for segment in kept}, {}
    length = max(1, LARGEST_SEGMENT // buffer.row_bytes)
    for first in range(start, buffer.end, length):
        end = min(first + length, buffer.end)
        data = safetensors.numpy.save(dict(buffer.rows(first, end)))
        record = FileRecord.of(data)
        name = f"{REPLAY}{first:010d}-{end - 1:010d}-{record.sha256[:8]}.safetensors"
        records[name], contents[name] = record, data
    return records, contents


def read_segment(segment: Segment, data: bytes) -> Rows:
    """The rows in a segment's content. Raises ValueError if it is none."""
    try:
        return segment.first, safetensors.numpy.load(data)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{segment.name} is no replay segment: {error}") from error
