"""Dense features: what a backbone says of an item's parts, beside the row for the whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from labelloop.errors import LearningError
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


EMPTY: Final = Dense(np.zeros(0, dtype=np.float16), np.zeros(0, dtype=np.int32))
"""Those of an item that cannot be decoded."""

Told = TypeVar("Told")

_MOST: Final = float(np.finfo(np.float16).max)


def as_kept(values: Floats) -> NDArray[np.float16]:
    """Values as they are kept, flat; what float16 cannot hold is cut to its range."""
    return np.clip(values, -_MOST, _MOST).astype(np.float16).reshape(-1)


def decoded(items: Sequence[Dense]) -> Bools:
    """Which of n images could be decoded, bool [n]; the others have no dense features."""
    return np.array([dense.values.size > 0 for dense in items], dtype=bool)


def decoded_pairs(inputs: Sequence[Dense], targets: Sequence[Told]) -> list[tuple[Dense, Told]]:
    """The images that could be decoded, each with its target.

    Raises:
        LearningError: there are not as many targets as images.
    """
    if len(inputs) != len(targets):
        raise LearningError(f"There are {len(targets)} targets for the maps of {len(inputs)} images.")
    return [(dense, target) for dense, target in zip(inputs, targets, strict=True) if dense.values.size]


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
