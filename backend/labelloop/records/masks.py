"""Areas of an image, kept as run lengths."""

from dataclasses import dataclass

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
    def of(cls, label: str, inside: NDArray[np.bool_], score: float = 1.0) -> "Mask":
        """The mask of the true pixels of `inside`, bool [height, width]."""
        flat = np.concatenate([[False], inside.ravel(), [False]])
        edges = np.flatnonzero(flat[1:] != flat[:-1])
        ends = np.concatenate([[0], edges, [inside.size]])
        runs = np.diff(ends) if inside.size else ends[:0]
        height, width = inside.shape
        return cls(label, height, width, tuple(runs.tolist()), score)

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
