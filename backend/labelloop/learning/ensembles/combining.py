"""Ways of making one answer of several members' probabilities."""

from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.heads.linear import LinearHead
from labelloop.learning.logistic import fit_once

STEPS: Final = 100
# Rows of evidence for equal weights.
PRIOR: Final = 5.0
# Inverse regularisation of the meta-model: its columns are probabilities, and few rows teach it.
STACKING: Final = 10.0
TINY: Final = 1e-12


def vote(probabilities: Floats) -> Floats:
    """Each class's share of the members' votes [n, C]; the mean probability breaks ties.

    Args:
        probabilities: [k, n, C] of k members.
    """
    members, _, classes = probabilities.shape
    votes = (probabilities.argmax(axis=2)[:, :, None] == np.arange(classes)).sum(axis=0)
    shares: Floats = (votes + probabilities.mean(axis=0)) / (members + 1)
    return shares


def weighted(probabilities: Floats, weights: Floats) -> Floats:
    """Mean [n, C] of probabilities [k, n, C] by weights [k] that sum to 1."""
    mean: Floats = np.tensordot(weights, probabilities, axes=1)
    return mean


def fit_weights(probabilities: Floats, targets: Ints) -> Floats:
    """Weights [k] that sum to 1 and make the right classes likeliest, by expectation maximisation (Dempster et al., 1977).

    Args:
        probabilities: [k, n, C] of items that no member was trained on.
        targets: int [n].
    """
    members = len(probabilities)
    right = np.maximum(probabilities[:, np.arange(len(targets)), targets], TINY)
    weights = np.full(members, 1 / members)
    for _ in range(STEPS):
        shares = weights[:, None] * right
        shares /= shares.sum(axis=0)
        weights = (shares.sum(axis=1) + PRIOR / members) / (len(targets) + PRIOR)
    return weights


def fit_stacking(probabilities: Floats, targets: Ints) -> LinearHead:
    """A logistic meta-model on the members' probabilities side by side (Wolpert, 1992).

    Args:
        probabilities: [k, n, C] of items that no member was trained on.
        targets: int [n] in 0..C-1, each present.
    """
    coefficients, bias = fit_once(side_by_side(probabilities), targets, np.ones(len(targets)), STACKING)
    return LinearHead(coefficients, bias)


def side_by_side(probabilities: Floats) -> Floats:
    """Probabilities [k, n, C] as rows [n, k C]."""
    members, rows, classes = probabilities.shape
    table: Floats = probabilities.transpose(1, 0, 2).reshape(rows, members * classes)
    return table
