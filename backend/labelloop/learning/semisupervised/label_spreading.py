"""Labels spread along the graph of nearest neighbours; a head learns from the rows where they are clearest."""

from typing import Final

import numpy as np

from labelloop.learning.arrays import Bools, Floats
from labelloop.learning.choice import Prior
from labelloop.learning.heads.base import Head, Lesson, Recipe, Tested
from labelloop.learning.heads.linear import fit_linear
from labelloop.learning.semisupervised.graph import Sparse, neighbour_graph, spread
from labelloop.learning.semisupervised.pseudo_label import surest, with_guesses

SHARE: Final = 0.7


class LabelSpreading(Recipe):
    """A linear head on the labels and on the rows of the pool where spread labels are clearest (Iscen et al., 2019).

    Args:
        share: share in (0, 1] of each class's spread rows that the head learns from.
    """

    name = "label_spreading"
    usual_temperature = 2.0
    prior = Prior(0.03, 0.11)

    def __init__(self, share: float = SHARE) -> None:
        self._share = share

    def fit(self, lesson: Lesson, seed: int) -> Head:
        """Spread the labels over the pool and train."""
        everything = np.ones(len(lesson.rows), dtype=bool)
        return self._fit(lesson, everything, _graph(lesson, seed))

    def fit_tested(self, lesson: Lesson, seed: int) -> Tested:
        """As every recipe, with one graph for all folds: a row that is tested stands in it without its label."""
        graph = _graph(lesson, seed)
        logits = np.zeros((len(lesson.rows), lesson.classes))
        for fold in lesson.run:
            test = lesson.folds == fold
            if test.any():
                logits[test] = self._fit(lesson, ~test, graph).logits(lesson.rows[test])
        tested = np.flatnonzero(lesson.tested)
        head = self._fit(lesson, np.ones(len(lesson.rows), dtype=bool), graph)
        return Tested(head, tested, logits[tested], lesson.strength)

    def _fit(self, lesson: Lesson, known: Bools, graph: Sparse) -> Head:
        shares = _spread(lesson, known, graph)[len(lesson.rows) :]
        reached = np.flatnonzero(shares.sum(axis=1) > 0)
        kept = reached[surest(shares[reached], self._share)]
        return fit_linear(with_guesses(lesson.only(known), kept, shares.argmax(axis=1)[kept]))


def spread_labels(lesson: Lesson, seed: int = 0) -> Floats:
    """The transductive answer: what spreading says of each row of the pool.

    Returns:
        float64 [m, C], a row sums to 1, or to 0 where no label reaches it.
    """
    everything = np.ones(len(lesson.rows), dtype=bool)
    return _spread(lesson, everything, _graph(lesson, seed))[len(lesson.rows) :]


def _graph(lesson: Lesson, seed: int) -> Sparse:
    pool = lesson.pool if len(lesson.pool) else lesson.rows[:0]
    return neighbour_graph(np.concatenate([lesson.rows, pool]), seed=seed)


def _spread(lesson: Lesson, known: Bools, graph: Sparse) -> Floats:
    labels = np.zeros((graph.shape[0], lesson.classes))
    rows = np.flatnonzero(known)
    labels[rows, lesson.targets[rows]] = lesson.weights[rows]
    return spread(graph, labels)
