"""Networks give back the shape they were given; a model in words counts every parameter."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import vaelab
from vaelab import networks, zoo
from vaelab.describe import summary
from vaelab.errors import UserError
from vaelab.linear import ONEDNN, WORTHWHILE, Linear
from vaelab.recipe import Model


def small(**given: Any) -> Model:
    return Model(**({"hidden": (3, 4), "latent": 2} | given))


def halved(shape: tuple[int, ...], times: int) -> tuple[int, int]:
    return shape[-2] // 2**times, shape[-1] // 2**times


@settings(max_examples=40)
@given(
    channels=st.sampled_from([(), (1,), (3,)]),
    height=st.integers(4, 33),
    width=st.integers(4, 33),
    hidden=st.lists(st.integers(1, 3), min_size=1, max_size=2),
)
def test_conv_gives_any_size_back(channels: tuple[int, ...], height: int, width: int, hidden: list[int]) -> None:
    shape = (*channels, height, width)
    nets = networks.conv(small(network="conv", hidden=tuple(hidden)), shape)
    features = nets.encoder(torch.rand(2, *shape))
    assert features.shape == (2, nets.features)
    assert nets.features == hidden[-1] * math.prod(halved(shape, len(hidden)))
    assert nets.decoder(torch.randn(2, 2)).shape == (2, *shape)


@settings(max_examples=20)
@given(shape=st.lists(st.integers(1, 5), min_size=1, max_size=3), hidden=st.lists(st.integers(1, 4), max_size=3))
def test_mlp_gives_any_shape_back(shape: list[int], hidden: list[int]) -> None:
    nets = networks.mlp(small(hidden=tuple(hidden)), tuple(shape))
    assert nets.encoder(torch.rand(2, *shape)).shape == (2, nets.features)
    assert nets.features == (hidden[-1] if hidden else math.prod(shape))
    assert nets.decoder(torch.randn(2, 2)).shape == (2, *shape)


def test_the_decoder_mirrors_the_encoder() -> None:
    nets = networks.mlp(small(hidden=(7, 5)), (2, 3))
    sizes = [[(m.in_features, m.out_features) for m in net if isinstance(m, nn.Linear)] for net in nets[::2]]
    assert sizes == [[(6, 7), (7, 5)], [(2, 5), (5, 7), (7, 6)]]


def test_an_mlp_without_hidden_layers_is_an_affine_map() -> None:
    nets = networks.mlp(small(hidden=()), (2, 3))
    a, b = torch.randn(2, 1, 2)
    middle = nets.decoder((a + b) / 2)
    torch.testing.assert_close(middle, (nets.decoder(a) + nets.decoder(b)) / 2, rtol=0, atol=1e-6)
    assert not list(nets.encoder.parameters())


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_outputs_are_unbounded_and_never_dropped(network: str) -> None:
    """The last layer has no activation, normalisation or dropout behind it: a likelihood has its own range."""
    nets = zoo.NETWORKS[network](small(network=network, dropout=0.9, batch_norm=True), (8, 8))
    outputs = nets.decoder.train()(50 * torch.randn(64, 2))
    assert (outputs != 0).all()
    assert outputs.min() < 0 < outputs.max()


@pytest.mark.parametrize("network", ["mlp", "conv"])
@pytest.mark.parametrize("activation", networks.ACTIVATIONS)
def test_the_activation_asked_for_stands_between_all_layers_and_no_other(network: str, activation: str) -> None:
    nets = zoo.NETWORKS[network](small(network=network, activation=activation), (8, 8))
    kinds = set(networks.ACTIVATIONS.values())
    found = [type(m) for net in nets[::2] for m in net if type(m) in kinds]
    assert set(found) == {networks.ACTIVATIONS[activation]}
    assert len(found) == (4 if network == "mlp" else 3)  # conv: the code goes straight to the smallest image


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_dropout_and_batch_norm_are_there_only_when_asked_for(network: str) -> None:
    def kinds(**given: Any) -> set[str]:
        nets = zoo.NETWORKS[network](small(network=network, **given), (8, 8))
        return {type(m).__name__.rstrip("12d") for net in nets[::2] for m in net.modules()}

    assert not kinds() & {"Dropout", "BatchNorm"}
    assert kinds(dropout=0.2) & {"Dropout", "BatchNorm"} == {"Dropout"}
    assert kinds(batch_norm=True) & {"Dropout", "BatchNorm"} == {"BatchNorm"}


@pytest.mark.parametrize("shape", [(30,), (2, 3, 8, 8)])
def test_conv_on_data_that_are_no_images_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"^model.network: conv needs images.*mlp"):
        zoo.build(small(network="conv"), shape)


@pytest.mark.parametrize("shape", [(3, 28), (28, 3), (1, 3, 3), (1, 1)])
def test_conv_on_images_too_small_to_be_halved_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=rf"^model.hidden: images of {shape[-2]}x{shape[-1]} cannot be halved 2 times"):
        zoo.build(small(network="conv"), shape)


def test_conv_on_images_just_large_enough_works() -> None:
    assert zoo.build(small(network="conv"), (4, 4)).sample(2).shape == (2, 4, 4)


def test_conv_without_channels_is_refused() -> None:
    with pytest.raises(UserError, match=r"^model.hidden: conv needs at least one"):
        zoo.build(small(network="conv", hidden=()), (8, 8))


def test_the_summary_of_mlp_20d_counts_652824_parameters() -> None:
    vae = zoo.build(vaelab.recipe("mlp-20d").model, (28, 28))
    *layers, total = summary(vae).splitlines()
    assert total.split() == ["total", "652,824"]
    counts = [line.split()[-1] for line in layers]
    # 784-400, 400-(20+20), 20-400, 400-784, each with its biases
    assert [count for count in counts if "," in count] == ["314,000", "16,040", "8,400", "314,384"]


@pytest.mark.parametrize("network", ["mlp", "conv"])
@pytest.mark.parametrize("likelihood", zoo.LIKELIHOODS)
def test_the_summary_s_total_is_the_number_of_parameters(network: str, likelihood: str) -> None:
    vae = zoo.build(small(network=network, likelihood=likelihood, batch_norm=True, dropout=0.1), (3, 9, 8))
    text = summary(vae.train())
    assert text.splitlines()[-1].split() == ["total", f"{sum(p.numel() for p in vae.parameters()):,}"]
    assert vae.training
    assert not any(module._forward_hooks for module in vae.modules())


@pytest.mark.parametrize("bias", [True, False])
def test_the_fast_linear_layer_is_the_linear_layer(bias: bool) -> None:
    """Values and gradients, to rounding: sums of 300 products of numbers of size 1, in another order."""
    layer = Linear(300, 200, bias=bias)
    plain = nn.Linear(300, 200, bias=bias)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(100, 300)
    assert len(x) * layer.weight.numel() >= WORTHWHILE
    found, wanted = [], []
    for into, module in ((found, layer), (wanted, plain)):
        leaf = x.clone().requires_grad_()
        y = module(leaf)
        (y**2).mean().backward()
        into.extend([y, leaf.grad, *(parameter.grad for parameter in module.parameters())])
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_the_fast_linear_layer_is_in_use_here_and_can_be_differentiated_twice() -> None:
    layer = Linear(300, 200)
    x = torch.randn(100, 300, requires_grad=True)
    y = layer(x)
    assert (type(y.grad_fn).__name__ == "_ProductBackward") == ONEDNN
    (slope,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
    slope.pow(2).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.abs().max() > 0
