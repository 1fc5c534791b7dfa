"""Coverage: each pick lowers the pool's distance to its nearest pick the most."""

from typing import Final

import numpy as np

from labelloop.learning.acquisition.distance import distances
from labelloop.learning.acquisition.pool import View
from labelloop.learning.acquisition.representative import Representative, to_labelled
from labelloop.learning.arrays import Floats, Ints

# So many rows of distances stay in the processor's cache while they are worked on.
ROWS_AT_ONCE: Final = 32


class Coverage(Representative):
    """Greedy k-medoids, the greedy solution of facility location (Nemhauser et al., 1978; Wei et al., 2015).

    Labelled items count as picked already. Once every row lies on a pick, the rest follows in shuffled order.
    """

    name = "coverage"

    def order_sample(self, view: View) -> Ints:
        """Places, the greedy picks first."""
        apart = distances(view.features, view.features)
        np.fill_diagonal(apart, 0)
        # Before the first pick every row is as far away as the farthest two are, so the first pick is the medoid.
        return greedy_medoids(apart, to_labelled(view, float(apart.max())))


class MaxHerding(Representative):
    """Greedy maximisation of the pool's mean similarity to its most similar pick (Bae et al., 2024): exp(-distance²).

    It is `Coverage` with 1 - similarity for a distance, so that rows far from every pick do not pull.
    """

    name = "max_herding"

    def order_sample(self, view: View) -> Ints:
        """Places, the greedy picks first."""
        apart = 1 - np.exp(-np.square(distances(view.features, view.features)))
        np.fill_diagonal(apart, 0)
        return greedy_medoids(apart, 1 - np.exp(-np.square(to_labelled(view, np.inf))))


def greedy_medoids(apart: Floats, nearest: Floats) -> Ints:
    """Order all columns so that each lowers the sum of `nearest` the most.

    Args:
        apart: [n, n], distances between rows, 0 on the diagonal.
        nearest: [n], each row's distance to what is picked already.

    Returns:
        int [n].
    """
    nothing = np.zeros_like(nearest)
    gains, nearest = _lost(apart, np.arange(len(apart)), nearest, nothing), nearest.copy()
    picked = np.empty(len(apart), dtype=np.int64)
    for place in range(len(apart)):
        pick = int(gains.argmax())
        picked[place] = pick
        closer = np.flatnonzero(apart[pick] < nearest)
        # Only rows that got closer change what the others would gain; they grow fewer with every pick.
        gains -= _lost(apart, closer, nearest, apart[pick])
        nearest[closer] = apart[pick, closer]
        gains[pick] = -np.inf
    return picked


def _lost(apart: Floats, rows: Ints, before: Floats, after: Floats) -> Floats:
    """How much less each column would gain from some rows, now that their nearest pick is as far as `after`; float64 [n]."""
    lost = np.zeros(len(apart))
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[start : start + ROWS_AT_ONCE]
        block = apart[some]
        gained = np.maximum(before[some, None] - block, 0)
        gained -= np.maximum(after[some, None] - block, 0)
        lost += gained.sum(axis=0)
    return lost
