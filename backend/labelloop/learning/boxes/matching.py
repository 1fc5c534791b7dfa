"""Which candidate is which drawn box."""

from typing import Final

import numpy as np

from labelloop.learning.arrays import Bools
from labelloop.learning.boxes.decoding import Candidates
from labelloop.learning.boxes.lessons import Truth
from labelloop.records.geometry import overlaps

# A candidate is right when it overlaps a drawn box of its class as much (intersection over union).
RIGHT: Final = 0.5


def hits(found: Candidates, truth: Truth) -> Bools:
    """Whether each candidate is right, bool [n]: as COCO and VOC count, the most probable first takes the drawn box that it
    overlaps most and that none before it has taken.
    """
    shared = overlaps(found.corners, truth.corners) * (found.columns[:, None] == truth.columns)
    right = np.zeros(len(found.columns), dtype=bool)
    if not truth.columns.size:
        return right
    for row in range(len(right)):
        best = int(shared[row].argmax())
        if shared[row, best] >= RIGHT:
            right[row] = True
            shared[:, best] = 0
    return right
