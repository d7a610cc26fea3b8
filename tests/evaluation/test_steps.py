"""Scores of single elements and steps: the closed form, whatever else is scored."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import vaelab
from vaelab.data.windows import starts
from vaelab.errors import UserError
from vaelab.evaluation.steps import overlaid, step_scores
from vaelab.models import VAE, build, scores, units_of
from vaelab.recipes import Data, Model


def element_scores(vae: VAE, x: Tensor, k: int, seed: int = 0, y: Tensor | None = None) -> Tensor:
    return torch.cat([row.elements for row in scores(vae, x, k, seed, y)])


SIGMA, WEIGHTS = 0.5, torch.tensor([1.0, 0.5, 0.3])


def linear_gaussian(wider: float) -> VAE:
    """The model z ~ N(0, I), x = w z + sigma e; its posterior has `wider` times the deviation."""
    settings = Model(latent=3, hidden=(4,), likelihood="gaussian", sigma=SIGMA)
    vae = build(settings, (3,)).double()
    variance = 1 / (1 + WEIGHTS**2 / SIGMA**2)
    vae.encoder.network = nn.Identity()
    vae.encoder.head = nn.Linear(3, 6).double()
    vae.decoder.network = nn.Sequential(nn.Linear(3, 3), nn.Unflatten(1, (1, 3))).double()
    with torch.no_grad():
        vae.encoder.head.weight.zero_()[:3] = torch.diag(variance * WEIGHTS / SIGMA**2)
        vae.encoder.head.bias.zero_()[3:] = (wider**2 * variance).log()
        vae.decoder.network[0].weight.copy_(WEIGHTS.diag())
        vae.decoder.network[0].bias.zero_()
    return vae


def waves(likelihood: str = "gaussian", channels: int = 2) -> VAE:
    """An untrained model of windows of 16 steps."""
    torch.manual_seed(0)
    settings = Model(network="conv1d", hidden=(4, 4), latent=2, likelihood=likelihood)
    return build(settings, (channels, 16) if channels > 1 else (16,), form="signal")


@pytest.mark.parametrize("wider", [1.0, 1.5])
def test_a_score_is_the_expectation_over_the_true_posterior_whatever_the_encoder_s(
    wider: float,
) -> None:
    k, x = 20_000, torch.randn(5, 3, dtype=torch.float64)
    variance = 1 / (1 + WEIGHTS.double() ** 2 / SIGMA**2)
    centre = WEIGHTS * variance * WEIGHTS / SIGMA**2 * x
    squares = (x - centre) ** 2 + WEIGHTS**2 * variance
    wanted = squares / (2 * SIGMA**2) + math.log(SIGMA * math.sqrt(2 * math.pi))
    found = element_scores(linear_gaussian(wider), x, k)
    # Of nats of order 1, with the deviation of order 1 and an effective sample size above k / 4.
    torch.testing.assert_close(found, wanted, rtol=0, atol=5 * 2 / math.sqrt(k))


def test_a_row_has_the_same_score_alone_among_others_in_any_order_and_again() -> None:
    vae, x = waves(), torch.randn(9, 2, 16)
    found = element_scores(vae, x, 10)
    assert found.shape == (9, 2, 16)
    order = torch.randperm(9)
    assert torch.equal(element_scores(vae, x[order], 10), found[order])
    assert torch.equal(element_scores(vae, x[3:4], 10), found[3:4])
    assert not torch.equal(element_scores(vae, x[3:4], 10, seed=1), found[3:4])


def test_codes_that_do_not_fit_into_memory_at_once_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vae, x = waves(), torch.randn(2, 2, 16)
    whole = element_scores(vae, x, 50)
    monkeypatch.setattr(VAE, "rows_at_once", lambda self: 7)
    torch.testing.assert_close(element_scores(vae, x, 50), whole, rtol=1e-5, atol=1e-5)


def test_scores_are_in_the_units_of_the_user() -> None:
    """In millivolts every element's density is a thousandth of that in volts."""
    x, k = torch.randn(200, 2, 16), 5
    found = []
    for scale in (1.0, 1000.0):
        torch.manual_seed(0)
        units = units_of(Data(standardise=True), (2, 16), scale * x, form="signal")
        settings = Model(network="conv1d", hidden=(4,), latent=2, likelihood="gaussian")
        vae = build(settings, (2, 16), units=units, form="signal")
        found.append(element_scores(vae, scale * x[:3], k))
    torch.testing.assert_close(found[1], found[0] + math.log(1000), rtol=0, atol=1e-3)


def test_overlaid_windows_have_the_mean_of_what_covers_a_step() -> None:
    scores = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]], dtype=torch.float64)
    found = overlaid(scores, [0, 2], 6)
    torch.testing.assert_close(found[:5], torch.tensor([1.0, 2, 6.5, 20, 30]).double())
    assert found[5].isnan()
    several = overlaid(torch.stack([scores, 2 * scores], 1), [0, 2], 6)
    torch.testing.assert_close(several, torch.stack([found, 2 * found]), equal_nan=True)


@pytest.mark.parametrize("channels", [1, 2])
def test_every_step_of_a_long_signal_has_a_score_and_windows_add_up_to_them(channels: int) -> None:
    vae = waves(channels=channels)
    signal = torch.randn(50, channels)
    found = step_scores(vae, signal, stride=8, k=6)
    assert found.shape == (50,)
    assert found.isfinite().all()
    first = starts(50, 16, 8, whole=True)
    assert first[-1] == 34
    one = element_scores(vae, signal[:16].T.reshape(1, *vae.shape), 6).view(-1, 16).sum(0)
    torch.testing.assert_close(found[:8], one[:8])  # only the first window covers them
    if channels == 1:
        assert torch.equal(step_scores(vae, signal[:, 0], stride=8, k=6), found)


def test_a_spike_scores_above_all_other_steps() -> None:
    signal = torch.randn(64, 2) * 0.1
    signal[40, 1] = 8.0
    assert step_scores(waves(), signal, k=6).argmax() == 40


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(UserError, match="at least 16 steps of 2 channels, got"):
        step_scores(waves(), torch.zeros(9, 2))
    with pytest.raises(UserError, match="at least 16 steps of 2 channels, got"):
        step_scores(waves(), torch.zeros(30))
    with pytest.raises(UserError, match="k: expected a number of samples"):
        element_scores(waves(), torch.zeros(1, 2, 16), 0)
    model = vaelab.recipe("quickstart", {"model.variant": "ae"}).model
    with pytest.raises(UserError, match="no likelihood"):
        element_scores(build(model, (8, 8)), torch.zeros(1, 8, 8), 2)


@pytest.mark.parametrize("variant", ["iwae", "flow-prior", "iaf", "ladder", "cvae", "svae"])
def test_every_kind_of_model_scores_elements(variant: str) -> None:
    settings = {"model.variant": variant, "model.hidden": [8], "model.latent": 3}
    vae = build(vaelab.recipe("quickstart", settings).model, (4, 5), classes=(0, 1))
    x: Tensor = torch.rand(3, 4, 5)
    found = element_scores(vae, x, 4, y=torch.tensor([0, 1, 1]) if len(vae.classes) else None)
    assert found.shape == x.shape
    assert found.isfinite().all()
