"""Midway between the plain head and those that learn from the pool: the mean of their logits."""

from collections.abc import Sequence
from functools import reduce
from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.choice import Prior
from labelloop.learning.heads import LinearHead, Recipe, Tested

BLEND: Final = "blend"
# Measured as for the recipes, over six more sets: it gains nearly as much as the best of its parts, and more evenly.
BLEND_PRIOR: Final = Prior(0.04, 0.05)
# The mean of two lies between them; of three it is better than most (see above).
LEAST: Final = 3


def blend(parts: Sequence[tuple[Recipe, Tested]]) -> Tested | None:
    """The geometric mean of what several linear heads say (Genest and Zidek, 1986), each at its recipe's usual temperature.

    The heads err in different places: one overrates the labels, another the clusters. Their mean is one linear head again,
    which costs nothing to train or to serve.

    Args:
        parts: recipes and what they gave; heads that are not linear are left out.

    Returns:
        The mean head, and the mean of what the parts' heads said of the rows that all were tested on; None where fewer than
        `LEAST` heads are linear.
    """
    linear = [(r.usual_temperature, t.head, t) for r, t in parts if isinstance(t.head, LinearHead)]
    if len(linear) < LEAST:
        return None
    rows = reduce(np.intersect1d, [tested.rows for _, _, tested in linear])
    logits = [tested.logits[np.searchsorted(tested.rows, rows)] / usual for usual, _, tested in linear]
    weights = _mean([head.weights / usual for usual, head, _ in linear])
    bias = _mean([head.bias / usual for usual, head, _ in linear])
    return Tested(LinearHead(weights, bias), rows, _mean(logits), linear[0][2].strength)


def _mean(values: Sequence[Floats]) -> Floats:
    mean: Floats = np.mean(values, axis=0)
    return mean
