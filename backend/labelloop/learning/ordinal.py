"""Ordered classes as cuts between them: "is it more than k?" for each k but the last."""

from typing import Any

import numpy as np

from labelloop.learning.arrays import Array, Bools, Floats, Ints
from labelloop.learning.binary import logistic
from labelloop.learning.logistic import PRECISION


def cuts(columns: Ints, classes: int) -> Bools:
    """Whether each item is above each class but the last, bool [n, C-1], of its place int [n] in 0..C-1."""
    above: Bools = columns[:, None] > np.arange(classes - 1)
    return above


def distribution(above: Floats) -> Floats:
    """Probabilities [n, C] of the classes from those [n, C-1] of being above each; where these rise, they are held down."""
    falling = np.minimum.accumulate(above, axis=1)
    ends = np.ones((len(above), 1)), np.zeros((len(above), 1))
    shares: Floats = -np.diff(np.concatenate([ends[0], falling, ends[1]], axis=1), axis=1)
    return shares


def together(rows: Floats, answers: Bools, weights: Floats, strength: float) -> tuple[Floats, Floats]:
    """All cuts parallel: one direction, and a bias for each (see `binary.Fit` for the arguments).

    The all-threshold loss of Rennie and Srebro, 2005, whose best biases are in order; few labels go a long way, for each
    tells of every cut.

    Returns:
        Coefficients [C-1, d], all rows the same, and bias [C-1].
    """
    from scipy.optimize import minimize

    signs = np.where(answers, 1.0, -1.0)
    coordinates, columns = rows.astype(np.float64), rows.shape[1]

    def loss(parameters: Array) -> tuple[float, Array]:
        direction, bias = parameters[:columns], parameters[columns:]
        margins = signs * ((coordinates @ direction)[:, None] + bias)
        pull = -strength * signs * logistic(-margins) * weights[:, None]
        value = direction @ direction / 2 + strength * (np.logaddexp(0, -margins) * weights[:, None]).sum()
        return float(value), np.concatenate([direction + coordinates.T @ pull.sum(axis=1), pull.sum(axis=0)])

    # lbfgs is stopped as early as the one of `logistic` is, which sums the loss alike.
    options: Any = {"gtol": PRECISION * strength, "maxiter": 200}
    found = minimize(loss, np.zeros(columns + answers.shape[1]), jac=True, method="L-BFGS-B", options=options)
    return np.repeat(found.x[None, :columns], answers.shape[1], axis=0), found.x[columns:]
