"""How good areas are: overlap with those that people marked."""

from collections.abc import Sequence

import numpy as np

from labelloop.errors import NotEnoughLabels
from labelloop.learning.arrays import Floats
from labelloop.learning.evaluation import Source
from labelloop.learning.figures import Figures
from labelloop.learning.intervals import DRAWS, Interval, drawn_interval


def figures(shares: Sequence[Floats], classes: Sequence[str], source: Source, seed: int = 0) -> Figures:
    """Mean IoU over the classes, with an interval over the images (`drawn_interval`), and Dice.

    A class's IoU (Jaccard) and Dice are those of all images together, each image counting alike whatever its size, so that images
    with much of a class count for more; `Dice per image` is the mean of each image's own Dice. A class that is neither there nor
    found (in any image, or in that image) is left out; the background is no class.

    Args:
        shares: of each image, `areas.overlap_shares`, float64 [C, 3].
        classes: C of them.
        source: what the images are.
        seed: decides the draws.

    Raises:
        NotEnoughLabels: there is no image, or none of them has an area, and none is found.
    """
    stacked = np.array(shares, dtype=np.float64).reshape(-1, len(classes), 3)
    total = stacked.sum(axis=0)
    known = np.flatnonzero(total[:, 1:].sum(axis=1) > 0)
    if not known.size:
        raise NotEnoughLabels(f"None of the {len(stacked)} images to judge on has an area; label one that has.")
    iou, dice = _iou(total), _dice(total)
    value = float(iou[known].mean())
    return Figures(
        items=len(stacked),
        name="mean IoU",
        value=value,
        source=source,
        interval=_interval(stacked[:, known], value, seed),
        others={"Dice": float(dice[known].mean()), "Dice per image": _per_image(stacked)},
        per_class={classes[column]: {"IoU": float(iou[column]), "Dice": float(dice[column])} for column in known},
    )


def image_quality(shares: Floats) -> float:
    """Mean IoU in one image, of its `areas.overlap_shares` [C, 3], over the classes there or found; 1 where there is none."""
    known = shares[:, 1:].sum(axis=1) > 0
    return float(_iou(shares)[known].mean()) if known.any() else 1.0


def _per_image(stacked: Floats) -> float:
    """The mean, over images with a class there or found, of the mean Dice of those classes."""
    known = stacked[:, :, 1:].sum(axis=2) > 0
    some = known.any(axis=1)
    means = (_dice(stacked) * known)[some].sum(axis=1) / known[some].sum(axis=1)
    return float(means.mean())


def _iou(shares: Floats) -> Floats:
    both, given, truth = np.moveaxis(shares, -1, 0)
    union = given + truth - both
    overlap: Floats = both / np.where(union > 0, union, 1)
    return overlap


def _dice(shares: Floats) -> Floats:
    both, given, truth = np.moveaxis(shares, -1, 0)
    together = given + truth
    dice: Floats = 2 * both / np.where(together > 0, together, 1)
    return dice


def _interval(stacked: Floats, value: float, seed: int) -> Interval:
    """Of shares [images, C, 3]; a class that is in none of a draw's images is left out of its mean."""
    images = len(stacked)
    times = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=DRAWS)
    drawn = np.tensordot(times, stacked, axes=1)
    there = drawn[..., 1:].sum(axis=2) > 0
    sums = (_iou(drawn) * there).sum(axis=1)
    means = np.where(there.any(axis=1), sums / np.maximum(there.sum(axis=1), 1), value)
    return drawn_interval(means, value, images)
