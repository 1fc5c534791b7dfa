"""Areas of an image, kept as run lengths."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Mask:
    """An area of an image, as the image is shown (its EXIF orientation applied).

    Attributes:
        label: its class.
        height: of the image, in pixels.
        width: of the image, in pixels.
        runs: lengths of the runs of pixels outside and inside by turns, row by row, beginning outside (perhaps with 0).
        score: calibrated confidence, in [0, 1]; 1 for what people drew.
    """

    label: str
    height: int
    width: int
    runs: tuple[int, ...]
    score: float = 1.0

    @classmethod
    def of(
        cls,
        label: str,
        inside: NDArray[np.bool_],
        score: float = 1.0,
        *,
        corner: tuple[int, int] = (0, 0),
        size: tuple[int, int] | None = None,
    ) -> "Mask":
        """The mask of the true pixels of `inside`, bool [rows, columns].

        Args:
            label: its class.
            inside: the image, or a part of it that holds the area.
            score: confidence.
            corner: the row and column of the image at which the part begins.
            size: height and width of the image; None: those of `inside`.
        """
        height, width = size or inside.shape
        padded = np.pad(inside, ((0, 0), (1, 1)))
        rows, columns = np.nonzero(padded[:, 1:] != padded[:, :-1])
        edges = (rows + corner[0]) * width + columns + corner[1]
        # What reaches one row's end and goes on at the next one's beginning is one run.
        ends = np.flatnonzero(edges[1:] == edges[:-1])
        edges = np.delete(edges, np.concatenate([ends, ends + 1]))
        runs = np.diff(edges, prepend=0, append=height * width)
        return cls(label, height, width, tuple(runs.tolist()) if height * width else (), score)

    def pixels(self, most: int) -> NDArray[np.int64]:
        """The numbers of the pixels inside, counted row by row; where there are more than `most`, so many drawn from them.

        The same for the same mask each time.
        """
        ends, passed = np.cumsum(self.runs, dtype=np.int64)[1::2], np.cumsum(self.runs[1::2], dtype=np.int64)
        total = int(passed[-1]) if passed.size else 0
        wanted = np.arange(total) if total <= most else np.random.default_rng(0).integers(0, total, most)
        run = np.searchsorted(passed, wanted, side="right")
        numbers: NDArray[np.int64] = ends[run] - passed[run] + wanted
        return numbers

    def inside(self) -> NDArray[np.bool_]:
        """bool [height, width], true inside."""
        values = np.arange(len(self.runs)) % 2 == 1
        return np.repeat(values, self.runs).reshape(self.height, self.width)


def union(masks: Collection[Mask], height: int, width: int) -> NDArray[np.bool_]:
    """What is inside any of some masks, bool [height, width], those of images of another size brought to this one.

    Neither the size of their images nor how many there are matters much: a photograph may have hundreds of regions.
    """
    inside = np.zeros((height, width), dtype=bool)
    for size in {(mask.height, mask.width) for mask in masks}:
        # A row that is wanted several times is looked at once, so that the numbers of the pixels looked at ascend.
        high = min(height, size[0])
        rows, columns = _nearest(size[0], high), _nearest(size[1], width)
        looked_at = None if size == (high, width) else (rows[:, None] * size[1] + columns).ravel()
        begun = np.zeros(high * width + 1, dtype=np.int32)
        for mask in masks:
            if (mask.height, mask.width) == size:
                edges = np.cumsum(mask.runs)[: len(mask.runs) // 2 * 2]
                edges = edges if looked_at is None else np.searchsorted(looked_at, edges)
                np.add.at(begun, edges[::2], 1)
                np.add.at(begun, edges[1::2], -1)
        np.cumsum(begun, out=begun)
        inside |= nearest(begun[:-1].reshape(high, width) > 0, height, width)
    return inside


def nearest(values: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Values of an image's pixels as [height, width], each pixel as the nearest one given."""
    if values.shape == (height, width):
        return values
    return values[_nearest(values.shape[0], height)[:, None], _nearest(values.shape[1], width)]


def _nearest(given: int, wanted: int) -> NDArray[np.intp]:
    """Of so many rows or columns wanted the numbers of the nearest ones given, ascending."""
    return ((np.arange(wanted) + 0.5) * given / wanted).astype(np.intp)
