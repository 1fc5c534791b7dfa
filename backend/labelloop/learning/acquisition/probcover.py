"""ProbCover: each pick covers the most of what no pick covers yet, within balls that hold one kind of item."""

from typing import Final

import numpy as np

from labelloop.learning.acquisition.clusters import cluster
from labelloop.learning.acquisition.distance import distances
from labelloop.learning.acquisition.pool import View
from labelloop.learning.acquisition.representative import Representative, to_labelled
from labelloop.learning.arrays import Bools, Floats, Ints

PURITY: Final = 0.95
# Where nobody has said how many classes there are.
CLASSES: Final = 10


class ProbCover(Representative):
    """Yehuda et al., 2022: the radius is the largest at which 95 % of the balls hold rows of a single k-means cluster.

    There are as many clusters as classes. Once everything is covered, the rest follows in shuffled order.
    """

    name = "probcover"

    def order_sample(self, view: View) -> Ints:
        """Places, those that cover most first."""
        apart = distances(view.features, view.features)
        np.fill_diagonal(apart, 0)
        kinds = cluster(view.features, min(view.classes or CLASSES, len(view)), view.generator)
        radius = _radius(apart, kinds)
        return _greedy_cover(apart <= radius, to_labelled(view, np.inf) > radius)


def _radius(apart: Floats, kinds: Ints) -> float:
    """A ball is pure up to its row's distance to the nearest row of another kind, so the radius is a quantile of those."""
    others = np.where(kinds[:, None] == kinds[None, :], np.inf, apart).min(axis=1)
    if np.isinf(others).any():  # one kind only
        return float(np.median(apart))
    return float(np.quantile(others, 1 - PURITY, method="lower")) * (1 - 1e-6)


def _greedy_cover(balls: Bools, uncovered: Bools) -> Ints:
    """Rows whose balls (balls[i, j]: j lies in i's, and i in j's) hold the most uncovered rows, until all are covered."""
    counts = balls[uncovered].sum(axis=0)
    picked: list[int] = []
    while counts.max() > 0:
        pick = int(counts.argmax())
        picked.append(pick)
        newly = balls[pick] & uncovered
        counts -= balls[newly].sum(axis=0)
        uncovered = uncovered & ~newly
    return np.array(picked, dtype=np.int64)
