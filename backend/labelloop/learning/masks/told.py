"""What a backbone that was trained to tell areas says of them itself, as the logits that a head's are added to."""

from collections.abc import Sequence

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.maps import COLOURS, Maps
from labelloop.learning.backbones.names import name_number
from labelloop.learning.masks.head import PARTS, unfolded
from labelloop.learning.resampling import resampled


def told_logits(maps: Maps, labels: Sequence[str]) -> Floats | None:
    """The backbone's own logits of some classes, background first.

    Each was told for itself, so against a background of logit 0 its probability is what the backbone says; so is that of a class
    which the backbone does not know, until something is learnt of it.

    Returns:
        Float32 [1 + labels, PARTS * rows, PARTS * columns] of the finest level's size; None where it knows none of them.
    """
    numbers = [name_number(label) for label in labels]
    if not set(numbers) & set(maps.told):
        return None
    own = _finest(maps)
    nothing = np.zeros(own.shape[1:], dtype=np.float32)
    known = dict(zip(maps.told, own, strict=True))
    return np.stack([nothing, *(known.get(number, nothing) for number in numbers)])


def _finest(maps: Maps) -> Floats:
    """The logits of all classes told, [k, PARTS * rows, PARTS * columns]."""
    count, (_, rows, columns) = len(maps.told), maps.levels[0].shape
    if len(maps.levels) > 1:
        return resampled(maps.levels[-1][-count:].astype(np.float32), PARTS * rows, PARTS * columns)
    return unfolded(maps.levels[0][-COLOURS - count * PARTS**2 : -COLOURS].astype(np.float32))
