"""The contract of every query strategy: a total order over the pool, most useful item first.

The same pool and seed give the same order. Ties are broken by a shuffle that the seed decides, because the pool's own order
often follows the classes. Rows whose features are not finite come last.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Array, Floats, Ints


@dataclass(frozen=True, slots=True)
class Pool:
    """The items to choose from.

    Attributes:
        features: [n, d].
        uncertainty: [n] in [0, 1] of the model that orders the queue; None: there is no model to trust yet.
        labelled: [m, d], features of the items that have a label; empty: none has.
    """

    features: Floats
    uncertainty: Floats | None = None
    labelled: Floats = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))

    def __post_init__(self) -> None:
        rows = len(self.features)
        if self.features.ndim != 2 or self.labelled.ndim != 2:
            raise LearningError("A pool's features are rows: two-dimensional arrays.")
        if self.uncertainty is not None and self.uncertainty.shape != (rows,):
            raise LearningError(f"A pool of {rows} items needs as many uncertainties, not {self.uncertainty.shape}.")
        if len(self.labelled) and self.labelled.shape[1] != self.features.shape[1]:
            raise LearningError(
                f"Labelled features of {self.labelled.shape[1]} columns do not go with a pool of {self.features.shape[1]}."
            )

    def __len__(self) -> int:
        return len(self.features)


class Strategy(ABC):
    """One way of ordering the pool; subclasses give `name` and `_order`."""

    name: ClassVar[str]

    def order(self, pool: Pool, seed: int) -> Ints:
        """A permutation of the pool's row numbers, most useful first; empty for an empty pool.

        Raises:
            LearningError: the pool lacks what this strategy goes by.
        """
        generator = np.random.default_rng(seed)
        finite = np.asarray(np.isfinite(pool.features).all(axis=1))
        shuffled = generator.permutation(len(pool))
        usable = shuffled[finite[shuffled]]
        if usable.size == 0:
            return shuffled
        return np.concatenate([self._order(pool, usable, generator), shuffled[~finite[shuffled]]])

    @abstractmethod
    def _order(self, pool: Pool, rows: Ints, generator: np.random.Generator) -> Ints:
        """Order some row numbers of the pool: shuffled, at least one, all finite; the first of equal rows goes first."""


def descending(values: Array) -> Ints:
    """Row numbers of values [n] from largest to smallest; the first of equal values goes first."""
    order: Ints = np.argsort(-values, kind="stable")
    return order


def rank_scores(order: Ints) -> Floats:
    """Label Studio scores in [0, 1] that make it serve the items in this order, lowest first.

    Args:
        order: a permutation of n row numbers, most useful first.

    Returns:
        float64 [n] by row number, evenly spaced and all different, ascending along the order.
    """
    scores = np.empty(order.size, dtype=np.float64)
    scores[order] = np.arange(order.size) / max(order.size, 1)
    return scores
