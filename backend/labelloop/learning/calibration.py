"""Turning logits into probabilities that mean what they say."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.learning.arrays import Array, Floats, Ints

# How strongly the temperature is drawn to 1, and each offset to 0, in rows of evidence: a few rows say little of either.
TEMPERATURE_PRIOR: Final = 5.0
OFFSET_PRIOR: Final = 1.0
LARGEST: Final = 20.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """Probabilities are softmax(logits / temperature + offsets).

    Attributes:
        temperature: in [1/20, 20].
        offsets: float64 [C].
    """

    temperature: float
    offsets: Floats

    def probabilities(self, logits: Floats) -> Floats:
        """Calibrated probabilities [n, C], float64, of logits [n, C]."""
        probabilities: Floats = np.exp(log_softmax(logits / self.temperature + self.offsets))
        return probabilities


def log_softmax(logits: Floats) -> Floats:
    """Logarithm of the softmax along the last axis of logits [n, C], as float64 [n, C]."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = shifted - shifted.max(axis=1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def fit_calibration(logits: Floats, targets: Ints, weights: Floats) -> Calibration:
    """Fit a temperature and an offset for each class: bias-corrected temperature scaling (Alexandari et al., 2020).

    The weighted log loss is minimised under Gaussian priors on the temperature's logarithm and the offsets. The offsets
    matter where one class has most of the labels: with few labels in many dimensions an unseen item's logits are small
    beside the bias, so that the model would answer that class for all. Classes without a target are left aside: what the
    others' items say against them is no evidence, and their offset stays 0.

    Args:
        logits: [n, C] of items the model was not trained on.
        targets: int [n], the right column of each.
        weights: [n], how much each item counts.

    Returns:
        The fit; with targets of fewer than two classes one that changes nothing.
    """
    from scipy.optimize import minimize

    every_offset = np.zeros(logits.shape[1])
    known = np.unique(targets)
    if known.size < 2:
        return Calibration(1.0, every_offset)
    logits = logits[:, known]
    right = (targets[:, None] == known).astype(np.float64)

    def loss(parameters: Array) -> tuple[float, Array]:
        sharpness, offsets = parameters[0], parameters[1:]
        scaled = logits * np.exp(sharpness)
        likelihood = log_softmax(scaled + offsets)
        wrong = (np.exp(likelihood) - right) * weights[:, None]
        value = TEMPERATURE_PRIOR * sharpness**2 + OFFSET_PRIOR * (offsets @ offsets)
        slope = np.concatenate([[2 * TEMPERATURE_PRIOR * sharpness], 2 * OFFSET_PRIOR * offsets])
        slope += np.concatenate([[(wrong * scaled).sum()], wrong.sum(axis=0)])
        return float(value - weights @ (likelihood * right).sum(axis=1)), slope

    bound = float(np.log(LARGEST))
    bounds = [(-bound, bound), *[(None, None)] * known.size]
    found = minimize(loss, np.zeros(known.size + 1), jac=True, method="L-BFGS-B", bounds=bounds)
    every_offset[known] = found.x[1:]
    return Calibration(float(np.exp(-found.x[0])), every_offset)
