"""Optimisers: functions of the parameters and the training's settings."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from torch.nn import Parameter
from torch.optim import Adam, AdamW, NAdam, Optimizer

from vaelab.errors import UserError
from vaelab.recipes import Train, code


def make(parameters: Iterable[Parameter], settings: Train) -> Optimizer:
    """The optimiser that `settings.optimiser` names, at the learning rate of the first step.

    A custom one (FILE.py:NAME) is a subclass of ``torch.optim.Optimizer``, called with the
    parameters and ``lr``, or a function of the parameters and the settings that returns one.
    """
    found = code("train.optimiser", settings.optimiser)
    if inspect.isclass(found) and issubclass(found, Optimizer):
        return found(parameters, lr=settings.learning_rate)  # type: ignore[call-arg]
    optimiser = found(parameters, settings)
    if not isinstance(optimiser, Optimizer):
        raise UserError(
            f"train.optimiser: {settings.optimiser} returned a {type(optimiser).__name__}, not a "
            "torch.optim.Optimizer; return one there"
        )
    return optimiser


def adam(parameters: Iterable[Parameter], settings: Train) -> Adam:
    """Adam. Kingma & Ba, Adam: a method for stochastic optimization, 2015, arXiv:1412.6980."""
    return Adam(parameters, lr=settings.learning_rate, eps=settings.epsilon, fused=True)


def adamw(parameters: Iterable[Parameter], settings: Train) -> AdamW:
    """Adam with decoupled weight decay: each step also takes lr * weight_decay off every weight.

    Loshchilov & Hutter, Decoupled weight decay regularization, 2019, arXiv:1711.05101.
    """
    decay = settings.weight_decay
    rate, epsilon = settings.learning_rate, settings.epsilon
    return AdamW(parameters, lr=rate, eps=epsilon, weight_decay=decay, fused=True)


def nadam(parameters: Iterable[Parameter], settings: Train) -> NAdam:
    """Adam with Nesterov momentum.

    Dozat, Incorporating Nesterov momentum into Adam, 2016, ICLR workshop.
    """
    rate, epsilon = settings.learning_rate, settings.epsilon
    return NAdam(parameters, lr=rate, eps=epsilon, foreach=True)
