"""Optimisers: functions of the parameters and the training's settings."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
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
        return found(parameters, lr=settings.learning_rate)  # type: ignore[call-arg]  # each has it
    optimiser = found(parameters, settings)
    if not isinstance(optimiser, Optimizer):
        raise UserError(
            f"train.optimiser: {settings.optimiser} returned a {type(optimiser).__name__}, not a "
            "torch.optim.Optimizer; return one there"
        )
    return optimiser


class LeanAdam(Adam):
    """torch's fused Adam, with its state and its results, and less work around it.

    torch finds out in every step which parameters have gradients and which kernels suit them. Here
    the first step finds it out for all. Where a parameter has no gradient, it is torch's own step.

    torch keeps its compiler out of an optimiser, and for that imports it, which takes as long as
    the rest of torch. Here these methods are what they are without that wrapping.
    """

    lists: tuple[list[Tensor], ...] = ()  # parameters; first moments, second moments, steps

    add_param_group = inspect.unwrap(Adam.add_param_group)
    state_dict = inspect.unwrap(Adam.state_dict)
    plain_step = inspect.unwrap(Adam.step)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.lists = ()
        inspect.unwrap(Adam.load_state_dict)(self, state_dict)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # nobody passes one
        (group,) = self.param_groups
        grads = [parameter.grad for parameter in group["params"]]
        if not self.lists or any(grad is None for grad in grads):
            self.plain_step()
            states = [self.state.get(parameter, {}) for parameter in group["params"]]
            if all(states):
                self.steps = torch.stack([state["step"] for state in states])
                for state, step in zip(states, self.steps, strict=True):
                    state["step"] = step  # a view, so that one addition counts for all
                names = ("exp_avg", "exp_avg_sq", "step")
                moments = ([state[name] for state in states] for name in names)
                self.lists = (group["params"], *moments)
            return
        parameters, means, squares, steps = self.lists
        self.steps.add_(1)
        first, second = group["betas"]
        torch._fused_adam_(
            parameters, grads, means, squares, [], steps, lr=group["lr"], beta1=first, beta2=second,
            weight_decay=0.0, eps=group["eps"], amsgrad=False, maximize=False,
        )  # fmt: skip

    step.hooked = True  # type: ignore[attr-defined]  # no record for a profiler around each step

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None


def adam(parameters: Iterable[Parameter], settings: Train) -> Adam:
    """Adam. Kingma & Ba, Adam: a method for stochastic optimization, 2015, arXiv:1412.6980."""
    return LeanAdam(parameters, **_moments(settings), fused=True)


def adamw(parameters: Iterable[Parameter], settings: Train) -> AdamW:
    """Adam with decoupled weight decay: each step also takes lr * weight_decay off every weight.

    Loshchilov & Hutter, Decoupled weight decay regularization, 2019, arXiv:1711.05101.
    """
    return AdamW(parameters, **_moments(settings), weight_decay=settings.weight_decay, fused=True)


def nadam(parameters: Iterable[Parameter], settings: Train) -> NAdam:
    """Adam with Nesterov momentum.

    Dozat, Incorporating Nesterov momentum into Adam, 2016, ICLR workshop.
    """
    return NAdam(parameters, **_moments(settings), foreach=True)


def _moments(settings: Train) -> dict[str, Any]:
    """What all of them take; momentum is 0.9."""
    betas = 0.9, settings.beta2
    return {"lr": settings.learning_rate, "betas": betas, "eps": settings.epsilon}
