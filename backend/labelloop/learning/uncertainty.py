"""How little a model knows of an item, from its class probabilities: 0 is certain, 1 is no idea at all.

Every measure takes probabilities of shape [n, C] and returns float64 of shape [n] in [0, 1], comparable between
versions because each is scaled by the worst value it can take. A row that is not finite counts as no idea at all (1).
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Floats

Measure = Callable[[Floats], Floats]


def margin(probabilities: Floats) -> Floats:
    """1 - (p1 - p2), p1 and p2 being the two largest probabilities (Scheffer et al., 2001)."""
    if probabilities.shape[1] < 2:
        return _bounded(1 - probabilities.sum(axis=1))
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    return _bounded(1 - (two[:, 1] - two[:, 0]))


def least_confidence(probabilities: Floats) -> Floats:
    """(1 - p1) / (1 - 1/C), p1 being the largest probability (Lewis and Gale, 1994)."""
    classes = probabilities.shape[1]
    worst = 1 - 1 / classes if classes > 1 else 1.0
    return _bounded((1 - probabilities.max(axis=1)) / worst)


def entropy(probabilities: Floats) -> Floats:
    """Shannon's entropy divided by log C, its value for equal probabilities (Shannon, 1948)."""
    classes = probabilities.shape[1]
    terms = probabilities * np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    return _bounded(-terms.sum(axis=1) / (np.log(classes) if classes > 1 else 1.0))


MEASURES: Final[dict[str, Measure]] = {"margin": margin, "least_confidence": least_confidence, "entropy": entropy}


def measure_named(name: str) -> Measure:
    """The measure of that name.

    Raises:
        LearningError: there is none of that name.
    """
    try:
        return MEASURES[name]
    except KeyError:
        raise LearningError(f"No uncertainty is called {name!r}; there are {', '.join(sorted(MEASURES))}.") from None


def _bounded(values: Floats) -> Floats:
    return np.clip(np.nan_to_num(values.astype(np.float64), nan=1.0, posinf=1.0, neginf=1.0), 0.0, 1.0)
