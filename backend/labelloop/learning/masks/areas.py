"""From the areas that people marked in an image to one class for each of its pixels, and back."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image

from labelloop.learning.arrays import Floats, Ints
from labelloop.records import Mask
from labelloop.records.masks import union

# The longer side of what classes are told apart on: the finest grid has 160 cells a side, so more pixels would tell no more.
LONGEST: Final = 1024


def working_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of the image at which its pixels are told apart: its own, or less where it is large."""
    scale = min(1.0, LONGEST / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def class_map(masks: Sequence[Mask], labels: Sequence[str], height: int, width: int) -> Ints:
    """The class of each pixel, [height, width]: 0 is none, i + 1 is labels[i]; uint8, from 256 labels on uint16.

    Where areas of several classes overlap, the one that is smaller in the image counts: small things are drawn on large ones.
    Masks of an image of another size are brought to this one.
    """
    drawn = {label: [mask for mask in masks if mask.label == label] for label in {mask.label for mask in masks}}
    insides = {column: union(drawn[label], height, width) for column, label in enumerate(labels) if label in drawn}
    found = np.zeros((height, width), dtype=np.min_scalar_type(len(labels)))
    for column in sorted(insides, key=lambda column: -int(insides[column].sum())):
        found[insides[column]] = column + 1
    return found


def coverage(classes: Ints, count: int, side: int) -> Ints:
    """How much of each cell of a square grid over the image is of each class, uint8 [count + 1, side, side], 255 being all of it."""
    shares = np.zeros((count + 1, side, side), dtype=np.uint8)
    for column in np.flatnonzero(np.bincount(classes.ravel())).tolist():
        there = Image.fromarray((classes == column).astype(np.uint8) * 255)
        shares[column] = np.asarray(there.resize((side, side), Image.Resampling.BOX))
    return shares


def overlap_shares(given: Ints, truth: Ints, count: int) -> Floats:
    """Of each class, the share of the image that is of it in both maps, in the first, and in the second: float64 [count, 3]."""
    pairs = np.bincount(given.ravel().astype(np.int64) * (count + 1) + truth.ravel(), minlength=(count + 1) ** 2)
    table = pairs.reshape(count + 1, count + 1) / max(truth.size, 1)
    shares: Floats = np.stack([table.diagonal(), table.sum(axis=1), table.sum(axis=0)], axis=1)[1:]
    return shares
