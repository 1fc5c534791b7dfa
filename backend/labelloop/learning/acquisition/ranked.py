"""Strategies that look at each item by itself."""

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.acquisition.base import Pool, Strategy, descending
from labelloop.learning.arrays import Ints


class Random(Strategy):
    """Any order is as good as another: the baseline."""

    name = "random"

    def _order(self, pool: Pool, rows: Ints, generator: np.random.Generator) -> Ints:
        return rows


class _MostUncertain(Strategy):
    """What the model knows least of comes first; an uncertainty that is not finite counts as 1."""

    def _order(self, pool: Pool, rows: Ints, generator: np.random.Generator) -> Ints:
        if pool.uncertainty is None:
            raise LearningError(
                f"The strategy {self.name!r} needs a trained model; order by a cold strategy until then."
            )
        return rows[descending(np.nan_to_num(pool.uncertainty[rows], nan=1.0, posinf=1.0, neginf=1.0))]


class Margin(_MostUncertain):
    """By the margin between the two most probable classes (Scheffer et al., 2001); see `uncertainty.margin`."""

    name = "margin"


class LeastConfidence(_MostUncertain):
    """By the probability of the most probable class (Lewis and Gale, 1994); see `uncertainty.least_confidence`."""

    name = "least_confidence"


class Entropy(_MostUncertain):
    """By the entropy of the class probabilities (Shannon, 1948); see `uncertainty.entropy`."""

    name = "entropy"
