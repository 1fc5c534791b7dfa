"""Dense features: what a backbone says of an item's parts, beside the row for the whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from labelloop.learning.arrays import Bools, Floats
from labelloop.learning.backbones.base import Backbone, OnProgress


@dataclass(frozen=True, slots=True)
class Dense:
    """Dense features of one item, flat, as they are kept; the modules that make them say how they are laid out.

    Attributes:
        values: float16 [m].
        places: int32 [k], what places the values: the sizes of maps, the characters of tokens.
    """

    values: NDArray[np.float16]
    places: NDArray[np.int32]


def decoded(items: Sequence[Dense]) -> Bools:
    """Which of n images could be decoded, bool [n]; the others have no dense features."""
    return np.array([dense.values.size > 0 for dense in items], dtype=bool)


class DenseBackbone(Backbone, Protocol):
    """A backbone that gives dense features too."""

    def embed_dense(
        self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None
    ) -> tuple[Floats, list[Dense]]:
        """Features of images (encoded) or texts, and of their parts.

        Returns:
            float32 [n, dim], a row of NaN for an image that cannot be decoded, and n dense features, empty for such an image.
        """
        ...
