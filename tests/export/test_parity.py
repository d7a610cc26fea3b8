"""The engine of the pages in a browser: the same numbers as PyTorch, and fast enough to drag."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from small_models import CASES, LAYERS, made, rows, settings
from torch import Tensor

from vaelab.export import Arrays, Program, Reason, embedded, functions, trace
from vaelab.export.builder import Builder
from vaelab.export.kernels import MAPS
from vaelab.export.model import Decode, Distortion, Encode, Rates
from vaelab.models import build
from vaelab.recipes import Model
from vaelab.report import page as pages

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FUNCTIONS = {"encode": Encode, "decode": Decode, "distortion": Distortion, "rates": Rates}
PARITY = 1e-4
SPEED = {  # settings, and milliseconds that a decode may take: several times what it takes
    "mlp-2d": (Model(latent=2), 2),
    "cnn-16d": (Model(network="conv", hidden=(32, 64), latent=16), 10),
}
RUN = """([name, rows]) => rows.map((row) =>
    programs[name].run(...row.map((x) => Float32Array.from(x))).map((array) => Array.from(array)))
"""
TIME = """(name) => {
    const z = new Float32Array(programs[name].inputs[0].reduce((a, b) => a * b, 1)).fill(0.5);
    const times = Array.from({ length: 80 }, () => {
        const begun = performance.now();
        programs[name].run(z);
        return performance.now() - begun;
    });
    return times.slice(20).sort((a, b) => a - b);
}"""

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here: apt-get install chromium"
)


class Case:
    """A model, its programs, and inputs that neither has seen."""

    def __init__(self, name: str) -> None:
        torch.manual_seed(1)
        shape, given = CASES[name]
        model = settings(**given)
        self.vae = made(shape, model)
        self.programs = functions(self.vae, rows(self.vae, model, 2)["encode"][0])
        self.inputs = rows(self.vae, model, 3)


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return {name: Case(name) for name in CASES}


@pytest.fixture(scope="module")
def engine(cases: dict[str, Case], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page with all programs, by the names `model.function`, and every map of the kernels."""
    from playwright.sync_api import sync_playwright  # only where there is one

    programs = {f"map.{name}": one_map(name) for name in MAPS}
    programs |= {name: trace(layer, torch.zeros(1, 3, 5, 4)) for name, layer in LAYERS.items()}
    for name, case in cases.items():
        programs |= {f"{name}.{function}": program for function, program in case.programs.items()}
    for name, (model, _) in SPEED.items():
        found = functions(build(model, (28, 28), 256), torch.rand(2, 28, 28))
        programs[f"{name}.speed"] = found["decode"]
    arrays = Arrays()
    document = {
        name: embedded(program, arrays)
        for name, program in programs.items()
        if isinstance(program, Program)
    }
    path = tmp_path_factory.mktemp("engine") / "engine.html"
    path.write_text(html(document, arrays))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        messages: list[str] = []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_function("window.programs")
        yield page
        assert messages == []
        browser.close()


def html(document: dict[str, Any], arrays: Arrays) -> str:
    script = (Path(__file__).parent / "engine.js").read_text("utf-8")
    return (
        f'<script type="application/json" id="vaelab-json">{pages.embedded(document)}</script>'
        f'<script type="text/plain" id="vaelab-bytes">{arrays.packed()}</script>'
        f"<script>{script}</script>"
    )


def one_map(name: str) -> Program:
    """A program of one map, of three inputs."""
    builder = Builder()
    inputs = [builder.new((50,)) for _ in range(3)]
    arguments = MAPS_OF.get(name, 1)
    return builder.program(inputs, [builder.map(name, *inputs[:arguments])])


MAPS_OF = dict.fromkeys(("add", "div", "elu", "leaky_relu", "mul", "pow", "sub"), 2)
MAPS_OF |= dict.fromkeys(("eq", "ge", "gt", "le", "lt", "ne", "maximum", "minimum"), 2)
MAPS_OF |= {"fma": 3, "where": 3}


def in_browser(engine: Page, name: str, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """The outputs of a program for a batch, row by row."""
    given = [[one.flatten().tolist() for one in row] for row in zip(*inputs, strict=True)]
    found: list[list[list[float]]] = engine.evaluate(RUN, [name, given])
    return [torch.tensor(output, dtype=torch.float32) for output in zip(*found, strict=True)]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", CASES)
def test_the_browser_computes_what_pytorch_computes(
    name: str, function: str, cases: dict[str, Case], engine: Page
) -> None:
    case = cases[name]
    inputs = case.inputs[function]
    if isinstance(case.programs[function], Reason):
        assert function == "rates"
        return
    with torch.no_grad():
        wanted = FUNCTIONS[function](case.vae)(*inputs)
    for found, one in zip(in_browser(engine, f"{name}.{function}", inputs), wanted, strict=True):
        one = one.reshape(len(found), -1)
        apart = (found - one).abs() / one.abs().clamp(min=1)
        assert apart.max() < PARITY


@pytest.mark.parametrize("name", MAPS)
def test_every_elementwise_function_is_that_of_torch(name: str, engine: Page) -> None:
    x = torch.cat([torch.linspace(0.05, 12, 30), torch.rand(10), torch.arange(10) + 0.5])
    if name not in ("lgamma", "log", "log1p", "pow", "rsqrt", "sqrt"):
        x = x * torch.tensor([1.0, -1.0]).repeat(25)
    inputs = (x, torch.rand(50).round(decimals=1) * 3, torch.randn(50))
    inputs[1][::7] = x[::7]
    wanted = MAPS[name](*inputs[: MAPS_OF.get(name, 1)]).float()
    (found,) = in_browser(engine, f"map.{name}", tuple(one[None] for one in inputs))
    assert torch.allclose(found[0], wanted, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_convolutions_of_any_stride_and_padding(name: str, engine: Page) -> None:
    x = torch.randn(2, 3, 5, 4)
    (found,) = in_browser(engine, name, (x,))
    assert torch.allclose(found, LAYERS[name](x).flatten(1), atol=1e-5)


@pytest.mark.alone
@pytest.mark.parametrize("name", SPEED)
def test_decoding_is_fast_enough_to_drag(name: str, engine: Page) -> None:
    times = engine.evaluate(TIME, f"{name}.speed")
    assert times[len(times) // 2] < SPEED[name][1]  # the median: a busy machine stops some
