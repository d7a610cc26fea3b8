"""Laws for every row of the table, with every likelihood, network and shape of data."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from vaelab import zoo
from vaelab.core import VAE
from vaelab.errors import UserError
from vaelab.recipe import Model

LATENT = 3
IMAGES = [(28, 28), (8, 8), (3, 20, 28), (1, 21, 13)]
NETWORKS = [("mlp", shape) for shape in [*IMAGES, (30,)]] + [("conv", shape) for shape in IMAGES]
each_row = pytest.mark.parametrize("variant", zoo.ROWS)
each_likelihood = pytest.mark.parametrize("likelihood", zoo.LIKELIHOODS)
each_network = pytest.mark.parametrize(
    ("network", "shape"), NETWORKS, ids=[f"{name}-{'x'.join(map(str, shape))}" for name, shape in NETWORKS]
)


def build(shape: tuple[int, ...], seed: int = 0, **settings: Any) -> VAE:
    torch.manual_seed(seed)
    return zoo.build(Model(**({"hidden": (6, 8), "latent": LATENT, "activation": "elu"} | settings)), shape)


def step(vae: VAE, x: Tensor, variant: str, beta: float = 0.7) -> Tensor:
    """Differentiate the row's objective; the value a image, (B,)."""
    value = zoo.ROWS[variant].objective(vae(x), beta)
    (-value.mean()).backward()
    return value


@each_row
@each_likelihood
@each_network
def test_shapes_are_right_the_loss_is_finite_and_gradient_reaches_every_parameter(
    variant: str, likelihood: str, network: str, shape: tuple[int, ...]
) -> None:
    vae, x = build(shape, variant=variant, likelihood=likelihood, network=network), torch.rand(4, *shape)
    draw = vae.draw(x, k=2)
    assert draw.z.shape == (2, 4, LATENT)
    assert draw.log_px.shape == draw.log_pz.shape == draw.log_qz.shape == (2, 4)
    assert draw.distortion.shape == draw.rate.shape == (4,)
    assert vae.encode(x).shape == (4, LATENT)
    assert vae.reconstruct(x).shape == vae.sample(4).shape == (4, *shape)
    value = step(vae, x, variant)
    assert value.shape == (4,)
    assert value.isfinite().all()
    for name, parameter in vae.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@each_row
@each_likelihood
@pytest.mark.parametrize("network", zoo.NETWORKS)
def test_a_batch_of_one_is_a_batch(variant: str, likelihood: str, network: str) -> None:
    settings = {"variant": variant, "likelihood": likelihood, "network": network}
    vae = build((9, 8), dropout=0.2, **settings)
    assert step(vae, torch.rand(1, 9, 8), variant).isfinite().all()
    assert all(parameter.grad is not None for parameter in vae.parameters())
    normed = build((9, 8), batch_norm=True, **settings).eval()
    assert step(normed, torch.rand(1, 9, 8), variant).isfinite().all()


@each_row
@each_likelihood
@each_network
def test_dropout_and_batch_norm_train(variant: str, likelihood: str, network: str, shape: tuple[int, ...]) -> None:
    vae = build(
        shape, variant=variant, likelihood=likelihood, network=network, hidden=(16, 16), dropout=0.2, batch_norm=True
    )
    assert step(vae, torch.rand(6, *shape), variant).isfinite().all()
    for name, parameter in vae.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if parameter.dim() > 1:  # a bias before a normalisation moves nothing
            assert parameter.grad.any(), name


@each_row
@each_likelihood
@pytest.mark.parametrize("network", zoo.NETWORKS)
def test_weights_loaded_into_another_model_make_it_the_same_to_the_bit(
    variant: str, likelihood: str, network: str, tmp_path: Any
) -> None:
    settings = {"variant": variant, "likelihood": likelihood, "network": network, "batch_norm": True}
    one, two, x = build((9, 8), seed=1, sigma=0.3, **settings), build((9, 8), seed=2, **settings), torch.rand(5, 9, 8)
    step(one, x, variant)  # moves the running means of the normalisation
    assert not torch.equal(one.reconstruct(x), two.reconstruct(x))
    torch.save(one.state_dict(), tmp_path / "weights.pt")
    two.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(one.encode(x), two.encode(x))
    assert torch.equal(one.reconstruct(x), two.reconstruct(x))
    assert torch.equal(one.sample(3), two.sample(3))
    drawn = []
    for vae in (one, two):
        torch.manual_seed(3)
        drawn.append(vae.eval().draw(x).log_px)  # a fixed sigma travels with the weights
    assert torch.equal(*drawn)


def test_every_likelihood_is_the_one_its_name_says_with_the_sigma_asked_for() -> None:
    kinds = {"bernoulli": "Bernoulli", "continuous-bernoulli": "ContinuousBernoulliOfLogits"}
    for name in zoo.LIKELIHOODS:
        p = build((8, 8), likelihood=name, sigma=0.3).decoder(torch.zeros(2, LATENT)).base_dist
        assert type(p).__name__ == kinds.get(name, "Normal")
        if name not in kinds:
            torch.testing.assert_close(p.scale.detach(), torch.full((2, 8, 8), 0.3))
            assert p.scale.requires_grad == (name == "gaussian-learned")


@each_row
def test_the_same_seed_builds_the_same_model(variant: str) -> None:
    one, same, other = (build((8, 8), seed=seed, variant=variant).sample(2) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@each_row
def test_every_row_says_what_it_is_and_where_it_comes_from(variant: str) -> None:
    row = zoo.row(variant)
    assert row.about
    assert "arXiv:" in row.reference or "doi:" in row.reference


def test_the_axes_of_the_table_are_those_a_recipe_may_name() -> None:
    from vaelab.recipe import fields

    choices = {field.key: field.choices for field in fields()}
    assert set(choices["model.likelihood"]) == set(zoo.LIKELIHOODS)
    assert set(choices["model.network"]) == set(zoo.NETWORKS)
    assert set(choices["model.activation"]) == set(zoo.networks.ACTIVATIONS)


def test_an_unknown_variant_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"^model.variant: .*'vea'.*'vae'"):
        zoo.build(Model(variant="vea"), (8, 8))


def test_an_autoencoder_pays_no_rate_and_draws_no_noise() -> None:
    vae, x = build((8, 8), variant="ae").eval(), torch.rand(4, 8, 8)
    draw = vae.draw(x, k=3)
    assert (draw.rate == 0).all()
    assert torch.equal(draw.z[0], draw.z[2])
    assert torch.equal(draw.z[0], vae.encode(x))


def test_a_few_steps_of_training_lower_the_loss() -> None:
    vae, x = build((8, 8), hidden=(32,)), (torch.rand(16, 8, 8) > 0.7).float()
    optimizer, losses = torch.optim.Adam(vae.parameters(), lr=1e-2), []
    for _ in range(60):
        optimizer.zero_grad()
        losses.append(-float(step(vae, x, "vae", beta=1.0).mean().detach()))
        optimizer.step()
    entropy = 64 * 0.6109  # of a pixel that is on 3 times in 10, in nats: what a model that saw nothing would pay
    assert losses[-1] < entropy < losses[0]
