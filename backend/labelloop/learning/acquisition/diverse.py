"""Strategies that want items that are both uncertain and unlike each other, and the one that wants them unlike alone."""

from typing import Final

import numpy as np

from labelloop.learning.acquisition.base import Need, Strategy, descending
from labelloop.learning.acquisition.clusters import spread
from labelloop.learning.acquisition.pool import View
from labelloop.learning.acquisition.representative import to_labelled
from labelloop.learning.arrays import Ints
from labelloop.learning.uncertainty import measure_named

SHORTLIST: Final = 5
# k-means takes time with the square of this; a larger batch is spread in several steps.
LARGEST_STEP: Final = 500
GAMMA: Final = 10


class CoreSet(Strategy):
    """Greedy k-center (Sener and Savarese, 2018): each pick is the row farthest from all picks and labelled rows.

    Behind the batch come the rows farthest from it.
    """

    name = "coreset"

    def order_view(self, view: View) -> Ints:
        """Places, the farthest first."""
        rows = view.features
        squares = np.einsum("ij,ij->i", rows, rows)
        far = np.square(to_labelled(view, np.inf))
        picked: list[int] = []
        for _ in range(view.front):
            pick = int(far.argmax())
            picked.append(pick)
            far = np.minimum(far, squares + squares[pick] - 2 * (rows @ rows[pick]))
            far[picked] = -1
        return np.concatenate([np.array(picked), descending(far)[: far.size - len(picked)]])


class Clue(Strategy):
    """Prabhu et al., 2021: the rows nearest to the centres of k-means weighted by entropy; behind the batch by entropy."""

    name = "clue"
    need = Need.UNCERTAINTY
    measure = "entropy"

    def order_view(self, view: View) -> Ints:
        """Places, those of the weightiest clusters first."""
        doubt = view.doubt(self.measure)
        picked = spread(view.features, doubt, min(view.pool.batch, len(view)), view.generator)
        return then(picked, descending(doubt))


class Falcun(Strategy):
    """Gilhuber et al., 2024: draws by margin and by the distance, in probabilities, to what is drawn already.

    Behind the batch come those most likely to be drawn next.
    """

    name = "falcun"
    need = Need.PROBABILITIES

    def order_view(self, view: View) -> Ints:
        """Places, the drawn ones first."""
        probabilities = view.probabilities
        doubt = measure_named(self.measure)(probabilities)
        far, relevance = doubt.copy(), (2 * doubt) ** GAMMA
        picked: list[int] = []
        apart = np.empty_like(probabilities)  # of many classes most time would go into making room for it each time
        while relevance.sum() > 0 and len(picked) < view.front:
            picked.append(int(view.generator.choice(len(view), p=relevance / relevance.sum())))
            np.abs(np.subtract(probabilities, probabilities[picked[-1]], out=apart), out=apart)
            far = np.minimum(far, apart.sum(axis=1))
            far = (far - far.min()) / (np.ptp(far) or 1.0)
            relevance = (doubt + far) ** GAMMA
            relevance[picked] = 0
        return then(np.array(picked, dtype=np.int64), descending(relevance))


class DiverseMargin(Strategy):
    """A shortlist, five times the batch, by margin, spread by k-means that the margin weighs; another such, then by margin.

    After the weighted k-means of Zhdanov, 2019. It costs as much on a large pool as on a small one.
    """

    name = "diverse_margin"
    need = Need.UNCERTAINTY

    def order_view(self, view: View) -> Ints:
        """Places, a spread batch after the other."""
        doubt = view.doubt(self.measure)
        ranked, picked = descending(doubt), np.zeros(0, dtype=np.int64)
        step = min(view.pool.batch, LARGEST_STEP)
        while len(picked) < view.front:
            short = then(picked, ranked)[len(picked) :][: SHORTLIST * step]
            best = spread(view.take(short).features, doubt[short], step, view.generator)
            # Among few different rows k-means finds fewer than it was asked for; going on from those would take a run for each.
            picked = np.concatenate([picked, then(short[best], short)[:step]])
        return then(picked, ranked)


def then(picked: Ints, ranked: Ints) -> Ints:
    """The picked ones, and behind them the rest as they are ranked."""
    return np.concatenate([picked, ranked[~np.isin(ranked, picked)]])
