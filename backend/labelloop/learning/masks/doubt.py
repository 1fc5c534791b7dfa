"""How much to doubt what is said of an image's places, whatever the image's size."""

from typing import Final

import numpy as np

from labelloop.learning.arrays import Bools, Floats, Ints
from labelloop.learning.reduction import AUTO, reduce
from labelloop.learning.uncertainty import Measure

# Cells on each side of a boundary that count as being at it.
REACH: Final = 2
# Where nothing is found, the share of the cells that are the most doubtful stands for the boundary.
WORST: Final = 0.05


def uncertainty(probabilities: Floats, measure: Measure, how: str = AUTO) -> float:
    """The mean of two: how doubtful the image's places are on average, and how doubtful those at the boundaries found.

    The first alone would call an image of few small things certain, the second alone would pass over a thing that was
    missed. Both are means over a grid that is the same for all images. Where nothing, or nothing else, is found, there is no
    boundary, and the most doubtful places stand for it: what is nearly found counts, and certainty of nothing is certainty.

    Args:
        probabilities: [classes, rows, columns], that sum to 1 over the classes.
        measure: of the uncertainty of each place.
        how: a reduction over all places instead; `auto`: as above.

    Returns:
        In [0, 1].
    """
    places = measure(np.moveaxis(probabilities, 0, -1))
    if how != AUTO:
        return float(reduce(places[None], how)[0])
    near = _near_boundary(probabilities.argmax(axis=0))
    worst = max(1, int(WORST * places.size))
    edge = places[near] if near.any() else np.sort(places, axis=None)[-worst:]
    return float((reduce(places[None])[0] + reduce(edge[None])[0]) / 2)


def expected_dice(probability: Floats, inside: Bools) -> float:
    """The Dice coefficient to be expected of an area, in [0, 1].

    2 * right / (area found + all there is): of calibrated probabilities, the sum inside is how much of it is right, and the sum
    everywhere how much there is to find.

    Args:
        probability: [rows, columns], of each place to be of the class.
        inside: bool [rows, columns], the area.
    """
    together = float(inside.sum() + probability.sum())
    return float(np.clip(2 * probability[inside].sum() / together, 0, 1)) if together else 0.0


def _near_boundary(classes: Ints) -> Bools:
    """Cells within `REACH` of one of another class, upright or across."""
    edge = np.zeros(classes.shape, dtype=bool)
    across, down = classes[:, 1:] != classes[:, :-1], classes[1:] != classes[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    for _ in range(REACH - 1):
        grown = edge.copy()
        grown[1:] |= edge[:-1]
        grown[:-1] |= edge[1:]
        grown[:, 1:] |= edge[:, :-1]
        grown[:, :-1] |= edge[:, 1:]
        edge = grown
    return edge
