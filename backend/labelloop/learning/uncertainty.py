"""How little a model knows of an item, from what it says of it: 0 is certain, 1 is no idea at all.

Every measure takes probabilities of shape [..., C] and returns float64 of shape [...] in [0, 1], comparable between
versions because each is scaled by the worst value it can take. A row that is not finite counts as no idea at all (1).
What has several parts, such as labels, tokens or regions, gets an uncertainty for each; `reduction` makes one of them.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Floats

Measure = Callable[[Floats], Floats]


def margin(probabilities: Floats) -> Floats:
    """1 - (p1 - p2), p1 and p2 being the two largest probabilities (Scheffer et al., 2001)."""
    if probabilities.shape[-1] < 2:
        return _bounded(1 - probabilities.sum(axis=-1))
    two = np.partition(probabilities, -2, axis=-1)[..., -2:]
    return _bounded(1 - (two[..., 1] - two[..., 0]))


def least_confidence(probabilities: Floats) -> Floats:
    """(1 - p1) / (1 - 1/C), p1 being the largest probability (Lewis and Gale, 1994)."""
    classes = probabilities.shape[-1]
    worst = 1 - 1 / classes if classes > 1 else 1.0
    return _bounded((1 - probabilities.max(axis=-1)) / worst)


def entropy(probabilities: Floats) -> Floats:
    """Shannon's entropy divided by log C, its value for equal probabilities (Shannon, 1948)."""
    return _bounded(_nats(probabilities) / _most_nats(probabilities.shape[-1]))


def disagreement(members: Floats) -> Floats:
    """How much the label would tell of which member is right (BALD: Houlsby et al., 2011; Gal et al., 2017).

    (entropy of the members' mean - mean of their entropies) / log C.

    Args:
        members: [k, ..., C], the probabilities of each of k members.

    Returns:
        float64 [...] in [0, 1].
    """
    with np.errstate(invalid="ignore"):
        spread = _nats(members.mean(axis=0)) - _nats(members).mean(axis=0)
    return _bounded(spread / _most_nats(members.shape[-1]))


def scatter(members: Floats, scale: float) -> Floats:
    """How far members differ in a number they estimate: v / (v + scale²), v being the variance of what they say.

    Args:
        members: [k, ...], numbers.
        scale: the standard deviation of the labels, above 0, at which members that differ as much get 1/2.

    Returns:
        float64 [...] in [0, 1].
    """
    variance = np.asarray(members, dtype=np.float64).var(axis=0)
    return _bounded(variance / (variance + scale**2))


def binary(probabilities: Floats) -> Floats:
    """Probabilities [..., 2] of no and yes, of probabilities [...] of yes: for labels each of which an item may have or not."""
    return np.stack([1 - probabilities, probabilities], axis=-1)


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


def _nats(probabilities: Floats) -> Floats:
    terms = probabilities * np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    total: Floats = -terms.sum(axis=-1)
    return total


def _most_nats(classes: int) -> float:
    return float(np.log(classes)) if classes > 1 else 1.0


def _bounded(values: Floats) -> Floats:
    finite = np.nan_to_num(np.asarray(values, dtype=np.float64), nan=1.0, posinf=1.0, neginf=1.0)
    return np.clip(finite, 0.0, 1.0)
