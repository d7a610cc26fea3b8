"""Optimisers: functions of the parameters and the training's settings."""

from __future__ import annotations

from collections.abc import Iterable

from torch.nn import Parameter
from torch.optim import Adam

from vaelab.recipes import Train


def adam(parameters: Iterable[Parameter], settings: Train) -> Adam:
    """Adam. Kingma & Ba, Adam: a method for stochastic optimization, 2015, arXiv:1412.6980."""
    return Adam(parameters, lr=settings.learning_rate, eps=settings.epsilon, fused=True)
