"""Labels spread along the graph of nearest neighbours, and heads that learn from what they reach."""

from abc import abstractmethod
from typing import Final

import numpy as np

from labelloop.learning.arrays import Bools, Floats
from labelloop.learning.choice import TrackRecord
from labelloop.learning.heads.base import Head, Lesson, Recipe, Tested
from labelloop.learning.heads.linear import fit_linear
from labelloop.learning.heads.neighbours import NeighboursHead
from labelloop.learning.semisupervised.graph import NEIGHBOURS, Sparse, neighbour_graph, spread
from labelloop.learning.semisupervised.pseudo_label import surest, with_guesses

SHARE: Final = 0.7


class Spreading(Recipe):
    """Trains a head on labels spread over the pool; subclasses give `fit_spread`."""

    needs_pool = True

    def fit(self, lesson: Lesson, seed: int) -> Head:
        """Spread the labels over the pool and train."""
        if not len(lesson.pool):
            return fit_linear(lesson)
        everything = np.ones(len(lesson.rows), dtype=bool)
        return self.fit_spread(lesson, everything, _spread(lesson, everything, _graph(lesson)))

    def fit_tested(self, lesson: Lesson, seed: int) -> Tested:
        """As every recipe, with one graph for all folds: a row that is tested stands in it without its label."""
        if not len(lesson.pool):
            return super().fit_tested(lesson, seed)
        graph = _graph(lesson)
        logits = np.zeros((len(lesson.rows), lesson.classes))
        for fold in lesson.run:
            test = lesson.folds == fold
            if test.any():
                head = self.fit_spread(lesson, ~test, _spread(lesson, ~test, graph))
                logits[test] = head.logits(lesson.rows[test])
        tested, everything = np.flatnonzero(lesson.tested), np.ones(len(lesson.rows), dtype=bool)
        head = self.fit_spread(lesson, everything, _spread(lesson, everything, graph))
        return Tested(head, tested, logits[tested], lesson.strength)

    @abstractmethod
    def fit_spread(self, lesson: Lesson, known: Bools, shares: Floats) -> Head:
        """Train on spread labels.

        Args:
            lesson: the labels and the pool, which is not empty.
            known: bool [n], the labelled rows whose label was spread; the head must not see the others.
            shares: float64 [n + m, C], the spread labels of the labelled rows and of the pool; a row sums to 1, or to 0 where
                no label reaches it.
        """


class LabelSpreading(Spreading):
    """A linear head on the labels and on the rows of the pool where spread labels are clearest (Iscen et al., 2019).

    Args:
        share: share in (0, 1] of each class's spread rows that the head learns from.
    """

    name = "label_spreading"
    usual_temperature = 2.0
    track_record = TrackRecord((0.069, 0.077, 0.039, 0.005, -0.016, -0.024), (0.115, 0.106, 0.064, 0.058, 0.054, 0.059))

    def __init__(self, share: float = SHARE) -> None:
        self._share = share

    def fit_spread(self, lesson: Lesson, known: Bools, shares: Floats) -> Head:
        """Train on the clearest rows of the pool."""
        shares = shares[len(lesson.rows) :]
        reached = np.flatnonzero(shares.sum(axis=1) > 0)
        kept = reached[surest(shares[reached], self._share)]
        return fit_linear(with_guesses(lesson.only(known), kept, shares.argmax(axis=1)[kept]))


class SpreadNeighbours(Spreading):
    """The spread labels themselves: a new row takes those of its nearest neighbours in the pool (Delalleau et al., 2005).

    It can follow borders that no linear head can, and keeps the pool's rows to do so.
    """

    name = "spread_neighbours"
    usual_temperature = 1.0
    track_record = TrackRecord(
        (0.069, 0.075, 0.036, -0.005, -0.026, -0.041), (0.115, 0.108, 0.068, 0.067, 0.068, 0.086)
    )

    def fit_spread(self, lesson: Lesson, known: Bools, shares: Floats) -> Head:
        """Keep every row that a label reaches, counting as much as its label is clear."""
        kept = np.flatnonzero(np.concatenate([known, np.ones(len(lesson.pool), dtype=bool)]) & (shares.sum(axis=1) > 0))
        rows = np.concatenate([lesson.rows, lesson.pool])[kept]
        return NeighboursHead(rows, shares[kept].argmax(axis=1), shares[kept].max(axis=1), NEIGHBOURS, lesson.classes)


def _graph(lesson: Lesson) -> Sparse:
    return neighbour_graph(np.concatenate([lesson.rows, lesson.pool]))


def _spread(lesson: Lesson, known: Bools, graph: Sparse) -> Floats:
    labels = np.zeros((graph.shape[0], lesson.classes))
    rows = np.flatnonzero(known)
    labels[rows, lesson.targets[rows]] = lesson.weights[rows]
    return spread(graph, labels)
