"""The codes of a trained model: how much they say, how they lie to the prior, what lies between them.

The aggregate posterior is q(z) = 1/N sum_n q(z|x_n), over the test images; in a conditional model there is one for
each class, q(z|y), to be held against p(z|y). Densities are in nats.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal
from torch.nn.functional import one_hot

from vaelab.data import Batches
from vaelab.evaluation.likelihood import log_likelihood
from vaelab.evaluation.metric import Estimate, Metric, mean, pooled, resampled
from vaelab.evaluation.prepared import Subject
from vaelab.models import VAE, Code, Delta, Draw, Flowed, OneHots, VonMisesFisher, sampled
from vaelab.seeding import derive, generator, seeded

ACTIVE = 0.01  # variance of its mean above which a dimension is in use (Burda et al. 2016)
SAMPLES = 2000  # of the aggregate posterior, whose density is worked out
PAIRS = 2**18  # densities of samples under posteriors at once: bounds the memory, and fits a cache
FITTED = 20_000  # training codes that a mixture or a linear probe is fitted to
COMPONENTS = (1, 4, 16, 64)  # of that mixture: what fits held-out codes best
UNLIKELY = 0.05  # share of the test codes themselves that counts as unlikely, or as lost
RESAMPLES = 200  # of the bootstrap
DECODED, K = 500, 100  # decoded samples that are weighed, and importance weights for each
COMPARED = 2000  # images whose distances to one another are compared
WALKS, STEPS = 200, 32  # interpolations, and the steps of each

# fmt: off
METRICS = {
    "rate": Metric("KL(q(z|x) || p(z)), mean over images", "nats per image"),
    "rates": Metric("the same by dimension", "nats per image"),
    "active_units": Metric("dimensions whose mean varies over images by more than 0.01", "", "", "burda2016importance"),
    "activity": Metric("variance over images of each dimension's mean", "", "", "burda2016importance"),
    "codes_used": Metric("share of the discrete values that test images use", "share", "higher", "oord2017neural"),
    "codes_perplexity": Metric("exp of the entropy of their use", "values", "higher", "oord2017neural"),
    "mutual_information": Metric("of image and code, at least; at most log N", "nats", "", "poole2019variational"),
    "mutual_information_at_most": Metric("the same from above", "nats", "", "poole2019variational"),
    "total_correlation": Metric("KL(q(z) || prod_j q(z_j)) over these images", "nats", "", "chen2018isolating"),
    "dimension_wise_kl": Metric("sum_j KL(q(z_j) || p(z_j)), at most", "nats", "",
        "chen2018isolating esmaeili2019structured"),
    "prior_gap": Metric("KL(q(z) || p(z)), at most", "nats", "", "hoffman2016elbo"),
    "prior_gap_at_least": Metric("the same from below", "nats", "", "poole2019variational"),
    "hole_share": Metric("prior samples less likely than 95 % of codes; 0.05 where p(z) = q(z)", "share", "",
        "rosca2018distribution alaa2022faithful"),
    "lost_share": Metric("prior samples that come back from the decoder farther off than 95 % of codes; 0.05 likewise",
        "share", "", "cemgil2020autoencoding"),
    "sample_nll": Metric("-log p(x) of decoded prior samples, K = 100", "nats per image"),
    "sample_nll_excess": Metric("the same less that of decoded codes; 0 where p(z) = q(z)", "nats per image", "",
        "rosca2018distribution"),
    "knn_accuracy": Metric("classes by the vote of the 15 nearest training codes", "share", "higher"),
    "probe_accuracy": Metric("classes by logistic regression on the codes", "share", "higher",
        "alain2017understanding"),
    "silhouette": Metric("how far classes lie apart, -1 to 1", "", "", "rousseeuw1987silhouettes"),
    "trustworthiness": Metric("whether near codes are of near images, 0 to 1", "", "higher", "venna2001neighborhood"),
    "smoothness": Metric("evenness of decoded interpolations, 0 to 1", "", "", "arvanitidis2018latent"),
}
# fmt: on


def measure(subject: Subject) -> dict[str, Any]:
    """All of `METRICS` that make sense for the model and its data; under "notes" why the others do not."""
    notes: list[str] = []
    groups = [
        group
        for label in subject.vae.classes.tolist() or [None]
        if (group := _group(subject, label))
    ]
    parts = (_use, _aggregate_posterior, _fitted, _decoded, _classes, _distances, _interpolations)
    return {key: value for part in parts for key, value in part(subject, groups, notes).items()} | {
        "notes": notes
    }


class Group(NamedTuple):
    """Test images whose codes are to follow one prior: all, or in a conditional model those of a class."""

    which: Tensor  # (n,) of the test images
    posteriors: list[Distribution]  # of a chunk of images each
    prior: Distribution
    z: Tensor  # (n, L) a sample of each image's posterior
    log_qz: Tensor  # (n,) log q(z|x) of it
    rates: Tensor  # (n, L), or (n, 1) where the rate does not fall apart into dimensions
    z_train: Tensor  # (m, L) samples of training images' posteriors, FITTED at most over all groups
    z_prior: Tensor  # (s, L) samples of the prior, as many of each group as it has images
    y: Tensor | None  # (1,) the class

    def labels(self, n: int) -> Tensor | None:
        return None if self.y is None else self.y.repeat(n)


@torch.no_grad()
def _group(subject: Subject, label: int | None) -> Group | None:
    """None for a class without images."""
    vae = subject.vae
    y = None if label is None else vae.classes.new_tensor([label])
    test, train = (
        torch.arange(len(split), device=subject.device)[
            slice(None) if split.y is None or y is None else split.y == y
        ]
        for split in (subject.test, subject.train)
    )
    if not len(test) or not len(train):
        return None
    fitted = train[
        _some(len(train), math.ceil(FITTED * len(train) / len(subject.train)), subject, "fitted")
    ]
    n = math.ceil(subject.n_samples * len(test) / len(subject.test))
    with seeded(subject.seed, f"latent {label}"):
        posteriors, prior = _posteriors(vae, subject.x_test[test], y), vae.prior(*vae.given(y))
        draws = [_draw(q, prior) for q in posteriors]
        z_train = torch.cat([q.sample() for q in _posteriors(vae, subject.x_train[fitted], y)])
        z_prior = prior.sample((n,)).reshape(n, -1)
    z, log_qz = (
        torch.cat([draw.z[0] for draw in draws]),
        torch.cat([draw.log_qz[0] for draw in draws]),
    )
    return Group(
        test,
        posteriors,
        prior,
        z,
        log_qz,
        torch.cat([draw.rates for draw in draws]),
        z_train,
        z_prior,
        y,
    )


def _posteriors(vae: VAE, x: Tensor, y: Tensor | None) -> list[Distribution]:
    return [
        vae.encoder(some, *vae.given(None if y is None else y.repeat(len(some))))
        for some in x.split(vae.rows_at_once())
    ]


def _draw(q: Distribution, p: Distribution) -> Draw:
    """One sample of each posterior, with nothing decoded."""
    z, log_qz = sampled(q, 1)
    return Draw(z, z.new_zeros(z.shape[:2]), q, p, log_qz=log_qz)


def _some(n: int, count: int, subject: Subject, purpose: str) -> Tensor:
    """At most `count` of the indices 0 .. n - 1, by chance: files may be sorted by class."""
    return torch.randperm(n, generator=generator(subject.seed, purpose))[:count].to(subject.device)


def _by_image(groups: Sequence[Group], each: Sequence[Tensor]) -> Estimate:
    """Of a value (n,) for each image of each group."""
    return mean(
        torch.cat([*each])[
            torch.cat([group.which for group in groups]).argsort().to(each[0].device)
        ]
    )


# ---------------------------------------------------------------- how much is used


def _use(subject: Subject, groups: Sequence[Group], notes: list[str]) -> dict[str, Any]:
    q = groups[0].posteriors[0]
    found: dict[str, Any] = {}
    if isinstance(q, Delta) and not isinstance(q, Code):
        notes.append(
            "rate, rates, mutual_information_at_most: an autoencoder is charged nothing for its codes"
        )
    else:
        found["rate"] = _by_image(groups, [group.rates.sum(1) for group in groups])
        if groups[0].rates.shape == groups[0].z.shape:
            found["rates"] = torch.cat([group.rates for group in groups]).double().mean(0).tolist()
        else:
            notes.append(
                "rates: posterior and prior have no divergence in closed form by dimension"
            )
    if isinstance(q, Code | OneHots):
        notes.append("active_units, activity: codes are discrete; see codes_used")
        used, perplexity = usage(_counts(subject, groups))
        return found | {"codes_used": used, "codes_perplexity": perplexity}
    activity = variance_of_means(subject.z_test)
    return found | {"active_units": int((activity > ACTIVE).sum()), "activity": activity.tolist()}


def variance_of_means(means: Tensor) -> Tensor:
    """Var_x(E[z_j|x]), (L,), of the means (N, L): above 0.01 a dimension counts as active.

    Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519, section 5.
    """
    return means.double().var(0, correction=0).cpu()


def _counts(subject: Subject, groups: Sequence[Group]) -> Tensor:
    """How many images take each value, (1, C) where the variables share a table, else (T, C); each its likeliest."""
    encoder: Any = subject.vae.encoder
    posteriors: list[Any] = [q for group in groups for q in group.posteriors]
    if isinstance(posteriors[0], Code):
        return torch.cat([q.indices.flatten() for q in posteriors]).bincount(
            minlength=len(encoder.table)
        )[None]
    logits = torch.cat([q.logits for q in posteriors])  # (N, T, C)
    return one_hot(logits.argmax(-1), logits.shape[-1]).sum(0)


def usage(counts: Tensor) -> tuple[float, float]:
    """Of counts (V, C) of C values of V variables: the share ever used; exp(entropy), in [1, C], mean over variables.

    Perplexity of a codebook: van den Oord, Vinyals & Kavukcuoglu 2017, arXiv:1711.00937.
    """
    share = counts.double() / counts.sum(1, keepdim=True)
    return float((counts > 0).double().mean()), float(torch.special.entr(share).sum(1).exp().mean())


# ---------------------------------------------------------------- the aggregate posterior against the prior


@torch.no_grad()
def _aggregate_posterior(
    subject: Subject, groups: Sequence[Group], notes: list[str]
) -> dict[str, Any]:
    reason = {
        Delta: "an autoencoder's code is a point and has no density",
        Flowed: "a flow's density of one image's code given another image takes a pass for every pair of images",
    }.get(type(groups[0].posteriors[0]))
    if reason:
        notes.append(
            f"mutual_information, total_correlation, dimension_wise_kl, prior_gap: {reason}"
        )
        return {}
    n, product = len(subject.test), _is_product(groups[0].prior)
    chosen = torch.zeros(n, dtype=torch.bool, device=subject.device)
    chosen[_some(n, SAMPLES, subject, "aggregate")] = True
    parts: list[tuple[Tensor, ...]] = []
    for group in groups:
        z, log_qz = (each[chosen[group.which]] for each in (group.z, group.log_qz))
        log_q, log_marginals = aggregate(group.posteriors, z)
        log_p = group.prior.log_prob(z)
        rest = () if log_marginals is None else (log_q - log_marginals, log_marginals - log_p)
        parts.append((log_qz - log_q, log_q - log_p, *rest))
    names = ("mutual_information", "prior_gap", "total_correlation", "dimension_wise_kl")
    found = {
        name: pooled(torch.cat(each))
        for name, each in zip(names, zip(*parts, strict=True), strict=False)
    }
    if "total_correlation" not in found:
        notes.append(
            "total_correlation, dimension_wise_kl: the posterior has no known density by dimension"
        )
    elif not product:
        notes.append("dimension_wise_kl: the prior is no product over dimensions")
        del found["dimension_wise_kl"]
    ceiling = sum(len(group.z) * math.log(len(group.z)) for group in groups) / n
    if found["mutual_information"].value > ceiling - 1:
        notes.append(
            f"mutual_information: is at its ceiling, log N = {ceiling:.2f} nats for so many images, and so says only "
            "'at least'; prior_gap, the sum of total_correlation and dimension_wise_kl, is too high by what it lacks"
        )
    return found


def aggregate(posteriors: Sequence[Distribution], z: Tensor) -> tuple[Tensor, Tensor | None]:
    """log q(z) and sum_j log q(z_j), (S,), of z (S, L) under q = the mean of all the posteriors; None where unknown.

    The sums go over every posterior, PAIRS numbers at a time: exact for these N images. With z drawn from one of them,

        log q(z|x) - log q(z)          is on average the mutual information of image and code, at most log N
        log q(z) - sum_j log q(z_j)    the total correlation
        sum_j log q(z_j) - log p(z)    the dimension-wise KL, where p is a product too

    and they add up to log q(z|x) - log p(z), the rate. z's own posterior is in the mean: these images are the data,
    each with chance 1/N. As an estimate for all images there could be, the first is too small (it is a lower bound of
    Poole et al.), and KL(q(z) || p(z)), the sum of the last two, too large by the same. The last is too large as well;
    the total correlation mostly, but where codes hardly overlap and dimensions go together it can be too small.
    Without the own posterior it would be the other way round, by far more where posteriors hardly overlap.

    Hoffman & Johnson, ELBO surgery, 2016 (NIPS workshop on advances in approximate Bayesian inference); Chen et al.
    2018, arXiv:1802.04942; Esmaeili et al., Structured disentangled representations, 2019, arXiv:1804.02086; Poole et
    al., On variational bounds of mutual information, 2019, arXiv:1905.06922.
    """
    log_n = math.log(sum(q.batch_shape[0] for q in posteriors))
    widest = max(q.batch_shape[0] for q in posteriors) * z.shape[1]
    joint, marginals = [], []
    for rows in z.split(max(1, PAIRS // widest)):
        whole, each = zip(*(_sums(q, rows) for q in posteriors), strict=True)
        joint.append(torch.stack(whole).logsumexp(0) - log_n)
        if each[0] is not None:
            marginals.append((torch.stack(each).logsumexp(0) - log_n).sum(-1))
    return torch.cat(joint), torch.cat(marginals) if marginals else None


def _sums(q: Distribution, z: Tensor) -> tuple[Tensor, Tensor | None]:
    """log sum_n q(z|x_n), (S,), and by dimension, (S, J), over a batch of posteriors."""
    whole, each = _densities(q, z[:, None])
    return whole.logsumexp(1), None if each is None else each.logsumexp(1)


def _densities(q: Distribution, z: Tensor) -> tuple[Tensor, Tensor | None]:
    """log q(z_s|x_n), (S, n), for z (S, 1, L) and n posteriors; and by dimension, (S, n, J), where that is known."""
    if isinstance(q, MultivariateNormal):
        return q.log_prob(z), Normal(q.mean, q.stddev, validate_args=False).log_prob(z)
    if isinstance(q, Independent) and isinstance(q.base_dist, Normal):
        each = q.base_dist.log_prob(z)
    elif isinstance(q, OneHots):  # a dimension is a variable
        each = (z * q.logits.flatten(-2)).unflatten(-1, q.logits.shape[-2:]).sum(-1)
    elif isinstance(q, Code):
        parts = (q.indices.shape[-1], -1)
        same = (z.unflatten(-1, parts) == q.point.unflatten(-1, parts)).all(-1)
        each = torch.zeros_like(same, dtype=z.dtype).masked_fill(~same, -torch.inf)
    else:
        whole: Tensor = q.log_prob(z)
        return whole, None
    return each.sum(-1), each


def _is_product(p: Distribution) -> bool:
    return isinstance(p, OneHots) or (
        isinstance(p, Independent) and isinstance(p.base_dist, Normal)
    )


# ---------------------------------------------------------------- holes; valid for autoencoders too


@torch.no_grad()
def _fitted(subject: Subject, groups: Sequence[Group], notes: list[str]) -> dict[str, Any]:
    """A density r fitted to training codes, at test codes and at samples of the prior."""
    q = groups[0].posteriors[0]
    if isinstance(q, Code | OneHots):
        notes.append(
            "hole_share, prior_gap_at_least, mutual_information_at_most: no density fits discrete codes"
        )
        return {}
    seed = derive(subject.seed, "mixture") % 2**32
    densities = [fitted_density(group.z_train, seed) for group in groups]
    codes = [density(group.z) for density, group in zip(densities, groups, strict=True)]  # log r
    prior = [density(group.z_prior) for density, group in zip(densities, groups, strict=True)]
    found = {"hole_share": share_beyond(-torch.cat(codes), -torch.cat(prior))}
    if isinstance(q, VonMisesFisher):
        notes.append(
            "prior_gap_at_least, mutual_information_at_most: the sphere has no volume for a density in space"
        )
        return found
    # KL(q(z) || p(z)) is E[log r(z) - log p(z)] + KL(q(z) || r(z))
    gains = [
        r - group.prior.log_prob(group.z).cpu() for r, group in zip(codes, groups, strict=True)
    ]
    found["prior_gap_at_least"] = _by_image(groups, gains)
    if not isinstance(q, Delta):
        tops = [group.log_qz.cpu() - r for r, group in zip(codes, groups, strict=True)]
        found["mutual_information_at_most"] = _by_image(groups, tops)
    return found


def fitted_density(codes: Tensor, seed: int = 0) -> Callable[[Tensor], Tensor]:
    """The log density, in nats, of a mixture of Gaussians fitted to codes (N, L): a function from (S, L) to (S,).

    All covariances are free. How many components there are, each with 10 L codes or more, a fifth of the codes decides.
    For any density r, E_q(z)[log r(z) - log p(z)] is at most KL(q(z) || p(z)), and E[log q(z|x) - log r(z)] at least
    the mutual information (Poole et al. 2019, arXiv:1905.06922). Mixtures fitted to the codes of a trained
    autoencoder: Ghosh et al. 2020, arXiv:1903.12436.
    """
    from sklearn.mixture import GaussianMixture  # here, for it takes a second to import

    rows = codes.double().cpu()
    rows = rows if len(rows) > 1 else rows.expand(2, -1)  # scikit-learn wants two
    centre, scale = rows.mean(0), rows.std(0, correction=0)
    scale = scale.clamp(min=1e-6 * float(scale.max()) or 1e-6)  # where all codes are equal
    standard = ((rows - centre) / scale).numpy()
    held_out = np.arange(len(rows)) % 5 == 0
    counts = [
        count for count in COMPONENTS if count == 1 or 10 * count * rows.shape[1] <= len(rows)
    ]
    mixtures = [GaussianMixture(count, reg_covar=1e-4, random_state=seed) for count in counts]
    with _unconverged():
        for mixture in mixtures:
            mixture.fit(standard if len(counts) == 1 else standard[~held_out])
    best = max(mixtures, key=lambda mixture: mixture.score(standard[held_out]))

    def log_density(z: Tensor) -> Tensor:
        scores = best.score_samples(((z.double().cpu() - centre) / scale).numpy())
        return torch.from_numpy(scores) - scale.log().sum()

    return log_density


def share_beyond(
    reference: Tensor, others: Tensor, nominal: float = UNLIKELY, seed: int = 0
) -> Estimate:
    """Share of the scores `others` (S,) above the (1 - nominal) quantile of the scores `reference` (N,), in [0, 1].

    Where both come from one distribution it is `nominal` but for chance, whatever the score: that decides only which
    differences are seen. With minus the log density of codes for a score, it is the mass of the prior outside the
    region of highest density that holds 95 % of the codes, 1 less the alpha-precision of Alaa et al., How faithful is
    your synthetic data?, 2022, arXiv:2102.08921; prior samples were scored so by Rosca, Lakshminarayanan & Mohamed,
    Distribution matching in variational inference, 2018, arXiv:1802.06847. The standard error is a bootstrap's, over
    both.
    """

    def share(a: Tensor, b: Tensor) -> float:
        return float((b > a.quantile(1 - nominal, interpolation="higher")).double().mean())

    return resampled(share, reference, others, times=RESAMPLES, seed=seed)


def _decoded(subject: Subject, groups: Sequence[Group], notes: list[str]) -> dict[str, Any]:
    """What test codes and samples of the prior decode to."""
    spread = subject.z_test.std(0, correction=0).clamp(min=1e-6)
    with seeded(subject.seed, "decoded"):
        codes, prior = (
            torch.cat(
                [
                    _round_trip(subject, group, z, spread)
                    for group, z in zip(groups, drawn, strict=True)
                ]
            )
            for drawn in ([group.z for group in groups], [group.z_prior for group in groups])
        )
    found = {"lost_share": share_beyond(codes, prior)}
    if isinstance(groups[0].posteriors[0], Delta):
        notes.append(
            "sample_nll, sample_nll_excess: a code that is a point has no density to weigh it by"
        )
        return found
    try:
        codes, prior = (
            torch.cat([_surprise(subject, group, name) for group in groups])
            for name in ("z", "z_prior")
        )
    except NotImplementedError:  # torch's answer for a distribution that cannot be sampled
        notes.append("sample_nll, sample_nll_excess: the likelihood has no sampler")
        return found
    nll, own = pooled(prior), pooled(codes)
    excess = Estimate(nll.value - own.value, math.hypot(nll.error or 0, own.error or 0))
    return found | {"sample_nll": nll, "sample_nll_excess": excess}


def _round_trip(subject: Subject, group: Group, z: Tensor, spread: Tensor) -> Tensor:
    """sum_j ((E[z_j|x] - z_j) / spread_j)^2, (S,), of codes z (S, L) and x what they decode to.

    An encoder need not know what its decoder makes of a code on which neither was trained: Cemgil et al., The
    autoencoding variational autoencoder, 2020, arXiv:2012.03715.
    """
    y = group.labels(len(z))
    x = subject.vae.decode(z, y)
    if subject.run.recipe.data.binary:
        top = subject.run.recipe.data.scale
        x = top * torch.bernoulli((x / top).clamp(0, 1))  # as in training
    return ((subject.vae.encode(x, y) - z) / spread).double().square().sum(1).cpu()


@torch.no_grad()
def _surprise(subject: Subject, group: Group, name: str) -> Tensor:
    """-log p(x), (S,), by K importance weights, of x ~ p(x|z) for DECODED of the group's codes of that name."""
    vae, settings = subject.vae, msgspec.structs.replace(subject.run.recipe.data, treatment="grey")
    z: Tensor = getattr(group, name)
    z = z[_some(len(z), math.ceil(DECODED * len(group.z) / len(subject.test)), subject, name)]
    y = group.labels(len(z))
    with seeded(subject.seed, f"surprise {name}"):
        x = vae.decoder(z, *vae.given(y)).sample()
    return -log_likelihood(vae, Batches(x, None, settings, subject.device, y=y), K, subject.seed)


# ---------------------------------------------------------------- what the codes know of classes and of distances


def _classes(subject: Subject, groups: Sequence[Group], notes: list[str]) -> dict[str, Any]:
    few = _some(len(subject.train), FITTED, subject, "probe").cpu()
    if (
        subject.train.y is None
        or subject.test.y is None
        or len(subject.train.y.cpu()[few].unique()) < 2
    ):
        notes.append(
            "knn_accuracy, probe_accuracy, silhouette: the images have no labels of two classes or more"
        )
        return {}
    codes, others = subject.z_train.cpu(), subject.z_test.cpu()
    labels, truth = subject.train.y.cpu().numpy(), subject.test.y.cpu().numpy()
    found = {
        "knn_accuracy": knn_accuracy(codes, labels, others, truth),
        "probe_accuracy": probe_accuracy(codes[few], labels[few], others, truth),
    }
    few = _some(len(others), COMPARED, subject, "silhouette").cpu()
    if 2 <= len(np.unique(truth[few])) < len(few):
        found["silhouette"] = silhouette(others[few], truth[few])
    else:
        notes.append(
            "silhouette: needs two classes among the test images, and more images than classes"
        )
    return found


def knn_accuracy(
    codes: Tensor, labels: NDArray[Any], others: Tensor, truth: NDArray[Any], k: int = 15
) -> Estimate:
    """Share of the codes `others` (M, L) whose class the k nearest of `codes` (N, L) vote right, in [0, 1]."""
    from sklearn.neighbors import KNeighborsClassifier  # here, for it takes a second to import

    voters = KNeighborsClassifier(min(k, len(codes))).fit(codes.numpy(), labels)
    return mean(torch.from_numpy(voters.predict(others.numpy()) == truth))


def probe_accuracy(
    codes: Tensor, labels: NDArray[Any], others: Tensor, truth: NDArray[Any]
) -> Estimate:
    """Share of the codes `others` (M, L) that a logistic regression on standardised `codes` (N, L) gets right.

    Alain & Bengio, Understanding intermediate layers using linear classifier probes, 2017, arXiv:1610.01644.
    """
    return mean(
        torch.from_numpy(linear_classifier(codes.numpy(), labels).predict(others.numpy()) == truth)
    )


def linear_classifier(x: NDArray[Any], labels: NDArray[Any]) -> Any:
    """Logistic regression on standardised x (N, L), fitted."""
    from sklearn.linear_model import LogisticRegression  # here, for it takes a second to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with _unconverged():
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, labels)


@contextmanager
def _unconverged() -> Iterator[None]:
    """A fit that stopped early, or found fewer clusters than components, is good enough here."""
    from sklearn.exceptions import ConvergenceWarning  # here, for it takes a second to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def silhouette(codes: Tensor, labels: NDArray[Any]) -> Estimate:
    """Mean of (b - a) / max(a, b) over codes (N, L), in [-1, 1]; 0 where classes lie in one another.

    a is the mean distance to the other codes of the same class, b that to those of the nearest other class.
    Rousseeuw, Silhouettes, 1987, doi:10.1016/0377-0427(87)90125-7.
    """
    from sklearn.metrics import silhouette_samples  # here, for it takes a second to import

    return pooled(torch.from_numpy(silhouette_samples(codes.numpy(), labels)))


def _distances(subject: Subject, groups: Sequence[Group], notes: list[str]) -> dict[str, Any]:
    few = _some(len(subject.test), COMPARED, subject, "trustworthiness")
    if len(few) < 4:
        notes.append("trustworthiness: needs at least four test images")
        return {}
    return {"trustworthiness": trustworthiness(subject.x_test[few], subject.z_test[few])}


def trustworthiness(x: Tensor, z: Tensor, k: int = 5) -> float:
    """Whether the k nearest codes z (N, L) of an image are among the nearest images x (N, *shape), in [0, 1]; N >= 4.

    1 - 2 / (N k (2N - 3k - 1)) sum_n sum_m max(0, r(n, m) - k), m the k nearest codes of n, r their rank by image; k
    below N / 2. Codes by chance have about 1/2.
    Venna & Kaski, Neighborhood preservation in nonlinear projection methods, 2001, doi:10.1007/3-540-44668-0_68.
    """
    from sklearn.manifold import trustworthiness as scored  # here, for it takes a second to import

    return float(
        scored(x.flatten(1).cpu().numpy(), z.cpu().numpy(), n_neighbors=min(k, (len(x) - 1) // 2))
    )


# ---------------------------------------------------------------- what lies between codes


def _interpolations(subject: Subject, groups: Sequence[Group], notes: list[str]) -> dict[str, Any]:
    """Between test images drawn by chance; in a conditional model of the same class, decoded as that class."""
    if isinstance(groups[0].posteriors[0], Code | OneHots):
        notes.append("smoothness: there is nothing between discrete codes")
        return {}
    found = []
    for group in groups:
        n = min(len(group.z) // 2, math.ceil(WALKS / len(groups)))
        if n:
            ends = subject.z_test[
                group.which[_some(len(group.z), 2 * n, subject, f"walks {group.y}")]
            ]
            z = subject.vae.interpolate(ends[:n], ends[n:], STEPS + 1)  # (n, STEPS + 1, L)
            x = subject.vae.decode(z.flatten(0, 1), group.labels(n * (STEPS + 1)))
            found.append(evenness(x.flatten(1).unflatten(0, (n, -1))))
    moving = torch.cat([each[~each.isnan()] for each in found]) if found else torch.empty(0)
    if not len(moving):
        notes.append(
            "smoothness: no two test images to walk between, or the decoder ignores its codes"
        )
        return {}
    return {"smoothness": pooled(moving)}


def evenness(paths: Tensor) -> Tensor:
    """(sum_t d_t)^2 / (T sum_t d_t^2), (P,), of the lengths d_t of the T steps of paths (P, T + 1, D), in [1/T, 1].

    The square of a path's length over its energy: 1 at constant speed, 1 / (1 + c^2) where speed varies by the
    coefficient c, 1/T where all happens in one jump; NaN where nothing moves. A linear decoder gives 1. Length and
    energy of decoded curves: Arvanitidis, Hansen & Hauberg, Latent space oddity, 2018, arXiv:1710.11379.
    """
    steps = paths.double().diff(dim=1).norm(dim=-1)  # (P, T)
    ratio: Tensor = steps.sum(1).square() / (steps.shape[1] * steps.square().sum(1))
    return ratio


def explained_variance(means: Tensor, components: int = 2) -> float:
    """Share of the variance of codes (N, L) that their first principal components hold, in [0, 1] (0: all equal)."""
    centred = (means - means.mean(0)).double()
    variances = torch.linalg.svdvals(centred) ** 2
    return float(variances[:components].sum() / variances.sum()) if variances.any() else 0.0
