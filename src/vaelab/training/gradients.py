"""The gradient of a step: by autograd, or for the plain VAE by formulas that are written out here.

Autograd records what a step computes and plans its way back, for any model. In a small network that
costs as much as a third of the matrix products. For the commonest model the way back is known, so
`Written` computes it directly: the same loss from the same noise, with the same gradient but for
the order of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vaelab.models import VAE, Linear, objectives
from vaelab.models.likelihoods import Bernoulli
from vaelab.models.linear import by_onednn, product
from vaelab.models.posteriors import DiagonalGaussian
from vaelab.models.priors import StandardNormal
from vaelab.training.step import Step

Numbers = Mapping[str, float]
HOOKS = (  # of modules and of parameters
    "_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks",
    "_post_accumulate_grad_hooks",
)  # fmt: skip


class Gradient(Protocol):
    """Sets the gradient of every parameter; returns the terms of the loss as `Step` does."""

    def __call__(
        self, x: Tensor, y: Tensor | None, numbers: Numbers, weights: Tensor | None
    ) -> Tensor: ...


class Automatic:
    """The gradient of any step, by autograd.

    Args:
        step: The step, or what wraps it.
        precision: "bfloat16" for products in bfloat16, by torch.autocast; else "float32".
        optimiser: Whose parameters get the gradients.
    """

    def __init__(self, step: nn.Module, precision: str, optimiser: Optimizer) -> None:
        self.step, self.precision, self.optimiser = step, precision, optimiser

    def __call__(
        self, x: Tensor, y: Tensor | None, numbers: Numbers, weights: Tensor | None
    ) -> Tensor:
        mixed = self.precision == "bfloat16"
        with torch.autocast(x.device.type, torch.bfloat16) if mixed else nullcontext():
            loss, terms = self.step(x, y, numbers, weights)
        self.optimiser.zero_grad()
        loss.backward()
        found: Tensor = terms
        return found


class Activation(NamedTuple):
    """f, computed in place, and the gradient of its input by that of its output and the output."""

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


_RELU = torch.ops.aten.threshold_backward.grad_input
ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.ReLU: Activation(torch.relu_, lambda grad, y: _RELU(grad, y, 0, grad_input=grad)),
    nn.Tanh: Activation(torch.tanh_, torch.ops.aten.tanh_backward),
}


class Chain:
    """Affine maps with activations between them, (B, in) -> (B, out), and the way back.

    With the activation f, y_i = f(y_(i-1) W_i^T + b_i), without f in the last layer.

    Args:
        layers: The affine maps.
        activations: One after each of them but the last.
        dtype: In which the products are computed; the gradients of the weights are float32.
        whole: Whether the gradient of x is wanted too. Where it is not, oneDNN computes the two
            products of the first layer a fifth faster, in float32, if y_1 is stored by columns.
    """

    def __init__(
        self,
        layers: Sequence[Linear],
        activations: Sequence[Activation],
        dtype: torch.dtype,
        whole: bool,
    ) -> None:
        self.layers, self.activations, self.dtype = layers, activations, dtype
        self.whole = whole

    def forward(self, x: Tensor) -> Tensor:
        self.inputs: list[Tensor] = []
        self.weights: list[Tensor] = []  # in which the products are computed
        y, last = x.to(self.dtype), len(self.layers) - 1
        for i, layer in enumerate(self.layers):
            weight, bias = layer.weight.to(self.dtype), layer.bias.to(self.dtype)
            self.inputs.append(y)
            self.weights.append(weight)
            columns = not (i or self.whole) and i < last and by_onednn(y, weight)
            y = product(y, weight, bias, columns=columns)
            if i < last:
                y = self.activations[i].forward(y)
        return y

    def backward(self, grad: Tensor) -> Tensor:
        """Set the gradients by that of the result (B, out); return that of x, if it is wanted.

        What `forward` kept is released layer by layer.
        """
        for i in reversed(range(len(self.layers))):
            x, weight, layer = self.inputs.pop(), self.weights.pop(), self.layers[i]
            grad = grad.to(self.dtype)
            layer.weight.grad = None  # its memory, which is in the cache, is that of the next one
            layer.weight.grad = product(grad.t(), x.t()).float()
            layer.bias.grad = grad.sum(0).float()
            if i or self.whole:
                grad = product(grad, weight.t(), columns=not x.is_contiguous())
            if i:
                grad = self.activations[i - 1].backward(grad, x)
        return grad


def cross_entropy(x: Tensor, logits: Tensor, p: Tensor) -> Tensor:
    """sum(softplus(l) - x l) over all elements, in nats, for p = sigmoid(l).

    softplus(l) = max(l, 0) - log m with m = max(p, 1 - p) = 1/2 + |p - 1/2|. As m is at least 1/2,
    16 of them can be multiplied before the logarithm is taken, which is then no longer what costs.

    >>> l = torch.tensor([[-90.0, 0.0, 3.0]])
    >>> cross_entropy(torch.ones(1, 3), l, l.sigmoid())
    tensor(90.7417)
    """
    buffer = (p - 0.5).abs_().add_(0.5)
    m = buffer.view(-1)
    most = len(m) // 16 * 16
    logarithms = m[:most].view(16, -1).prod(0).log_().sum() + m[most:].log().sum()
    positive = torch.clamp_min(logits, 0, out=buffer).sum()  # the memory of m is in the cache
    return positive - torch.dot(x.reshape(-1), logits.reshape(-1)) - logarithms


class Written:
    """The gradient of a plain VAE, see `written`; in nats per image as everywhere.

    With posterior mean mu, log variance v, s = exp(v / 2), z = mu + s e, logits l and pixels x,
    an image's loss is sum(softplus(l) - x l) + beta sum((mu^2 + s^2 - 1 - v) / 2), and

        dl = sigmoid(l) - x,    dmu = dz + beta mu,    dv = (dz e s + beta (s^2 - 1)) / 2.

    Kingma & Welling 2013, arXiv:1312.6114, appendix B.
    """

    def __init__(self, encoder: Chain, decoder: Chain) -> None:
        self.encoder, self.decoder = encoder, decoder

    @torch.no_grad()
    def __call__(
        self, x: Tensor, y: Tensor | None, numbers: Numbers, weights: Tensor | None
    ) -> Tensor:
        share, beta = 1 / len(x), numbers["beta"]
        x = x.flatten(1)
        mean, log_variance = self.encoder.forward(x).float().chunk(2, -1)
        scale = (log_variance / 2).exp_()
        noise = torch.randn(mean.shape, dtype=mean.dtype, device=x.device)
        logits = self.decoder.forward(torch.addcmul(mean, scale, noise)).float()
        narrow = scale.square().sub_(1)  # s^2 - 1
        rate = mean.square().add_(narrow).sub_(log_variance).sum() / 2
        p = logits.sigmoid()
        distortion = cross_entropy(x, logits, p)

        dz = self.decoder.backward(p.sub_(x).mul_(share)).float()
        dmean = dz.add(mean, alpha=beta * share)
        dlog_variance = dz.mul_(noise).mul_(scale).add_(narrow, alpha=beta * share).div_(2)
        self.encoder.backward(torch.cat([dmean, dlog_variance], -1))
        return torch.stack([distortion, rate, distortion + beta * rate]).mul_(share)


def written(step: Step, precision: str) -> Written | None:
    """The written gradient of a step, or None where the model is another one.

    It is there for one float32 network of affine maps with ReLU or tanh on either side, a diagonal
    Gaussian posterior, the prior N(0, I), the likelihood of binary or grey pixels, and the ELBO of
    one sample; for nobody who listens to modules or gradients through hooks.
    """
    vae = step.model
    encoder, decoder = vae.encoder, vae.decoder
    if type(encoder) is not DiagonalGaussian or type(decoder) is not Bernoulli:
        return None
    plain = (
        type(step) is Step
        and type(vae) is VAE
        and type(vae.prior) is StandardNormal
        and decoder.units is None
        and not len(vae.classes)
        and step.objective.function is objectives.elbo
        and step.samples == 1
        and all(p.requires_grad and p.dtype == torch.float32 for p in step.parameters())
        and not _listened(step)
    )
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    down = _chain([*_parts(encoder.network), encoder.head], dtype, whole=False)
    up = _chain(_parts(decoder.network), dtype, whole=True)
    if not plain or not down or not up:
        return None
    reached = [id(weight) for layer in (*down.layers, *up.layers) for weight in layer.parameters()]
    # No parameter serves twice, and none is left out.
    alone = sorted(reached) == sorted(map(id, step.parameters()))
    return Written(down, up) if alone else None


def _listened(step: Step) -> bool:
    """Whether somebody hooks into modules or parameters, or has replaced what a module does."""
    parts = *step.modules(), *step.parameters()
    replaced = any("forward" in vars(module) for module in step.modules())
    own = any(getattr(part, hooks, None) for part in parts for hooks in HOOKS)
    # Private to torch: hooks that were registered for all modules.
    everywhere = getattr(nn.modules.module, "_has_any_global_hook", lambda: False)
    return replaced or own or bool(everywhere())


def _parts(network: nn.Module) -> list[nn.Module]:
    """What a network computes, in order, if all of its containers are sequences."""
    every = [part for _, part in network.named_modules(remove_duplicate=False)]
    return [part for part in every if type(part) not in (nn.Sequential, nn.Flatten, nn.Unflatten)]


def _chain(parts: Sequence[nn.Module], dtype: torch.dtype, whole: bool) -> Chain | None:
    """The chain of these parts, if they are affine maps with activations between them."""
    layers = [part for part in parts[::2] if type(part) is Linear and part.bias is not None]
    activations = [ACTIVATIONS[type(part)] for part in parts[1::2] if type(part) in ACTIVATIONS]
    if len(layers) + len(activations) < len(parts) or len(layers) != len(activations) + 1:
        return None
    return Chain(layers, activations, dtype, whole)
