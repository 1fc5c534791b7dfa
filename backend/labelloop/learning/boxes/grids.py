"""From the maps of an image to one grid of cells, all levels at one size."""

from collections.abc import Iterable, Sequence
from typing import Final, overload

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
# Bytes of grids that are held while heads learn from them: making one anew takes milliseconds, each time.
HELD_MOST: Final = 2 * 2**30


class Grids(Sequence[Floats]):
    """The grids of images; of so many that they would take more than `HELD_MOST` bytes each is made whenever it is asked for.

    Args:
        maps: of each image.
        cells: how many cells a side a grid has at most.
        held: the grids, where they are made already; None: they are not held.
    """

    def __init__(self, maps: Sequence[Dense], cells: int, held: Sequence[Floats] | None) -> None:
        self._maps, self._cells, self._held = maps, cells, held

    @classmethod
    def of(cls, maps: Sequence[Dense], cells: int) -> "Grids":
        """The grids of images, at least one; held where they are few.

        Raises:
            LearningError: there are no maps of an image.
        """
        few = read_grid(maps[0], cells).nbytes * len(maps) <= HELD_MOST
        return cls(maps, cells, [read_grid(dense, cells) for dense in maps] if few else None)

    def __len__(self) -> int:
        return len(self._maps)

    @overload
    def __getitem__(self, place: int) -> Floats: ...
    @overload
    def __getitem__(self, place: slice) -> "Grids": ...
    def __getitem__(self, place: int | slice) -> "Floats | Grids":
        if isinstance(place, slice):
            return self.take(range(*place.indices(len(self))))
        return read_grid(self._maps[place], self._cells) if self._held is None else self._held[place]

    def take(self, rows: Iterable[int]) -> "Grids":
        """Those of some images."""
        rows = list(rows)
        held = None if self._held is None else [self._held[row] for row in rows]
        return Grids([self._maps[row] for row in rows], self._cells, held)


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
