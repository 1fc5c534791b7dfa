"""k nearest neighbours: the labelled rows themselves are the head."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np

from labelloop.learning.arrays import Array, Floats, Ints
from labelloop.learning.heads.base import Head, Lesson, Recipe, Tested, tested_loss

CHOICES: Final = (1, 3, 5, 10, 20)
# Rows that are kept; a version with more would be large and slow to answer with.
LARGEST: Final = 5000
# What each class has before a neighbour votes, in votes: no neighbour of a class is no proof against it.
SMOOTHING: Final = 0.1


class NeighboursHead:
    """Logits are logarithms of the classes' shares among the nearest rows, by cosine, nearer ones counting for more.

    Args:
        rows: float32 [n, d] of length 1.
        targets: int64 [n] in 0..C-1.
        weights: float64 [n], how much each row counts.
        neighbours: how many rows vote.
        classes: C.
    """

    kind: ClassVar[str] = "neighbours"

    def __init__(self, rows: Floats, targets: Ints, weights: Floats, neighbours: int, classes: int) -> None:
        self._rows = np.ascontiguousarray(rows, dtype=np.float32)
        self._targets = targets.astype(np.int64)
        self._weights = np.asarray(weights, dtype=np.float64)
        self.neighbours = min(neighbours, len(rows))
        self._classes = classes

    def logits(self, rows: Floats) -> Floats:
        """Logits [m, C] of rows [m, d]; NaN where a row is not finite."""
        alike = rows @ self._rows.T
        nearest = np.argpartition(-alike, self.neighbours - 1, axis=1)[:, : self.neighbours]
        near = np.take_along_axis(alike, nearest, axis=1)
        votes = self._weights[nearest] * np.exp(near - near.max(axis=1, keepdims=True))
        shares = np.full((len(rows), self._classes), SMOOTHING)
        np.add.at(shares, (np.arange(len(rows))[:, None], self._targets[nearest]), votes)
        logits: Floats = np.log(shares)
        return logits

    def arrays(self) -> dict[str, Array]:
        """The rows with their classes and weights."""
        return {"rows": self._rows, "targets": self._targets, "row_weights": self._weights}

    def meta(self) -> dict[str, Any]:
        """How many vote, and of how many classes."""
        return {"neighbours": self.neighbours, "classes": self._classes}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> Self:
        """Restore what `arrays` and `meta` gave."""
        return cls(arrays["rows"], arrays["targets"], arrays["row_weights"], meta["neighbours"], meta["classes"])


class Neighbours(Recipe):
    """k nearest neighbours (Cover and Hart, 1967).

    Args:
        count: how many vote where that is not chosen.
    """

    name = "knn"

    def __init__(self, count: int = CHOICES[2]) -> None:
        self._count = count

    def fit(self, lesson: Lesson, seed: int) -> Head:
        """Keep the rows, a sample of many."""
        kept = np.sort(np.random.default_rng(seed).permutation(len(lesson.rows))[:LARGEST])
        rows, targets, weights = lesson.rows[kept], lesson.targets[kept], lesson.weights[kept]
        return NeighboursHead(rows, targets, weights, self._count, lesson.classes)

    def fit_tested(self, lesson: Lesson, seed: int) -> Tested:
        """Choose how many vote by the log loss, and test."""
        trials = [Recipe.fit_tested(Neighbours(count), lesson, seed) for count in CHOICES]
        return min(trials, key=lambda tested: tested_loss(tested, lesson))
