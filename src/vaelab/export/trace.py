"""From a module to a program: its graph by torch.export, its operations by the table."""

from __future__ import annotations

import inspect
import logging
import operator
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx import GraphModule, Node
from torch.utils._pytree import tree_leaves, tree_map

from vaelab.export.builder import Builder, Value
from vaelab.export.operations import OPERATIONS, affine_of
from vaelab.export.program import Program
from vaelab.export.reasons import UnknownOperationError, UntraceableError

SHAPE_ONLY = {
    "empty_like",
    "full_like",
    "new_full",
    "new_ones",
    "new_zeros",
    "ones_like",
    "zeros_like",
}
IGNORED = {"_assert_tensor_metadata"}
AFFINE = {"linear": 0, "conv2d": 0, "conv_transpose2d": 1}  # the dimension of the outputs


def trace(module: nn.Module, *example: Tensor) -> Program:
    """Return what a module does with inputs of the shapes of the example, a batch of one row.

    Batch normalisation is in evaluation mode and becomes part of the layer before it, dropout
    vanishes, and what does not depend on the inputs is computed here.

    Raises:
        UnknownOperationError: If a program cannot do what the module does; the error names it.
        UntraceableError: If what the module does depends on the values of its inputs.
    """
    exported = graph(module, *example)
    with torch.no_grad():
        return _Tracer(exported).program()


def graph(module: nn.Module, *example: Tensor, batch: Dim | None = None) -> ExportedProgram:
    """Return the graph of a module by torch.export, for inputs of the shapes of the example.

    Args:
        module: The module.
        example: Its inputs.
        batch: The name of the first dimension of all inputs where it may have any size; else all
            sizes are those of the example.

    Raises:
        UntraceableError: If what the module does depends on the values of its inputs.
    """
    names = [*inspect.signature(module.forward).parameters][: len(example)]
    shapes = None if batch is None else {name: {0: batch} for name in names}
    with quiet(), torch.enable_grad():  # no change of it is in the way
        try:
            return torch.export.export(module, example, dynamic_shapes=shapes)
        except (RuntimeError, ValueError) as error:  # those by which torch.export gives up
            raise UntraceableError("untraceable") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch warns, logs and prints, as a failure is said in a sentence, and without
    its checks of the parameters of distributions, which depend on values.
    """
    disabled, checks = logging.root.manager.disable, Distribution._validate_args
    logging.disable(logging.CRITICAL)
    Distribution.set_default_validate_args(False)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        Distribution.set_default_validate_args(checks)


class _Tracer:
    """Walks an exported graph; `known` has the tensor or the `Value` of each node."""

    def __init__(self, exported: torch.export.ExportedProgram) -> None:
        self.exported, self.builder = exported, Builder()
        self.known: dict[Node, Any] = {}

    def program(self) -> Program:
        inputs, given = [], []
        tensors = {**self.exported.constants, **self.exported.state_dict}
        signature = self.exported.graph_signature.input_specs
        nodes = [node for node in self.exported.graph.nodes if node.op == "placeholder"]
        for node, spec in zip(nodes, signature, strict=True):
            if spec.kind == InputKind.USER_INPUT:
                inputs.append(self.builder.new(node.meta["val"].shape))
                given.append(inputs[-1])
            else:
                given.append(tensors[spec.target].detach().cpu())
        outputs = self._walked(self.exported.graph_module, given)
        return self.builder.program(inputs, outputs)

    def _walked(self, module: GraphModule, given: Sequence[Any]) -> Any:
        """Return the outputs of a graph for the given inputs."""
        arguments = iter(given)
        for node in module.graph.nodes:
            if node.op == "placeholder":
                self.known[node] = next(arguments)
            elif node.op == "get_attr":
                self.known[node] = getattr(module, node.target)
            elif node.op == "call_function" and node not in self.known:
                self.known[node] = self._called(node)
        return self._looked_up(node.args[0])

    def _called(self, node: Node) -> Any:
        args, kwargs = self._looked_up(node.args), self._looked_up(node.kwargs)
        target: Any = node.target
        if target is operator.getitem:
            return args[0][args[1]]
        inner = next((i for i, one in enumerate(args) if isinstance(one, GraphModule)), None)
        if inner is not None:  # under another setting of autocast or of gradients
            return self._walked(args[inner], args[inner + 1 :])
        name = _name(target)
        if name in IGNORED:
            return None
        if not any(isinstance(leaf, Value) for leaf in tree_leaves((args, kwargs))):
            return target(*args, **kwargs)
        if name in SHAPE_ONLY:
            return target(*tree_map(_blank, args), **tree_map(_blank, kwargs))
        if target._schema.is_mutable and len(node.all_input_nodes[0].users) == 1:
            name = name.removesuffix("_")  # in place, which nothing else sees
        if name in OPERATIONS:
            return self._step(node, name, args, kwargs)
        if name == "broadcast_tensors":
            shape = torch.broadcast_shapes(*(given.shape for given in args[0]))
            return [self.builder.view(Tensor.expand, given, (shape,), {}) for given in args[0]]
        if target.is_view:
            return self.builder.view(target, args[0], args[1:], kwargs)
        raise UnknownOperationError(name)

    def _step(self, node: Node, name: str, args: Any, kwargs: Any) -> Any:
        norm = self._normalised(node, name)
        if norm is not None:
            args = _with_norm(AFFINE[name], *args, norm=self._looked_up(norm.args[1:]))
        options = {key: value for key, value in kwargs.items() if value is not None}
        function = OPERATIONS[name]
        try:
            inspect.signature(function).bind(self.builder, *args, **options)
        except TypeError:  # an option that programs do not have
            given = ", ".join(f"{key}={value}" for key, value in options.items()) or "..."
            raise UnknownOperationError(f"{name}({given})") from None
        result = function(self.builder, *args, **options)
        if norm is not None:
            self.known[norm] = result
        return result

    def _normalised(self, node: Node, name: str) -> Node | None:
        """The batch normalisation that alone uses an affine layer, None if there is none."""
        users = [*node.users]
        alone = len(users) == 1 and _name(users[0].target) == "batch_norm"
        layer = name in AFFINE and not isinstance(self._looked_up(node.args[1]), Value)
        plain = name != "linear" or node.meta["val"].dim() == 2  # else channels are not outputs
        return users[0] if alone and layer and plain else None

    def _looked_up(self, given: Any) -> Any:
        return tree_map(lambda leaf: self.known[leaf] if isinstance(leaf, Node) else leaf, given)


def _name(target: Any) -> str:
    """The name of an operation of torch without its namespace, as the table has it."""
    schema = getattr(target, "_schema", None)
    return schema.name.removeprefix("aten::") if schema else str(target)


def _with_norm(
    dim: int, x: Any, weight: Tensor, bias: Tensor | None = None, *options: Any, norm: Any
) -> tuple[Any, ...]:
    """The arguments of an affine layer that does the batch normalisation after it too."""
    gamma, beta, mean, variance, _, _, epsilon, *_ = norm
    scale, shift = affine_of(gamma, beta, mean, variance, epsilon)
    shape = [-1 if d == dim else 1 for d in range(weight.dim())]
    shift = shift if bias is None else shift + scale * bias.double()
    return x, (weight.double() * scale.view(shape)).float(), shift.float(), *options


def _blank(leaf: Any) -> Any:
    return torch.empty(leaf.shape, dtype=leaf.meta.dtype) if isinstance(leaf, Value) else leaf
