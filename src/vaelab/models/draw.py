"""A `Draw`: samples of the posterior and their densities, all that an objective sees of a model."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property

from torch import Tensor
from torch.distributions import Distribution, Independent, kl_divergence


class Draw:
    """K samples z ~ q(z|x) for each of B images, and their densities in nats.

    Everything else follows from these and is computed when it is first asked for. What is known
    already is passed as `log_qz` and `log_pz`: a flow knows log q(z|x) of its own samples at no
    cost.

    Attributes:
        z: The samples, (K, B, *latent), differentiable in the encoder's parameters.
        log_px: log p(x|z), (K, B), summed over the elements of x.
        q: The posterior q(z|x), batch shape (B,).
        p: The prior, batch shape () or (B,).
        px: The likelihood p(x|z), batch shape (K, B), for objectives that look into the decoder.

    Example:
        >>> import torch
        >>> from torch.distributions import Independent, Normal
        >>> q = Independent(Normal(torch.zeros(3, 2), 1.0), 1)
        >>> p = Independent(Normal(torch.zeros(2), 1.0), 1)
        >>> draw = Draw(q.rsample((5,)), torch.zeros(5, 3), q, p)
        >>> draw.rate
        tensor([0., 0., 0.])
        >>> draw.log_weight.shape
        torch.Size([5, 3])
    """

    def __init__(
        self,
        z: Tensor,
        log_px: Tensor,
        q: Distribution,
        p: Distribution,
        px: Distribution | None = None,
        log_qz: Tensor | None = None,
        log_pz: Tensor | None = None,
    ) -> None:
        self.z, self.log_px, self.q, self.p, self.px = z, log_px, q, p, px
        if log_qz is not None:
            self.log_qz = log_qz
        if log_pz is not None:
            self.log_pz = log_pz

    @cached_property
    def log_pz(self) -> Tensor:
        """log p(z), (K, B)."""
        return self.p.log_prob(self.z)

    @cached_property
    def log_qz(self) -> Tensor:
        """log q(z|x), (K, B)."""
        return self.q.log_prob(self.z)

    @cached_property
    def distortion(self) -> Tensor:
        """E_q[-log p(x|z)] over the K samples, (B,): the reconstruction term."""
        return -self.log_px.mean(0)

    @cached_property
    def rate(self) -> Tensor:
        """KL(q(z|x) || p(z)), (B,), at least 0 in expectation.

        In closed form where torch.distributions has one for this pair, else E_q[log q(z|x) - log
        p(z)] over the K samples. No other code makes this decision.
        """
        try:
            return kl_divergence(self.q, self.p)
        except NotImplementedError:  # torch's answer where nobody registered this pair
            return (self.log_qz - self.log_pz).mean(0)

    @cached_property
    def rates(self) -> Tensor:
        """The rate by dimension of z where q and p factorise, (B, L); else the whole, (B, 1)."""
        if isinstance(self.q, Independent) and isinstance(self.p, Independent):
            with suppress(NotImplementedError):  # then there is no closed form by dimension either
                return kl_divergence(self.q.base_dist, self.p.base_dist)
        return self.rate[:, None]

    @cached_property
    def log_weight(self) -> Tensor:
        """log p(x, z) - log q(z|x), (K, B): the mean of its exponential over the samples is p(x) in
        expectation.
        """
        return self.log_px + self.log_pz - self.log_qz

    @property
    def penalty(self) -> Tensor | None:
        """What the posterior costs beside the objective, (B,), in nats: the commitment loss of a
        quantiser; else None.
        """
        return getattr(self.q, "penalty", None)


def sampled(q: Distribution, k: int) -> tuple[Tensor, Tensor | None]:
    """Return K differentiable samples of q, (K, *batch, L), and their log density if q knows it at
    no cost.
    """
    return (
        q.rsample_and_log_prob((k,))
        if hasattr(q, "rsample_and_log_prob")
        else (q.rsample((k,)), None)
    )
