"""Functions of a model as files that need no vaelab: ONNX, and programs of torch.export."""

from __future__ import annotations

import io
import json
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from vaelab.errors import UserError, needed
from vaelab.export.contract import Contract
from vaelab.export.functions import Function
from vaelab.export.trace import graph, quiet

ROWS = "N"  # the name of the first dimension of all inputs and outputs
OTHER = "choose --format torch-export"
VALUES = "write the custom part without conditions on values, or choose --format safetensors"
LARGEST = 2**31 - 2**20  # bytes of weights: protobuf, which ONNX files are, ends at 2 GiB


def program(function: Function) -> ExportedProgram:
    """Return the graph of a function for any number of rows, without paths of this machine.

    Raises:
        UserError: What the function does cannot be traced.
    """
    try:
        exported = graph(function, *function.example(), batch=Dim(ROWS, min=1))
    except Exception as error:  # whatever custom parts and torch's tracer raise
        raise _refused(function, "torch.export cannot trace it", error, VALUES) from error
    for module in exported.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
    return exported


def _refused(function: Function, what: str, error: Exception, remedy: str = OTHER) -> UserError:
    cause = error.__cause__ or error
    reason = next((line.strip() for line in str(cause).splitlines() if line.strip()), "")
    return UserError(f"{function.name}: {what} ({reason or type(cause).__name__}); {remedy}")


def pt2(function: Function, contract: Contract) -> bytes:
    """Return a file for ``torch.export.load``; its extra file ``vaelab`` is the contract."""
    buffer = io.BytesIO()
    with quiet():
        torch.export.save(program(function), buffer, extra_files={"vaelab": json.dumps(contract)})
    return buffer.getvalue()


def onnx(function: Function, contract: Contract) -> bytes:
    """Return an ONNX file, checked; its metadata ``vaelab`` is the contract.

    Raises:
        UserError: An operation has no form in ONNX, the weights are too large for one file, or the
            packages that write ONNX are missing.
    """
    purpose = "to write ONNX files"
    library = needed("onnx", purpose)
    passes = needed("onnx_ir.passes.common", purpose)
    needed("onnxscript", purpose)  # by torch
    size = sum(weight.nbytes for weight in function.state_dict().values())
    if size > LARGEST:
        raise UserError(
            f"{function.name}: {size / 2**30:.1f} GiB of weights do not fit into one ONNX file, "
            "which ends at 2 GiB; choose --format torch-export"
        )
    outputs = list(function(*function.example()))
    exported = program(function)
    with quiet():
        try:
            made = torch.onnx.export(exported, dynamo=True, verbose=False)
        except torch.onnx.errors.OnnxExporterError as error:
            raise _refused(function, "ONNX cannot express it", error) from error
    assert made is not None  # only the exporter of earlier versions returns nothing
    # What is computed several times shares its weights.
    passes.DeduplicateInitializersPass(size_limit=LARGEST)(made.model)
    _name(made.model, [function.takes, "label"], outputs)
    model = made.model_proto
    del model.graph.value_info[:]  # the shapes of values inside, which every runtime infers
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = ROWS
    model.metadata_props.add(key="vaelab", value=json.dumps(contract))
    try:
        library.checker.check_model(model, full_check=True)
    except (library.checker.ValidationError, library.shape_inference.InferenceError) as error:
        raise _refused(function, "its graph is no valid ONNX", error) from error
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def _name(model: Any, inputs: list[str], outputs: list[str]) -> None:
    """Give inputs and outputs their names, and remove what the exporter notes of this machine.

    torch may call a value inside the graph as an input or an output is called.
    """
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    values = [*model.graph.inputs, *model.graph.initializers.values()]
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        values += node.outputs
    for value in values:
        value.metadata_props.clear()
        if value.name in {*inputs, *outputs}:
            value.name = f"{value.name}_inside"
    for value, name in zip(model.graph.inputs, inputs, strict=False):  # a label is not always one
        value.name = name
    for value, name in zip(model.graph.outputs, outputs, strict=True):
        value.name = name
