"""Rectangles as arrays: what a turned one covers, and how far two cover each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelloop.records.regions import Box

Corners = NDArray[np.floating[Any]]


def hulls(boxes: Sequence[Box], aspect: float = 1.0) -> Corners:
    """The smallest upright rectangles around boxes, cut at the image's edges.

    Args:
        boxes: n of them, turned or not.
        aspect: the image's width over its height; a turned box is a rectangle in pixels, not in shares of the image.

    Returns:
        float64 [n, 4], left, top, right and bottom as shares of the image, in [0, 1].
    """
    if not boxes:
        return np.zeros((0, 4))
    x, y, width, height, turn = np.array([(b.x, b.y, b.width, b.height, np.deg2rad(b.rotation)) for b in boxes]).T
    cos, sin = np.where(turn == 0, 1.0, np.cos(turn)), np.sin(turn)
    # The corners less (x, y), about which Label Studio turns clockwise, the y axis pointing down.
    across = np.stack([0 * x, width * cos, -height * sin / aspect, width * cos - height * sin / aspect])
    down = np.stack([0 * y, width * sin * aspect, height * cos, width * sin * aspect + height * cos])
    corners = [x + across.min(axis=0), y + down.min(axis=0), x + across.max(axis=0), y + down.max(axis=0)]
    return np.clip(np.stack(corners, axis=1), 0.0, 1.0)


def overlaps(first: Corners, second: Corners) -> Corners:
    """Intersection over union of every pair of upright rectangles, [n, m] in [0, 1]; 0 where both are empty.

    Args:
        first: [n, 4], left, top, right, bottom.
        second: [m, 4].
    """
    # Axis by axis: over a last axis of two, numpy takes several times as long.
    across, down = (
        np.minimum(first[:, None, axis + 2], second[:, axis + 2]) - np.maximum(first[:, None, axis], second[:, axis])
        for axis in range(2)
    )
    shared = np.maximum(across, 0) * np.maximum(down, 0)
    union = _areas(first)[:, None] + _areas(second)[None] - shared
    result: Corners = shared / np.maximum(union, np.finfo(np.float64).tiny)
    return result


def _areas(corners: Corners) -> Corners:
    result: Corners = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    return result
