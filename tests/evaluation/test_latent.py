"""Measures of codes against Gaussians with closed forms and against enumeration.

Every model can be measured.
"""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY
from scipy.stats import chi2
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal, kl_divergence
from torch.nn.functional import normalize, one_hot

import vaelab
from vaelab.data import Dataset, Split, load
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics import densities, information
from vaelab.evaluation.metrics.codes import (
    evenness,
    knn_accuracy,
    probe_accuracy,
    silhouette,
    trustworthiness,
)
from vaelab.evaluation.metrics.densities import fitted_density, share_beyond
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.evaluation.metrics.information import aggregate, usage, variance_of_means
from vaelab.evaluation.sections import decoded, groups, latent
from vaelab.evaluation.sections import decoded as decoded_section
from vaelab.evaluation.sections.latent import METRICS, measure
from vaelab.models import VAE, build
from vaelab.models.codes import Code, OneHots
from vaelab.models.hierarchy import BottomUp, Ladder, TopDown
from vaelab.models.posteriors import FullNormal
from vaelab.models.sphere import VonMisesFisher, great_circle
from vaelab.recipes import table
from vaelab.recipes.parts import LIKELIHOODS

WIDE = 5  # standard errors: a fair test fails once in two million


def gaussians(mean: Tensor, scale: Tensor | float) -> Independent[Normal]:
    return Independent(Normal(mean, torch.as_tensor(scale).expand_as(mean)), 1)


def correlation(size: int, rho: float) -> Tensor:
    return torch.full((size, size), rho).fill_diagonal_(1).double()


def split(q: Distribution, sizes: list[int]) -> list[Distribution]:
    """A batch of diagonal Gaussians in pieces."""
    assert isinstance(q, Independent)
    pieces = zip(q.base_dist.loc.split(sizes), q.base_dist.scale.split(sizes), strict=True)
    return [gaussians(mean, scale) for mean, scale in pieces]


def within(found: Tensor, wanted: float) -> None:
    """The mean of samples (S,) is `wanted` within WIDE standard errors."""
    error = float(found.std()) / math.sqrt(len(found))
    assert abs(float(found.mean()) - wanted) < WIDE * error + 1e-9, (
        float(found.mean()),
        wanted,
        error,
    )


def near(estimate: Estimate, wanted: float) -> None:
    assert estimate.error is not None
    assert abs(estimate.value - wanted) < WIDE * estimate.error, (estimate, wanted)


# ---------------------------------------------------------------- the aggregate posterior


def test_the_aggregate_of_a_few_posteriors_is_that_of_brute_force() -> None:
    mean, scale = torch.randn(6, 3).double(), torch.rand(6, 3).double() + 0.2
    q = gaussians(mean, scale)
    z = q.sample((4,)).flatten(0, 1)
    log_q, log_marginals = aggregate([q], z)
    assert log_marginals is not None
    for s in range(len(z)):
        each = torch.stack([Normal(mean[n], scale[n]).log_prob(z[s]) for n in range(6)])  # (6, 3)
        assert float(log_q[s]) == pytest.approx(float(each.sum(1).exp().mean().log()), abs=1e-10)
        assert float(log_marginals[s]) == pytest.approx(
            float(each.exp().mean(0).log().sum()), abs=1e-10
        )


@pytest.mark.parametrize("pairs", [1, 50, 10**9])
@pytest.mark.parametrize("sizes", [[40], [13, 13, 14], [1] * 40])
def test_in_chunks_it_is_the_same(
    sizes: list[int], pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    q = gaussians(torch.randn(40, 3).double(), torch.rand(40, 3).double() + 0.2)
    z = q.sample()
    wanted = aggregate([q], z)
    monkeypatch.setattr(information, "PAIRS", pairs)
    found = aggregate(split(q, sizes), z)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_codes_that_do_not_overlap_share_log_n_nats_with_their_images() -> None:
    """Mutual information is 11.00 nats for 60,000 images.

    Weights along the wrong axis give 4.9 (disentangling-vae, issue 58).
    """
    q = gaussians(1000.0 * torch.arange(60_000.0).double()[:, None], 1.0)
    z = q.sample()[::1200]
    log_qz = q.base_dist.log_prob(q.mean).sum(-1)[0] - 0.5 * (z - q.mean[::1200]).square().sum(-1)
    log_q, _ = aggregate(split(q, [1000] * 60), z)
    torch.testing.assert_close(log_qz - log_q, torch.full((50,), math.log(60_000)).double())


def test_codes_that_say_nothing_share_nothing_and_are_the_prior() -> None:
    q = gaussians(torch.zeros(64, 3).double(), 1.0)
    z = q.sample()
    log_q, log_marginals = aggregate([q], z)
    assert log_marginals is not None
    for found in (log_q, log_marginals):
        torch.testing.assert_close(found, q.log_prob(z), rtol=0, atol=1e-10)


class Known:
    """x ~ N(0, I) and q(z|x) = N(A x + b, s^2 S), so q(z) is Gaussian.

    Every part of the rate has a closed form. The posterior is as wide as the codes are apart, so
    that N images determine q(z) to about 1/N nats.
    """

    def __init__(self, images: int, full: bool) -> None:
        size, b, noise = 2, torch.tensor([0.5, -0.3]).double(), 0.36
        spread = torch.linalg.cholesky(correlation(size, 0.8) * 0.5)  # A
        shape = correlation(size, -0.5) if full else torch.eye(size).double()
        mean = torch.randn(images, size).double() @ spread.T + b
        tril = (torch.linalg.cholesky(shape) * noise**0.5).expand(images, size, size)
        self.q = FullNormal(mean, scale_tril=tril) if full else gaussians(mean, noise**0.5)
        total, within = spread @ spread.T + noise * shape, noise * shape
        variance = total.diagonal()
        self.mi = 0.5 * float(torch.logdet(total) - torch.logdet(within))
        # -1/2 log det of the correlations.
        self.tc = 0.5 * float(variance.log().sum() - torch.logdet(total))
        self.dwkl = 0.5 * float((variance + b**2 - 1 - variance.log()).sum())


@pytest.mark.parametrize("full", [False, True])
def test_the_three_parts_of_a_gaussian_aggregate_are_those_of_its_covariance(full: bool) -> None:
    known = Known(4000, full)
    z = known.q.sample()[:2000]
    log_q, log_marginals = aggregate([known.q], z)
    assert log_marginals is not None
    p = gaussians(torch.zeros(2).double(), 1.0)
    # Of the first 2000 images.
    log_qz, log_p = known.q.log_prob(torch.cat([z, z]))[:2000], p.log_prob(z)
    parts = log_qz - log_q, log_q - log_marginals, log_marginals - log_p
    for part, wanted in zip(parts, (known.mi, known.tc, known.dwkl), strict=True):
        within(part, wanted)
    torch.testing.assert_close(sum(parts), log_qz - log_p)  # sample by sample the rate
    rate = kl_divergence(known.q, p)[:2000]
    within(sum(parts) - rate, 0)  # type: ignore[arg-type]


def test_codes_that_hardly_overlap_overestimate_the_prior_gap_and_underestimate_tc() -> None:
    """x ~ N(0, 1) and q(z|x) = N(x, s^2) for both of two dimensions.

    So q(z) is Gaussian with correlation 1 / (1 + s^2). For a mean of N densities, one of them z's
    own, E log is at least E log q(z), jointly and by dimension. The prior gap and the
    dimension-wise KL are therefore at least the truth in expectation; total correlation, their
    difference, need not be. The error is over draws of the images, because all 2000 samples of one
    draw lie in the same mixture; t(7) exceeds 5.4 once in 1,000.
    """
    s, images, draws = 1e-3, 2000, 8
    variance, p = 1 + s**2, gaussians(torch.zeros(2).double(), 1.0)
    tc = -0.5 * math.log(1 - 1 / variance**2)
    dwkl = variance - 1 - math.log(variance)
    assert tc == pytest.approx(6.561, abs=5e-4)
    found = []
    for _ in range(draws):
        q = gaussians(torch.randn(images, 1).double().expand(-1, 2), s)
        z = q.sample()
        log_q, log_marginals = aggregate([q], z)
        assert log_marginals is not None
        parts = log_q - p.log_prob(z), log_marginals - p.log_prob(z), log_q - log_marginals
        found.append([float(part.mean()) for part in parts])
    each = np.array(found)
    margin = 5.4 * each.std(0, ddof=1) / math.sqrt(draws)
    prior_gap, dimension_wise_kl, total_correlation = each.mean(0)
    assert prior_gap > tc + dwkl - margin[0]
    assert dimension_wise_kl > dwkl - margin[1]
    assert total_correlation < tc - margin[2]


def test_the_marginals_of_full_covariances_are_their_diagonals() -> None:
    mean, tril = (
        torch.randn(5, 3).double(),
        torch.randn(5, 3, 3).double().tril(-1) + 0.7 * torch.eye(3).double(),
    )
    q = FullNormal(mean, scale_tril=tril)
    z = q.sample((2,)).flatten(0, 1)
    log_q, log_marginals = aggregate([q], z)
    # Shape (10, 5, 3).
    wanted = Normal(mean, (tril @ tril.mT).diagonal(dim1=1, dim2=2).sqrt()).log_prob(z[:, None])
    torch.testing.assert_close(log_marginals, wanted.exp().mean(1).log().sum(1))
    torch.testing.assert_close(log_q, one_by_one(q, z, 5))


def one_by_one(q: Distribution, z: Tensor, images: int) -> Tensor:
    """log 1/N sum_n q(z_s|x_n), (S,), by asking for each sample with the whole batch."""
    rows = [q.log_prob(some.expand(images, -1)) for some in z]
    return torch.stack(rows).logsumexp(1) - math.log(images)


def test_densities_of_the_sphere_and_of_levels_are_averaged_too() -> None:
    x = torch.randn(5, 4).double()
    given = (torch.nn.Identity(), 4, 3, (2,))
    ladder = Ladder(*given, TopDown(3, (2,)).double()).double()
    two_level = BottomUp(*given).double()
    for module in (ladder, two_level):
        q = module(x)
        z = q.rsample().detach()
        log_q, log_marginals = aggregate([q], z)
        assert log_marginals is None
        torch.testing.assert_close(log_q, one_by_one(q, z, 5).detach())
    q = VonMisesFisher(normalize(x), torch.rand(5).double() * 10)
    log_q, log_marginals = aggregate([q], q.rsample())
    assert log_marginals is None
    assert log_q.isfinite().all()
    z = q.rsample()
    torch.testing.assert_close(aggregate([q], z)[0], one_by_one(q, z, 5))


def test_the_information_in_discrete_codes_is_their_entropy() -> None:
    """Two variables take their values on eight images, and q(z|x) is a point.

    So I = H(z), and TC = H(z_1) + H(z_2) - H(z).
    """
    indices = torch.tensor([[0, 0], [0, 0], [0, 0], [0, 0], [1, 1], [1, 1], [1, 0], [2, 2]])
    table = torch.randn(3, 4).double()
    q = Code(table[indices].flatten(1), indices, torch.zeros(8).double())
    log_q, log_marginals = aggregate([q], q.sample())
    assert log_marginals is not None

    def entropy(*counts: float) -> float:
        return -sum(c / 8 * math.log(c / 8) for c in counts)

    assert -float(log_q.mean()) == pytest.approx(entropy(4, 2, 1, 1))
    tc = float((log_q - log_marginals).mean())
    assert tc == pytest.approx(entropy(4, 3, 1) + entropy(5, 2, 1) - entropy(4, 2, 1, 1))


def test_the_parts_of_one_hot_codes_are_those_of_all_their_values() -> None:
    q = OneHots(torch.randn(5, 2, 3).double())
    pairs = list(itertools.product(range(3), repeat=2))
    # Shape (9, 6).
    values = torch.stack([one_hot(torch.tensor(pair), 3).flatten() for pair in pairs]).double()
    log_q, log_marginals = aggregate([q], values)
    assert log_marginals is not None
    probabilities = q.logits.exp()  # (5, 2, 3)
    for s, (a, b) in enumerate(pairs):
        one, two = probabilities[:, 0, a], probabilities[:, 1, b]
        assert float(log_q[s].exp()) == pytest.approx(float((one * two).mean()))
        assert float(log_marginals[s].exp()) == pytest.approx(float(one.mean() * two.mean()))


# ---------------------------------------------------------------- use


def test_a_dimension_counts_as_active_by_the_variance_of_its_mean() -> None:
    means = torch.tensor([[0.0, 1.0, 5.0], [0.2, 1.21, 5.0]])
    assert variance_of_means(means).tolist() == pytest.approx([0.01, 0.011025, 0], abs=1e-6)


def test_usage_of_a_table_is_its_share_and_the_perplexity_of_its_frequencies() -> None:
    assert usage(torch.tensor([[3, 3, 3, 3]])) == pytest.approx((1, 4))
    assert usage(torch.tensor([[12, 0, 0, 0]])) == pytest.approx((0.25, 1))
    # Each variable counts by itself.
    assert usage(torch.tensor([[2, 2], [4, 0]])) == pytest.approx((0.75, 1.5))


# ---------------------------------------------------------------- holes


def test_where_both_come_from_one_distribution_the_share_is_nominal() -> None:
    for score in (torch.randn, torch.rand, lambda n: torch.randn(n).abs() ** 9):
        near(share_beyond(score(3000).double(), score(5000).double()), 0.05)
    near(share_beyond(torch.randn(3000), torch.randn(5000), nominal=0.3), 0.3)
    assert share_beyond(torch.zeros(10), torch.ones(10)).value == 1
    assert share_beyond(torch.ones(10), torch.zeros(10)).value == 0


@pytest.mark.parametrize(
    ("codes", "nominal"), [(19, 0.05), (39, 0.05), (59, 0.05), (9, 0.1), (3, 0.25), (9, 0.5)]
)
def test_a_sample_may_have_any_rank_among_few_codes_and_the_share_is_nominal_over_all(
    codes: int, nominal: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample has each rank among N + 1 values of one distribution with the same probability.

    The expectation is therefore exact. To be met, the nominal share has to be a whole number of the
    N + 1 ranks.
    """
    monkeypatch.setattr(densities, "RESAMPLES", 2)
    # The values look like those of a skewed distribution, so that gaps are not lost in rounding.
    values = torch.arange(codes + 1.0).double().exp()
    others = [torch.cat([values[:rank], values[rank + 1 :]]) for rank in range(codes + 1)]
    shares = [share_beyond(rest, values[[rank]], nominal).value for rank, rest in enumerate(others)]
    assert np.mean(shares) == pytest.approx(nominal, rel=1e-12)


@pytest.mark.parametrize(("codes", "samples"), [(200, 2000), (2000, 200)])
def test_the_error_of_the_share_is_its_spread_over_repetitions(codes: int, samples: int) -> None:
    """200 repetitions determine the spread to 1 in 20.

    Each bootstrap error is about as precise.
    """
    found = [share_beyond(torch.randn(codes), torch.randn(samples) + 0.5) for _ in range(200)]
    spread = float(np.std([each.value for each in found]))
    assert float(np.mean([each.error for each in found])) == pytest.approx(spread, rel=0.25)


@pytest.mark.parametrize("scale", [1.0, math.sqrt(0.1), 1.2])
def test_the_share_of_a_squeezed_aggregate_is_that_of_the_chi_squared(scale: float) -> None:
    """95 % of codes N(0, s^2 I) lie within s^2 times the 95 % quantile of |z|^2.

    N(0, I) has the rest of its mass beyond that radius.
    """
    size = 3
    density = fitted_density(scale * torch.randn(5000, size))
    codes, prior = scale * torch.randn(5000, size), torch.randn(5000, size)
    found = share_beyond(-density(codes), -density(prior))
    near(found, float(chi2(size).sf(scale**2 * chi2(size).ppf(0.95))))


def test_the_share_of_a_shifted_aggregate_is_that_of_the_shifted_chi_squared() -> None:
    from scipy.stats import ncx2

    shift = torch.tensor([1.5, 0, -1.0])
    density = fitted_density(torch.randn(5000, 3) + shift)
    found = share_beyond(-density(torch.randn(5000, 3) + shift), -density(torch.randn(5000, 3)))
    near(found, float(ncx2(3, float(shift.square().sum())).sf(chi2(3).ppf(0.95))))


def test_a_hole_in_the_middle_is_found() -> None:
    """The codes are those of N(0, I) with a radius above 1.5.

    The prior has 1 - exp(-9/8) = 0.675 of its mass within, and a twentieth of the rest is as
    unlikely as the outermost codes. The edge of the fitted density is not sharp, which hides some
    of that mass, but not the middle, with radius below 1, which has 1 - exp(-1/2) = 0.393.
    """
    plane = torch.randn(60_000, 2)
    ring = plane[plane.norm(dim=1) > 1.5]
    density = fitted_density(ring[:10_000])
    found = share_beyond(-density(ring[10_000:]), -density(torch.randn(10_000, 2)))
    whole = 1 - math.exp(-9 / 8) * 0.95
    error = WIDE * (found.error or 0)
    assert 1 - math.exp(-1 / 2) - error < found.value < whole + error


def test_a_fitted_density_is_one_and_finds_the_divergence_of_gaussians() -> None:
    """N(m, s^2) from N(0, 1): KL is known."""
    mean, scale = torch.tensor([2.0, 0.0]), torch.tensor([0.5, 1.0])
    density = fitted_density((torch.randn(5000, 2) * scale + mean).double())
    axis = torch.linspace(-8, 8, 321).double()
    grid = torch.cartesian_prod(axis, axis)
    assert float(density(grid).exp().sum()) * 0.05**2 == pytest.approx(1, abs=1e-6)
    z = torch.randn(5000, 2) * scale + mean
    gain = density(z) - gaussians(torch.zeros(2), 1.0).log_prob(z)
    q, p = gaussians(mean, scale), gaussians(torch.zeros(2), 1.0)
    within(gain, float(kl_divergence(q, p)))


@pytest.mark.parametrize(
    "codes", [torch.zeros(30, 2), torch.randn(1, 2), torch.randn(5, 20), torch.randn(40, 1)]
)
def test_a_density_is_fitted_to_codes_that_are_few_or_all_equal(codes: Tensor) -> None:
    density = fitted_density(codes)
    assert density(codes).isfinite().all()
    assert density(codes).mean() > density(codes + 3).mean()


# ---------------------------------------------------------------- classes and distances


def test_neighbours_and_probe_read_classes_off_codes_that_hold_them() -> None:
    labels = np.arange(300) % 3
    codes = 10 * one_hot(torch.from_numpy(labels)).float() + torch.randn(300, 3)
    for accuracy in (knn_accuracy, probe_accuracy):
        found = accuracy(codes[:200], labels[:200], codes[200:], labels[200:])
        assert found.value == 1
        assert found.each is not None
        assert found.each.tolist() == [1] * 100


def test_codes_by_chance_know_no_class_and_the_error_is_binomial() -> None:
    labels, truth = np.arange(1000) % 5, np.arange(2000) % 5
    for accuracy in (knn_accuracy, probe_accuracy):
        found = accuracy(torch.randn(1000, 4), labels, torch.randn(2000, 4), truth)
        near(found, 0.2)
        assert found.error == pytest.approx(
            math.sqrt(found.value * (1 - found.value) / 2000), rel=1e-3
        )


def test_the_probe_is_linear_and_the_neighbours_are_not() -> None:
    """A class within a ring of another: no plane divides them."""
    labels = np.arange(400) % 2
    codes = normalize(torch.randn(400, 2)) * torch.from_numpy(1.0 + 2 * labels)[:, None].float()
    assert knn_accuracy(codes[:300], labels[:300], codes[300:], labels[300:]).value == 1
    assert probe_accuracy(codes[:300], labels[:300], codes[300:], labels[300:]).value < 0.8


def test_the_silhouette_of_four_points_is_that_by_hand() -> None:
    found = silhouette(torch.tensor([[0.0], [1.0], [4.0], [6.0]]), np.array([0, 0, 1, 1]))
    wanted = [(5 - 1) / 5, (4 - 1) / 4, (3.5 - 2) / 3.5, (5.5 - 2) / 5.5]
    assert found.value == pytest.approx(np.mean(wanted))


def test_trustworthiness_counts_false_neighbours_among_codes_by_their_rank_among_images() -> None:
    n, k = 12, 3
    x = torch.randn(n, 3)
    z = x[:, :1]  # of the three numbers only one
    # Each row of indices begins with the row itself.
    ranks, nearest = (torch.cdist(rows, rows).argsort(1) for rows in (x, z))
    excess = sum(
        max(0, int((ranks[i] == j).nonzero()) - k) for i in range(n) for j in nearest[i, 1 : k + 1]
    )
    assert trustworthiness(x, z, k) == pytest.approx(1 - 2 / (n * k * (2 * n - 3 * k - 1)) * excess)


def test_codes_that_keep_distances_are_trustworthy_and_those_by_chance_are_not() -> None:
    x = torch.randn(200, 2, 3)
    rotated = x.flatten(1) @ torch.linalg.qr(torch.randn(6, 6)).Q
    assert trustworthiness(x, x.flatten(1)) == 1
    assert trustworthiness(x, 3 * rotated) == pytest.approx(1, abs=1e-6)
    # A random rank is uniform on 1 .. N - 1, so that its excess over k has a known mean and
    # variance.
    excess = np.maximum(0, np.arange(1, 200) - 5)
    unit = 2 / (200 * 5 * (2 * 200 - 3 * 5 - 1))
    error = unit * math.sqrt(200 * 5) * excess.std()
    assert trustworthiness(x, torch.randn(200, 4)) == pytest.approx(
        1 - unit * 1000 * excess.mean(), abs=WIDE * error
    )


def test_codes_that_stretch_distances_by_a_quarter_lose_only_ranks_within_a_quarter() -> None:
    """E[z|x] of a linear Gaussian model is x w / (w^2 + sigma^2) in each dimension.

    Distances grow by factors from a to b, with b/a = 1.25. So the k nearest codes belong to images
    no farther off than b/a times the k-th nearest image. The last of the ranks within that distance
    is the worst case.
    """
    n, k = 300, 5
    made, w = linear_gaussian(n), torch.tensor(WEIGHTS)
    growth = w / (w**2 + SIGMA**2)
    x = made.x_test.double()
    torch.testing.assert_close(made.z_test, made.x_test * growth)
    apart = torch.cdist(x, x).sort(1).values[:, 1:]  # (n, n - 1)
    # Up to rounding to float32.
    reach = apart[:, k - 1 : k] * float(growth.max() / growth.min()) * (1 + 1e-5)
    last = (apart <= reach).sum(1, keepdim=True)  # the highest rank there is within reach
    excess = float((last - torch.arange(k) - k).clamp(min=0).sum())
    least = 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * excess
    assert 0.98 < least <= measure(made)["trustworthiness"] < 1


# ---------------------------------------------------------------- interpolations


def test_steps_are_even_on_a_line_and_uneven_as_their_speed_says() -> None:
    t = torch.linspace(0, 1, 2001).double()[:, None]
    line, jump = t * torch.randn(5).double(), (t >= 0.5).double()
    squared = t**2  # speed 2t: (int 2t)^2 / int 4t^2 = 3/4
    assert evenness(
        torch.stack([line[:, 0], jump[:, 0], squared[:, 0]])[..., None]
    ).tolist() == pytest.approx([1, 1 / 2000, 0.75], rel=1e-6)
    assert evenness(line[None]).item() == pytest.approx(1)
    assert evenness(torch.zeros(1, 9, 3)).isnan().all()


def test_the_way_along_a_sphere_stays_on_it_at_constant_speed() -> None:
    a, b = normalize(torch.randn(2, 6, 1, 4).double(), dim=-1)
    z = great_circle(a, b, torch.linspace(0, 1, 33).double()[:, None])
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(6, 33).double())
    torch.testing.assert_close(z[:, [0, -1]], torch.cat([a, b], 1))
    torch.testing.assert_close(evenness(z), torch.ones(6).double())
    assert great_circle(a, a, torch.tensor([[0.5]])).isfinite().all()


# ---------------------------------------------------------------- whole models


def subject(
    vae: VAE, recipe: vaelab.Recipe, data: Dataset | None = None, **given: Any
) -> Evaluator:
    """A model as it is, with a recipe's data, or these."""
    known = load(recipe.data) if data is None else data
    run: Any = SimpleNamespace(recipe=recipe, vae=vae.eval(), data=known)
    return Evaluator(run, **given)


def tabular(
    x: Tensor, test: Tensor, y: Tensor | None = None, y_test: Tensor | None = None
) -> Dataset:
    """Real values (N, D)."""
    return Dataset(
        "table",
        tuple(x.shape[1:]),
        None,
        Split(x, y),
        Split(x[:0], None),
        Split(test, y_test),
        form="table",
    )


SIGMA, WEIGHTS = 0.5, (1.0, 0.5, 0.3)  # of the decoder: x = w z + sigma e, dimension by dimension


def linear_gaussian(images: int, stretch: float = 1.0, shift: float = 0.0) -> Evaluator:
    """The model z ~ N(0, I), x = w z + sigma e with its exact posterior.

    The data have z ~ N(shift, stretch^2).
    """
    w = torch.tensor(WEIGHTS)
    given = {
        "data.treatment": "grey",
        "model.latent": 3,
        "model.hidden": [4],
        "model.activation": "tanh",
    }
    given |= {"model.likelihood": "gaussian", "model.sigma": SIGMA}
    recipe = vaelab.recipe("quickstart", given)
    vae = build(recipe.model, (3,))
    vae.encoder.network = torch.nn.Identity()
    vae.encoder.head = torch.nn.Linear(3, 6)
    vae.decoder.network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Unflatten(1, (1, 3)))
    variance = 1 / (1 + w**2 / SIGMA**2)
    with torch.no_grad():
        vae.encoder.head.weight.zero_()[:3] = torch.diag(variance * w / SIGMA**2)
        vae.encoder.head.bias.zero_()[3:] = variance.log()
        vae.decoder.network[0].weight.copy_(w.diag())
        vae.decoder.network[0].bias.zero_()
    z = stretch * torch.randn(2 * images, 3) + shift
    x = w * z + SIGMA * torch.randn(2 * images, 3)
    return subject(vae, recipe, tabular(x[:images], x[images:]), n_samples=images)


def test_a_model_whose_aggregate_is_the_prior_has_no_holes_and_says_what_it_should() -> None:
    images = 4000
    found = measure(linear_gaussian(images))
    w = torch.tensor(WEIGHTS)
    # The mutual information of x and z in each dimension; it is the rate, as q(z) = p(z).
    information = 0.5 * (1 + w**2 / SIGMA**2).log()
    # A mean over 4000 images of c + (1 - s^2) chi^2 / 2: at most 2.2 % of it is one standard error.
    assert found["rates"] == pytest.approx(information.tolist(), rel=0.1)
    near(found["rate"], float(information.sum()))
    assert found["active_units"] == 3
    for key in ("hole_share", "lost_share"):
        near(found[key], 0.05)
    for key in ("total_correlation", "dimension_wise_kl", "sample_nll_excess"):
        near(found[key], 0)
    near(found["mutual_information"], float(information.sum()))
    # In each dimension log q(z|x) - log q(z) has variance 1 - v, where v is the posterior's
    # variance; its spread is known to 3 %.
    spread = math.sqrt(float((w**2 / (w**2 + SIGMA**2)).sum()) / latent.SAMPLES)
    assert found["mutual_information"].error == pytest.approx(spread, rel=0.15)
    near(found["mutual_information_at_most"], float(information.sum()))
    gap = found["prior_gap_at_least"]
    # A fit of M parameters to N codes costs M / 2N nats.
    assert -100 * 10 / (2 * 4000) < gap.value < WIDE * gap.error
    # The entropy of x ~ N(0, w^2 + sigma^2); weights of the exact posterior are all equal.
    near(found["sample_nll"], 0.5 * float((2 * math.pi * math.e * (w**2 + SIGMA**2)).log().sum()))
    # -log p(x) is half a chi^2(3) variable plus a constant. Its variance 3 / 2 is estimated from n
    # images with a relative error of sqrt(6 / n), because its fourth moment is 7 times the squared
    # variance; the standard error is relatively known twice as well. The excess has the variance of
    # two such means.
    one = pytest.approx(
        math.sqrt(1.5 / decoded.DECODED), rel=WIDE / 2 * math.sqrt(6 / decoded.DECODED)
    )
    nll, excess = found["sample_nll"].error, found["sample_nll_excess"].error
    assert nll == one
    assert math.sqrt(excess**2 - nll**2) == one
    assert found["smoothness"].value == pytest.approx(1, abs=1e-5)
    reasons = " ".join(found["notes"])
    assert "knn_accuracy" in reasons
    assert "ceiling" not in reasons


def test_a_model_with_holes_says_how_large_they_are() -> None:
    """The codes have variance 0.1 before the posterior's noise.

    Each dimension of q(z) is Gaussian.
    """
    found = measure(linear_gaussian(4000, stretch=math.sqrt(0.1)))
    w = torch.tensor(WEIGHTS)
    gain = w**2 / (w**2 + SIGMA**2)  # of E[z|x] = gain x / w
    variance = gain**2 * (0.1 + SIGMA**2 / w**2) + 1 - gain
    gap = 0.5 * float((variance - 1 - variance.log()).sum())
    near(found["prior_gap"], gap)
    near(found["dimension_wise_kl"], gap)
    near(found["prior_gap_at_least"], gap)
    assert found["hole_share"].value > 0.05 + WIDE * found["hole_share"].error
    assert found["sample_nll_excess"].value > 0


def test_at_its_ceiling_mutual_information_says_so_and_is_bounded_from_above() -> None:
    made = linear_gaussian(300)
    with torch.no_grad():
        made.vae.encoder.head.bias[3:] = -12
    found = measure(made)
    # Let r_m = q(z|x_m) / q(z|x_n); E sqrt(r_m) under q(z|x_n) is exp(-|mu_m - mu_n|^2 / 8 s^2).
    # The missing information is E log sum r_m <= 2 E log sum sqrt(r_m) <= 2 log sum E sqrt(r_m), by
    # Jensen's inequality.
    apart = torch.cdist(made.z_test.double(), made.z_test.double())
    lacking = 2 * (-(apart**2) / (8 * math.exp(-12))).exp().sum(1).log()
    information, top = found["mutual_information"], math.log(300)
    assert information.error is not None
    rounding = 1e-5  # of densities in float32, some 20 nats
    assert (
        top - float(lacking.mean()) - WIDE * information.error - rounding
        < information.value
        < top + rounding
    )
    assert float(lacking.mean()) + WIDE * information.error < 0.05  # narrow enough to say something
    assert "log N = 5.70" in " ".join(found["notes"])
    assert found["prior_gap_at_least"].value < found["prior_gap"].value
    rate, gap = found["rate"].value, found["prior_gap_at_least"].value
    error = found["mutual_information_at_most"].error
    assert found["mutual_information_at_most"].value == pytest.approx(rate - gap, abs=WIDE * error)


DIGITS = TINY | {
    "data.treatment": "dynamic",
    "data.test": 0.4,
    "model.latent": 8,
    "model.hidden": [128],
}


@pytest.mark.usefixtures("quick")
def test_an_autoencoder_has_more_holes_than_a_vae(tmp_path: Any) -> None:
    found = {}
    for variant in ("ae", "vae"):
        recipe = vaelab.recipe(
            "quickstart",
            DIGITS | {"model.variant": variant, "train.epochs": 20, "train.learning_rate": 6e-3},
        )
        run = vaelab.train(recipe, tmp_path / variant, quiet=True)
        found[variant] = measure(Evaluator(run, n_samples=1000))
    for key in ("hole_share", "lost_share", "prior_gap_at_least"):
        one, other = (found[variant][key] for variant in ("ae", "vae"))
        assert one.value - other.value > 3 * math.hypot(one.error, other.error), key
    for each in found.values():
        assert 0.5 < each["knn_accuracy"].value < 1  # digits; 0.1 by chance


# ---------------------------------------------------------------- every row of the table


def tiny(variant: str, **given: Any) -> Evaluator:
    """A row with a small untrained model, on some of the digits."""
    torch.manual_seed(0)
    small = {
        "hidden": [6, 8],
        "latent": 3,
        "components": 4,
        "codes": 6,
        "upper": [2],
        "batch_norm": False,
    }
    settings = {f"model.{name}": value for name, value in ({"variant": variant} | small).items()}
    likelihood = table.ROWS[variant].likelihood or "bernoulli"
    recipe = vaelab.recipe("quickstart", TINY | settings | {"model.likelihood": likelihood})
    vae = build(recipe.model, (8, 8), 17, range(10))
    return subject(vae, recipe, **({"images": 60, "n_samples": 100} | given))


def is_finite(value: Any) -> bool:
    match value:
        case Estimate(mean, error, each):
            return (
                math.isfinite(mean)
                and (error is None or error >= 0)
                and (each is None or np.isfinite(each).all())
            )
        case list():
            return all(map(is_finite, value))
        case str():
            return True
    return math.isfinite(value)


def complete(found: dict[str, Any]) -> None:
    """Every number is finite, and of every one that is missing the notes give the reason."""
    assert set(found) <= {*METRICS, "notes"}
    for key, value in found.items():
        assert is_finite(value), (key, value)
    reasons = set(" ".join(note.split(": ")[0] for note in found["notes"]).replace(",", "").split())
    continuous = {"codes_used", "codes_perplexity"} if "activity" in found else set()
    assert {*METRICS} - {*found} == (reasons | continuous) - {*found}


@pytest.mark.parametrize("variant", table.ROWS)
def test_every_row_has_finite_numbers_or_reasons(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoded, "DECODED", 20)
    monkeypatch.setattr(decoded, "K", 5)
    made = tiny(variant)
    state = torch.get_rng_state()
    found = measure(made)
    assert torch.equal(state, torch.get_rng_state())
    complete(found)
    posterior = made.run.recipe.model.posterior
    assert ("codes_used" in found) == (posterior in ("vector-quantised", "fsq", "gumbel-softmax"))
    assert ("mutual_information" in found) == (posterior not in ("point", "iaf", "spline-flow"))
    assert ("total_correlation" in found) == (
        posterior in ("gaussian", "full-covariance", "vector-quantised", "fsq", "gumbel-softmax")
    )
    assert ("rates" in found) == (
        posterior == "gaussian" and made.run.recipe.model.prior in ("normal", "per-class")
    )


@pytest.mark.parametrize("likelihood", [name for name in LIKELIHOODS if name != "mixed"])
def test_every_likelihood_has_finite_numbers_or_reasons(
    likelihood: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoded, "DECODED", 20)
    monkeypatch.setattr(decoded, "K", 5)
    counts = {"data.treatment": "counts"} if likelihood in ("poisson", "negative-binomial") else {}
    recipe = vaelab.recipe("quickstart", TINY | {"model.likelihood": likelihood} | counts)
    found = measure(subject(build(recipe.model, (8, 8), 17), recipe, images=40, n_samples=50))
    complete(found)


def test_the_same_seed_measures_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded, "DECODED", 20)

    def numbers(seed: int) -> dict[str, Any]:
        found = measure(tiny("vae", seed=seed))
        return {key: value.value for key, value in found.items() if isinstance(value, Estimate)}

    one, other = numbers(0), numbers(9)
    assert one == numbers(0)
    # Each metric draws random numbers of its own.
    for key in ("mutual_information", "hole_share", "lost_share", "sample_nll", "smoothness"):
        assert one[key] != other[key], key


def test_a_conditional_model_is_measured_class_by_class() -> None:
    """Codes that do not overlap: of the image, given its class of n_y images, they say log n_y."""
    made = tiny("cvae", images=0)
    with torch.no_grad():
        made.vae.encoder.head.bias[3:] = -40
    found = measure(made)
    assert made.test.y is not None
    sizes = made.test.y.bincount().double()
    assert len(sizes) == 10
    assert found["mutual_information"].value == pytest.approx(
        float((sizes * sizes.log()).sum() / sizes.sum())
    )
    assert found["rate"].each is not None
    # The columns are in the order of the test images.
    draw = made.vae.draw(made.x_test, 1, made.test.y)
    assert found["rate"].each == pytest.approx(draw.rate.detach().double().numpy())


def test_what_is_decoded_of_a_sphere_lies_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny("svae")
    decode, away = made.vae.decode, []

    def watched(z: Tensor, y: Tensor | None = None) -> Tensor:
        away.append(float((z.norm(dim=-1) - 1).abs().max()))
        return decode(z, y)

    monkeypatch.setattr(made.vae, "decode", watched)
    assert "smoothness" in measure(made)
    assert len(away) == 3  # codes, samples of the prior, and what lies between codes
    assert max(away) < 1e-5


@pytest.mark.parametrize("variant", ["vae", "ae", "svae", "vq-vae", "cvae"])
def test_one_test_image_is_enough(variant: str) -> None:
    made = tiny(variant)
    data = made.data
    made.__dict__["data"] = data._replace(test=data.test.take(torch.tensor([3])))
    found = measure(made)
    assert all(is_finite(v.value if isinstance(v, Estimate) else v) for v in found.values())
    assert found["knn_accuracy"].value in (0, 1)


@pytest.mark.parametrize("treatment", ["dynamic", "grey"])
def test_what_codes_decode_to_comes_back_as_the_encoder_knows_its_data(
    treatment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the data are binarised, these are zeros and ones sampled with the decoder's means.

    Otherwise they are the means.
    """
    torch.manual_seed(0)
    recipe = vaelab.recipe("quickstart", TINY | {"data.treatment": treatment})
    made = subject(build(recipe.model, (8, 8), 17), recipe, images=60, n_samples=1000)
    assert made.z_test is not None  # encoded before, as are the training images
    assert made.z_train is not None
    decode, encode, decoded, encoded = made.vae.decode, made.vae.encode, [], []

    def watched(z: Tensor, y: Tensor | None = None) -> Tensor:
        decoded.append(decode(z, y))
        return decoded[-1]

    def seen(x: Tensor, y: Tensor | None = None) -> Tensor:
        encoded.append(x)
        return encode(x, y)

    monkeypatch.setattr(made.vae, "decode", watched)
    monkeypatch.setattr(made.vae, "encode", seen)
    monkeypatch.setattr(decoded_section, "DECODED", 20)
    monkeypatch.setattr(decoded_section, "K", 5)
    measure(made)
    assert sorted(map(len, encoded)) == [60, 1000]  # the test images' codes and the prior's
    for x in encoded:
        means = next(each for each in decoded if len(each) == len(x))
        if treatment == "grey":
            assert torch.equal(x, means)
            continue
        assert ((x == 0) | (x == 1)).all()
        error = (means * (1 - means)).sum(0).sqrt() / len(x)
        assert ((x - means).mean(0).abs() < WIDE * error).all()


def test_files_sorted_by_class_are_probed_on_all_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A linear probe sees some of the training images; the first of them would be of one class."""
    monkeypatch.setattr(groups, "FITTED", 60)
    made = linear_gaussian(300)
    y = (torch.arange(300) >= 150).long()
    x = torch.randn(300, 3) + 6 * y[:, None]
    made.__dict__["data"] = tabular(x, x, y, y)
    assert measure(made)["probe_accuracy"].value > 0.95
