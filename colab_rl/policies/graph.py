"""A policy as an ONNX graph, drawn by the very function that acts.

    model, scores = draw(algorithm.acting(), spaces)

The function is called once with a `Symbol` in place of observations: what NumPy does to it becomes a node. So the graph
cannot differ from what `evaluate` runs, and an algorithm of your own that acts in NumPy is exported as it is. A
network of your own is torch's: its exporter draws it (`Symbol.through`).
"""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.lib.mixins import NDArrayOperatorsMixin
from onnx import TensorProto, helper, numpy_helper

from colab_rl.environments.spaces import ObservationSpec, Spaces
from colab_rl.errors import ColabRLError
from colab_rl.policies.policy import as_sampled

if TYPE_CHECKING:
    from torch import nn

OPSET = 18
IR_VERSION = 10
OBSERVATION, ACTION = "obs", "action"
MEMORY, NEXT_MEMORY = "memory", "next_memory"  # of a policy with memory
OPERATIONS = {"add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "matmul": "MatMul",
              "minimum": "Min", "maximum": "Max", "negative": "Neg", "absolute": "Abs", "sqrt": "Sqrt", "exp": "Exp",
              "log": "Log", "tanh": "Tanh", "greater": "Greater", "less": "Less", "erf (vectorized)": "Erf"}
COMPOSED: dict[str, Callable[[Any], Any]] = {"expm1": lambda x: np.exp(x) - 1, "log1p": lambda x: np.log(1 + x),
                                             "square": lambda x: x * x}


class NotDrawable(ColabRLError):
    """An operation that has no place in the graph. Its text names it."""


class Symbol(NDArrayOperatorsMixin):
    """A (B, ...) array of which only the name is known. graph: where its operations are noted."""

    def __init__(self, graph: Graph, name: str, dtype: np.dtype):
        self.graph, self.name, self.dtype = graph, name, dtype

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        name = ufunc.__name__
        if method == "__call__" and not options:
            if name in OPERATIONS:
                return self.graph.add(OPERATIONS[name], *inputs)
            if name in COMPOSED:
                return COMPOSED[name](*inputs)
        raise NotDrawable(f"numpy.{name}")

    def __array_function__(self, function: Callable, kinds: Any, inputs: Any, options: Any) -> Symbol:
        if function is np.where and not options:
            return self.graph.add("Where", *inputs)
        if function is np.clip and len(inputs) == 3:
            return np.minimum(np.maximum(*inputs[:2]), inputs[2])
        raise NotDrawable(f"numpy.{function.__name__}")

    def __getitem__(self, index: Any) -> Symbol:
        """Of `x[:, None]`, `x[:, 3]` and `x[:, 3:5]`."""
        rows, column = index if isinstance(index, tuple) and len(index) == 2 else (None, None)
        if rows == slice(None):
            one = np.array([1])
            if column is None:
                return self.graph.add("Unsqueeze", self, one)
            if isinstance(column, int):
                return self.graph.add("Gather", self, np.array(column), axis=1)
            if isinstance(column, slice) and column.step is None:
                stop = np.iinfo(np.int64).max if column.stop is None else column.stop
                return self.graph.add("Slice", self, np.array([column.start or 0]), np.array([stop]), one)
        raise NotDrawable(f"indexing with {index!r}")

    def __setitem__(self, index: slice, value: Symbol) -> None:
        """`x[:] = y`: its name stands for y from here on."""
        if index != slice(None):
            raise NotDrawable(f"setting {index!r}")
        self.name = value.name

    def argmax(self, axis: int) -> Symbol:
        """The place of the largest number, the first of equal ones."""
        self.graph.scores = self.name
        return self.graph.add("ArgMax", self, axis=axis, keepdims=0)

    def astype(self, dtype: Any) -> Symbol:
        """Numbers of another type."""
        dtype = np.dtype(dtype)
        if dtype == self.dtype:
            return self
        return self.graph.add("Cast", self, to=helper.np_dtype_to_tensor_dtype(dtype))

    def through(self, network: nn.Module, state: Symbol | None = None) -> Any:
        """What a torch module makes of it; or, with a state, the outputs and the next state of a RecurrentNetwork."""
        if state is None:
            return self.graph.embed(_exported(network, self.graph.spec), self)[0]
        return self.graph.embed(_exported(network, self.graph.spec, memory=True), self, state)


class Graph:
    """Nodes in the order of their making. scores: the largest of them is the action."""

    def __init__(self, spec: ObservationSpec):
        self.spec = spec
        self.scores: str | None = None
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._numbers = itertools.count()

    def add(self, operation: str, *inputs: Any, **attributes: Any) -> Symbol:
        """The output of a node. Constants among its inputs take the type of the first symbol, but for places in it."""
        first = next(one for one in inputs if isinstance(one, Symbol))
        kept = operation in ("Unsqueeze", "Gather", "Slice")
        names = [one.name if isinstance(one, Symbol) else self._constant(one, np.dtype(np.int64) if kept else
                 np.dtype(np.float32) if first.dtype == bool else first.dtype) for one in inputs]
        output = f"{operation.lower()}_{next(self._numbers)}"
        self._nodes.append(helper.make_node(operation, names, [output], **attributes))
        dtype = first.dtype
        if operation in ("Greater", "Less"):
            dtype = np.dtype(bool)
        elif operation == "ArgMax":
            dtype = np.dtype(np.int64)
        elif operation == "Cast":
            dtype = np.dtype(helper.tensor_dtype_to_np_dtype(attributes["to"]))
        elif operation == "Where":
            dtype = next((one.dtype for one in inputs[1:] if isinstance(one, Symbol)), np.dtype(np.float32))
        return Symbol(self, output, dtype)

    def embed(self, model: onnx.ModelProto, *inputs: Symbol) -> list[Symbol]:
        """The outputs of another graph."""
        inner = onnx.compose.add_prefix(model, f"network_{next(self._numbers)}_").graph
        self._nodes += [helper.make_node("Identity", [x.name], [to.name])
                        for x, to in zip(inputs, inner.input, strict=True)]
        self._nodes += inner.node
        self._constants += inner.initializer
        return [Symbol(self, output.name, np.dtype(np.float32)) for output in inner.output]

    def model(self, action: Symbol, memory: Symbol | None, spaces: Spaces, size: int) -> onnx.ModelProto:
        """The whole, checked. memory: the next one. size: of a row of it."""
        self._nodes.append(helper.make_node("Identity", [action.name], [ACTION]))
        spec = spaces.observation
        kinds = [helper.np_dtype_to_tensor_dtype(np.dtype(dtype)) for dtype in (spec.dtype, action.dtype)]
        inputs = [helper.make_tensor_value_info(OBSERVATION, kinds[0], ["batch", *spec.shape])]
        outputs = [helper.make_tensor_value_info(ACTION, kinds[1], ["batch", *spaces.action_shape])]
        if memory is not None:
            self._nodes.append(helper.make_node("Identity", [memory.name], [NEXT_MEMORY]))
            inputs.append(helper.make_tensor_value_info(MEMORY, TensorProto.FLOAT, ["batch", size]))
            outputs.append(helper.make_tensor_value_info(NEXT_MEMORY, TensorProto.FLOAT, ["batch", size]))
        graph = helper.make_graph(self._nodes, "policy", inputs, outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                                  producer_name="colab_rl")
        onnx.checker.check_model(model, full_check=True)
        return model

    def _constant(self, value: Any, dtype: np.dtype) -> str:
        name = f"constant_{next(self._numbers)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name


def draw(acting: Callable[..., Any], spaces: Spaces, memory: int = 0) -> tuple[bytes, bytes | None]:
    """The ONNX file of a function that gives (B, ...) actions for (B, *obs_shape) observations.

    Input `obs`, output `action`, in the environment's own type; B is free. A policy that carries `memory` numbers
    through an episode has one input and one output more: (B, memory) float32 `memory`, zeros at first, and
    `next_memory`. The second file has one more output: the (B, choices) scores of which a discrete action is the
    largest, None if there are none.
    Raises NotDrawable that names the operation.
    """
    if spaces.observation.dtype == "uint8" and spaces.observation_space is not None:
        raise NotDrawable("images inside a Dict or Tuple")
    if spaces.action_space is not None:
        raise NotDrawable(f"actions of a {next(iter(spaces.action_space))}")
    graph = Graph(spaces.observation)
    try:
        observed = Symbol(graph, OBSERVATION, np.dtype(spaces.observation.dtype))
        remembered = Symbol(graph, MEMORY, np.dtype(np.float32)) if memory else None
        action = acting(observed) if remembered is None else acting(observed, memory=remembered)
        if not isinstance(action, Symbol):
            raise NotDrawable(f"a function that gives {type(action).__name__}")
        model = graph.model(as_sampled(action, spaces.to_json()), remembered, spaces, memory)
    except (TypeError, AttributeError, ValueError) as error:  # of code that takes arrays alone
        raise NotDrawable(" ".join(str(error).split())) from error
    data = model.SerializeToString(deterministic=True)
    if graph.scores is None:
        return data, None
    model.graph.output.append(helper.make_tensor_value_info(graph.scores, TensorProto.FLOAT, ["batch", None]))
    return data, model.SerializeToString(deterministic=True)


def _exported(network: Any, spec: ObservationSpec, memory: bool = False) -> onnx.ModelProto:
    """A torch module, or the `step` of one with memory, as torch's exporter draws it.

    Raises NotDrawable that names the operation.
    """
    import torch
    from onnx.inliner import inline_local_functions

    class Step(torch.nn.Module):
        """The step of a network with memory, which is what is drawn of it."""

        def __init__(self, network: Any):
            super().__init__()
            self.network = network

        def forward(self, obs: torch.Tensor, state: torch.Tensor) -> Any:
            """See RecurrentNetwork."""
            return self.network.step(obs, state)

    logging.disable(logging.CRITICAL)  # torch tells its own developers a lot
    try:
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()), \
                contextlib.redirect_stderr(io.StringIO()):
            inputs = [torch.from_numpy(spec.zeros(2))]
            if memory:
                inputs.append(torch.zeros(2, network.state_size))
                network = Step(network)
            batch = {0: torch.export.Dim("batch")}
            program = torch.onnx.export(network, tuple(inputs), dynamo=True, opset_version=OPSET,
                                        dynamic_shapes=(batch,) * len(inputs), verbose=False)
        return inline_local_functions(program.model_proto)  # type: ignore[union-attr]
    except ModuleNotFoundError as error:
        raise NotDrawable(f"a network of torch's without {error.name} (pip install {error.name})") from error
    except Exception as error:
        raise NotDrawable(_operation(error)) from error
    finally:
        logging.disable(logging.NOTSET)


def _operation(error: BaseException | None) -> str:
    """What torch could not export, out of an error's chain."""
    said = ""
    while error is not None:
        said = " ".join(re.sub("\x1b\\[[0-9;]*m", "", str(error)).split()) or said
        if found := re.search(r"(?:No ONNX function found for|No decompositions registered for)\D*?op='([^']+)'", said):
            return found[1]
        error = error.__cause__
    return said[:300]
