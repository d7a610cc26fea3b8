"""Shift and scale of codes: moments with their errors, and a linear model with a known answer."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

import vaelab
from vaelab.cli.main import main
from vaelab.evaluation import measured_codes
from vaelab.evaluation.metrics.images import psnr
from vaelab.evaluation.metrics.moments import moments
from vaelab.models import build
from vaelab.recipes import Model


def test_errors_are_the_spread_over_repeated_sets_of_images() -> None:
    """Each code has an offset of its own, so that its elements are not independent."""
    sets = 400
    z = torch.randn(sets, 100, 8) + 2 * torch.randn(sets, 100, 1) ** 2
    found = [moments(one) for one in z]
    for values in zip(*found, strict=True):
        spread = torch.tensor([one.value for one in values]).std()
        claimed = torch.tensor([one.error for one in values]).mean()
        assert float(claimed / spread) == pytest.approx(1, abs=0.15)


def test_codes_that_never_vary_have_scale_and_error_zero() -> None:
    shift, scale = moments(torch.full((5, 3), 2.0))
    assert (shift.value, shift.error, scale.value, scale.error) == (2, 0, 0, 0)


def test_a_linear_model_has_the_codes_that_its_weights_say() -> None:
    """q(z|x) = N(A x + b, s^2): the codes have mean A E[x] + b and variance A cov(x) A^T + s^2."""
    n, width = 20_000, 6
    vae = build(Model(hidden=(), latent=2, likelihood="gaussian"), (width,))
    linear = [module for module in vae.encoder.modules() if isinstance(module, nn.Linear)]
    a, b, s = torch.randn(2, width), torch.tensor([0.5, -1.0]), torch.tensor([0.3, 2.0])
    for parameter in vae.encoder.parameters():
        nn.init.zeros_(parameter)
    weight, bias = linear[-1].weight.data, linear[-1].bias.data
    weight[:2], bias[:2] = a, b
    bias[2:] = 2 * s.log()
    x = torch.randn(n, width)
    with torch.no_grad():
        q = vae.encoder(x[:1])
    assert torch.allclose(q.mean, x[:1] @ a.T + b)
    torch.testing.assert_close(q.stddev[0], s)
    found = measured_codes(vae, x, None, (0.0, 1.0))
    for i, (shift, scale) in enumerate(found.dimensions):
        wanted = math.hypot(float(a[i].norm()), float(s[i]))
        assert shift.error is not None
        assert scale.error is not None
        assert abs(shift.value - float(b[i])) < 5 * shift.error
        assert abs(scale.value - wanted) < 5 * scale.error
        assert scale.error == pytest.approx(wanted / math.sqrt(2 * n), rel=0.05)  # Gaussian codes
    assert found.factor.value == pytest.approx(1 / found.scale.value)
    assert found.reconstructions == {}  # no images


def test_the_command_prints_and_writes_what_python_returns(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = vaelab.codes(digits_run, images=60)
    assert [*found] == ["training", "test"]
    assert found["test"].images == 60
    run, x = vaelab.load(digits_run), vaelab.codes(digits_run)["test"]
    images = run.data.test.x.float() / 16
    errors = (images - run.vae.reconstruct(images)).square().flatten(1).mean(1)
    rough = psnr(errors, 1.0).mean()  # of codes at their means, which are a little better
    assert float(rough) - 3 < x.reconstructions["psnr"].value < float(rough) + 0.1
    assert (
        main(["codes", str(digits_run), "--images", "60", "--out", f"{tmp_path}/codes.json"]) == 0
    )
    text = capsys.readouterr().out
    for name, one in found.items():
        assert f"{name}: {one}" in text
    assert main(["codes", str(digits_run), "--images", "60", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["splits"] == json.loads((tmp_path / "codes.json").read_text())
    assert printed["splits"]["test"] == found["test"].facts()
    assert len(printed["splits"]["test"]["dimensions"]) == run.vae.latent
