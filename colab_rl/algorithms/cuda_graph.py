"""Gradient steps on a GPU, recorded once as CUDA graphs and launched as a whole.

A gradient step of SAC is a few hundred kernels. Each runs for a few microseconds, and Python needs longer than that to
launch it: 5.2 ms one by one on an H100, 0.73 ms as a graph. Nobody has to read this file to change an algorithm, and on
a CPU nothing of it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from colab_rl.algorithms.optimizer import ClippedAdam

STEPS = 16  # of one graph: what is copied in and out costs little then, and recording takes a few tenths of a second


class CudaRecording(NamedTuple):
    """A graph, the tensors that it reads, and those that it writes: traces by name, and each optimizer's norms."""

    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]
    traces: dict[str, Tensor]
    norms: list[Tensor]


class CudaGraph:
    """Does what `take` does, to the last bit, with one launch for up to 16 gradient steps.

    take: gets tensors of G gradient steps, (G, ...) each, takes the steps and returns tensors by name, (G, ...) each.
        It must read nothing on the CPU that changes, and bring nothing there.
    optimizers: those that it steps. others: what else it changes.
    """

    def __init__(self, take: Callable[..., dict[str, Tensor]], optimizers: Sequence[ClippedAdam], *others: Tensor):
        self._take = take
        self._optimizers = optimizers
        self._others = others
        self._recordings: dict[int, CudaRecording] = {}  # by their number of gradient steps

    def __call__(self, *columns: Tensor) -> dict[str, Tensor]:
        """As `take`."""
        found: list[dict[str, Tensor]] = []
        for parts in zip(*(column.split(STEPS) for column in columns), strict=True):
            recording = self._recordings.get(len(parts[0])) or self._record(parts)
            for held, part in zip(recording.inputs, parts, strict=True):
                held.copy_(part)
            recording.graph.replay()
            found.append({name: trace.clone() for name, trace in recording.traces.items()})
            for optimizer, norms in zip(self._optimizers, recording.norms, strict=True):
                optimizer.norms.extend(norms.clone().unbind())
        return {name: torch.cat([traces[name] for traces in found]) for name in found[0]}

    def _record(self, parts: Sequence[Tensor]) -> CudaRecording:
        inputs = [part.clone() for part in parts]
        norms_before = [list(optimizer.norms) for optimizer in self._optimizers]  # warming up appends to them
        self._warm_up(inputs)
        for optimizer in self._optimizers:
            optimizer.norms = []
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):  # runs nothing
            traces = self._take(*inputs)
            norms = [torch.stack(optimizer.norms) for optimizer in self._optimizers]
        for optimizer, before in zip(self._optimizers, norms_before, strict=True):
            optimizer.norms = before
        self._recordings[len(parts[0])] = recording = CudaRecording(graph, inputs, traces, norms)
        return recording

    def _warm_up(self, inputs: Sequence[Tensor]) -> None:
        """Lets libraries load their kernels, which they cannot while a graph is recorded; changes nothing."""
        changed = [*self._others, *(tensor for optimizer in self._optimizers for tensor in optimizer.tensors)]
        before = [tensor.clone() for tensor in changed]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self._take(*inputs)
        torch.cuda.current_stream().wait_stream(side)
        for tensor, held in zip(changed, before, strict=True):
            tensor.copy_(held)
