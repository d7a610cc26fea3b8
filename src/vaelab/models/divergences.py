"""Divergences that objectives estimate from the codes of a batch."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from vaelab.models.batch import everyone, own
from vaelab.models.draw import Draw


def decomposition(draw: Draw, images: int) -> tuple[Tensor, Tensor, Tensor]:
    """The rate in three parts, (B,) each, in nats, by the K samples; their sum is log q(z|x) - log
    p(z) on average.

    Mutual information of image and code  log q(z|x) - log q(z), total correlation  log q(z) - sum_j
    log q(z_j), dimension-wise KL  sum_j log q(z_j) - log p(z). For q = Independent(Normal), and B
    of N = `images` images.

    q(z) is estimated from the batch: z's own posterior has the weight 1/N, as in the data, the B -
    1 others share the rest. In expectation over the batches this is q(z); if the batch is all the
    data it is q(z) itself. In a small batch few others lie near z, and the logarithm biases the
    mutual information upwards, to at most log N. Chen et al., Isolating sources of disentanglement,
    2018, arXiv:1802.04942: minibatch stratified sampling, with the same weight for all the others.
    """
    base = cast("Independent[Normal]", draw.q).base_dist
    q = Normal(everyone(base.loc), everyone(base.scale), validate_args=False)
    each = q.log_prob(draw.z[:, :, None])  # (K, i, j, L): log q(z_i|x_j)
    b = each.shape[2]
    share = draw.z.new_full((b, b), (images - 1) / (images * max(b - 1, 1)))
    share = own(share.fill_diagonal_(1 / images).log())  # (i, j)
    log_qz = (each.sum(-1) + share).logsumexp(2)  # (K, B)
    log_product = (each + share[..., None]).logsumexp(2).sum(-1)  # sum_j log q(z_j)
    parts = draw.log_qz - log_qz, log_qz - log_product, log_product - draw.log_pz
    mi, tc, dwkl = (part.mean(0) for part in parts)
    return mi, tc, dwkl


def mmd(a: Tensor, b: Tensor) -> Tensor:
    """E k(a, a') + E k(b, b') - 2 E k(a, b), a scalar: the squared MMD between samples a (n, L) and
    b (m, L).

    k(a, b) = sum_s C_s / (C_s + |a - b|^2) with C_s = 2 L s, the mean of |a - b|^2 between samples
    of N(0, I), for s in 0.1, 0.2, 0.5, 1, 2, 5, 10. It is unbiased, so it can be negative; the term
    of a sample of one, without pairs, is 0. Gretton et al., A kernel two-sample test, JMLR 2012,
    lemma 6; kernel: Tolstikhin et al. 2017, arXiv:1711.01558.
    """
    scale = 2 * a.shape[1] * a.new_tensor([0.1, 0.2, 0.5, 1, 2, 5, 10])

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (scale / (scale + torch.cdist(a, b).square()[..., None])).sum(-1)  # (n, m)

    def pairs(a: Tensor) -> Tensor:
        return kernel(a, a).fill_diagonal_(0).sum() / max(len(a) * (len(a) - 1), 1)

    return pairs(a) + pairs(b) - 2 * kernel(a, b).mean()
