"""Writing down a calculation instead of doing it: values with arithmetic that become the nodes of an ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from castalia.errors import ConfigError

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["BOOL", "FLOAT32", "INT64", "OPSET", "Graph", "Operand", "Value"]

OPSET = 18
FLOAT32, INT64, BOOL = 1, 7, 9  # ONNX's numbers of these types
_FILE_VERSION = 8  # ONNX Runtime reads it from 1.14 on, whatever version of the onnx package wrote it
_EVENTS = "events"  # name of the first dimension of all that goes in or comes out


@final
@dataclass(frozen=True, eq=False)
class Value:
    """One table of a graph under construction, in general of shape ``(features, events)``.

    Feature-major, so that cutting, joining and reordering features copies whole rows. Lists of objects are of shape
    ``(events, objects, features)`` instead, as attention wants them.

    Attributes:
        graph: The graph it belongs to.
        name: Its name there.
    """

    graph: Graph
    name: str

    def op(self, operator: str, *others: Operand, **attributes: Any) -> Value:
        """Apply an ONNX operator to this value and ``others``; see ``Graph.add``."""
        return self.graph.add(operator, self, *others, **attributes)

    def __add__(self, other: Operand) -> Value:
        return self.op("Add", other)

    def __sub__(self, other: Operand) -> Value:
        return self.op("Sub", other)

    def __mul__(self, other: Operand) -> Value:
        return self.op("Mul", other)

    def __rmul__(self, other: Operand) -> Value:
        return self.op("Mul", other)

    def __rsub__(self, other: Operand) -> Value:
        return self.graph.add("Sub", other, self)

    def __radd__(self, other: Operand) -> Value:
        return self.op("Add", other)

    def __truediv__(self, other: Operand) -> Value:
        return self.op("Div", other)

    def __neg__(self) -> Value:
        return self.op("Neg")

    def rows(self, *which: int) -> Value:
        """Return some of the features, in the order named."""
        return self.op("Gather", np.array(which), axis=0)

    def split(self, sizes: Sequence[int], axis: int = 0) -> list[Value]:
        """Cut into tables of ``sizes`` features, along the axis that these stand in; those of none are left out."""
        kept = [size for size in sizes if size]
        return self.graph.add_all("Split", len(kept), self, np.array(kept), axis=axis) if len(kept) > 1 else [self]

    def reshape(self, *shape: int) -> Value:
        """Return the same numbers in another shape: -1 once for what follows from the rest, 0 for an equal length."""
        return self.op("Reshape", np.array(shape))

    def total(self) -> Value:
        """Sum over the features, shape ``(1, events)``."""
        return self.op("ReduceSum", np.array([0]), keepdims=1)


Operand: TypeAlias = Value | Tensor | NDArray[np.generic] | float
"""A value of the graph, or a constant; plain numbers and arrays of floats become float32."""


@final
@dataclass(eq=False)
class Graph:
    """An ONNX graph under construction, in float32.

    Attributes:
        name: Name of the graph.
    """

    name: str
    _inputs: dict[str, tuple[int, tuple[int | str, ...]]] = field(default_factory=dict)
    _nodes: list[tuple[str, list[str], list[str], dict[str, Any]]] = field(default_factory=list)
    _constants: dict[tuple[Any, ...], tuple[str, NDArray[np.generic]]] = field(default_factory=dict)

    def input(self, name: str, features: int) -> Value:
        """Declare a float32 input of shape ``(events, features)``, as a program would store it.

        Returns:
            Shape ``(features, events)``, as all values in the graph.
        """
        return self.declare(name, FLOAT32, features).op("Transpose", perm=[1, 0])

    def declare(self, name: str, kind: int, *shape: int | str) -> Value:
        """Declare an input and take it as it is stored.

        Args:
            name: Its name.
            kind: ONNX's number of its type.
            shape: What follows the events: a length, or a name for one that is free.
        """
        self._inputs[name] = kind, (_EVENTS, *shape)
        return Value(self, name)

    def add(self, operator: str, *operands: Operand, **attributes: Any) -> Value:
        """Add a node with one output.

        Args:
            operator: Name of an ONNX operator.
            operands: Values and constants.
            attributes: The node's attributes.
        """
        return self.add_all(operator, 1, *operands, **attributes)[0]

    def add_all(self, operator: str, outputs: int, *operands: Operand, **attributes: Any) -> list[Value]:
        """Add a node with several outputs."""
        names = [f"v{len(self._nodes)}" + (f"_{i}" if i else "") for i in range(outputs)]
        self._nodes.append((operator, [self._operand(one) for one in operands], names, attributes))
        return [Value(self, name) for name in names]

    def join(self, values: Sequence[Value]) -> Value:
        """Put the features of several tables one after the other."""
        return values[0] if len(values) == 1 else self.add("Concat", *values, axis=0)

    def to_onnx(self, outputs: Mapping[str, tuple[Value, int]], metadata: Mapping[str, str], text: str) -> ModelProto:
        """Return the finished and checked model.

        Args:
            outputs: By name the value and its number of features, which are written as ``(events, features)``; 0 for
                one number an event, written as ``(events,)``.
            metadata: What a reader can ask of the file.
            text: The file's description for people.

        Raises:
            ConfigError: If the library is missing.
        """
        try:
            import onnx
            from onnx import helper, numpy_helper
        except ImportError as error:
            raise ConfigError(
                "Exporting needs the onnx package; install it with pip install castalia[deploy]."
            ) from error
        for name, (value, features) in outputs.items():
            last = value.op("Transpose", perm=[1, 0]) if features else value.reshape(-1)
            self._nodes.append(("Identity", [last.name], [name], {}))
        graph = helper.make_graph(
            [helper.make_node(operator, ins, outs, **attributes) for operator, ins, outs, attributes in self._nodes],
            self.name,
            [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in self._inputs.items()],
            [
                helper.make_tensor_value_info(name, FLOAT32, [_EVENTS, *([features] if features else [])])
                for name, (_, features) in outputs.items()
            ],
            [numpy_helper.from_array(array, name) for name, array in self._constants.values()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="castalia")
        model.ir_version = _FILE_VERSION
        model.doc_string = text
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model

    def _operand(self, operand: Operand) -> str:
        if isinstance(operand, Value):
            return operand.name
        array = operand.detach().cpu().numpy() if isinstance(operand, Tensor) else np.asarray(operand)
        if array.dtype.kind == "f" or isinstance(operand, int):
            array = array.astype(np.float32)
        array = np.asarray(array, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        return self._constants.setdefault(key, (f"c{len(self._constants)}", array))[0]
