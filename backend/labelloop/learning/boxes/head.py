"""The head: what it says of each cell of a grid, by numpy alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Array, Floats

LAYERS: Final = 2
# Sides are the class's usual ones * exp(what the head says), held within this many powers of e.
FURTHEST: Final = 4.0


@dataclass(frozen=True, slots=True)
class BoxHead:
    """A mixing layer, layers that look at the cells around, and one that tells classes and sides.

    Attributes:
        arrays: `centre` [C], the mean of the grid's channels; `scales` [classes, 4], the usual sides in cells; `mix.weight`
            [w, C] and `mix.bias`;
            for each layer i: `around.i.weight` [w, 3, 3], `across.i.weight` [w, w] and `across.i.bias`; `tell.weight`
            [classes + 4, w] and `tell.bias`. All float32.
    """

    arrays: Mapping[str, Array]

    def __call__(self, grid: Floats) -> tuple[Floats, Floats]:
        """What it says of the cells of a grid [C, rows, columns].

        Returns:
            Logits of there being the centre of a box of each class, float32 [classes, rows, columns], and the distances
            from the cell's middle to the left, top, right and bottom of the box, float32 [4, rows, columns], in units of what is
            usual for the box's class.

        Raises:
            LearningError: the grid has other channels than those it was trained on.
        """
        a = self.arrays
        channels, rows, columns = grid.shape
        if channels != a["centre"].size:
            raise LearningError(
                f"The model reads maps of {a['centre'].size} channels, not of {channels}; were they made by another backbone?"
            )
        cells = grid.reshape(channels, -1) - a["centre"][:, None]
        seen = np.maximum(a["mix.weight"] @ cells + a["mix.bias"][:, None], 0)
        for layer in range(LAYERS):
            around = _around(seen.reshape(-1, rows, columns), a[f"around.{layer}.weight"]).reshape(seen.shape)
            seen = np.maximum(a[f"across.{layer}.weight"] @ around + a[f"across.{layer}.bias"][:, None] + seen, 0)
        told = (a["tell.weight"] @ seen + a["tell.bias"][:, None]).reshape(-1, rows, columns)
        return told[:-4], np.exp(np.clip(told[-4:], -FURTHEST, FURTHEST))

    @property
    def scales(self) -> Floats:
        """The usual sides of each class, in cells, float32 [classes, 4]."""
        return self.arrays["scales"]


def _around(values: Floats, weights: Floats) -> Floats:
    """Each channel [rows, columns] correlated with its own 3 by 3 weights, zeros beyond the edges."""
    _, rows, columns = values.shape
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)))
    total = np.zeros_like(values)
    for down in range(3):
        for across in range(3):
            part = padded[:, down : down + rows, across : across + columns]
            total += weights[:, down, across, None, None] * part
    return total
