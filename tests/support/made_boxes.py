"""Made images for boxes, as maps at once: noise, and in each box a class's own channel standing out."""

from collections.abc import Sequence

import numpy as np

from labelloop.learning import Dense
from labelloop.learning.backbones.maps import pack
from labelloop.records import Box, BoxesTarget

CLASSES = ("disc", "bar")
_SIZES = {"disc": (0.25, 0.25), "bar": (0.5, 0.2)}
_CELLS = 16


def made_items(count: int, seed: int = 0, most: int = 3) -> tuple[list[Dense], list[BoxesTarget]]:
    """Maps of `count` images of 120 by 240 pixels with up to `most` boxes each, and the boxes; every sixth has none."""
    rng = np.random.default_rng(seed)
    targets = [
        BoxesTarget(made_boxes(rng, 0 if number % 6 == 5 else int(rng.integers(1, most + 1))))
        for number in range(count)
    ]
    return [made_maps(target.boxes, rng) for target in targets], targets


def made_boxes(rng: np.random.Generator, count: int) -> tuple[Box, ...]:
    """Boxes that do not touch each other, at most `count`."""
    boxes: list[Box] = []
    for _ in range(20 * count):
        label = CLASSES[int(rng.integers(2))]
        width, height = np.array(_SIZES[label]) * rng.uniform(0.8, 1.25, 2)
        box = Box(
            label, float(rng.uniform(0, 1 - width)), float(rng.uniform(0, 1 - height)), float(width), float(height)
        )
        if len(boxes) < count and not any(_touch(box, other) for other in boxes):
            boxes.append(box)
    return tuple(boxes)


def made_maps(boxes: Sequence[Box], rng: np.random.Generator) -> Dense:
    """Two levels of four channels: one a class, brighter the nearer to the middle, and two of noise."""
    fine = rng.normal(0, 0.1, (4, _CELLS, _CELLS))
    middles = (np.arange(_CELLS) + 0.5) / _CELLS
    for box in boxes:
        across = np.abs(middles - box.x - box.width / 2) / box.width
        down = np.abs(middles - box.y - box.height / 2) / box.height
        away = np.maximum(down[:, None], across[None, :])
        fine[CLASSES.index(box.label)] += np.where(away < 0.5, 1.5 - away, 0)
    coarse = fine.reshape(4, _CELLS // 2, 2, _CELLS // 2, 2).mean(axis=(2, 4))
    return pack(120, 240, [fine, coarse])


def _touch(one: Box, other: Box) -> bool:
    apart = (
        one.x + one.width < other.x
        or other.x + other.width < one.x
        or one.y + one.height < other.y
        or other.y + other.height < one.y
    )
    return not apart
