"""Maps of an image that need no network: colour, edges and texture around each cell, as pixel classifiers use them."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.base import OnProgress, ResolvedBackbone
from labelloop.learning.backbones.dense import EMPTY, Dense
from labelloop.learning.backbones.maps import STRIDES, Squashed, pack, quarters, squash
from labelloop.learning.backbones.plain_images import PlainImages

# Pixels: how far around a point its surroundings are looked at, on the image at each level's own size.
_SPREADS: Final = (1.0, 2.0)
_CELL: Final = 4
_GREY: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)

# Count up the number in the id whenever the maps change: cached ones must not be mixed with new ones.
PLAIN_MAPS: Final = ResolvedBackbone("plain", "plain-maps-1", PlainImages.dim)


class PlainMaps:
    """Smoothed colours, local contrast, edges, and the eigenvalues of the Hessian and of the structure tensor.

    They are what the interactive pixel classifier ilastik computes (Berg et al., 2019), on the image and on it halved and
    halved again.
    """

    id = PLAIN_MAPS.id
    dim = PLAIN_MAPS.dim

    def embed(self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None) -> Floats:
        """Features of encoded images, float32 [n, 400]; a row of NaN for one that cannot be decoded."""
        return PlainImages().embed(items, on_progress)

    def embed_dense(
        self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None
    ) -> tuple[Floats, list[Dense]]:
        """The same rows, and maps of three levels of 18 channels and the quarters' colours; empty ones for what cannot be decoded."""
        maps = []
        for done, item in enumerate(items, start=1):
            image = squash(bytes(item))  # type: ignore[arg-type]
            maps.append(_maps(image) if image else EMPTY)
            if on_progress is not None:
                on_progress(done)
        return PlainImages().embed(items), maps


def _maps(image: Squashed) -> Dense:
    pixels = image.pixels.astype(np.float32) / 255
    levels = []
    for _ in STRIDES:
        levels.append(np.concatenate([_cells(_described(pixels, spread), _CELL) for spread in _SPREADS]))
        pixels = _cells(pixels.transpose(2, 0, 1), 2).transpose(1, 2, 0)
    levels[0] = np.concatenate([levels[0], quarters(image, *levels[0].shape[1:])])
    return pack(image.height, image.width, levels)


def _described(pixels: Floats, spread: float) -> Floats:
    """[9, rows, columns] of pixels [rows, columns, 3] in [0, 1]; each channel about as large as colours are."""
    from scipy.ndimage import gaussian_filter

    def smooth(values: Floats, order: tuple[int, int] = (0, 0)) -> Floats:
        smoothed: Floats = gaussian_filter(values, spread, order=order, mode="nearest", truncate=3.0)
        # A derivative shrinks as its surroundings grow; multiplied by them it does not (Lindeberg, 1998).
        return smoothed * np.float32(spread ** sum(order))

    grey = pixels @ _GREY
    colours = [smooth(pixels[..., channel]) for channel in range(3)]
    contrast = np.sqrt(np.maximum(smooth(grey * grey) - smooth(grey) ** 2, 0))
    down, across = smooth(grey, (1, 0)), smooth(grey, (0, 1))
    bent = _eigenvalues(smooth(grey, (2, 0)), smooth(grey, (0, 2)), smooth(grey, (1, 1)))
    structure = _eigenvalues(smooth(down * down), smooth(across * across), smooth(down * across))
    edges = [np.sqrt(np.maximum(value, 0)) for value in structure]
    return np.stack([*colours, contrast, np.hypot(down, across), *bent, *edges])


def _eigenvalues(first: Floats, second: Floats, mixed: Floats) -> tuple[Floats, Floats]:
    """The larger and the smaller eigenvalue of symmetric matrices ((first, mixed), (mixed, second))."""
    middle, reach = (first + second) / 2, np.hypot((first - second) / 2, mixed)
    return middle + reach, middle - reach


def _cells(values: Floats, side: int) -> Floats:
    """Means over square cells: [channels, rows / side, columns / side] of values [channels, rows, columns]."""
    channels, rows, columns = values.shape
    means: Floats = values.reshape(channels, rows // side, side, columns // side, side).mean(axis=(2, 4))
    return means
