"""The contract of every query strategy: a total order over the pool, most useful item first.

The same pool and seed give the same order. Ties are broken by a shuffle that the seed decides, because the pool's own order
often follows the classes. Rows whose features are not finite come last.
"""

from abc import ABC, abstractmethod
from enum import Enum
from typing import ClassVar, Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.acquisition.pool import Pool, View
from labelloop.learning.acquisition.wishes import keep_apart, raise_rare
from labelloop.learning.arrays import Array, Floats, Ints
from labelloop.learning.threads import one_thread

# Far below any difference in uncertainty that means something; divided by 50,000 still far above rounding.
STEP: Final = 1e-7


class Need(Enum):
    """What a strategy cannot do without, beside the features."""

    NOTHING = "nothing"
    UNCERTAINTY = "a trained model"  # uncertainty or probabilities
    PROBABILITIES = "the class probabilities of a trained model"
    MEMBERS = "the members of an ensemble"

    def met_by(self, pool: Pool) -> bool:
        """Whether the pool has it."""
        if self is Need.UNCERTAINTY:
            return pool.uncertainty is not None or pool.probabilities is not None
        if self is Need.PROBABILITIES:
            return pool.probabilities is not None
        return self is Need.NOTHING or pool.members is not None


class Strategy(ABC):
    """One way of ordering the pool; subclasses give `order_view` and what differs of the rest.

    Attributes:
        name: what it is called.
        need: what it cannot do without.
        measure: the name of the uncertainty it goes by where the pool gives none; see `uncertainty.MEASURES`.
    """

    name: ClassVar[str]
    need: ClassVar[Need] = Need.NOTHING
    measure: ClassVar[str] = "margin"

    def order(self, pool: Pool, seed: int, *, balance: float = 0.0, apart: float = 0.0) -> Ints:
        """A permutation of the pool's row numbers, most useful first; empty for an empty pool.

        Args:
            pool: what to order.
            seed: decides ties and what is drawn.
            balance: share of the places, in [0, 1], given to the class with the fewest labels, as the model sees it; without
                a model it changes nothing.
            apart: rows nearer than this to a labelled row or to one before them go last; a distance between centred rows of
                length 1, so in [0, 2]. 0: none does.

        Raises:
            LearningError: the pool lacks what this strategy goes by.
        """
        generator = np.random.default_rng(seed)
        finite = np.asarray(np.isfinite(pool.features).all(axis=1))
        shuffled = generator.permutation(len(pool))
        usable = shuffled[finite[shuffled]]
        if usable.size == 0:
            return shuffled
        if not self.need.met_by(pool):
            raise LearningError(
                f"The strategy {self.name!r} needs {self.need.value}; order by a cold strategy until then."
            )
        view = View(pool, usable, generator)
        with one_thread():
            order = completed(self.order_view(view), len(view))
            order = raise_rare(view, keep_apart(view, order, apart), balance)
        return np.concatenate([usable[order], shuffled[~finite[shuffled]]])

    @abstractmethod
    def order_view(self, view: View) -> Ints:
        """Places in the view, best first, each once; those left out follow as they are, shuffled."""


def completed(order: Ints, rows: int) -> Ints:
    """The order, then whatever places of 0..rows-1 it leaves out."""
    left = np.ones(rows, dtype=bool)
    left[order] = False
    return np.concatenate([order, np.flatnonzero(left)])


def descending(values: Array) -> Ints:
    """Row numbers of values [n] from largest to smallest; the first of equal values goes first."""
    order: Ints = np.argsort(-values, kind="stable")
    return order


def rank_scores(order: Ints) -> Floats:
    """Label Studio scores in [0, 1] that make it serve the items in this order, lowest first.

    Args:
        order: a permutation of n row numbers, most useful first.

    Returns:
        float64 [n] by row number, evenly spaced about 1/2 and all different, ascending along the order.
    """
    scores = np.empty(order.size, dtype=np.float64)
    scores[order] = (np.arange(order.size) + 0.5) / max(order.size, 1)
    return scores


def scores_along(order: Ints, uncertainty: Floats) -> Floats:
    """Label Studio scores that make it serve the items in this order and still say how doubtful what is left is.

    The values of 1 - uncertainty are handed out along the order, the lowest first; for an order by uncertainty each item gets
    its own. They are moved by up to `STEP` so that no two are equal.

    Args:
        order: a permutation of n row numbers, most useful first.
        uncertainty: [n] in [0, 1].

    Returns:
        float64 [n] in [0, 1] by row number, strictly ascending along the order.
    """
    scores = np.empty(order.size, dtype=np.float64)
    scores[order] = np.sort(1 - uncertainty) * (1 - STEP) + STEP * rank_scores(np.arange(order.size))
    return scores
