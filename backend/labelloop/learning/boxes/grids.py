"""From the maps of an image to one grid of cells, all levels at one size."""

from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.backbones.maps import unpack
from labelloop.learning.resampling import resampled
from labelloop.records.geometry import Corners

# Cells a side, at most: for objects as they usually are, and where half of them would be narrower than so many of those cells.
# Twice as many cells are four times the work at each step, but small objects next to each other need them.
USUAL_CELLS: Final = 48
MANY_CELLS: Final = 96
NARROW: Final = 2.5


def read_grid(dense: Dense, most: int = USUAL_CELLS) -> Floats:
    """One grid of an image's maps: the finer levels averaged, the coarser ones interpolated.

    The size is that of the finest level of no more than `most` cells a side, or of the coarsest there is.

    Returns:
        float32 [channels of all levels, rows, columns]; what is not finite is 0.

    Raises:
        LearningError: there are no maps, as of an image that could not be decoded.
    """
    levels = unpack(dense).levels
    fitting = [level.shape[1:] for level in levels if max(level.shape[1:]) <= most]
    rows, columns = fitting[0] if fitting else levels[-1].shape[1:]
    return np.concatenate(
        [resampled(np.nan_to_num(level.astype(np.float32), posinf=0, neginf=0), rows, columns) for level in levels]
    )


def image_size(dense: Dense) -> tuple[int, int]:
    """Height and width of the image in pixels, as it is shown."""
    height, width = dense.places[:2].tolist()
    return height, width


def cells_for(corners: Corners) -> int:
    """How many cells a side the grid is to have at most, for boxes [n, 4] like these."""
    narrower = (corners[:, 2:] - corners[:, :2]).min(axis=1, initial=1.0)
    small = len(corners) > 0 and float(np.median(narrower)) * USUAL_CELLS < NARROW
    return MANY_CELLS if small else USUAL_CELLS
