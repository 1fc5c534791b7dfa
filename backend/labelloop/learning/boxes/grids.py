"""From the maps of an image to one grid of cells, all levels at one size."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.backbones.maps import unpack

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
        [_resized(np.nan_to_num(level.astype(np.float32), posinf=0, neginf=0), rows, columns) for level in levels]
    )


def image_size(dense: Dense) -> tuple[int, int]:
    """Height and width of the image in pixels, as it is shown."""
    height, width = dense.places[:2].tolist()
    return height, width


def aspects(items: Sequence[Dense]) -> list[float]:
    """Width over height of each image."""
    return [width / height for height, width in map(image_size, items)]


def _resized(level: Floats, rows: int, columns: int) -> Floats:
    if level.shape[1:] == (rows, columns):
        return level
    result: Floats = _resampling(level.shape[1], rows) @ level @ _resampling(level.shape[2], columns).T
    return result


@lru_cache(maxsize=64)
def _resampling(given: int, wanted: int) -> Floats:
    """Weights [wanted, given] of the cells given in each cell wanted: the mean of those that it spans, or what lies between two."""
    span = max(1.0, given / wanted)
    middles = (np.arange(wanted) + 0.5) * given / wanted - 0.5
    away = np.abs(np.clip(middles, 0, given - 1)[:, None] - np.arange(given))
    weights = np.clip((span + 1) / 2 - away, 0, 1) if span > 1 else np.clip(1 - away, 0, None)
    result: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return result
