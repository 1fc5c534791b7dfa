"""How far a figure measured on a few items may be from the truth."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from labelloop.learning.arrays import Array, Floats, Ints

CONFIDENCE: Final = 0.95
DRAWS: Final = 1000
# Of a bootstrap's draws, which of many items would take gigabytes.
NUMBERS_AT_ONCE: Final = 1_000_000
# Up to so many items draws of them say too little of how far others may differ.
FEW: Final = 10


@dataclass(frozen=True, slots=True)
class Interval:
    """A range that holds the true value of a share in 95 of 100 cases.

    Attributes:
        low: in [0, 1].
        high: in [0, 1], at least `low`.
    """

    low: float
    high: float


def wilson(right: float, items: float) -> Interval:
    """Score interval of a share, Wilson (1927).

    Unlike the textbook interval it stays within [0, 1] and is not empty where all or none is right, and it holds what it
    promises from a few items up (Brown, Cai and DasGupta, 2001). The items must be drawn independently of each other.

    Args:
        right: how many are right; not a whole number where items are weighted.
        items: of how many; nothing is known of none.
    """
    if items == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, inflation = right / items, 1 + z**2 / items
    centre = (share + z**2 / (2 * items)) / inflation
    reach = z / inflation * (share * (1 - share) / items + z**2 / (4 * items**2)) ** 0.5
    return Interval(max(0.0, centre - reach), min(1.0, centre + reach))


def drawn_interval(draws: Floats, value: float, items: int) -> Interval:
    """Interval of a figure of a few items by its bootstrap draws, Efron (1979).

    The draws' percentiles alone are too narrow where items are few: of two, they hold the truth in every other case. So it reaches
    at least as far as Student's t times the draws' standard deviation, the latter corrected for a mean that was measured on the same
    items (Hesterberg, 2015). Up to `FEW` items, and where these do not differ at all, it also reaches as far as `wilson` of as
    large a share of them, for nothing in [0, 1] varies more from item to item than what is either 0 or 1.

    Args:
        draws: [m], the figure of each draw of the items.
        value: the figure of the items themselves, in [0, 1].
        items: how many there are; one says nothing of others.
    """
    from scipy.special import stdtrit

    if items < 2:
        return Interval(0.0, 1.0)
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    spread = float(np.std(draws)) * (items / (items - 1)) ** 0.5
    reach = float(stdtrit(items - 1, (1 + CONFIDENCE) / 2)) * spread
    low, high = min(low, value - reach), max(high, value + reach)
    if items <= FEW or spread == 0:
        share = wilson(value * items, items)
        low, high = min(low, share.low), max(high, share.high)
    return Interval(max(0.0, float(low)), min(1.0, float(high)))


def macro_f1_interval(truth: Ints, predicted: Ints, classes: int, seed: int = 0) -> Interval:
    """Bootstrap percentile interval of the macro F1, Efron (1979), at least as wide as the accuracy's own interval.

    On few items the bootstrap alone promises too much: where all are right, each of its draws is all right too. So each end lies
    at least as far from the macro F1 as that end of `wilson` lies from the accuracy.

    Args:
        truth: int [n], the right column of each item.
        predicted: int [n], the predicted one.
        classes: how many columns there are.
        seed: decides the draws.
    """
    items = len(truth)
    if items == 0:
        return Interval(0.0, 1.0)
    # Drawing items anew is drawing how often each pair (right, predicted) comes: a few hundred numbers, however many the items.
    pairs, counts = np.unique(truth * classes + predicted, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(items, counts / items, size=DRAWS)
    value = float(_macro_f1(counts[None, :], pairs // classes, pairs % classes)[0])
    low, high = np.quantile(
        _macro_f1(drawn, pairs // classes, pairs % classes), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    )
    right = int((truth == predicted).sum())
    share, reach = right / items, wilson(right, items)
    return Interval(
        max(0.0, min(float(low), value - (share - reach.low))), min(1.0, max(float(high), value + (reach.high - share)))
    )


def f1(hits: Floats, found: Floats, wanted: Floats) -> Floats:
    """2 hits / (found + wanted), elementwise; 1 where nothing was to be found and nothing was."""
    both = np.asarray(found + wanted, dtype=np.float64)
    share: Floats = np.where(both > 0, 2 * hits / np.maximum(both, 1), 1.0)
    return share


def f1_interval(counts: Array, answers: float) -> Interval:
    """Seeded bootstrap percentile interval of the F1 of all items together (Efron, 1979), at least as wide as `wilson`'s.

    Args:
        counts: [n, 3], of each item what is right, found and wanted.
        answers: how many independent answers the interval is at least as wide as that of: where all are right, each draw of a
            bootstrap is all right too.
    """
    items = len(counts)
    generator, shares = np.random.default_rng(0), []
    for start in range(0, DRAWS, at_once := max(1, NUMBERS_AT_ONCE // items)):
        drawn = generator.multinomial(items, np.full(items, 1 / items), size=min(at_once, DRAWS - start))
        shares.append(f1(*(drawn @ counts).T))
    low, high = np.quantile(np.concatenate(shares), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    reach = wilson(float(f1(*counts.sum(axis=0))) * answers, answers)
    return Interval(min(float(low), reach.low), max(float(high), reach.high))


def _macro_f1(counts: Ints, truth: Ints, predicted: Ints) -> Floats:
    """Macro F1 of each row of counts [m, p] of p pairs (right, predicted); a class in neither is left out of the mean."""
    seen = np.unique(np.concatenate([truth, predicted]))
    is_truth = (truth[:, None] == seen).astype(np.float64)
    is_predicted = (predicted[:, None] == seen).astype(np.float64)
    hits = counts @ (is_truth * is_predicted)
    both = counts @ (is_truth + is_predicted)
    f1 = 2 * hits / np.maximum(both, 1)
    result: Floats = f1.sum(axis=1) / (both > 0).sum(axis=1)
    return result
