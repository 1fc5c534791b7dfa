"""Image features that need no network: gradients, a thumbnail and colours. The last resort, and enough for simple images."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image

from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.backbones.base import OnProgress, ResolvedBackbone
from labelloop.learning.images import decode_image

SIDE: Final = 32
CELLS: Final = 4
ORIENTATIONS: Final = 9
THUMBNAIL: Final = 8
COLOUR_LEVELS: Final = 4
# The thumbnail's and the colours' lengths, where the gradients' is 1.
THUMBNAIL_SHARE: Final = 0.5
COLOUR_SHARE: Final = 0.5
BATCH: Final = 256

DIM: Final = CELLS**2 * ORIENTATIONS + THUMBNAIL**2 * 3 + COLOUR_LEVELS**3
# Count up the number in the id whenever the features change: cached ones must not be mixed with new ones.
PLAIN_IMAGES: Final = ResolvedBackbone("plain", "plain-images-1", DIM)


class PlainImages:
    """Histograms of oriented gradients (Dalal and Triggs, 2005), an 8 x 8 thumbnail and a colour histogram."""

    id = PLAIN_IMAGES.id
    dim = PLAIN_IMAGES.dim

    def embed(self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None) -> Floats:
        """Features of encoded images, float32 [n, 400]; a row of NaN for one that cannot be decoded."""
        features = np.full((len(items), DIM), np.nan, dtype=np.float32)
        for start in range(0, len(items), BATCH):
            images = [decode_image(bytes(item), shorter_side=2 * SIDE) for item in items[start : start + BATCH]]  # type: ignore[arg-type]
            good = [start + row for row, image in enumerate(images) if image is not None]
            if good:
                features[good] = _features([image for image in images if image is not None])
            if on_progress is not None:
                on_progress(start + len(images))
        return features


def _features(images: Sequence[Image.Image]) -> Floats:
    small = np.stack([_shrunk(image, SIDE) for image in images])
    thumbnails = np.stack([_shrunk(image, THUMBNAIL) for image in images]).reshape(len(images), -1) / 255
    thumbnails -= thumbnails.mean(axis=1, keepdims=True)
    grey = (small / 255) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    parts = [_unit(_gradients(grey)), THUMBNAIL_SHARE * _unit(thumbnails), COLOUR_SHARE * _colours(small)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _shrunk(image: Image.Image, side: int) -> Floats:
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR), dtype=np.float32)


def _gradients(grey: Floats) -> Floats:
    """Orientation histograms of cells [n, CELLS^2 * ORIENTATIONS] of grey images [n, SIDE, SIDE], normalised by block."""
    across, down = np.zeros_like(grey), np.zeros_like(grey)
    across[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
    down[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    strength = np.hypot(across, down)
    turn = np.arctan2(down, across) / np.pi * ORIENTATIONS
    below = np.floor(turn)
    above_share = turn - below
    first: Ints = below.astype(np.int64) % ORIENTATIONS
    second = (first + 1) % ORIENTATIONS
    cells = np.empty((len(grey), CELLS, CELLS, ORIENTATIONS), dtype=np.float32)
    for orientation in range(ORIENTATIONS):
        share = (first == orientation) * (1 - above_share) + (second == orientation) * above_share
        tiles = (strength * share).reshape(len(grey), CELLS, SIDE // CELLS, CELLS, SIDE // CELLS)
        cells[..., orientation] = tiles.sum(axis=(2, 4))
    return _block_normalised(cells).reshape(len(grey), -1)


def _block_normalised(cells: Floats) -> Floats:
    """Each cell divided by the energy of the four 2 x 2 blocks it is in, cut at 0.2 and summed."""
    energy = np.pad((cells**2).sum(axis=-1), ((0, 0), (1, 1), (1, 1)), mode="edge")
    pairs = energy[:, 1:] + energy[:, :-1]
    blocks = pairs[:, :, 1:] + pairs[:, :, :-1]
    # Without a share of the image's own energy an even region would be blown up to pure noise.
    blocks = np.sqrt(blocks + 1e-3 * blocks.mean(axis=(1, 2), keepdims=True) + 1e-6)[..., None]
    corners = (blocks[:, :-1, :-1], blocks[:, :-1, 1:], blocks[:, 1:, :-1], blocks[:, 1:, 1:])
    total = np.zeros_like(cells)
    for corner in corners:
        total += np.minimum(cells / corner, 0.2)
    return total


def _colours(small: Floats) -> Floats:
    """Square roots of the shares of 64 colours [n, 64]; length 1."""
    levels = (small * (COLOUR_LEVELS / 256)).astype(np.int64)
    bins = levels @ np.array([COLOUR_LEVELS**2, COLOUR_LEVELS, 1])
    shares = [np.bincount(image.ravel(), minlength=COLOUR_LEVELS**3) / image.size for image in bins]
    colours: Floats = np.sqrt(np.stack(shares))
    return colours


def _unit(rows: Floats) -> Floats:
    unit: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return unit
