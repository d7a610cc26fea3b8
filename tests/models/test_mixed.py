"""The likelihood of a table: each column against SciPy, units, empty cells, and closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from vaelab.data import Column, Schema
from vaelab.errors import UserError
from vaelab.models import VAE, build, imputed, scores, units_of
from vaelab.models.likelihoods import Mixed
from vaelab.models.likelihoods.mixed import BLOCKS
from vaelab.recipes import Data, Model

TYPED = Data(treatment="columns")


def column(kind: Any, **given: Any) -> Column:
    words = {"binary": 2, "categorical": 4, "ordinal": 5}.get(kind, 0)
    values = tuple(f"v{i}" for i in range(words))
    return Column(**({"name": kind, "kind": kind, "values": values, "rows": 99} | given))


def table(*columns: Column) -> Schema:
    return Schema(tuple(columns))


def made(schema: Schema, x: Tensor, **given: Any) -> VAE:
    """A model of the table in float64, its units those of the rows x."""
    torch.manual_seed(0)
    settings = Model(**({"likelihood": "mixed", "hidden": (7,), "latent": 2} | given))
    units = units_of(TYPED, (len(schema.modelled),), x, schema=schema)
    vae = build(settings, (len(schema.modelled),), units=units, schema=schema).double()
    for parameter in vae.parameters():
        nn.init.normal_(parameter, std=0.5)
    return vae


def values(kind: str, n: int = 40) -> Tensor:
    rng = np.random.default_rng(1)
    found = {
        "real": rng.normal(50, 9, n),
        "heavy": rng.standard_t(2, n) * 3,
        "positive": rng.lognormal(3, 1, n),
        "count": rng.poisson(4, n).astype(float),
        "date": rng.uniform(0, 900, n).round(),
        "binary": rng.integers(2, size=n).astype(float),
        "categorical": rng.integers(4, size=n).astype(float),
        "ordinal": rng.integers(5, size=n).astype(float),
    }
    return torch.from_numpy(found[kind])


def by_scipy(kind: str, block: Any, out: Tensor, x: Tensor) -> np.ndarray:
    """log p(x) of one column by SciPy, from the outputs (N, O) of the decoder."""
    o, v = out.numpy(), x.numpy()
    shift, scale = float(block.shift), float(block.scale)
    match kind:
        case "real" | "date":
            return stats.norm.logpdf(v, shift + scale * o[:, 0], scale * block.sigma.item())
        case "heavy":
            freedom = 1 + math.exp(block.log_freedom.item())
            return stats.t.logpdf(v, freedom, shift + scale * o[:, 0], scale * block.sigma.item())
        case "positive":
            mean = np.exp(shift + scale * o[:, 0])
            return stats.lognorm.logpdf(v, scale * block.sigma.item(), scale=mean)
        case "count":
            r, mean = math.exp(block.log_r.item()), np.exp(shift + o[:, 0])
            return stats.nbinom.logpmf(v, r, r / (r + mean))
        case "binary":
            return stats.bernoulli.logpmf(v, 1 / (1 + np.exp(-o[:, 0])))
        case "categorical":
            p = np.exp(o) / np.exp(o).sum(1, keepdims=True)
            return np.log(p[np.arange(len(v)), v.astype(int)])
        case _:
            c = np.append(block.thresholds()[0].numpy(), np.inf)
            below = stats.logistic.cdf(c[v.astype(int)] - o[:, 0])
            lower = np.where(v > 0, c[v.astype(int) - 1], -np.inf)
            return np.log(below - stats.logistic.cdf(lower - o[:, 0]))


@pytest.mark.parametrize("kind", BLOCKS)
@torch.no_grad()
def test_every_column_has_the_density_that_scipy_gives(kind: str) -> None:
    x = values(kind)
    vae = made(table(column(kind)), x[:, None])
    z = torch.randn(len(x), 2).double()
    outputs = vae.decoder.network(z)[:, 0] + vae.decoder.bias
    found = vae.decoder(z).log_prob(x[:, None])
    np.testing.assert_allclose(found, by_scipy(kind, vae.decoder.blocks[0], outputs, x), rtol=1e-9)


@pytest.mark.parametrize("kind", ["binary", "categorical", "ordinal"])
@torch.no_grad()
def test_probabilities_of_all_values_sum_to_one(kind: str) -> None:
    vae = made(table(column(kind)), values(kind)[:, None])
    codes = torch.arange({"binary": 2, "categorical": 4, "ordinal": 5}[kind]).double()
    px = vae.decoder(5 * torch.randn(30, 2).double()).base_dist
    total = px.log_prob(codes[:, None, None]).exp().sum(0)
    torch.testing.assert_close(total, torch.ones_like(total))


@torch.no_grad()
def test_the_density_of_a_row_is_the_sum_over_its_columns_that_are_not_empty() -> None:
    kinds = [*BLOCKS]
    x = torch.stack([values(kind) for kind in kinds], 1)
    vae = made(table(*map(column, kinds)), x)
    z = torch.randn(len(x), 2).double()
    px = vae.decoder(z)
    each = px.base_dist.log_prob(x)
    torch.testing.assert_close(px.log_prob(x), each.sum(1))
    empty = torch.rand(x.shape) < 0.4
    holes = x.masked_fill(empty, torch.nan)
    torch.testing.assert_close(px.log_prob(holes), each.masked_fill(empty, 0).sum(1))


def test_an_empty_cell_sends_no_gradient_and_changes_no_other_one() -> None:
    kinds = [*BLOCKS]
    x = torch.stack([values(kind) for kind in kinds], 1)
    vae = made(table(*map(column, kinds)), x)
    x[:, 2] = torch.nan
    vae.draw(x).log_px.sum().backward()
    for name, parameter in vae.decoder.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all(), name
    index = [*BLOCKS].index(kinds[2])
    assert not vae.decoder.blocks[index].log_sigma.grad.any()


@pytest.mark.parametrize("kind", ["real", "heavy", "positive"])
@torch.no_grad()
def test_metres_and_millimetres_differ_by_log_1000(kind: str) -> None:
    x = values(kind)[:, None]
    x = x - x.min() + 1 if kind == "positive" else x
    found = []
    for unit in (1.0, 1000.0):
        vae = made(table(column(kind)), unit * x)
        torch.manual_seed(1)
        found.append(vae.draw(unit * x).log_px)
    torch.testing.assert_close(found[0], found[1] + math.log(1000), atol=1e-6, rtol=0)


@torch.no_grad()
def test_what_is_rounded_has_no_infinite_density() -> None:
    x = values("real").round(decimals=1)[:, None]
    vae = made(table(column("real", decimals=1)), x)
    vae.decoder.blocks[0].log_sigma.fill_(-50)
    sigma = vae.decoder.blocks[0].sigma.item() * vae.decoder.blocks[0].scale.item()
    assert sigma == pytest.approx(0.1 / math.sqrt(12))


@pytest.mark.parametrize("kind", BLOCKS)
def test_gradients_are_finite_however_far_the_outputs_and_the_values_go(kind: str) -> None:
    x = values(kind)[:, None]
    vae = made(table(column(kind)), x).float()
    far = x.clone()
    if kind in ("real", "heavy", "date"):
        far[0], far[1] = 1e20, -1e20
    if kind in ("positive", "count"):
        far[0] = 1e6
    z = (1e3 * torch.randn(len(x), 2)).requires_grad_()
    vae.decoder(z).log_prob(far.float()).clamp(-1e30, 1e30).sum().backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


@torch.no_grad()
def test_a_value_that_was_never_seen_has_the_probability_of_one_in_n_plus_1() -> None:
    for kind in ("binary", "categorical", "ordinal"):
        vae = made(table(column(kind)), values(kind)[:, None])
        unseen = torch.tensor([[len(column(kind).values)]]).double()
        assert vae.decoder(torch.zeros(1, 2).double()).log_prob(unseen).item() == pytest.approx(
            -math.log(100)
        )
        assert vae.encoder(unseen).mean.isfinite().all()


@torch.no_grad()
def test_samples_have_the_distribution_of_their_column() -> None:
    n = 40_000
    kinds = [*BLOCKS]
    x = torch.stack([values(kind) for kind in kinds], 1)
    vae = made(table(*map(column, kinds)), x)
    px = vae.decoder(torch.zeros(1, 2).double()).base_dist
    torch.manual_seed(3)
    found = px.sample((n,))[:, 0]
    for i, kind in enumerate(kinds):
        if kind in ("binary", "categorical", "ordinal"):
            size = len(column(kind).values)
            codes = torch.full((size, len(kinds)), torch.nan).double()
            codes[:, i] = torch.arange(size)
            p = px.log_prob(codes)[:, i].exp()
            seen = torch.bincount(found[:, i].long(), minlength=size) / n
            assert ((seen - p).abs() < 5 * (p * (1 - p) / n).sqrt() + 1e-9).all(), kind
        elif kind != "heavy":  # which may have no variance
            error = found[:, i].std().item() / math.sqrt(n)
            assert abs(found[:, i].mean().item() - px.mean[0, i].item()) < 5 * error, kind
        else:
            assert abs((found[:, i] < px.mean[0, i]).double().mean() - 0.5) < 5 * 0.5 / n**0.5


# --- a linear-Gaussian table: p(x_observed) and every imputation in closed form -------------------


def linear(d: int = 5) -> tuple[VAE, Tensor, Tensor, Tensor]:
    """A linear model x = a + W z + noise in the user's units: model, mean, W and variances."""
    x = torch.randn(60, d).double() * torch.tensor([1, 10, 100, 0.1, 5.0])[:d] + 7
    vae = made(table(*(column("real", name=f"c{i}") for i in range(d))), x, hidden=())
    with torch.no_grad():
        vae.encoder.head.weight.zero_()  # q(z|x) = N(0, I), from which weights are exact too
        vae.encoder.head.bias.zero_()
        block, weight = vae.decoder.blocks[0], vae.decoder.network[0].weight
        w = block.scale[:, None] * weight
        mean = block.shift + block.scale * (vae.decoder.network[0].bias + vae.decoder.bias)
        return vae, mean, w, (block.scale * block.sigma).square()


def holes(n: int = 12, d: int = 5) -> Tensor:
    torch.manual_seed(5)
    x = torch.randn(n, d).double() * torch.tensor([1, 10, 100, 0.1, 5.0])[:d] + 7
    return x.masked_fill(torch.rand(n, d) < 0.4, torch.nan)


def test_log_p_of_the_observed_cells_meets_its_closed_form() -> None:
    vae, mean, w, variance = linear()
    covariance = w @ w.T + variance.diag()
    for row, found in zip(holes(), scores(vae, holes(), 20_000), strict=True):
        seen = ~row.isnan()
        exact = (
            stats.multivariate_normal(
                mean[seen].detach().numpy(), covariance[seen][:, seen].detach().numpy()
            ).logpdf(row[seen].numpy())
            if seen.any()
            else 0.0
        )
        assert abs(found.log_p.item() - exact) < 4 * found.error.item() + 1e-9
        assert found.error.item() < 0.2
        assert (found.elements[0, ~seen] == 0).all()
        assert found.elements.sum() + found.code == pytest.approx(-found.log_p.item())


def test_imputations_meet_their_closed_form() -> None:
    vae, mean, w, variance = linear()
    covariance = w @ w.T + variance.diag()
    for row, found in zip(holes(), imputed(vae, holes(), 20_000, 2000), strict=True):
        seen = ~row.isnan()
        torch.testing.assert_close(found.mean[0, seen], row[seen])
        if seen.all():
            continue
        gain = covariance[~seen][:, seen] @ torch.linalg.inv(covariance[seen][:, seen])
        exact = mean[~seen] + gain @ (row[seen] - mean[seen])
        left = covariance[~seen][:, ~seen] - gain @ covariance[seen][:, ~seen]
        error = (left.diagonal() / found.effective).sqrt()
        assert ((found.mean[0, ~seen] - exact).abs() < 5 * error).all()
        drawn = found.draws[:, 0, ~seen]
        spread = (left.diagonal() / 2000 + left.diagonal() / found.effective).sqrt()
        assert ((drawn.mean(0) - exact).abs() < 5 * spread).all()
        ratio = drawn.var(0) / left.diagonal()
        assert ((ratio - 1).abs() < 5 * (2 / 2000 + 2 / found.effective).sqrt()).all()


def test_a_row_is_scored_the_same_alone_among_others_in_any_order_and_twice() -> None:
    kinds = [*BLOCKS]
    x = torch.stack([values(kind) for kind in kinds], 1).float()
    x[torch.rand(x.shape) < 0.2] = torch.nan
    vae = made(table(*map(column, kinds)), x).float()
    together = torch.cat([found.log_p for found in scores(vae, x, 30)])
    order = torch.randperm(len(x))
    shuffled = torch.cat([found.log_p for found in scores(vae, x[order], 30)])
    assert torch.equal(shuffled, together[order])
    assert torch.equal(next(scores(vae, x[7:8], 30)).log_p, together[7:8])
    assert not torch.equal(next(scores(vae, x[7:8], 30, seed=1)).log_p, together[7:8])


def test_without_a_table_there_is_no_mixed_likelihood() -> None:
    with pytest.raises(UserError, match=r"set data\.treatment to columns"):
        build(Model(likelihood="mixed"), (5,))


def test_the_decoder_of_a_table_has_as_many_outputs_as_its_columns_need() -> None:
    schema = table(column("real"), column("categorical"), column("binary"))
    assert Mixed.total(schema) == 1 + 4 + 1


def test_the_rounding_of_log_normal_columns_is_relative() -> None:
    prices = stats.lognorm(0.5, scale=1e5).rvs((500, 1), random_state=0).round()
    block = made(table(column("positive", decimals=0)), Tensor(prices)).decoder.blocks[0]
    assert float(block.least) == pytest.approx(1e-3)  # a cent of 1e5 is no limit to sigma


def test_a_column_in_tiny_units_is_standardised_and_a_constant_one_is_not_blown_up() -> None:
    schema = table(column("real", name="farad"), column("real", name="same"))
    x = torch.stack([torch.rand(100) * 1e-12, torch.full((100,), 0.1)], 1)
    units = units_of(TYPED, (2,), x, schema=schema)
    assert units is not None
    torch.testing.assert_close(
        units.scale, torch.stack([x[:, 0].std(correction=0), torch.ones(())])
    )


def test_score_samples_is_the_estimate_of_each_row_and_needs_evaluation_mode() -> None:
    vae, *_ = linear()
    x = holes()
    each = torch.cat([found.log_p for found in scores(vae, x, 50, seed=3)])
    assert torch.equal(vae.score_samples(x.numpy(), samples=50, seed=3), each)
    with pytest.raises(UserError, match="training mode"):
        vae.train().score_samples(x)
