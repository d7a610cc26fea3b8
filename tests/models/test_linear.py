"""The linear layer with matrix products of torch or of oneDNN."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, vmap

from vaelab.models import linear
from vaelab.models.linear import AVAILABLE, WORTHWHILE, Linear, fastest, using

CPU = torch.device("cpu")
onednn = pytest.mark.skipif(not AVAILABLE, reason="this torch has no oneDNN product")


@pytest.mark.parametrize("bias", [True, False])
def test_the_products_of_onednn_are_those_of_torch(bias: bool) -> None:
    """Values and gradients agree up to rounding.

    They are sums, in another order, of 300 products of numbers of size 1.
    """
    layer = Linear(300, 200, bias=bias)
    plain = nn.Linear(300, 200, bias=bias)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(100, 300)
    assert len(x) * layer.weight.numel() >= WORTHWHILE
    found, wanted = [], []
    with using("onednn"):
        for into, module in ((found, layer), (wanted, plain)):
            leaf = x.clone().requires_grad_()
            y = module(leaf)
            (y**2).mean().backward()
            into.extend([y, leaf.grad, *(parameter.grad for parameter in module.parameters())])
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@onednn
def test_onednn_is_used_inside_its_context_alone_and_can_be_differentiated_twice() -> None:
    layer, x = Linear(300, 200), torch.randn(100, 300, requires_grad=True)
    assert "_Product" not in type(layer(x).grad_fn).__name__
    with using("onednn"):
        y = layer(x)
    assert type(y.grad_fn).__name__ == "_ProductBackward"
    (slope,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
    slope.pow(2).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.abs().max() > 0


@onednn
def test_the_products_of_one_thread_are_not_those_of_another() -> None:
    layer, x, seen = Linear(300, 200), torch.randn(100, 300, requires_grad=True), []
    with using("onednn"):
        other = threading.Thread(target=lambda: seen.append(type(layer(x).grad_fn).__name__))
        other.start()
        other.join()
    assert seen == ["AddmmBackward0"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch itself, in jacfwd
@pytest.mark.parametrize("products", ["torch", pytest.param("onednn", marks=onednn)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [2, 40])
def test_transforms_of_torch_func_work_at_any_batch_size(
    rows: int, bias: bool, products: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The larger batch exceeds the bound above which oneDNN is used.

    The bound is set low here so that the matrices are small.
    """
    monkeypatch.setattr(linear, "WORTHWHILE", 30 * 7 * 5)
    layer, plain = Linear(7, 5, bias=bias), nn.Linear(7, 5, bias=bias)
    plain.load_state_dict(layer.state_dict())
    x, weights = torch.randn(rows, 7), torch.randn(3, 5, 7)

    def all_of(module: nn.Module) -> list[Tensor]:
        def loss(x: Tensor) -> Tensor:
            return module(x).square().sum()

        def by_weight(weight: Tensor) -> Tensor:
            return functional_call(module, {"weight": weight}, x)

        return [
            jacrev(module)(x), jacfwd(module)(x), grad(loss)(x), hessian(loss)(x),
            vmap(module)(torch.stack([x, 2 * x])), vmap(by_weight)(weights),
            vmap(grad(loss))(torch.stack([x, 2 * x])), jacrev(by_weight)(weights[0]),
        ]  # fmt: skip

    with using(products):
        for found, wanted in zip(all_of(layer), all_of(plain), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.fixture
def cost(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """What a product of oneDNN and one in bfloat16 take, where torch's own in float32 takes 1."""
    clock, cost = [0.0], float(request.param)

    def takes(float32: float) -> object:
        def multiply(x: Tensor, *_: object) -> None:
            clock[0] += cost if x.dtype == torch.bfloat16 else float32

        return multiply

    monkeypatch.setattr(linear, "AVAILABLE", True)
    monkeypatch.setattr(linear, "linear", takes(1.0))
    monkeypatch.setattr(linear, "_onednn", takes(cost))
    monkeypatch.setattr(linear.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(linear, "_measured", linear._measured.__wrapped__)  # not remembered
    return cost


@pytest.mark.parametrize(
    ("cost", "wanted"), [(0.5, "onednn"), (0.95, "torch"), (2.0, "torch")], indirect=["cost"]
)
def test_onednn_is_chosen_only_where_it_is_clearly_faster(
    cost: float, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = Linear(784, 400)
    assert fastest(CPU, layer, 128) == wanted
    assert fastest(CPU, nn.Sequential(layer, Linear(400, 2)), 128) == wanted
    monkeypatch.setattr(linear, "_measured", lambda *_: pytest.fail("measured"))
    assert fastest(torch.device("cuda"), layer, 128) == "torch"
    assert fastest(CPU, layer, 8) == "torch"  # no product is large enough for it to matter


@pytest.mark.parametrize(
    ("cost", "pays"), [(0.5, True), (0.95, False), (9.0, False)], indirect=["cost"]
)
def test_bfloat16_pays_only_where_it_is_clearly_faster_than_the_fastest_float32(
    cost: float, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = linear.bfloat16_pays.__wrapped__
    assert not measure(CPU)  # oneDNN's products in float32 take as long
    monkeypatch.setattr(linear, "AVAILABLE", False)
    assert measure(CPU) is pays


def test_without_onednn_torch_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "AVAILABLE", False)
    layer, x = Linear(300, 200), torch.randn(100, 300)
    assert fastest(CPU, layer, 100) == "torch"
    with using("onednn"):
        assert type(layer(x).grad_fn).__name__ == "AddmmBackward0"


def test_operators_that_torch_lacks_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not public, so another version may have other ones."""
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    assert not linear._works()
    assert not linear._works_in_bfloat16()
