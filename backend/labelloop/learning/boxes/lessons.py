"""What the head is to say of each cell, from the boxes that people drew."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats, Ints
from labelloop.records import BoxesTarget
from labelloop.records.geometry import Corners, hulls

# How far from a box's centre its class is told and its sides are learnt, as a share of the box (Liu et al., 2020).
REACH: Final = 0.54
# Least standard deviation of the hill over a centre, in cells: under it a small box's hill is one cell or none.
LEAST_SPREAD: Final = 0.5


@dataclass(frozen=True, slots=True)
class Truth:
    """The boxes of one image.

    Attributes:
        corners: float64 [n, 4], left, top, right, bottom as shares of the image.
        columns: int [n], the number of each box's class.
        weight: how much the image counts, in (0, 1].
    """

    corners: Corners
    columns: Ints
    weight: float = 1.0


def truth_of(target: BoxesTarget, labels: Sequence[str], height: int, width: int) -> Truth:
    """The boxes of those labels in an image of that size, as upright hulls within it; what has no area is left out."""
    boxes = [box for box in target.boxes if box.label in labels]
    corners = hulls(boxes, width / height)
    columns = np.array([labels.index(box.label) for box in boxes], dtype=np.int64)
    real = np.isfinite(corners).all(axis=1) & (corners[:, 2:] > corners[:, :2]).all(axis=1)
    return Truth(corners[real], columns[real], target.weight)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the head is to say of one image's cells.

    Attributes:
        heat: float32 [classes, rows, columns], 1 at the cell of a box's centre, falling off around it.
        sides: float32 [4, rows, columns], from the cell's middle to the left, top, right and bottom of its box, in units of
            what is usual for the box's class.
        weights: float32 [rows, columns], how much the sides matter there; over a box they sum to the weight of its class.
    """

    heat: Floats
    sides: Floats
    weights: Floats


def make_lesson(truth: Truth, scales: Floats, class_weights: Floats, rows: int, columns: int) -> Lesson:
    """Hills over the centres (CenterNet, Zhou et al., 2019), and the sides of the box all over its hill (TTFNet, Liu et al., 2020).

    Learning the sides from many cells of a box makes training several times as short. Where hills meet, the smaller
    box has the cell.
    """
    heat = np.zeros((len(scales), rows, columns), dtype=np.float32)
    sides = np.zeros((4, rows, columns), dtype=np.float32)
    weights = np.zeros((rows, columns), dtype=np.float32)
    cells = truth.corners * np.array([columns, rows, columns, rows])
    down, across = np.mgrid[:rows, :columns] + 0.5
    areas = np.prod(cells[:, 2:] - cells[:, :2], axis=1)
    for number in np.argsort(-areas, kind="stable"):
        left, top, right, bottom = cells[number]
        middle = [_middle(left, right, columns), _middle(top, bottom, rows)]
        spread = [max(LEAST_SPREAD, REACH / 6 * side) for side in (right - left, bottom - top)]
        steps = [((across - middle[0]) / spread[0]) ** 2, ((down - middle[1]) / spread[1]) ** 2]
        hill = np.exp(-(steps[0] + steps[1]) / 2).astype(np.float32)
        inside = (steps[0] <= 9) & (steps[1] <= 9) & (hill >= 0.01)
        column = truth.columns[number]
        heat[column] = np.maximum(heat[column], np.where(inside, hill, 0))
        box = np.stack([across - left, down - top, right - across, bottom - down])
        sides[:, inside] = box[:, inside] / scales[column, :, None]
        weights[inside] = class_weights[column] * hill[inside] / hill[inside].sum()
    return Lesson(heat, np.maximum(sides, 0), weights)


def _middle(low: float, high: float, cells: int) -> float:
    """The middle of the cell in which the middle of a box lies."""
    return min(int((low + high) / 2), cells - 1) + 0.5


def usual_sides(truths: Sequence[Truth], classes: int, rows: int, columns: int) -> Floats:
    """Half the median width, height, width and height of each class's boxes, in cells, float32 [classes, 4].

    Of a class without a box, those of all boxes.
    """
    sides = np.concatenate([truth.corners[:, 2:] - truth.corners[:, :2] for truth in truths]) * (columns, rows) / 2
    owners = np.concatenate([truth.columns for truth in truths])
    halves = [np.median(sides[owners == c] if (owners == c).any() else sides, axis=0) for c in range(classes)]
    usual: Floats = np.maximum(np.tile(halves, 2), 0.5).astype(np.float32)
    return usual


def balance(truths: Sequence[Truth], classes: int) -> Floats:
    """How much a box of each class counts, float32 [classes], so that rare classes are learnt too.

    A class counts in all by the root of how many boxes it has, and a box counts 1 on average.
    """
    counts = np.bincount(np.concatenate([truth.columns for truth in truths]), minlength=classes)
    weights = 1 / np.sqrt(np.maximum(counts, 1))
    balanced: Floats = (weights * counts.sum() / (weights @ counts)).astype(np.float32)
    return balanced
