"""Information in codes, in nats: active dimensions, used values, and the aggregate posterior."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from vaelab.models import Code, OneHots

ACTIVE = 0.01  # variance of the mean above which a dimension is active (Burda et al. 2016)
PAIRS = 2**18  # pairs of sample and posterior evaluated at once; bounds memory and fits a cache


def variance_of_means(means: Tensor) -> Tensor:
    """Var_x(E[z_j|x]), (L,), from posterior means (N, L). Above 0.01 a dimension is active.

    References:
        Burda, Grosse & Salakhutdinov, Importance weighted autoencoders, 2016, arXiv:1509.00519,
        section 5.
    """
    return means.double().var(0, correction=0).cpu()


def usage(counts: Tensor) -> tuple[float, float]:
    """Share of used values, in [0, 1], and perplexity exp(entropy), in [1, C].

    Both are means over V variables, from the counts (V, C) of their C values.

    References:
        van den Oord, Vinyals & Kavukcuoglu, Neural discrete representation learning, 2017,
        arXiv:1711.00937.
    """
    share = counts.double() / counts.sum(1, keepdim=True)
    return float((counts > 0).double().mean()), float(torch.special.entr(share).sum(1).exp().mean())


def aggregate(posteriors: Sequence[Distribution], z: Tensor) -> tuple[Tensor, Tensor | None]:
    """Log density of the aggregate posterior q(z) = 1/N sum_n q(z|x_n), and of its marginals.

    The sums run over all N posteriors, so the densities are exact for these images. For z sampled
    from the posterior of one of the images x, the means over x and z are

        log q(z|x) - log q(z)          mutual information of image and code, at most log N
        log q(z) - sum_j log q(z_j)    total correlation
        sum_j log q(z_j) - log p(z)    dimension-wise KL, if p is a product over dimensions

    Their sum is log q(z|x) - log p(z), the rate.

    The mean includes the posterior of x itself. As estimates for the distribution of all images,
    the mutual information is then too small (a lower bound of Poole et al.), and KL(q(z) || p(z)),
    the sum of the other two terms, is too large by the same amount. The dimension-wise KL is too
    large, and so is, in most cases, the total correlation; it can be too small if codes hardly
    overlap and dimensions are dependent. Without the posterior of x, the biases would have the
    opposite sign, and be much larger if posteriors hardly overlap.

    Args:
        posteriors: The posteriors, in batches.
        z: Samples, (S, L).

    Returns:
        log q(z), (S,), and sum_j log q(z_j), (S,), or None if the marginals are unknown; in nats.

    References:
        Hoffman & Johnson, ELBO surgery, 2016, NIPS workshop on advances in approximate Bayesian
        inference.
        Chen et al., Isolating sources of disentanglement in variational autoencoders, 2018,
        arXiv:1802.04942.
        Esmaeili et al., Structured disentangled representations, 2019, arXiv:1804.02086.
        Poole et al., On variational bounds of mutual information, 2019, arXiv:1905.06922.
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
    """Return log sum_n q(z|x_n) over a batch of posteriors, (S,), and by dimension, (S, J)."""
    whole, each = _densities(q, z[:, None])
    return whole.logsumexp(1), None if each is None else each.logsumexp(1)


def _densities(q: Distribution, z: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return log q(z_s|x_n), (S, n), for z (S, 1, L), and by dimension, (S, n, J), or None."""
    if isinstance(q, MultivariateNormal):
        return q.log_prob(z), Normal(q.mean, q.stddev, validate_args=False).log_prob(z)
    if isinstance(q, Independent) and isinstance(q.base_dist, Normal):
        each = q.base_dist.log_prob(z)
    elif isinstance(q, OneHots):  # a dimension is a categorical variable
        each = (z * q.logits.flatten(-2)).unflatten(-1, q.logits.shape[-2:]).sum(-1)
    elif isinstance(q, Code):
        parts = (q.indices.shape[-1], -1)
        same = (z.unflatten(-1, parts) == q.point.unflatten(-1, parts)).all(-1)
        each = torch.zeros_like(same, dtype=z.dtype).masked_fill(~same, -torch.inf)
    else:
        whole: Tensor = q.log_prob(z)
        return whole, None
    return each.sum(-1), each


def is_product(p: Distribution) -> bool:
    """Return whether a distribution is a product over dimensions."""
    return isinstance(p, OneHots) or (
        isinstance(p, Independent) and isinstance(p.base_dist, Normal)
    )
