"""How good a model is on the pool, estimated from a holdout that is harder than the pool."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Bools, Floats
from labelloop.learning.intervals import Interval, wilson

STRATA: Final = 5
LEAST_ITEMS: Final = 4 * STRATA


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


def pool_accuracy(confidence: Floats, correct: Bools, pool_confidence: Floats) -> PoolAccuracy | None:
    """Estimate the accuracy on the pool by a difference estimator (Särndal et al., 1992), post-stratified (Holt and Smith, 1979).

    A strategy serves what the model is unsure of, so what gets labelled, and with it the holdout, is harder than what is left. Among
    items of like confidence the choice says little of which are right. So the model's mean confidence on the pool is taken, and
    corrected by how far it is from the truth on the holdout, in five strata of confidence that each weigh as much as their share
    of the pool. The interval is `wilson` on as many items as the weighted ones are worth (Kish, 1965): where the pool lies in the
    strata that have few labels, it is wide.

    Args:
        confidence: [n] in [0, 1], of the predicted class, for labelled items the model was not trained on.
        correct: bool [n], whether the prediction is right.
        pool_confidence: [m], the same confidence for items of the pool.

    Returns:
        The estimate; None with fewer than 20 labelled items, or none of the pool.

    Raises:
        LearningError: there are not as many confidences as items.
    """
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
    return PoolAccuracy(accuracy, wilson(accuracy * worth, worth), int(confidence.size), worth)
