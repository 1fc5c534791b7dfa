"""How good a model is on the pool, estimated from labelled items that are harder than the pool."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Bools, Floats
from labelloop.learning.intervals import Interval, wilson

STRATA: Final = 5
LEAST_ITEMS: Final = 4 * STRATA


@dataclass(frozen=True, slots=True)
class Answers:
    """What models said of labelled items that did not teach them.

    Attributes:
        confidence: [n] in [0, 1], of the predicted class.
        correct: bool [n], whether the prediction is right.
        untested: further labelled items that no model could be asked about, as where one is alone in its class.
    """

    confidence: Floats
    correct: Bools
    untested: int = 0

    def __add__(self, other: "Answers") -> "Answers":
        """Both, one after the other."""
        return Answers(
            np.concatenate([self.confidence, other.confidence]),
            np.concatenate([self.correct, other.correct]),
            self.untested + other.untested,
        )


@dataclass(frozen=True, slots=True)
class PoolAccuracy:
    """What share of the pool a model has right, as far as is known.

    Attributes:
        accuracy: in [0, 1].
        interval: its 95 % interval.
        items: labelled items it is estimated from.
        worth: how many items drawn at random from the pool would tell as much.
    """

    accuracy: float
    interval: Interval
    items: int
    worth: float


def pool_accuracy(answers: Answers, pool_confidence: Floats) -> PoolAccuracy | None:
    """Estimate the accuracy on the pool by a difference estimator (Särndal et al., 1992), post-stratified (Holt and Smith, 1979).

    A strategy serves what the model is unsure of, so what gets labelled is harder than what is left. Among items of like
    confidence the choice says little of which are right. So the model's mean confidence on the pool is taken, and corrected by
    how far it is from the truth on these items, in five strata of confidence that each weigh as much as their share of the
    pool. The interval is `wilson` on as many items as the weighted ones are worth (Kish, 1965): where the pool lies in the
    strata that have few labels, it is wide; its lower end counts as wrong what could not be tested.

    Cross-validation counts beside the holdout: over 24 data sets labelled along `auto`, with 8 to 32 labels a class, the plain
    share of right answers was 10 to 11 points off, this estimate 3 to 5; of labels drawn at random both were 3 to 5 off.

    Args:
        answers: about labelled items.
        pool_confidence: [m], the same confidence for items of the pool.

    Returns:
        The estimate; None with fewer than 20 labelled items, or none of the pool.

    Raises:
        LearningError: there are not as many confidences as items.
    """
    confidence, correct = answers.confidence, answers.correct
    if confidence.shape != correct.shape:
        raise LearningError(f"There are {confidence.size} confidences for {correct.size} labelled items.")
    known = np.isfinite(confidence)
    confidence, correct = confidence[known], correct[known].astype(bool)
    pool_confidence = pool_confidence[np.isfinite(pool_confidence)]
    if confidence.size < LEAST_ITEMS or pool_confidence.size == 0:
        return None
    edges = np.unique(np.quantile(confidence, np.arange(1, STRATA) / STRATA))
    stratum = np.searchsorted(edges, confidence, side="right")
    items = np.bincount(stratum, minlength=edges.size + 1)
    missing = np.bincount(stratum, weights=correct - confidence, minlength=edges.size + 1)
    share = np.bincount(np.searchsorted(edges, pool_confidence, side="right"), minlength=edges.size + 1)
    used = items > 0  # equal confidences leave a stratum empty; its share goes to the others
    if not share[used].sum():
        return None
    share = share[used] / share[used].sum()
    corrected = float(pool_confidence.mean() + share @ (missing[used] / items[used]))
    accuracy = min(1.0, max(0.0, corrected))
    worth = float(1 / (share**2 / items[used]).sum())
    low = wilson(accuracy * worth, worth * (1 + answers.untested / confidence.size)).low
    return PoolAccuracy(accuracy, Interval(low, wilson(accuracy * worth, worth).high), int(confidence.size), worth)
