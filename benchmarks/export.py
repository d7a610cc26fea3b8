"""Export every row of the table with every network to ONNX, and compare it with PyTorch.

    python benchmarks/export.py            # measure, then the table of docs/how-to/export.md
    python benchmarks/export.py --table    # only the table, from the result file

The models are small and random, with weights as after a training. Each file is run by onnxruntime
on one row, on seven and on none. Rows of the table that train the same model share their numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "export")]

# These imports need the path above. The tests check the same for a part of the product.
import parity  # noqa: E402  # after the path
from onnx_registry import one_registry  # noqa: E402  # after the path

from vaelab.errors import UserError  # noqa: E402  # after the path
from vaelab.export import FUNCTIONS, portable  # noqa: E402  # after the path
from vaelab.recipes import table  # noqa: E402  # after the path
from vaelab.recipes.parts import NETWORKS  # noqa: E402  # after the path

RESULTS, PAGE = HERE / "results" / "export.json", HERE.parent / "docs" / "how-to" / "export.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


def measure(variant: str, network: str) -> dict[str, Any]:
    """The three functions of a model: outputs, largest difference and bytes, or a reason."""
    torch.manual_seed(0)
    likelihood = parity.likelihood_of(variant, network)
    model = parity.settings(variant=variant, network=network, likelihood=likelihood)
    vae = parity.made(parity.SHAPES[network], model)
    found: dict[str, Any] = {"network": network, "likelihood": likelihood}
    for make in FUNCTIONS:
        try:
            function = make(vae)
            content = portable.onnx(function, {})
        except UserError as error:
            found[make.name] = {"refused": str(error)}
            continue
        found[make.name] = {
            "outputs": [*function(*function.example())],
            "difference": parity.onnx_error(function, vae, model, content),
            "bytes": len(content),
        }
    return found


def product() -> dict[str, list[dict[str, Any]]]:
    """Every different model of the table with every network."""
    with one_registry():
        return {row: [measure(row, network) for network in NETWORKS] for row in parity.DIFFERENT}


def as_table(results: dict[str, Any]) -> str:
    """The table of the page: for each model its rows, its outputs and its largest differences."""
    lines = [f"| rows | outputs of the encoder | {' | '.join(NETWORKS)} |"]
    lines.append("|---" * (2 + len(NETWORKS)) + "|")
    for row, cases in results["models"].items():
        rows = ", ".join(f"`{name}`" for name in table.ROWS if parity.same_model(name, row))
        outputs = ", ".join(f"`{name}`" for name in cases[0]["encoder"]["outputs"])
        cells = [rows, outputs, *map(_worst, cases)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _worst(case: dict[str, Any]) -> str:
    parts = [case[make.name] for make in FUNCTIONS]
    if any("refused" in part for part in parts):
        return "refused"
    return f"{max(part['difference'] for part in parts):.0e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="only the table of the page")
    if not parser.parse_args().table:
        packages = {name: version(name) for name in ("torch", "onnxscript", "onnx", "onnxruntime")}
        results = {"packages": packages, "models": product()}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    results = json.loads(RESULTS.read_text("utf-8"))
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + as_table(results) + END + rest.split(END)[1], "utf-8")


if __name__ == "__main__":
    main()
