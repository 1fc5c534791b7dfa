"""What a look at the validation items has found."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Floats

TEMPERATURES: Final[Floats] = np.geomspace(0.5, 8.0, 25)
"""What logits are divided by to find how good they are once they are calibrated."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Sums over validation items; those of parts are added up.

    A network grows too sure of itself long before it stops getting better at telling classes apart, and its log loss alone would
    end it there. Where another head will stand on its features and is calibrated, only what calibration cannot mend counts: the
    loss at the temperature that suits best (Berta et al., 2025).

    Attributes:
        losses: float [k], the loss at each of `TEMPERATURES`, or as it is, for a network that gives the answers itself.
        right: the weight of what is right.
        weight: all weight.
    """

    losses: Floats
    right: float
    weight: float

    @classmethod
    def nothing(cls) -> "Judged":
        """What is found in no items."""
        return cls(np.zeros(1), 0.0, 0.0)

    @classmethod
    def as_it_is(cls, loss: Any, right: Any, weight: Any) -> "Judged":
        """What is found with a network that gives the answers itself, by its loss; sums, each a number or a tensor of one."""
        return cls(np.array([float(loss)]), float(right), float(weight))

    def __add__(self, other: "Judged") -> "Judged":
        """What is found in both."""
        return Judged(self.losses + other.losses, self.right + other.right, self.weight + other.weight)

    @property
    def loss(self) -> float:
        """Mean loss at the best temperature."""
        return float(self.losses.min()) / max(self.weight, 1e-12)

    @property
    def accuracy(self) -> float:
        """The share that is right, in [0, 1]."""
        return self.right / max(self.weight, 1e-12)


def at_temperatures(logits: Any, loss: Callable[[Any], Any]) -> Floats:
    """The loss, a sum, of logits at each of `TEMPERATURES`, float [k]."""
    return np.array([float(loss(logits / temperature)) for temperature in TEMPERATURES])
