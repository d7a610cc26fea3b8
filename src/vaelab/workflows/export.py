"""`export_model`: a trained model as files for programs that need no vaelab."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import safetensors.torch

from vaelab import devices
from vaelab.errors import UserError, nearest
from vaelab.export import FUNCTIONS, Contract, Function, contract, portable, signature
from vaelab.files import claim, put
from vaelab.recipes import Code
from vaelab.runs import Run, load
from vaelab.workflows.console import Console

Format: TypeAlias = Literal["onnx", "torch-export", "safetensors"]
FOLDER = "export"  # in the folder of a run
WRITERS: dict[str, tuple[str, Callable[[Function, Contract], bytes]]] = {
    "onnx": (".onnx", portable.onnx),
    "torch-export": (".pt2", portable.pt2),
}
WEIGHTS = "model.safetensors"


def export_model(
    run: str | Path | Run,
    out: str | Path | None = None,
    *,
    format: Format = "onnx",
    code: Code = (),
    quiet: bool = False,
) -> dict[str, Path]:
    """Write the model of a run as files that need no vaelab.

    `onnx` and `torch-export` write three: the encoder, the decoder and the sampler, each for any
    number of rows in the units of the data, with all scaling inside. `safetensors` writes the
    weights. Every file contains the data contract as JSON.

    A function that cannot be written is left out, and a line says why.

    Args:
        run: The run, or its folder.
        out: The folder for the files; ``export`` in the folder of the run by default.
        format: What to write.
        code: The Python files that the model may run.
        quiet: Whether to print nothing.

    Returns:
        The paths of the files by name: ``encoder``, ``decoder``, ``sampler``, or ``weights``.

    Raises:
        UserError: No function of the model can be written, a file of the folder is not vaelab's,
            or a package is missing.
    """
    if format not in get_args(Format):
        raise UserError(f"format: there is no {format!r}; {nearest(format, get_args(Format))}")
    run = run if isinstance(run, Run) else load(run, code=code)
    if out is None:
        run.check_writable()
    folder, inside = (run.folder, f"{FOLDER}/") if out is None else (Path(out), "")
    files = {name: f"{inside}{file}" for name, file in _files(format).items()}
    claim(folder, files.values())
    console, written = Console(quiet), {}
    with devices.using(devices.threads(0)[0]):
        for name, content, about in _contents(run, format, console.say):
            written[name] = put(folder, files[name], content)
            console.say(f"{written[name]}: {_size(len(content))}, {about}")
    return written


def _files(format: Format) -> dict[str, str]:
    """The names of the files."""
    if format == "safetensors":
        return {"weights": WEIGHTS}
    return {function.name: f"{function.name}{WRITERS[format][0]}" for function in FUNCTIONS}


def _contents(
    run: Run, format: Format, say: Callable[[str], None]
) -> Iterable[tuple[str, bytes, str]]:
    """The files by name: their bytes, and what is in them."""
    known = contract(run)
    if format == "safetensors":
        weights = {name: tensor.contiguous() for name, tensor in run.vae.state_dict().items()}
        metadata = {"vaelab": json.dumps(known)}
        count = sum(tensor.numel() for tensor in weights.values())
        return [("weights", safetensors.torch.save(weights, metadata), f"{count:,} numbers")]
    found, reasons = [], {}
    for make in FUNCTIONS:
        try:
            function = make(run.vae)
            signed = known | signature(function)
            content = WRITERS[format][1](function, signed)
        except UserError as error:
            reasons[make.name] = str(error)
            continue
        found.append((function.name, content, _about(signed)))
    for name, reason in reasons.items():
        if not found:
            raise UserError(reason)
        say(f"note: {name} is left out: {reason}")
    return found


def _about(signed: Contract) -> str:
    """``x (N, 8, 8) -> mean (N, 2), log_variance (N, 2)``."""
    inputs, outputs = (
        ", ".join(
            f"{name} ({', '.join(map(str, port['shape']))}{',' * (len(port['shape']) == 1)})"
            for name, port in signed[key].items()
        )
        for key in ("inputs", "outputs")
    )
    return f"{inputs} -> {outputs}"


def _size(count: int) -> str:
    """
    >>> _size(999), _size(37577), _size(4_900_000)
    ('999 B', '37.6 kB', '4.9 MB')
    """
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.1f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"
