"""Pseudo-labels: the head is trained again on what it is surest of in each class, a growing share of the pool."""

from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.calibration import log_softmax
from labelloop.learning.choice import TrackRecord
from labelloop.learning.heads.base import Head, Lesson, Recipe
from labelloop.learning.heads.linear import fit_linear

SHARES: Final = (0.2, 0.5, 0.8)


class PseudoLabel(Recipe):
    """Self-training on class-balanced pseudo-labels (Lee, 2013), a growing share (Cascante-Bonilla et al., 2021).

    Taking the surest of each class, instead of the surest of all, keeps the easy classes from crowding out the others.

    Args:
        shares: the share in (0, 1] of each predicted class that each step takes, in turn.
        threshold: probability in [0, 1] below which a row is taken in no step.
    """

    name = "pseudo_label"
    needs_pool = True
    usual_temperature = 2.0
    track_record = TrackRecord((0.063, 0.070, 0.041, 0.013, -0.003, -0.003), (0.114, 0.109, 0.072, 0.055, 0.045, 0.018))

    def __init__(self, shares: tuple[float, ...] = SHARES, threshold: float = 0.0) -> None:
        self._shares = shares
        self._threshold = threshold

    def fit(self, lesson: Lesson, seed: int) -> Head:
        """Train on the labels, then on the labels and each step's pseudo-labels."""
        head = fit_linear(lesson)
        for share in self._shares if len(lesson.pool) else ():
            probabilities = np.exp(log_softmax(head.logits(lesson.pool)))
            kept = surest(probabilities, share, self._threshold)
            head = fit_linear(with_guesses(lesson, kept, probabilities.argmax(axis=1)[kept]))
        return head


def surest(probabilities: Floats, share: float, threshold: float = 0.0) -> Ints:
    """Row numbers of the surest rows of each predicted class, ascending.

    Args:
        probabilities: [m, C]; the largest of a row is how sure it is, a row that is not finite is not taken.
        share: of each class's rows, in [0, 1], rounded up.
        threshold: probability below which a row is not taken.
    """
    guesses, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    kept = []
    for guess in np.unique(guesses):
        members = np.flatnonzero(guesses == guess)
        wanted = int(np.ceil(share * members.size))
        kept.append(members[np.argsort(-sure[members], kind="stable")[:wanted]])
    rows = np.sort(np.concatenate(kept)) if kept else np.zeros(0, dtype=np.int64)
    taken: Ints = rows[sure[rows] >= threshold]
    return taken


def with_guesses(lesson: Lesson, kept: Ints, guesses: Ints, weight: float = 1.0) -> Lesson:
    """The lesson with rows of the pool beside the labelled ones.

    Args:
        lesson: the labels and the pool.
        kept: int [k], row numbers of the pool.
        guesses: int [k], the class of each.
        weight: how much each counts beside a label.
    """
    return Lesson(
        rows=np.concatenate([lesson.rows, lesson.pool[kept]]),
        targets=np.concatenate([lesson.targets, guesses]),
        weights=np.concatenate([lesson.weights, np.full(kept.size, weight)]),
        folds=np.full(len(lesson.rows) + kept.size, -1),
        run=range(0),
        strength=lesson.strength,
    )
