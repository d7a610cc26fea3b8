"""What all likelihoods share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal, TypeAlias

from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from vaelab.errors import UserError
from vaelab.models.networks import at_least_float32
from vaelab.models.units import InUnits, Units

# Where x lives: in [0, 1], any real number, whole numbers from 0, grey levels v / (levels - 1), or
# in each column of a table where its kind says
Support: TypeAlias = Literal["unit", "real", "counts", "levels", "columns"]


class Likelihood(nn.Module, ABC):
    """A network (N, L) -> (N, P, *shape) and the distribution of each element of x, by its P
    outputs, or of several elements together.

    A subclass names in its constructor the arguments it needs (see `models.build`), says where its
    x lives and, where an element needs more than one number, overrides `outputs`.

    Attributes:
        support: Where x lives; other data are refused.
        density: Whether log p is a density of real values, so that it changes with their units.
        outputs: P; a subclass may ask for arguments by name, as in its constructor.
        units: The user's units, where they are not those of the network.
    """

    support: Support = "real"
    density: ClassVar[bool] = True
    outputs: ClassVar[Callable[..., int]] = staticmethod(lambda: 1)
    units: Units | None

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.units = None

    def forward(self, z: Tensor, *y: Tensor) -> Independent[Distribution]:
        """Return p(x|z), batch shape (...), for codes z (..., L).

        In a conditional model the shape of the classes y is that of the last leading dimensions of
        z.
        """
        given = (labels.expand(z.shape[:-1]).flatten() for labels in y)
        outputs = at_least_float32(self.network(z.flatten(0, -2), *given))  # (N, P, *shape)
        elements = self.elements(outputs.movedim(1, -1).unflatten(0, z.shape[:-1]))
        if self.units is not None:
            elements = InUnits(elements, self.units, self.density)
        free = outputs.dim() - 2 - len(elements.event_shape)
        return Independent(elements, free, validate_args=False)

    @abstractmethod
    def elements(self, outputs: Tensor) -> Distribution:
        """Return the distribution of each element (..., *shape), for outputs (..., *shape, P).

        Elements that depend on one another are the event of the distribution, the last of the
        dimensions of `shape`.
        """


def need_levels(likelihood: str, levels: int | None) -> int:
    """Return the number of grey levels; raise `UserError` if the data have none."""
    if levels is None:
        raise UserError(
            f"model.likelihood: {likelihood!r} needs grey levels, these data are real values; "
            "set model.likelihood to gaussian"
        )
    return levels
