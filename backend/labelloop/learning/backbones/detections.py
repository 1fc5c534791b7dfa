"""What a detector finds in an image, laid out as dense features.

places = [height, width, taught, dim, n, then for each of the n detections: the number of its class's name, left, top, right,
bottom], the best detection first; values = the image's row [dim], then each detection's logit. Height and width are the image's in
pixels, as it is shown; edges are shares of the image in units of 2^-16. `taught` is 1 where the detector has learnt from this very
image, so that what it finds there says nothing of how well it finds in others.

Classes are named rather than counted, since labels of a project come, go and change places while its features stay; a number in
place of the name keeps it short.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.backbones.dense import Dense, as_kept
from labelloop.records.geometry import Corners

_UNIT: Final = 1 << 16
_HEAD: Final = 5
_EACH: Final = 5
# Logits of probabilities that a sigmoid rounds to 0 or 1 stay finite.
_FURTHEST: Final = 16.0


@dataclass(frozen=True, slots=True)
class Detections:
    """What a detector finds in one image of n detections, the best first.

    Attributes:
        height: of the image in pixels, as it is shown.
        width: of the image in pixels, as it is shown.
        row: float32 [dim], features of the image as a whole.
        names: int [n], the number of each one's class (`name_number`).
        corners: float64 [n, 4], left, top, right, bottom as shares of the image, in [0, 1].
        logits: float64 [n], how probable the detector finds it.
        taught: the detector has learnt from this image.
    """

    height: int
    width: int
    row: Floats
    names: Ints
    corners: Corners
    logits: Floats
    taught: bool = False


def pack_detections(
    size: tuple[int, int], row: Floats, names: Sequence[int], corners: Corners, scores: Floats, *, taught: bool
) -> Dense:
    """Lay out what was found in an image of that height and width.

    Args:
        size: height and width.
        row: [dim], of the image as a whole.
        names: n numbers of classes.
        corners: [n, 4], shares of the image; cut at its edges.
        scores: [n], probabilities in [0, 1].
        taught: the detector has learnt from it.
    """
    order = np.argsort(-scores, kind="stable")
    edges = np.rint(np.clip(corners[order], 0, 1) * _UNIT).astype(np.int32)
    numbers = np.asarray(names, dtype=np.int32)[order, None]
    head = np.array([*size, int(taught), len(row), len(order)], dtype=np.int32)
    sure = np.clip(scores[order].astype(np.float64), 1e-12, 1 - 1e-12)
    logits = np.clip(np.log(sure) - np.log1p(-sure), -_FURTHEST, _FURTHEST)
    places = np.concatenate([head, np.concatenate([numbers, edges], axis=1).ravel()])
    return Dense(as_kept(np.concatenate([row, logits])), places)


def read_detections(dense: Dense) -> Detections:
    """What `pack_detections` laid out.

    Raises:
        LearningError: it is of an image that could not be decoded, or are no detections.
    """
    places = dense.places
    if places.size < _HEAD or places.size != _HEAD + _EACH * places[4] or dense.values.size != places[3] + places[4]:
        raise LearningError("These are no detections in an image; leave out what could not be decoded.")
    height, width, taught, dim, count = places[:_HEAD].tolist()
    each = places[_HEAD:].reshape(count, _EACH)
    return Detections(
        height,
        width,
        dense.values[:dim].astype(np.float32),
        each[:, 0].astype(np.int64),
        each[:, 1:].astype(np.float64) / _UNIT,
        dense.values[dim:].astype(np.float64),
        bool(taught),
    )
