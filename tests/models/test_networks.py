"""Networks give back the shape they were given; a model in words counts every parameter."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torch import nn

import vaelab
from vaelab.errors import UserError
from vaelab.models import build, networks
from vaelab.models.build import inject
from vaelab.models.describe import summary
from vaelab.models.networks.layers import activated
from vaelab.models.networks.resnet import Residual
from vaelab.models.objectives import elbo
from vaelab.recipes import Model, code
from vaelab.recipes.parts import LIKELIHOODS, NETWORKS

convolutional = pytest.mark.parametrize("network", ["conv", "resnet"])


def small(**given: Any) -> Model:
    return Model(**({"hidden": (3, 4), "latent": 2} | given))


def made(shape: tuple[int, ...], inputs: int, outputs: int, **given: Any) -> networks.Networks:
    """The network of small settings, as a model is given it."""
    settings = small(**given)
    known = msgspec.structs.asdict(settings) | {
        "shape": shape, "inputs": inputs, "outputs": outputs
    }  # fmt: skip
    found: networks.Networks = inject(code("model.network", settings.network), known)
    return found


def square(network: str, side: int = 8) -> tuple[int, ...]:
    """Data that the network takes, of side * side elements."""
    return (side, side) if "image" in NETWORKS[network].takes else (side * side,)


def halved(shape: tuple[int, ...], times: int) -> tuple[int, int]:
    return shape[-2] // 2**times, shape[-1] // 2**times


@settings(max_examples=60)
@given(
    network=st.sampled_from(["conv", "resnet"]),
    channels=st.sampled_from([(), (1,), (3,)]),
    height=st.integers(4, 33),
    width=st.integers(4, 33),
    hidden=st.lists(st.integers(1, 3), min_size=1, max_size=2),
    outputs=st.integers(1, 3),
)
def test_convolutions_give_any_size_back(
    network: str,
    channels: tuple[int, ...],
    height: int,
    width: int,
    hidden: list[int],
    outputs: int,
) -> None:
    shape = (*channels, height, width)
    nets = made(shape, 5, outputs, network=network, hidden=tuple(hidden))
    features = nets.encoder(torch.rand(2, *shape))
    assert features.shape == (2, nets.features)
    assert nets.features == hidden[-1] * math.prod(halved(shape, len(hidden)))
    assert nets.decoder(torch.randn(2, 5)).shape == (2, outputs, *shape)


@settings(max_examples=40)
@given(
    channels=st.sampled_from([(), (1,), (3,)]),
    steps=st.integers(1, 70),
    hidden=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    outputs=st.integers(1, 3),
)
def test_convolutions_over_time_give_any_length_back(
    channels: tuple[int, ...], steps: int, hidden: list[int], outputs: int
) -> None:
    nets = made((*channels, steps), 5, outputs, network="conv1d", hidden=tuple(hidden))
    features = nets.encoder(torch.rand(2, *channels, steps))
    assert features.shape == (2, nets.features)
    assert nets.features == hidden[-1] * math.ceil(steps / 2 ** len(hidden))
    assert nets.decoder(torch.randn(2, 5)).shape == (2, outputs, *channels, steps)


def test_convolutions_over_time_mix_channels_and_keep_time_local() -> None:
    nets = made((2, 64), 5, 1, network="conv1d", hidden=(4,))
    x = torch.zeros(1, 2, 64, requires_grad=True)
    nets.encoder[0](x)[0, :, 10].sum().backward()
    assert x.grad is not None
    touched = x.grad[0].abs().sum(0).nonzero()[:, 0].tolist()
    assert touched == [18, 19, 20, 21, 22]
    assert (x.grad[0, :, 18:23] != 0).all()


def test_convolutions_over_time_without_channels_are_refused() -> None:
    with pytest.raises(UserError, match=r"^model.hidden: conv1d needs at least one"):
        build(small(network="conv1d", hidden=()), (40,))


@settings(max_examples=20)
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    hidden=st.lists(st.integers(1, 4), max_size=3),
    outputs=st.integers(1, 3),
)
def test_mlp_gives_any_shape_back(shape: list[int], hidden: list[int], outputs: int) -> None:
    nets = made(tuple(shape), 5, outputs, hidden=tuple(hidden))
    assert nets.encoder(torch.rand(2, *shape)).shape == (2, nets.features)
    assert nets.features == (hidden[-1] if hidden else math.prod(shape))
    assert nets.decoder(torch.randn(2, 5)).shape == (2, outputs, *shape)


def test_the_decoder_mirrors_the_encoder() -> None:
    nets = made((2, 3), 4, 3, hidden=(7, 5))
    sizes = [
        [(m.in_features, m.out_features) for m in net if isinstance(m, nn.Linear)]
        for net in nets[::2]
    ]
    assert sizes == [[(6, 7), (7, 5)], [(4, 5), (5, 7), (7, 18)]]


def test_an_mlp_without_hidden_layers_is_an_affine_map() -> None:
    nets = made((2, 3), 2, 1, hidden=())
    a, b = torch.randn(2, 1, 2)
    middle = nets.decoder((a + b) / 2)
    torch.testing.assert_close(middle, (nets.decoder(a) + nets.decoder(b)) / 2, rtol=0, atol=1e-6)
    assert not list(nets.encoder.parameters())


@pytest.mark.parametrize("network", NETWORKS)
def test_outputs_are_unbounded_and_never_dropped(network: str) -> None:
    """No activation, normalisation or dropout follows the last layer.

    A likelihood has its own range.
    """
    nets = made(square(network), 2, 3, network=network, dropout=0.9, batch_norm=True)
    outputs = nets.decoder.train()(50 * torch.randn(64, 2))
    assert (outputs != 0).all()
    assert outputs.min() < 0 < outputs.max()


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("activation", networks.ACTIVATIONS)
def test_the_activation_asked_for_stands_between_all_layers_and_no_other(
    network: str, activation: str
) -> None:
    nets = made(square(network), 2, 1, network=network, activation=activation)
    kinds = set(networks.ACTIVATIONS.values())
    found = [type(m) for net in nets[::2] for m in net.modules() if type(m) in kinds]
    assert set(found) == {networks.ACTIVATIONS[activation]}
    # conv: the code goes straight to the smallest image. resnet: 2 in each of 4 blocks, and one
    # before the outputs.
    assert len(found) == {"mlp": 4, "wide-deep": 4, "conv": 3, "conv1d": 3, "resnet": 9}[network]


@pytest.mark.parametrize("network", NETWORKS)
def test_dropout_and_batch_norm_are_there_only_when_asked_for(network: str) -> None:
    def kinds(**given: Any) -> set[str]:
        nets = made(square(network), 2, 1, network=network, **given)
        return {type(m).__name__.rstrip("12d") for net in nets[::2] for m in net.modules()}

    assert not kinds() & {"Dropout", "BatchNorm"}
    assert kinds(dropout=0.2) & {"Dropout", "BatchNorm"} == {"Dropout"}
    assert kinds(batch_norm=True) & {"Dropout", "BatchNorm"} == {"BatchNorm"}


@convolutional
@pytest.mark.parametrize("shape", [(30,), (2, 3, 8, 8)])
def test_convolutions_of_data_that_are_no_images_are_refused(
    network: str, shape: tuple[int, ...]
) -> None:
    with pytest.raises(UserError, match=rf"^model.network: {network} needs images.*mlp"):
        build(small(network=network), shape)


@convolutional
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (1, 3, 3), (1, 1)])
def test_convolutions_of_images_too_small_to_be_halved_are_refused(
    network: str, shape: tuple[int, ...]
) -> None:
    with pytest.raises(
        UserError,
        match=rf"^model.hidden: images of {shape[-2]}x{shape[-1]} cannot be halved 2 times",
    ):
        build(small(network=network), shape)


@convolutional
def test_convolutions_of_images_just_large_enough_work(network: str) -> None:
    assert build(small(network=network), (4, 4)).sample(2).shape == (2, 4, 4)


@convolutional
def test_convolutions_without_channels_are_refused(network: str) -> None:
    with pytest.raises(UserError, match=rf"^model.hidden: {network} needs at least one"):
        build(small(network=network, hidden=()), (8, 8))


@pytest.mark.parametrize("shape", [(28, 28), (8, 8), (3, 20, 28), (1, 21, 13), (5, 7)])
def test_gradient_reaches_every_parameter_of_a_resnet_on_the_first_step(
    shape: tuple[int, ...],
) -> None:
    vae = build(small(network="resnet", activation="elu"), shape)
    vae.draw(torch.rand(4, *shape)).log_weight.sum().backward()
    for name, parameter in vae.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_a_resnet_starts_with_blocks_that_change_their_input_little() -> None:
    block, x = (
        Residual(16, partial(activated, activation="relu", batch_norm=False, dropout=0.0)),
        torch.randn(8, 16, 9, 9),
    )
    moved = (block(x) - x).detach()
    assert 0 < moved.std() < 0.1 * x.std()


def test_a_resnet_starts_with_a_path_past_its_blocks_that_keeps_the_variance() -> None:
    nets = made((64, 64), 8, 1, network="resnet", hidden=(32, 64))
    path = [m for m in nets.encoder if not isinstance(m, Residual | nn.Flatten)]
    path += [m for m in nets.decoder[:-2] if isinstance(m, nn.Upsample | nn.Conv2d)]
    x = torch.randn(8, 64, 64)
    for layer in path:
        x = layer(x).detach()
        assert 0.7 < x[..., 2:-2, 2:-2].std() < 1.4  # away from the edges, where zeros come in


def test_a_few_steps_of_training_bring_a_resnet_well_below_a_model_of_independent_pixels() -> None:
    x = torch.from_numpy(load_digits().images[:128] > 8).float()
    on = x.mean(0).clamp(0.01, 0.99)
    # The entropy of each pixel's own frequency, in nats.
    alone = -(x * on.log() + (1 - x) * (1 - on).log()).sum((1, 2)).mean()
    vae = build(small(network="resnet", hidden=(8, 16), latent=8, activation="silu"), (8, 8))
    optimizer, losses = torch.optim.Adam(vae.parameters(), lr=3e-3), []
    for _ in range(150):
        loss = -elbo(vae.draw(x)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    # Without the property of the previous test, the loss stays at `alone` for longer.
    assert losses[-1] < alone - 3 < alone < losses[0]


def test_an_encoder_told_the_label_starts_as_if_it_were_not_and_learns_each_class_apart() -> None:
    x, y = torch.rand(3, 2, 4), torch.tensor([0, 2, 2])
    sees = networks.ConditionalEncoder(nn.Flatten(), (2, 4), 3)
    assert torch.equal(sees(x, y), x.flatten(1))
    sees(x, y).sum().backward()
    assert sees.label.weight.grad is not None
    assert sees.label.weight.grad[:, 0].tolist() == [1, 0, 2]


def test_a_decoder_told_the_label_gets_it_behind_the_code_one_hot() -> None:
    z, y = torch.rand(2, 2), torch.tensor([2, 0])
    wanted = torch.tensor([[0.0, 0, 1], [1, 0, 0]])
    assert torch.equal(
        networks.ConditionalDecoder(nn.Identity(), 3)(z, y), torch.cat([z, wanted], 1)
    )


def test_a_decoder_of_levels_sees_the_lowest_alone() -> None:
    z = torch.rand(2, 5)
    assert torch.equal(networks.LowestLevel(nn.Identity(), 2)(z), z[:, :2])


def test_the_summary_of_mlp_20d_counts_652824_parameters() -> None:
    vae = build(vaelab.recipe("mlp-20d").model, (28, 28))
    *layers, total = summary(vae).splitlines()
    assert total.split() == ["total", "652,824"]
    counts = [line.split()[-1] for line in layers]
    # 784-400, 400-(20+20), 20-400, 400-784, each with its biases
    assert [count for count in counts if "," in count] == ["314,000", "16,040", "8,400", "314,384"]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("likelihood", [name for name in LIKELIHOODS if name != "mixed"])
def test_the_summary_s_total_is_the_number_of_parameters(network: str, likelihood: str) -> None:
    vae = build(
        small(network=network, likelihood=likelihood, batch_norm=True, dropout=0.1),
        (3, *square(network)),
        levels=256,
    )
    text = summary(vae.train())
    assert text.splitlines()[-1].split() == [
        "total",
        f"{sum(p.numel() for p in vae.parameters()):,}",
    ]
    assert vae.training
    assert not any(module._forward_hooks for module in vae.modules())


def test_a_class_of_many_is_looked_up_and_gives_what_its_one_hot_vector_gives() -> None:
    layers = nn.Sequential(nn.Linear(2 + 3000, 5), nn.Tanh())
    z, y = torch.randn(4, 2), torch.tensor([0, 2999, 7, 7])
    wanted = layers(torch.cat([z, nn.functional.one_hot(y, 3000).float()], 1))
    torch.testing.assert_close(networks.ConditionalDecoder(layers, 3000)(z, y), wanted)
