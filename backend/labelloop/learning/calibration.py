"""Turning logits into probabilities that mean what they say."""

from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats, Ints

# How strongly the temperature is drawn to 1, in rows of evidence: a few out-of-fold rows say little of it.
PRIOR: Final = 5.0
LARGEST: Final = 20.0


def log_softmax(logits: Floats) -> Floats:
    """Logarithm of the softmax along the last axis of logits [n, C], as float64 [n, C]."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = shifted - shifted.max(axis=1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def softmax(logits: Floats) -> Floats:
    """Probabilities [n, C], float64, of logits [n, C]."""
    probabilities: Floats = np.exp(log_softmax(logits))
    return probabilities


def fit_temperature(logits: Floats, targets: Ints, weights: Floats) -> float:
    """The number to divide logits by so that the probabilities fit the targets (Guo et al., 2017).

    The weighted log loss is minimised with a Gaussian prior on the temperature's logarithm, which keeps it at 1 where
    there is little to tell it from.

    Args:
        logits: [n, C] of items the model was not trained on.
        targets: int [n], the right column of each.
        weights: [n], how much each item counts.

    Returns:
        A temperature in [1/20, 20]; 1 when there is no item.
    """
    from scipy.optimize import minimize_scalar

    if len(targets) == 0:
        return 1.0
    rows = np.arange(len(targets))

    def loss(log_temperature: float) -> float:
        likelihood = log_softmax(logits / np.exp(log_temperature))[rows, targets]
        return float(PRIOR * log_temperature**2 - weights @ likelihood)

    bound = float(np.log(LARGEST))
    found = minimize_scalar(loss, bounds=(-bound, bound), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))
