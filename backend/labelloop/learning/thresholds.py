"""From which probability on a class is answered with yes, where F1 is what counts."""

from typing import Final

import numpy as np

from labelloop.learning.arrays import Bools, Floats
from labelloop.learning.folds import deal_in_order

USUAL: Final = 0.5
# With fewer tested items of either answer the best threshold is mostly noise.
EVIDENCE: Final = 10
# What a threshold of its own must gain in F1 on items it was not chosen on.
GAIN: Final = 0.01
PARTS: Final = 5


def choose_thresholds(probabilities: Floats, answers: Bools) -> tuple[Floats, Bools]:
    """A threshold for each class: the one of the best F1 where it holds on items that it was not chosen on, else 0.5.

    Args:
        probabilities: [n, L], by models that had not seen the items.
        answers: bool [n, L].

    Returns:
        Thresholds [L], and the answers bool [n, L] that thresholds chosen without each item's part give it.
    """
    chosen, said = np.full(answers.shape[1], USUAL), probabilities >= USUAL
    for label in range(answers.shape[1]):
        truth, given = answers[:, label], probabilities[:, label]
        if min(truth.sum(), (~truth).sum()) < EVIDENCE:
            continue
        crossed = _cross_fitted(given, truth)
        if _f1(crossed, truth) > _f1(said[:, label], truth) + GAIN:
            chosen[label], said[:, label] = best_threshold(given, truth, int(truth.sum())), crossed
    return chosen, said


def _cross_fitted(probabilities: Floats, truth: Bools) -> Bools:
    said = np.zeros(truth.size, dtype=bool)
    part = deal_in_order(truth, PARTS)
    for number in range(PARTS):
        test = part == number
        said[test] = probabilities[test] >= best_threshold(probabilities[~test], truth[~test], int(truth[~test].sum()))
    return said


def best_threshold(scores: Floats, right: Bools, wanted: int) -> float:
    """The threshold of the best F1, half-way between the scores that it parts.

    Args:
        scores: [n], at least one, above 0.
        right: bool [n], whether each is right.
        wanted: how many right ones there are to be found, those without a score too.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    f1 = 2 * np.cumsum(right[order]) / (np.arange(1, right.size + 1) + wanted)
    below = np.append(ranked[1:], 0.0)
    f1[ranked == below] = -1  # equal scores cannot be parted
    last = int(f1.argmax())
    return float((ranked[last] + below[last]) / 2)


def _f1(said: Bools, truth: Bools) -> float:
    return float(2 * (said & truth).sum() / max(said.sum() + truth.sum(), 1))
