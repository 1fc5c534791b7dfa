"""What the strategies share that need no model: they look at the pool as a whole, or at a sample of a large one."""

from abc import abstractmethod
from typing import Final

import numpy as np

from labelloop.learning.acquisition.base import Pool, Strategy
from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.scaling import centre_of, unit_rows
from labelloop.learning.threads import one_thread

# All pairs of this many rows take 64 MB, some work on them twice that, and about a second. A random sample of that size
# stands for any larger pool; the rest follows in random order, far behind the first labels a representative order is for.
SAMPLE: Final = 4096


class Representative(Strategy):
    """A strategy on centred features of length 1, ordering at most `SAMPLE` rows; subclasses give `_order_rows`."""

    def _order(self, pool: Pool, rows: Ints, generator: np.random.Generator) -> Ints:
        sample, rest = rows[:SAMPLE], rows[SAMPLE:]  # the rows are shuffled, so the first are a random sample
        known = pool.labelled[np.isfinite(pool.labelled).all(axis=1)]
        if len(known) > SAMPLE:
            known = known[generator.permutation(len(known))[:SAMPLE]]
        features = pool.features[sample]
        centre = centre_of(features)
        labelled = unit_rows(known, centre) if len(known) else np.zeros((0, centre.size), dtype=np.float32)
        with one_thread():
            order = self._order_rows(unit_rows(features, centre), labelled, generator)
        return np.concatenate([sample[order], rest])

    @abstractmethod
    def _order_rows(self, rows: Floats, labelled: Floats, generator: np.random.Generator) -> Ints:
        """Order rows [n, d], 1 <= n <= SAMPLE, given labelled rows [m, d]; both of length 1."""


def distances(rows: Floats, others: Floats) -> Floats:
    """Euclidean distances [n, m] between rows [n, d] and others [m, d], float32."""
    squares = np.einsum("ij,ij->i", rows, rows)[:, None] + np.einsum("ij,ij->i", others, others)[None, :]
    squares -= 2 * (rows @ others.T)
    apart: Floats = np.sqrt(np.maximum(squares, 0, out=squares), out=squares)
    return apart
