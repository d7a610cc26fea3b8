"""Metrics of samples against known values.

The values come from closed forms, from brute force, or from how the sets are made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import tiny
from torch import Tensor

import vaelab
from vaelab import devices
from vaelab.errors import UserError
from vaelab.evaluation import classifier as eyes
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics.estimates import Estimate, resampled
from vaelab.evaluation.metrics.fidelity import classifier_score, frechet, kernel_mmd, neighbourhoods
from vaelab.evaluation.metrics.images import psnr, ssim
from vaelab.evaluation.metrics.memorisation import copies, nearest, nearness
from vaelab.evaluation.sections import samples
from vaelab.evaluation.sections.samples import METRICS, measure


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def exactly(mean: Tensor, covariance: Tensor, n: int = 40, seed: int = 0) -> Tensor:
    """n rows with that mean and that covariance, to rounding."""
    x = random(n, len(mean), seed=seed)
    x = torch.linalg.solve_triangular(
        torch.linalg.cholesky(x.T.cov()), (x - x.mean(0)).T, upper=False
    )
    return (torch.linalg.cholesky(covariance) @ x).T + mean


def turn(angle: float) -> Tensor:
    return torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]],
        dtype=torch.float64,
    )


# --- Frechet distance -----------------------------------------------------------------------------


def test_frechet_of_independent_dimensions_is_the_difference_of_means_and_deviations() -> None:
    """|m - n|^2 + sum (s_i - t_i)^2."""
    m, n, s, t = torch.rand(4, 7, dtype=torch.float64) + 0.1
    found = frechet(exactly(m, (s**2).diag()), exactly(n, (t**2).diag(), seed=1))
    assert found == pytest.approx(float((m - n).square().sum() + (s - t).square().sum()), rel=1e-9)


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2])
def test_frechet_of_covariances_that_do_not_commute(angle: float) -> None:
    """In two dimensions tr (S T)^(1/2) = sqrt(tr(S T) + 2 sqrt(det(S T)))."""
    s = torch.tensor([2.0, 0.1], dtype=torch.float64).diag()
    t = turn(angle) @ torch.tensor([0.5, 3.0], dtype=torch.float64).diag() @ turn(angle).T
    m, n = torch.tensor([1.0, 2.0]).double(), torch.tensor([0.0, 4.0]).double()
    root = ((s @ t).trace() + 2 * (s @ t).det().sqrt()).sqrt()
    wanted = float((m - n).square().sum() + s.trace() + t.trace() - 2 * root)
    assert frechet(exactly(m, s), exactly(n, t, seed=1)) == pytest.approx(wanted, rel=1e-9)


def test_frechet_is_zero_for_equal_sets_symmetric_and_defined_for_constant_features() -> None:
    x, y = random(50, 5), 2 + random(50, 5, seed=1) @ random(5, 5, seed=2)
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet(x, y) == pytest.approx(frechet(y, x), rel=1e-9)
    constant = torch.zeros(50, 5)
    assert frechet(constant, constant) == 0
    wanted = float(x.mean(0).square().sum() + x.var(0).sum())  # of a point at 0
    assert frechet(x, constant) == pytest.approx(wanted, rel=1e-9)
    assert frechet(x[:, :1], constant[:, :1]) == pytest.approx(
        float(x[:, 0].mean() ** 2 + x[:, 0].var()), rel=1e-9
    )


def test_frechet_of_random_sets_is_right_within_its_error_and_the_error_is_its_spread() -> None:
    """The Frechet distance of N(0, I) and N(1, 4 I) in 3 dimensions is 3 (1 + 1).

    The bias at n = 400 is 0.02, far below the error.
    """
    found = [
        resampled(
            frechet, random(400, 3, seed=2 * i), 1 + 2 * random(400, 3, seed=2 * i + 1), seed=i
        )
        for i in range(60)
    ]
    values = np.array([estimate.value for estimate in found])
    error = values.std(ddof=1)
    assert abs(values.mean() - 6) < 4 * error / 60**0.5 + 0.02
    stated = np.array([estimate.error for estimate in found])
    # A standard deviation estimated from 60 values has a relative error of 1 / sqrt(120), and one
    # from 20 resamples of 1 / sqrt(38).
    assert stated.mean() == pytest.approx(error, rel=4 * (1 / 120 + 1 / 38 / 60) ** 0.5)


# --- precision, recall, density, coverage ---------------------------------------------------------


def by_hand(made: Tensor, real: Tensor) -> dict[str, float]:
    """The definitions, one pair at a time."""

    def ball(points: Tensor, i: int, k: int) -> float:
        return sorted(
            float((points[i] - other).norm()) for j, other in enumerate(points) if j != i
        )[k - 1]

    real_balls = {k: [ball(real, i, k) for i in range(len(real))] for k in (3, 5)}
    made_balls = [ball(made, j, 3) for j in range(len(made))]
    apart = [[float((a - b).norm()) for b in real] for a in made]
    pairs = [(j, i) for j in range(len(made)) for i in range(len(real))]
    near = {k: {(j, i) for j, i in pairs if apart[j][i] <= real_balls[k][i]} for k in (3, 5)}
    return {
        "precision": len({j for j, _ in near[3]}) / len(made),
        "recall": len({i for j, i in pairs if apart[j][i] <= made_balls[j]}) / len(real),
        "density": len(near[5]) / 5 / len(made),
        "coverage": len({i for _, i in near[5]}) / len(real),
    }


def values(found: dict[str, Estimate]) -> dict[str, float]:
    return {key: estimate.value for key, estimate in found.items()}


def test_neighbourhoods_are_those_of_the_definitions_whatever_the_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, real = 0.8 * random(23, 3) + 0.3, random(31, 3, seed=1)
    wanted = by_hand(made, real)
    assert min(wanted.values()) > 0
    assert len(set(wanted.values())) == 4
    assert values(neighbourhoods(made, real)) == pytest.approx(wanted)
    monkeypatch.setattr(devices, "BUDGET", 7 * 16 * len(real))
    assert values(neighbourhoods(made, real)) == pytest.approx(wanted)


def test_a_set_and_itself_are_precise_complete_and_covered_and_sets_far_apart_are_nothing() -> None:
    x = random(200, 4)
    same = values(neighbourhoods(x, x))
    assert {key: same[key] for key in ("precision", "recall", "coverage")} == dict.fromkeys(
        ("precision", "recall", "coverage"), 1.0
    )
    # The point's own ball and those of 5 others; rounding decides which points are on the rim.
    assert 1 <= same["density"] <= 6 / 5
    assert values(neighbourhoods(x, x + 100)) == dict.fromkeys(same, 0.0)


def test_a_dropped_mode_costs_half_of_the_recall_and_coverage_but_no_precision() -> None:
    """The two modes are far apart.

    The values are those of one mode against itself, halved for the metrics of the real images.
    """
    n = 1000
    real, made = random(n, 2), random(n // 2, 2, seed=1)
    real[n // 2 :] += 100
    found, alone = values(neighbourhoods(made, real)), values(neighbourhoods(made, real[: n // 2]))
    for key, share in {"precision": 1, "density": 1, "recall": 0.5, "coverage": 0.5}.items():
        assert found[key] == pytest.approx(share * alone[key])
    assert alone["precision"] > 0.95
    assert alone["recall"] > 0.95


def test_density_and_coverage_of_one_distribution_are_what_naeem_et_al_worked_out() -> None:
    """Density is 1 and coverage 1 - prod_{i=1..5} (M - i) / (N + M - i), in expectation.

    This holds in any number of dimensions.
    """
    n, m, times = 60, 90, 200
    found = [
        neighbourhoods(random(n, 4, seed=i), random(m, 4, seed=1000 + i)) for i in range(times)
    ]
    wanted = {"coverage": 1 - math.prod((m - i) / (n + m - i) for i in range(1, 6)), "density": 1.0}
    for key, truth in wanted.items():
        each = np.array([estimates[key].value for estimates in found])
        assert abs(each.mean() - truth) < 4 * each.std(ddof=1) / times**0.5
        assert each.std(ddof=1) / times**0.5 < 0.02  # narrow enough to say something


# --- kernel distance ------------------------------------------------------------------------------


def test_the_kernel_distance_is_its_definition_over_all_pairs() -> None:
    x, y = random(20, 3), random(20, 3, seed=1) + 0.5

    def k(a: Tensor, b: Tensor) -> float:
        return float((a @ b / 3 + 1) ** 3)

    def block(x: Tensor, y: Tensor) -> float:
        n = range(len(x))
        within = sum(k(z[i], z[j]) for z in (x, y) for i in n for j in n if i != j) / (
            len(x) * (len(x) - 1)
        )
        return within - 2 * sum(k(a, b) for a in x for b in y) / len(x) ** 2

    each = np.array([block(x[i : i + 10], y[i : i + 10]) for i in (0, 10)])
    found = kernel_mmd(x, y, 2)
    assert found.value == pytest.approx(each.mean())
    assert found.error == pytest.approx(each.std(ddof=1) / 2**0.5)


def test_the_kernel_distance_of_points_is_that_of_their_kernels() -> None:
    """All of x lie at a and all of y at b: k(a, a) + k(b, b) - 2 k(a, b).

    Here this is 8 + 27 - 2, with no error.
    """
    a, b = torch.tensor([1.0, 1.0]), torch.tensor([2.0, 2.0]) * 0.5**0.5
    wanted = (a @ a / 2 + 1) ** 3 + (b @ b / 2 + 1) ** 3 - 2 * (a @ b / 2 + 1) ** 3
    found = kernel_mmd(a.expand(40, 2), b.expand(40, 2))
    assert found.value == pytest.approx(float(wanted), rel=1e-6)
    assert found.error == pytest.approx(0, abs=1e-9)


def test_the_kernel_distance_of_equal_distributions_is_zero_on_average_within_its_error() -> None:
    times = 300
    found = [
        kernel_mmd(random(100, 4, seed=i), random(100, 4, seed=1000 + i)) for i in range(times)
    ]
    each = np.array([estimate.value for estimate in found])
    spread = each.std(ddof=1)
    assert abs(each.mean()) < 4 * spread / times**0.5
    assert (each < 0).any()
    stated = np.mean([estimate.error**2 for estimate in found if estimate.error]) ** 0.5
    # The kurtosis is above 3: the tails are heavy and the spread is uncertain.
    kurtosis = ((each - each.mean()) ** 4).mean() / spread**4
    assert stated == pytest.approx(
        spread, rel=4 * ((kurtosis - 1) / (4 * times) + 1 / (18 * times)) ** 0.5
    )


def test_the_errors_of_precision_and_density_are_those_of_another_draw_of_samples() -> None:
    """The real points stay the same.

    Recall and coverage report no error, because theirs would be too small.
    """
    real, times = random(150, 4, seed=1), 300
    found = [neighbourhoods(1.2 * random(150, 4, seed=100 + i), real) for i in range(times)]
    for key in ("precision", "density"):
        each = np.array([one[key].value for one in found])
        stated = np.mean([one[key].error ** 2 for one in found if one[key].error]) ** 0.5
        kurtosis = ((each - each.mean()) ** 4).mean() / each.var() ** 2
        assert stated == pytest.approx(
            each.std(ddof=1), rel=4 * ((kurtosis - 1) / (4 * times)) ** 0.5
        )
    assert all(one[key].error is None for one in found for key in ("recall", "coverage"))


# --- classifier score -----------------------------------------------------------------------------


def test_the_classifier_score_runs_from_one_to_the_number_of_classes() -> None:
    assert classifier_score(torch.rand(1, 7).softmax(1).expand(50, 7)) == pytest.approx(1, rel=1e-6)
    assert classifier_score(torch.eye(7).repeat(20, 1)) == pytest.approx(7)
    # Four classes are never generated.
    assert classifier_score(torch.eye(7)[:3].repeat(20, 1)) == pytest.approx(3)
    assert classifier_score(torch.full((30, 7), 1 / 7)) == pytest.approx(1, rel=1e-6)  # never sure


def test_the_classifier_score_between_its_ends() -> None:
    """The rows are (1, 0) and (1/2, 1/2), so their mean is (3/4, 1/4).

    The divergences from it are log 4/3 and (log 2/3 + log 2) / 2.
    """
    wanted = math.exp((math.log(4 / 3) + (math.log(2 / 3) + math.log(2)) / 2) / 2)
    assert classifier_score(torch.tensor([[1.0, 0.0], [0.5, 0.5]])) == pytest.approx(wanted)


def replaced(
    subject: Evaluator, samples: Tensor | None = None, reconstructions: Tensor | None = None
) -> Evaluator:
    """The same, with other samples or reconstructions than its model makes."""
    if samples is not None:
        subject.__dict__["samples"] = lambda which=None: iter(
            [samples if which is None else samples[which]]
        )
    if reconstructions is not None:
        subject.__dict__["reconstructions"] = lambda: iter([(subject.x_test, reconstructions)])
    return subject


def test_samples_and_reconstructions_are_those_of_the_model_however_many_at_once(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Evaluator(vaelab.load(digits), n_samples=100)
    wanted = subject.vae.sample(100, subject.seed)
    assert torch.equal(torch.cat([*subject.samples()]), wanted)
    rebuilt = subject.vae.reconstruct(subject.x_test, subject.test.y)
    monkeypatch.setattr(devices, "BUDGET", 7 * subject.vae.row_bytes)
    chunks = [*subject.samples()]
    assert max(map(len, chunks)) == 7
    torch.testing.assert_close(torch.cat(chunks), wanted)
    which = torch.tensor([3, 99, 0])
    torch.testing.assert_close(torch.cat([*subject.samples(which)]), wanted[which])
    torch.testing.assert_close(torch.cat([y for _, y in subject.reconstructions()]), rebuilt)


def test_measuring_samples_decodes_no_more_at_once_than_the_budget_allows(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the number of samples: their features are kept, the images are not."""
    subject = Evaluator(vaelab.load(digits), n_samples=500)
    whole = measure(subject)
    monkeypatch.setattr(devices, "BUDGET", 20 * subject.vae.row_bytes)
    rows: list[int] = []
    subject.vae.decoder.register_forward_hook(lambda _, given, __: rows.append(len(given[0])))
    found = measure(subject)
    assert max(rows) == 20
    for key in ("frechet", "nearest_train", "ssim"):
        assert found[key].value == pytest.approx(whole[key].value, rel=1e-4)


# --- reconstructions ------------------------------------------------------------------------------


def test_psnr_is_the_range_over_the_error_in_decibels_and_stays_finite() -> None:
    found = psnr(torch.tensor([1.0, 0.01, 4.0, 0.0]), 2.0)
    np.testing.assert_allclose(found, [10 * math.log10(4), 10 * math.log10(400), 0, 100], rtol=1e-6)


def ssim_by_hand(x: Tensor, y: Tensor, size: int) -> float:
    """Window by window, over one channel, values in [0, 1]."""
    place = np.arange(size) - size // 2
    window = np.exp(-(place[:, None] ** 2 + place**2) / (2 * 1.5**2))
    window /= window.sum()
    found = []
    for top in range(x.shape[0] - size + 1):
        for left in range(x.shape[1] - size + 1):
            u, v = (z[top : top + size, left : left + size].numpy() for z in (x, y))
            m, n = (window * u).sum(), (window * v).sum()
            s2, t2 = (window * (u - m) ** 2).sum(), (window * (v - n) ** 2).sum()
            c = (window * (u - m) * (v - n)).sum()
            # The constants are 0.01^2 and 0.03^2.
            found.append(
                (2 * m * n + 1e-4) * (2 * c + 9e-4) / ((m**2 + n**2 + 1e-4) * (s2 + t2 + 9e-4))
            )
    return float(np.mean(found))


@pytest.mark.parametrize(
    ("shape", "size"), [((8, 8), 7), ((9, 14), 9), ((14, 13), 11), ((3, 5), 3)]
)
def test_ssim_is_the_formula_in_every_window_which_is_as_large_as_the_image_allows(
    shape: tuple[int, int], size: int
) -> None:
    x, y = torch.rand(2, 4, *shape, dtype=torch.float64)
    found = ssim(x, y)
    np.testing.assert_allclose(
        found, [ssim_by_hand(a, b, size) for a, b in zip(x, y, strict=True)], rtol=1e-9
    )
    np.testing.assert_allclose(ssim(y, x), found, rtol=1e-12)
    np.testing.assert_allclose(ssim(x * 50 - 20, y * 50 - 20, -20, 30), found, rtol=1e-9)
    np.testing.assert_allclose(
        ssim(torch.stack([x, y], 1), torch.stack([y, y], 1)), (found + 1) / 2, rtol=1e-9
    )


def test_ssim_of_an_image_and_itself_is_one_and_of_constants_only_their_brightness_counts() -> None:
    x = torch.rand(3, 12, 12)
    np.testing.assert_allclose(ssim(x, x), 1, rtol=1e-12)
    a, b = torch.full((1, 8, 8), 0.5), torch.full((1, 8, 8), 0.8)
    assert float(ssim(a, b)) == pytest.approx((2 * 0.4 + 1e-4) / (0.25 + 0.64 + 1e-4), rel=1e-6)


def test_ssim_goes_through_all_chunks_and_refuses_images_without_a_neighbourhood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, y = torch.rand(2, 7, 8, 8)
    whole = ssim(x, y)
    monkeypatch.setattr(devices, "BUDGET", 3 * 100 * 64)
    np.testing.assert_allclose(ssim(x, y), whole, rtol=1e-12)
    with pytest.raises(UserError, match=r"^ssim: images of 2 x 9 pixels are too small"):
        ssim(torch.rand(1, 2, 9), torch.rand(1, 2, 9))


# --- neighbours and copies ------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_nearest_is_that_of_brute_force_even_far_from_zero(
    offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, among = random(23, 4, 5) + offset, random(40, 4, 5, seed=1) + offset
    apart = (x[:, None] - among).flatten(2).norm(dim=2)  # (23, 40)
    for memory in (2**24, 100):  # all at once; two at a time
        monkeypatch.setattr(devices, "BUDGET", 16 * memory)
        for rank in (1, 2):
            distance, index = nearest(x, among, rank)
            np.testing.assert_allclose(distance, apart.sort(1).values[:, rank - 1], rtol=1e-12)
            assert index.tolist() == apart.argsort(1)[:, rank - 1].tolist()


def test_a_copy_is_found_at_zero_and_with_rank_two_the_nearest_other() -> None:
    x = torch.rand(300, 28, 28)
    distance, index = nearest(x, x)
    assert distance.max() == 0
    assert index.tolist() == list(range(300))
    other, _ = nearest(x, x, 2)
    apart = torch.cdist(x.flatten(1).double(), x.flatten(1).double()).fill_diagonal_(torch.inf)
    np.testing.assert_allclose(other, apart.min(1).values, rtol=1e-6)


def test_neighbours_nearer_to_one_another_than_float32_can_tell_are_told_apart() -> None:
    """Each image has a copy and two neighbours that are 1e-4 and 2e-4 away.

    |x|^2 is 260, and rounding is 1e-5 of it.
    """
    x = torch.rand(50, 784).double()
    step = torch.nn.functional.normalize(random(50, 784))
    among = torch.cat([x + 2e-4 * step, x + 1e-4 * step, x])
    for rank, (wanted, first) in enumerate([(0.0, 100), (1e-4, 50), (2e-4, 0)], 1):
        distance, index = nearest(x, among, rank)
        np.testing.assert_allclose(distance, wanted, rtol=1e-6)
        assert index.tolist() == list(range(first, first + 50))


def share_copied(samples: Tensor, train: Tensor, test: Tensor) -> float:
    def near(x: Tensor, rank: int) -> Tensor:
        return nearness(nearest(x, train)[0], nearest(x, test, rank)[0])

    return copies(near(samples, 1), near(test, 2)).value


@pytest.mark.parametrize("n", [150, 600])
def test_fresh_samples_are_copies_as_often_as_is_said_and_the_error_covers_that(n: int) -> None:
    times = 60
    # All three sets come from one distribution.
    found = np.array(
        [share_copied(*(random(n, 5, seed=3 * i + j) for j in range(3))) for i in range(times)]
    )
    assert abs(found.mean() - 0.01) < 4 * found.std(ddof=1) / times**0.5
    stated = (0.01 * 0.99 * 2 / n) ** 0.5  # the error at a share of 1 %
    assert found.std(ddof=1) == pytest.approx(stated, rel=5 / math.sqrt(2 * (times - 1)))


def test_the_share_of_copies_is_counted_below_the_limit_and_its_error_is_of_both_sets() -> None:
    """Of 999 nearnesses 1, 2, ..., the tenth has 1 % of the distribution below it."""
    real = torch.arange(1.0, 1000.0)
    found = copies(torch.tensor([1.0, 9.5, 10.0, 10.5]), real)
    assert found.value == 0.5
    assert found.error == pytest.approx((0.5 * 0.5 / 4 + 0.01 * 0.99 / 999) ** 0.5)


def test_memorised_images_are_found_even_if_blurred_and_fresh_blurred_images_are_not() -> None:
    """Blur moves all images towards the mean.

    A blurred fresh image therefore lies nearer to training images than a real one does.
    """
    train, test, fresh = random(2000, 20), random(1000, 20, seed=1), random(1000, 20, seed=2)
    assert share_copied(train[:1000] + 0.01 * random(1000, 20, seed=3), train, test) == 1
    assert share_copied(0.7 * train[:1000], train, test) > 0.95
    assert share_copied(0.7 * fresh, train, test) < 0.01 + 4 * (0.01 * 0.99 * 2 / 1000) ** 0.5
    nearer = (
        (nearest(0.7 * fresh, train)[0] < nearest(test, train)[0].quantile(0.01)).double().mean()
    )
    assert nearer > 0.05  # so the distance alone would have called these copies
    half = torch.cat([train[:500], fresh[:500]])
    # The error of the share among the fresh images, which is 1 % in expectation.
    error = (0.01 * 0.99 * (1 / 500 + 1 / 1000)) ** 0.5
    assert share_copied(half, train, test) == pytest.approx(0.5 + 0.01 / 2, abs=4 * error / 2)


def test_images_that_are_equal_to_training_and_test_images_alike_are_no_copies() -> None:
    assert nearness(torch.tensor([0.0, 0.0, 2.0]), torch.tensor([0.0, 1.0, 6.0])).tolist() == [
        0.5,
        0.0,
        0.25,
    ]
    assert copies(torch.full((10,), 0.5), torch.full((200,), 0.5)).value == 0


# --- whole runs -----------------------------------------------------------------------------------


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of our own, and classifiers that are taught in a blink."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAELAB_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(eyes, "SHOWN", (6000, 6000))
        yield


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without pictures. To look at only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelab.plots.gallery.plot", lambda *_: None)
        patch.setattr("vaelab.plots.gallery.snapshot", lambda *_: None)
        return vaelab.train(tiny(), tmp_path_factory.mktemp("digits") / "run", quiet=True).folder


@pytest.fixture
def train(quick: None, tmp_path: Path) -> Callable[..., vaelab.Run]:
    return lambda **settings: vaelab.train(
        tiny({key.replace("__", "."): value for key, value in settings.items()}),
        tmp_path / "run",
        quiet=True,
    )


REAL = {key for key in METRICS if key.endswith("_real")} - {"asked_class_real"}
PIXELS = {"mse", "psnr", "ssim"}


def check(found: dict[str, Any]) -> None:
    """Every key has its row, every number is one."""
    assert set(found) - {"notes"} <= set(METRICS)
    for key, value in found.items():
        if isinstance(value, Estimate):
            assert math.isfinite(value.value)
            if key.startswith(("recall", "coverage")):
                assert value.error is None  # of another draw of samples nothing is known
                continue
            assert value.error is not None
            assert math.isfinite(value.error)
            assert value.error >= 0


def test_all_numbers_of_a_run_and_the_same_again(digits: Path) -> None:
    before = torch.get_rng_state()
    subject = Evaluator(vaelab.load(digits), n_samples=500)
    found = measure(subject)
    check(found)
    assert set(METRICS) - set(found) == {"asked_class", "asked_class_real"}
    assert found["compared"] == len(subject.x_test) == 180
    x, y = subject.x_test.double(), torch.cat([y for _, y in subject.reconstructions()]).double()
    np.testing.assert_allclose(found["mse"].each, (x - y).square().mean((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(found["psnr"].each, -10 * np.log10(found["mse"].each), rtol=1e-9)
    assert found["ssim"].each.shape == (180,)
    again = measure(Evaluator(vaelab.load(digits), n_samples=500))
    assert str({key: value for key, value in again.items() if key not in PIXELS}) == str(
        {key: value for key, value in found.items() if key not in PIXELS}
    )
    assert torch.equal(before, torch.get_rng_state())


def test_perfect_reconstructions_are_perfect_by_every_number(digits: Path) -> None:
    subject = Evaluator(vaelab.load(digits), n_samples=200)
    imperfect = measure(subject)["frechet_reconstructions"].value
    assert imperfect > 1
    subject = Evaluator(vaelab.load(digits), n_samples=200)
    replaced(subject, reconstructions=subject.x_test)
    found = measure(subject)
    assert [found[key].value for key in ("mse", "psnr", "ssim")] == [0, 100, pytest.approx(1)]
    assert found["frechet_reconstructions"].value == pytest.approx(0, abs=1e-6)


def test_the_range_of_counts_is_theirs(train: Callable[..., vaelab.Run]) -> None:
    """Grey levels 0 .. 16 as counts."""
    found = measure(
        Evaluator(train(data__treatment="counts", model__likelihood="poisson"), n_samples=200)
    )
    check(found)
    np.testing.assert_allclose(
        found["psnr"].each, 10 * np.log10(256 / found["mse"].each), rtol=1e-9
    )


def test_every_baseline_is_of_training_images_against_test_images(digits: Path) -> None:
    """There are as many training as test images, so that all are compared.

    Their order decides only the blocks of kernel_mmd.
    """
    subject = Evaluator(vaelab.load(digits), n_samples=200)
    subject.__dict__["x_train"] = subject.x_train[: len(subject.x_test)]
    found = measure(subject)
    assert found["compared"] == len(subject.x_train) == len(subject.x_test)
    see = eyes.classifier(subject).features
    train, test = see(subject.x_train), see(subject.x_test)
    assert found["frechet_real"].value == pytest.approx(frechet(train, test), rel=1e-6)
    assert found["frechet_real"].value > 0
    for key, wanted in neighbourhoods(train, test).items():
        assert found[f"{key}_real"].value == pytest.approx(wanted.value, rel=1e-6), key
        assert wanted.value != pytest.approx(neighbourhoods(test, test)[key].value), key
    # Other blocks than in there; each error is that of ten, and t(9) is beyond 4.8 once in 1,000.
    wanted = kernel_mmd(train, test)
    error = math.hypot(wanted.error or 0, found["kernel_mmd_real"].error)
    assert found["kernel_mmd_real"].value == pytest.approx(wanted.value, abs=4.8 * error)


def test_better_samples_score_better_and_the_baseline_is_what_real_images_reach(
    digits: Path,
) -> None:
    """Held-out images in place of samples reach the baseline.

    Images of one class only, or noise, do not.
    """
    run = vaelab.load(digits)

    def with_samples(x: Tensor) -> dict[str, Any]:
        subject = replaced(Evaluator(run, n_samples=len(x)), samples=x)
        return measure(subject)

    subject = Evaluator(run)
    fresh = subject.validation(torch.arange(len(subject.validation)), torch.Generator())
    good = with_samples(fresh)
    assert abs(good["kernel_mmd"].value) < 4 * good["kernel_mmd"].error
    binomial = 0.5 / 162**0.5  # the error of a share at most, by 162 validation images
    for key in ("precision", "recall", "density", "coverage"):
        error = math.hypot(good[key].error or binomial, good[f"{key}_real"].error or binomial)
        assert abs(good[key].value - good[f"{key}_real"].value) < 5 * error
    error = math.hypot(good["frechet"].error, good["frechet_real"].error)
    assert abs(good["frechet"].value - good["frechet_real"].value) < 4 * error
    assert good["copies"].value < 0.06  # 1 %, from 162 samples and 180 test images, within 4 errors
    assert subject.train.y is not None
    one = with_samples(subject.x_train[subject.train.y == 3])
    assert one["precision"].value > 0.6
    assert one["recall"].value < 0.4 < good["recall"].value
    assert one["classifier_score"].value < 2 < good["classifier_score"].value
    noise = with_samples(torch.rand(200, 8, 8))
    for key in ("recall", "coverage", "density"):
        assert noise[key].value < good[key].value - 5 * math.hypot(
            noise[key].error or 0, good[key].error or binomial
        )
    for bad in (noise, one):
        assert bad["frechet"].value > good["frechet"].value + 5 * math.hypot(
            bad["frechet"].error, error
        )
    memorised = with_samples(subject.x_train[:200] + 0.001 * torch.randn(200, 8, 8))
    assert memorised["copies"].value > 0.95
    assert memorised["nearest_train"].value < 0.1 * memorised["nearest_train_real"].value


def test_samples_of_binarised_data_are_pixels_with_the_means_as_probabilities(
    train: Callable[..., vaelab.Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Evaluator(train(data__treatment="dynamic"), n_samples=300)
    seen: list[Tensor] = []
    real = eyes.Classifier.features
    monkeypatch.setattr(
        eyes.Classifier, "features", lambda self, x: (seen.append(x), real(self, x))[1]
    )
    found = measure(subject)
    check(found)
    assert any("pixels sampled from p(x|z)" in note for note in found["notes"])
    assert len(seen) >= 4
    assert all(bool(((x == 0) | (x == 1)).all()) for x in seen)
    means = torch.rand(4000, 6)
    drawn = samples._pixels(subject)(means)
    error = (means * (1 - means)).sum(0).sqrt() / 4000
    assert ((drawn - means).mean(0).abs() < 4 * error).all()
    x, y = subject.x_test.double(), torch.cat([y for _, y in subject.reconstructions()]).double()
    assert found["mse"].value == pytest.approx(float((x - y).square().mean()))  # of the means
    made = torch.cat([*subject.samples()])[samples._order(subject.n_samples, 180, 0, "samples")]
    assert found["nearest_train"].value == pytest.approx(
        float(nearest(made, subject.x_train)[0].mean())
    )


def test_a_conditional_model_is_asked_for_classes(train: Callable[..., vaelab.Run]) -> None:
    """Samples of the requested class are recognised as such as often as real images are.

    Here the samples are real images of the requested class, or of the next one.
    """
    subject = Evaluator(train(model__variant="cvae"), n_samples=200)
    found = measure(subject)
    check(found)
    assert set(found) == set(METRICS) | {"notes"}
    assert found["asked_class_real"] == found["classifier"]["accuracy"]
    images = {int(y): subject.x_train[subject.train.y == y] for y in subject.vae.classes}
    subject.vae.sample = lambda n, seed, y: images[y][torch.arange(n) % len(images[y])]  # type: ignore[method-assign]
    assert measure(subject)["asked_class"].value > 0.9
    subject.vae.sample = lambda n, seed, y: images[(y + 1) % 10][torch.arange(n) % 50]  # type: ignore[method-assign]
    assert measure(subject)["asked_class"].value < 0.05


def test_an_autoencoder_has_all_numbers(train: Callable[..., vaelab.Run]) -> None:
    found = measure(Evaluator(train(model__variant="ae"), n_samples=200))
    check(found)
    assert set(METRICS) - set(found) == {"asked_class", "asked_class_real"}


def test_flat_data_without_labels_have_all_but_pictures_numbers(
    train: Callable[..., vaelab.Run], tmp_path: Path
) -> None:
    np.save(tmp_path / "flat.npy", (random(800, 3) @ random(3, 12, seed=1)).numpy())
    run = train(data__source=str(tmp_path / "flat.npy"), model__likelihood="gaussian")
    found = measure(Evaluator(run, n_samples=200))
    check(found)
    missing = set(METRICS) - set(found)
    of_classes = {"classifier_score", "classifier_score_real", "asked_class", "asked_class_real"}
    assert missing == {"psnr", "ssim", "copies"} | of_classes
    assert any(note.startswith("copies: left out") for note in found["notes"])
    assert found["classifier"]["task"] == "components"
    assert any(note.startswith("psnr, ssim: left out") for note in found["notes"])
    assert any(note.startswith("classifier_score: left out") for note in found["notes"])


def test_too_few_images_and_wild_samples_are_left_out_with_a_reason(digits: Path) -> None:
    run = vaelab.load(digits)
    few = measure(Evaluator(run, images=20))
    assert set(few) == PIXELS | {"notes"}
    assert len(few["ssim"].each) == 20
    assert any("20 images on each side are fewer than 50" in note for note in few["notes"])
    subject = Evaluator(run, n_samples=60)
    replaced(subject, samples=torch.full((60, 8, 8), torch.inf))
    assert set(measure(subject)) == PIXELS | {"notes"}
    replaced(subject, reconstructions=torch.full_like(subject.x_test, torch.nan))
    wild = measure(subject)
    assert set(wild) == {"notes"}
    assert sum("infinite" in note for note in wild["notes"]) == 2
