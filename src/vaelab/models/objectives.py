"""Objectives: functions from a `Draw` to nats per image (B,), to be maximised.

An objective takes by keyword the current, scheduled values of `recipes.Objective`, and `images`,
the number N of training images; the draw has k m samples. One with weights of its own is a module,
built for its VAE and then called the same way. A term of the whole batch is added to each of its
images, so that the mean counts it once; its statistics are taken by the functions of
`models.batch`, which know the images of all processes that share the batch.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.func import functional_call
from torch.nn.functional import softplus

from vaelab.models.batch import everyone, over_batch, own
from vaelab.models.divergences import decomposition, mmd
from vaelab.models.draw import Draw
from vaelab.models.linear import Linear
from vaelab.models.parts import Borrowed
from vaelab.models.units import standardised
from vaelab.models.vae import VAE


def elbo(draw: Draw, beta: float = 1.0) -> Tensor:
    """E_q[log p(x|z)] - beta KL(q(z|x) || p(z)), (B,); at beta = 1 a lower bound of log p(x).

    Kingma & Welling 2013, arXiv:1312.6114; beta: Higgins et al., beta-VAE, 2017, ICLR.
    """
    return -draw.distortion - beta * draw.rate


def capacity(draw: Draw, *, gamma: float, capacity: float) -> Tensor:
    """E_q[log p(x|z)] - gamma |KL - C|, (B,), KL the mean over the batch, so single images may
    differ from C.

    Burgess et al., Understanding disentangling in beta-VAE, 2018, arXiv:1804.03599.
    """
    return -draw.distortion - gamma * (over_batch(draw.rate.mean()) - capacity).abs()


def free_bits(draw: Draw, *, bits: float) -> Tensor:
    """E_q[log p(x|z)] - sum_j max(bits, KL_j), (B,), KL_j the mean over the batch for dimension j.

    Where q and p do not factorise there is one j, and so one floor for the whole rate. Kingma et
    al., Improved variational inference with inverse autoregressive flow, 2016, arXiv:1606.04934,
    equation 15.
    """
    return -draw.distortion - over_batch(draw.rates.mean(0)).clamp(min=bits).sum()


# ---------------------------------------- tighter bounds: w_k = p(x, z_k) / q(z_k|x)


def iwae(draw: Draw) -> Tensor:
    """log 1/K sum_k w_k, (B,): between the ELBO and log p(x), the tighter the larger K.

    Burda, Grosse & Salakhutdinov, Importance weighted autoencoders, 2015, arXiv:1509.00519.
    """
    return _log_mean_exp(draw.log_weight)


def miwae(draw: Draw, *, m: int) -> Tensor:
    """The mean of m IWAE bounds of K/m samples each, (B,).

    Rainforth et al., Tighter variational bounds are not necessarily better, 2018, arXiv:1802.04537.
    """
    return _log_mean_exp(draw.log_weight.unflatten(0, (m, -1)).transpose(0, 1)).mean(0)


def ciwae(draw: Draw, *, alpha: float) -> Tensor:
    """alpha 1/K sum_k log w_k + (1 - alpha) log 1/K sum_k w_k, (B,), alpha in [0, 1]: from IWAE to
    the ELBO.

    Rainforth et al. 2018, arXiv:1802.04537.
    """
    return alpha * draw.log_weight.mean(0) + (1 - alpha) * iwae(draw)


def renyi(draw: Draw, *, alpha: float) -> Tensor:
    """1 / (1 - alpha) log 1/K sum_k w_k^(1 - alpha), (B,); IWAE at alpha = 0, the ELBO in the limit
    of alpha = 1.

    In expectation a lower bound of log p(x) for alpha in [0, 1]; with alpha < 0 it may exceed it.
    Li & Turner, Renyi divergence variational inference, 2016, arXiv:1602.02311.
    """
    if alpha == 1:
        return draw.log_weight.mean(0)
    return _log_mean_exp((1 - alpha) * draw.log_weight) / (1 - alpha)


def stl(draw: Draw) -> Tensor:
    """1/K sum_k log w_k, (B,): the ELBO by samples, whose gradient reaches q's parameters through z
    alone.

    The gradient is unbiased, and has no variance where q is the exact posterior.
    Roeder, Wu & Duvenaud, Sticking the landing, 2017, arXiv:1703.09194.
    """
    return _log_weight_by_path(draw).mean(0)


def dreg(draw: Draw) -> Tensor:
    """The IWAE bound, (B,), with the gradient sum_k v_k^2 (d log w_k / d z_k) (d z_k / d phi) for
    q's parameters phi.

    v_k = w_k / sum_l w_l; all other parameters keep IWAE's gradient. It is unbiased as IWAE's, and
    its variance falls with the number of samples, as long as no image's p(x|z) depends on another's
    z; under batch normalisation it does. It hooks into the gradient of draw.z, so a draw serves one
    objective only. Tucker et al., Doubly reparameterized gradient estimators, 2018,
    arXiv:1810.04152.
    """
    log_weight = _log_weight_by_path(draw)
    v = log_weight.detach().softmax(0)[..., None]  # (K, B, 1); the bound's gradient has the first
    if draw.z.requires_grad:
        draw.z.register_hook(lambda gradient: v * gradient)
    return _log_mean_exp(log_weight)


def piwae(draw: Draw, *, m: int) -> Tensor:
    """The IWAE bound, (B,): decoder and prior get its gradient, q's parameters that of `miwae`, the
    mean of m bounds.

    The decoder is run once and differentiated twice.
    Rainforth et al. 2018, arXiv:1802.04537.
    """
    log_weight, log_p = draw.log_weight.detach(), draw.log_px + draw.log_pz  # (K, B)
    v = log_weight.softmax(0)  # d IWAE / d log w
    u = log_weight.unflatten(0, (m, -1)).softmax(1).flatten(0, 1) / m  # d MIWAE / d log w
    gradient = v * log_p - u * draw.log_qz
    if draw.z.requires_grad:  # log_p sends v to z, which should get u
        (lacking,) = torch.autograd.grad(((u - v) * log_p).sum(), draw.z, retain_graph=True)
        gradient = gradient + (draw.z * lacking).sum(-1)
    return _log_mean_exp(log_weight) + _only_gradient(gradient.sum(0))


def _log_mean_exp(log_weight: Tensor) -> Tensor:
    return log_weight.logsumexp(0) - math.log(len(log_weight))


def _log_weight_by_path(draw: Draw) -> Tensor:
    """log w, (K, B), without the score: the gradient of log q(z|x) in q's parameters at fixed z."""
    # Not draw.log_qz, which a flow computes from its noise: all but the score passes through z.
    log_qz, score = draw.q.log_prob(torch.cat([draw.z, draw.z.detach()])).chunk(2)
    return draw.log_px + draw.log_pz - log_qz + _only_gradient(score)


def _only_gradient(term: Tensor) -> Tensor:
    """0, with the gradient of `term`."""
    return term - term.detach()


# ---------------------------------------- the aggregate posterior q(z) = 1/N sum_n q(z|x_n)


def beta_tc(draw: Draw, *, beta: float, images: int) -> Tensor:
    """ELBO - (beta - 1) TC, (B,): of the three parts of the rate, the total correlation is weighted
    by beta.

    The rate itself is in closed form where there is one. TC is estimated within the batch (see
    `decomposition`), so the value depends on the batch size. Chen et al. 2018, arXiv:1802.04942.
    """
    return elbo(draw) - (beta - 1) * decomposition(draw, images)[1]


class Factor(nn.Module):
    """ELBO - gamma TC, (B,), TC = E_q(z)[log q(z) / prod_j q(z_j)] estimated by a critic; and the
    critic's training.

    The critic classifies codes against codes whose dimensions are permuted over the batch: its
    logit is the log ratio. Its cross-entropy has a gradient in the critic alone and adds 0 to the
    value, so one optimiser trains both. A batch of one has nothing to permute, so the critic does
    not learn from it. Kim & Mnih, Disentangling by factorising, 2018, arXiv:1802.05983; there 6
    layers of 1000, here 3 of 256.
    """

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        hidden = [
            layer
            for i in range(3)
            for layer in (Linear(256 if i else vae.latent, 256), nn.LeakyReLU(0.2))
        ]
        self.critic = nn.Sequential(*hidden, Linear(256, 1), nn.Flatten(0))  # (n, L) -> (n,)

    def forward(self, draw: Draw, *, gamma: float) -> Tensor:
        frozen = {name: weight.detach() for name, weight in self.critic.named_parameters()}
        ratio: Tensor = functional_call(self.critic, frozen, draw.z.flatten(0, 1))  # (K B,)
        tc, z = ratio.view(draw.z.shape[:2]).mean(0), draw.z.detach()
        places = everyone(torch.rand_like(z), 1).argsort(1)
        permuted = own(everyone(z, 1).gather(1, places), 1)
        cross_entropy = softplus(-self.critic(z.flatten(0, 1))) + softplus(
            self.critic(permuted.flatten(0, 1))
        )
        return elbo(draw) - gamma * tc - _only_gradient(over_batch(cross_entropy.mean()))


def dip_i(draw: Draw, *, gamma: float) -> Tensor:
    """ELBO - gamma (sum_{i != j} C_ij^2 + 10 sum_i (C_ii - 1)^2), (B,), C = Cov(E[z|x]) over the
    batch, divided by B.

    The value depends on the batch size. Kumar, Sattigeri & Balakrishnan, Variational inference of
    disentangled latent concepts from unlabeled observations, 2017, arXiv:1711.00848.
    """
    return elbo(draw) - gamma * _distance_from_identity(_covariance(draw.q.mean), 10)


def dip_ii(draw: Draw, *, gamma: float) -> Tensor:
    """ELBO - gamma (sum_{i != j} C_ij^2 + sum_i (C_ii - 1)^2), (B,), C = Cov(E[z|x]) + E[Cov(z|x)]
    over the batch.

    The value depends on the batch size. Kumar, Sattigeri & Balakrishnan 2017, arXiv:1711.00848.
    """
    q = draw.q
    within: Tensor = (
        q.covariance_matrix if hasattr(q, "covariance_matrix") else q.variance.diag_embed()
    )
    return elbo(draw) - gamma * _distance_from_identity(
        _covariance(q.mean) + over_batch(within.mean(0)), 1
    )


def _covariance(means: Tensor) -> Tensor:
    centred = means - over_batch(means.mean(0))
    return over_batch(centred.T @ centred / len(means))


def _distance_from_identity(covariance: Tensor, diagonal: float) -> Tensor:
    away = (covariance - torch.eye(len(covariance)).to(covariance)).square()
    return away.sum() + (diagonal - 1) * away.trace()


# ---------------------------------------- autoencoders: other penalties on q(z)


def info(draw: Draw, *, alpha: float, gamma: float) -> Tensor:
    """E_q[log p(x|z)] - (1 - alpha) KL - (alpha + gamma - 1) MMD(q(z), p(z)), (B,).

    MMD is estimated on the batch's codes (see `mmd`), so the value depends on the batch size.
    Zhao, Song & Ermon, InfoVAE, 2017, arXiv:1706.02262; gamma is lambda there.
    """
    return elbo(draw, 1 - alpha) - (alpha + gamma - 1) * _mmd_to_prior(draw)


def wae_mmd(draw: Draw, *, gamma: float) -> Tensor:
    """E_q[log p(x|z)] - gamma MMD(q(z), p(z)), (B,).

    MMD is estimated on the batch's codes (see `mmd`), so the value depends on the batch size.
    Tolstikhin et al., Wasserstein auto-encoders, 2017, arXiv:1711.01558; gamma is lambda there.
    """
    return -draw.distortion - gamma * _mmd_to_prior(draw)


def _mmd_to_prior(draw: Draw) -> Tensor:
    """Return the MMD between the batch's codes and as many of the prior, averaged over the K
    samples.
    """
    sample = draw.p.rsample if draw.p.has_rsample else draw.p.sample
    shape = torch.Size() if draw.p.batch_shape else draw.z.shape[1:2]
    return torch.stack([mmd(everyone(z), everyone(sample(shape))) for z in draw.z]).mean()


def rae_gp(draw: Draw, *, beta: float, gamma: float) -> Tensor:
    """E_q[log p(x|z)] - beta |z|^2 / 2 - gamma |J|^2, (B,), J = d E[u|z] / dz and |J|^2 the sum of
    its squares.

    u is x in the units of the networks (`models.units`). |J|^2 = E[|J^T e|^2] for random signs e
    (Hutchinson), one draw for each code. Gradients have to be enabled. Ghosh et al., From
    variational to deterministic autoencoders, 2020, arXiv:1903.12436.
    """
    mean: Tensor = cast("Distribution", standardised(draw.px)).mean  # (K, B, *shape)
    signs = torch.randn_like(mean).sign()
    (projected,) = torch.autograd.grad(mean, draw.z, signs, create_graph=True)  # (K, B, L)
    return -draw.distortion - (beta / 2 * draw.z.square() + gamma * projected.square()).sum(
        -1
    ).mean(0)


class WeightPenalty(nn.Module):
    """E_q[log p(x|z)] - beta |z|^2 / 2 - gamma sum of squares of the decoder's weights, (B,),
    without biases.

    Ghosh et al. 2020, arXiv:1903.12436.
    """

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.network = Borrowed(vae.decoder.get_submodule("network"))

    def forward(self, draw: Draw, *, beta: float, gamma: float) -> Tensor:
        weights = [w for w in self.network.module.parameters() if w.dim() > 1]
        squares = [weight.square().sum() for weight in weights]
        return (
            -draw.distortion
            - beta / 2 * draw.z.square().sum(-1).mean(0)
            - gamma * torch.stack(squares).sum()
        )
