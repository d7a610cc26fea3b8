"""Information in codes, in nats: use of dimensions and values, and the aggregate posterior q(z)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from vaelab.models import Code, OneHots

ACTIVE = 0.01  # variance of its mean above which a dimension is in use (Burda et al. 2016)
PAIRS = 2**18  # densities of samples under posteriors at once: bounds the memory, and fits a cache


def variance_of_means(means: Tensor) -> Tensor:
    """Var_x(E[z_j|x]), (L,), of the means (N, L): above 0.01 a dimension counts as active.

    Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519, section 5.
    """
    return means.double().var(0, correction=0).cpu()


def usage(counts: Tensor) -> tuple[float, float]:
    """Of counts (V, C) of C values of V variables: the share ever used; exp(entropy), in [1, C], mean over variables.

    Perplexity of a codebook: van den Oord, Vinyals & Kavukcuoglu 2017, arXiv:1711.00937.
    """
    share = counts.double() / counts.sum(1, keepdim=True)
    return float((counts > 0).double().mean()), float(torch.special.entr(share).sum(1).exp().mean())


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


def is_product(p: Distribution) -> bool:
    return isinstance(p, OneHots) or (
        isinstance(p, Independent) and isinstance(p.base_dist, Normal)
    )
