"""From what the head says of the cells to boxes that may be there."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.learning.arrays import Bools, Floats, Ints
from labelloop.records.geometry import Corners, overlaps

# Peaks that are looked at, of all classes together, and the least logit of one: of what is less probable nothing is expected.
MOST_PEAKS: Final = 300
LEAST_LOGIT: Final = -4.6
# Boxes of one class that overlap more (intersection over union) are the same.
SAME: Final = 0.5


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes that may be in one image, the most probable first.

    Attributes:
        corners: float64 [n, 4], left, top, right, bottom as shares of the image, within [0, 1].
        columns: int [n], the number of each box's class.
        logits: float64 [n], how probable the head finds it.
    """

    corners: Corners
    columns: Ints
    logits: Floats


def decode(logits: Floats, sides: Floats, scales: Floats) -> Candidates:
    """The peaks of the logits, less those whose box a more probable one of the same class covers.

    Args:
        logits: [classes, rows, columns] of there being a centre.
        sides: [4, rows, columns], distances from the cell's middle to the sides of the box, in units of `scales`.
        scales: [classes, 4], in cells.
    """
    _, rows, columns = logits.shape
    column, row, place = np.nonzero(_peaks(logits))
    found = logits[column, row, place].astype(np.float64)
    order = np.argsort(-found, kind="stable")[:MOST_PEAKS]
    column, row, place, found = column[order], row[order], place[order], found[order]
    left, top, right, bottom = (sides[:, row, place] * scales[column].T).astype(np.float64)
    edges = [
        (place + 0.5 - left) / columns,
        (row + 0.5 - top) / rows,
        (place + 0.5 + right) / columns,
        (row + 0.5 + bottom) / rows,
    ]
    corners = np.clip(np.stack(edges, axis=1), 0.0, 1.0)
    kept = uncovered(corners, column)
    return Candidates(corners[kept], column[kept], found[kept])


def _peaks(logits: Floats) -> Bools:
    """Cells that are larger than or equal to all eight around them, and not improbable."""
    _, rows, columns = logits.shape
    padded = np.pad(logits, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    around = np.full_like(logits, -np.inf)
    for down in range(3):
        for across in range(3):
            np.maximum(around, padded[:, down : down + rows, across : across + columns], out=around)
    result: Bools = (logits >= around) & (logits > LEAST_LOGIT)
    return result


def uncovered(corners: Corners, columns: Ints) -> Ints:
    """The rows that no kept row of the same class before them covers, ascending: greedy non-maximum suppression."""
    alive = np.ones(len(corners), dtype=bool)
    for column in np.unique(columns):
        rows = np.flatnonzero(columns == column)
        covers = overlaps(corners[rows], corners[rows]) > SAME
        for place, row in enumerate(rows):
            if alive[row]:
                alive[rows[place + 1 :][covers[place, place + 1 :]]] = False
    return np.flatnonzero(alive)
