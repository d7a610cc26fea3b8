"""From a module of torch to a program: its graph by torch.export, its operations by the table."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.export.graph_signature import InputKind
from torch.fx import Node
from torch.utils import _pytree as pytree

from vaelab.export.builder import Builder, Value
from vaelab.export.operations import OPERATIONS, UnknownOperation, affine_of
from vaelab.export.program import Program

SHAPE_ONLY = {
    "empty_like",
    "full_like",
    "new_full",
    "new_ones",
    "new_zeros",
    "ones_like",
    "zeros_like",
}
VIEWS = {"_unsafe_view", "reshape", "broadcast_tensors"}  # beside those that torch knows as views
IGNORED = {"_assert_tensor_metadata"}
AFFINE = {"linear": 0, "conv2d": 0, "conv_transpose2d": 1}  # the dimension of the outputs


def trace(module: nn.Module, *example: Tensor) -> Program:
    """Return what a module does with inputs of the shapes of the example, a batch of one row.

    Batch normalisation is in evaluation mode and becomes part of the layer before it, dropout
    vanishes, and what does not depend on the inputs is computed here.

    Raises:
        UnknownOperation: If a program cannot do what the module does; the error names it.
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(module, example).run_decompositions({})
        return _Tracer(exported).program()


class _Tracer:
    """Walks an exported graph; `known` has the tensor or the `Value` of each node."""

    def __init__(self, exported: torch.export.ExportedProgram) -> None:
        self.exported, self.builder = exported, Builder()
        self.known: dict[Node, Any] = {}

    def program(self) -> Program:
        inputs, outputs = [], []
        specs = {spec.arg.name: spec for spec in self.exported.graph_signature.input_specs}
        tensors = {**self.exported.constants, **self.exported.state_dict}
        for node in self.exported.graph.nodes:
            if node.op == "placeholder":
                spec = specs[node.name]
                if spec.kind == InputKind.USER_INPUT:
                    self.known[node] = self.builder.new(node.meta["val"].shape)
                    inputs.append(self.known[node])
                else:
                    self.known[node] = tensors[spec.target].detach().cpu()
            elif node.op == "call_function":
                if node not in self.known:
                    self.known[node] = self._called(node)
            else:
                outputs = [self._looked_up(given) for given in node.args[0]]
        return self.builder.program(inputs, outputs)

    def _called(self, node: Node) -> Any:
        args, kwargs = self._looked_up(node.args), self._looked_up(node.kwargs)
        target: Any = node.target
        if target is operator.getitem:
            return args[0][args[1]]
        name = getattr(target, "_schema").name.removeprefix("aten::")
        if name in IGNORED:
            return None
        if not any(isinstance(leaf, Value) for leaf in pytree.tree_leaves((args, kwargs))):
            return target(*args, **kwargs)
        if name in SHAPE_ONLY:
            return target(*_replaced(args, _blank), **_replaced(kwargs, _blank))
        if target.is_view or name in VIEWS:
            return self._view(target, args, kwargs)
        if name not in OPERATIONS:
            raise UnknownOperation(name)
        norm = self._normalised(node, name)
        if norm is not None:
            args = _with_norm(AFFINE[name], *args, norm=self._looked_up(norm.args[1:]))
        options = {key: value for key, value in kwargs.items() if value is not None}
        result = OPERATIONS[name](self.builder, *args, **options)
        if norm is not None:
            self.known[norm] = (result,)
        return result

    def _normalised(self, node: Node, name: str) -> Node | None:
        """The batch normalisation that alone uses an affine layer, None if there is none."""
        users = [*node.users]
        norm = getattr(getattr(users[0].target, "_schema", None), "name", "") if users else ""
        alone = len(users) == 1 and norm == "aten::_native_batch_norm_legit_no_training"
        layer = name in AFFINE and not isinstance(self._looked_up(node.args[1]), Value)
        plain = name != "linear" or node.meta["val"].dim() == 2  # else channels are not outputs
        return users[0] if alone and layer and plain else None

    def _view(self, target: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if target is torch.ops.aten.broadcast_tensors.default:
            shape = torch.broadcast_shapes(*(given.shape for given in args[0]))
            expand = torch.ops.aten.expand.default
            return [self._called_view(expand, given, (shape,), {}) for given in args[0]]
        return self._called_view(target, args[0], args[1:], kwargs)

    def _called_view(
        self, target: Callable[..., Any], given: Value | Tensor, args: Any, kwargs: Any
    ) -> Any:
        if isinstance(given, Tensor):
            return target(given, *args, **kwargs)
        try:
            found = target(given.meta, *args, **kwargs)
        except (RuntimeError, ValueError):  # a shape that needs the elements in another order
            given = self.builder.contiguous(given)
            found = target(given.meta, *args, **kwargs)
        array = given.array
        return _replaced(
            found, lambda leaf: Value(array, leaf) if isinstance(leaf, Tensor) else leaf
        )

    def _looked_up(self, given: Any) -> Any:
        return _replaced(given, lambda leaf: self.known[leaf] if isinstance(leaf, Node) else leaf)


def _with_norm(
    dim: int, x: Any, weight: Tensor, bias: Tensor | None = None, *options: Any, norm: Any
) -> tuple[Any, ...]:
    """The arguments of an affine layer that does the batch normalisation after it too."""
    gamma, beta, mean, variance, _, epsilon = norm
    scale, shift = affine_of(gamma, beta, mean, variance, epsilon)
    shape = [-1 if d == dim else 1 for d in range(weight.dim())]
    shift = shift if bias is None else shift + scale * bias.double()
    return x, (weight.double() * scale.view(shape)).float(), shift.float(), *options


def _replaced(given: Any, function: Callable[[Any], Any]) -> Any:
    """A structure of lists, tuples and mappings with the function applied to what they hold."""
    if isinstance(given, list | tuple):
        return type(given)(_replaced(one, function) for one in given)
    if isinstance(given, dict):
        return {key: _replaced(one, function) for key, one in given.items()}
    return function(given)


def _blank(leaf: Any) -> Any:
    return torch.empty(leaf.shape, dtype=leaf.meta.dtype) if isinstance(leaf, Value) else leaf
