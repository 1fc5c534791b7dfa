"""Coverage: each pick lowers the pool's distance to its nearest pick the most."""

import numpy as np

from labelloop.learning.acquisition.representative import Representative, distances
from labelloop.learning.arrays import Floats, Ints


class Coverage(Representative):
    """Greedy k-medoids, the greedy solution of facility location (Nemhauser et al., 1978; Wei et al., 2015).

    Labelled items count as picked already. Once every row lies on a pick, the rest follows in shuffled order.
    """

    name = "coverage"

    def _order_rows(self, rows: Floats, labelled: Floats, generator: np.random.Generator) -> Ints:
        apart = distances(rows, rows)
        np.fill_diagonal(apart, 0)
        # Before the first pick every row is as far away as the farthest two are, so the first pick is the medoid.
        nearest = distances(rows, labelled).min(axis=1) if len(labelled) else np.full(len(rows), apart.max())
        gains = _gains(apart, nearest)
        picked = np.empty(len(rows), dtype=np.int64)
        for place in range(len(rows)):
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
