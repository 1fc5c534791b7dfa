"""Coverage: each pick lowers the pool's distance to its nearest pick the most."""

import numpy as np

from labelloop.learning.acquisition.distance import distances
from labelloop.learning.acquisition.pool import View
from labelloop.learning.acquisition.representative import Representative, to_labelled
from labelloop.learning.arrays import Floats, Ints


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
    gains, nearest = _gains(apart, nearest), nearest.copy()
    picked = np.empty(len(apart), dtype=np.int64)
    for place in range(len(apart)):
        pick = int(gains.argmax())
        picked[place] = pick
        closer = np.flatnonzero(apart[pick] < nearest)
        # Only rows that got closer change what the others would gain; they grow fewer with every pick.
        gains -= _gains(apart[closer], nearest[closer]) - _gains(apart[closer], apart[pick, closer])
        nearest[closer] = apart[pick, closer]
        gains[pick] = -np.inf
    return picked


def _gains(apart: Floats, nearest: Floats) -> Floats:
    """By how much each column's row would lower the sum of `nearest` [k], given distances [k, n]; float64 [n]."""
    total: Floats = np.maximum(nearest[:, None] - apart, 0).sum(axis=0, dtype=np.float64)
    return total
