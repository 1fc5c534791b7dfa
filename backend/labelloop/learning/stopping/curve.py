"""The learning curve: what was reached with how many labels, and whether it still rises."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.intervals import CONFIDENCE

# With fewer points, three parameters and a scatter cannot be told apart.
LEAST_POINTS: Final = 5
# The part of the labels the slope is taken over: late enough to be of now, long enough to show through the noise.
RECENT: Final = 0.5


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One version.

    Attributes:
        labels: labels it was trained or judged on.
        value: accuracy, in [0, 1].
        items: labels it was measured on.
    """

    labels: int
    value: float
    items: int


@dataclass(frozen=True, slots=True)
class Trend:
    """What the last versions gained per 100 labels.

    Attributes:
        slope: accuracy per 100 labels; negative where it fell.
        low: lower end of its 95 % interval.
        high: upper end.
        points: versions it is taken over.
    """

    slope: float
    low: float
    high: float
    points: int


def cleaned(points: Iterable[CurvePoint]) -> list[CurvePoint]:
    """The points by labels, the last of equal ones; what is not a number or was measured on nothing is left out."""
    usable = [point for point in points if math.isfinite(point.value) and point.items > 0 and point.labels > 0]
    return sorted({point.labels: point for point in usable}.values(), key=lambda point: point.labels)


def noise_of(points: Sequence[CurvePoint]) -> Floats:
    """Covariance of the values, float64 [n, n], that comes of measuring on few items.

    The items of one point are among those of every later one, as a holdout only grows. So the errors of two points are not
    independent: theirs is the variance of the larger set of items. Besides, each value is only known to half of what one item
    more or less would change: values that do not move on the same 20 items do not show that nothing moves.
    """
    items = np.array([point.items for point in points])
    latest = points[-1]
    share = (latest.value * latest.items + 1) / (latest.items + 2)  # one right and one wrong more: none is ever certain
    shared = share * (1 - share) / np.maximum(items[:, None], items[None, :])
    result: Floats = shared + np.diag((0.5 / items) ** 2)
    return result


def trend_of(points: Iterable[CurvePoint]) -> Trend | None:
    """The slope of a straight line through the versions since half of the labels.

    Its interval allows for the scatter around the line (Student's t) and for the few items it was measured on.

    Returns:
        The trend; None with fewer than five usable points in that part, or when all are of the same number of labels.
    """
    from scipy.stats import t

    usable = cleaned(points)
    recent = [point for point in usable if point.labels >= RECENT * usable[-1].labels]
    if len(recent) < LEAST_POINTS:
        return None
    labels = np.array([point.labels for point in recent]) / 100
    values = np.array([point.value for point in recent])
    away = labels - labels.mean()
    slope = float(away @ values / (away @ away))
    left = values - values.mean() - slope * away
    reads = away / (away @ away)
    variance = float(left @ left) / (len(recent) - 2) * float(reads @ reads) + float(reads @ noise_of(recent) @ reads)
    reach = float(t.ppf((1 + CONFIDENCE) / 2, len(recent) - 2)) * variance**0.5
    return Trend(slope, slope - reach, slope + reach, len(recent))
