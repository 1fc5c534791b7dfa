"""From the maps of an image to one grid of cells, all levels at one size."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.backbones.maps import unpack
from labelloop.learning.resampling import resampled

# Cells a side, at most. At 40 an object of a thirtieth of the image's width is still wider than a cell; twice as many cells
# cost four times the work.
MOST_CELLS: Final = 48


def read_grid(dense: Dense) -> Floats:
    """One grid of an image's maps: the finer levels averaged, the coarser ones interpolated.

    The size is that of the finest level of no more than `MOST_CELLS` cells a side, or of the coarsest there is.

    Returns:
        float32 [channels of all levels, rows, columns]; what is not finite is 0.

    Raises:
        LearningError: there are no maps, as of an image that could not be decoded.
    """
    levels = unpack(dense).levels
    fitting = [level.shape[1:] for level in levels if max(level.shape[1:]) <= MOST_CELLS]
    rows, columns = fitting[0] if fitting else levels[-1].shape[1:]
    return np.concatenate(
        [resampled(np.nan_to_num(level.astype(np.float32), posinf=0, neginf=0), rows, columns) for level in levels]
    )


def image_size(dense: Dense) -> tuple[int, int]:
    """Height and width of the image in pixels, as it is shown."""
    height, width = dense.places[:2].tolist()
    return height, width


def aspects(items: Sequence[Dense]) -> list[float]:
    """Width over height of each image."""
    return [width / height for height, width in map(image_size, items)]
