"""The head: what it says of each place of an image, from the maps of all levels, by numpy alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Array, Floats
from labelloop.learning.resampling import resampled

# Each cell of the finest level is told apart in so many parts a side: that level also knows the colours of its quarters.
PARTS: Final = 2


@dataclass(frozen=True, slots=True)
class MaskHead:
    """A layer that mixes the channels of all levels, one that looks at the cells around, and one that tells the classes.

    Mixing is linear, so each level is mixed at its own size and what comes of it brought to the finest one: the same numbers for
    a fraction of the work.

    Attributes:
        arrays: `mix.i.weight` [w, channels] of each level i and `mix.bias` [w]; `around.weight` [v, 3, 3, w] (to, down,
            across, from) and `around.bias`; `tell.weight` [classes * PARTS^2, v] and `tell.bias`. All float32.
    """

    arrays: Mapping[str, Array]

    def __call__(self, levels: Sequence[Floats], told: Floats | None = None) -> Floats:
        """Logits of the classes, background first, float32 [classes, PARTS * rows, PARTS * columns] of the finest level's size.

        Args:
            levels: [channels, rows, columns] each, finest first; what is not finite counts as 0.
            told: the backbone's own logits, of the shape of what is returned, which it was trained to add to; None: there are none.

        Raises:
            LearningError: there are other levels or channels than those it was trained on.
        """
        a = self.arrays
        seen = np.maximum(self._mixed(levels) + a["mix.bias"][:, None, None], 0)
        seen = np.maximum(_around(seen, a["around.weight"]) + a["around.bias"][:, None, None], 0)
        _, rows, columns = seen.shape
        flat = a["tell.weight"] @ seen.reshape(len(seen), -1) + a["tell.bias"][:, None]
        result = unfolded(flat.reshape(-1, rows, columns))
        return result if told is None else result + told

    def _mixed(self, levels: Sequence[Floats]) -> Floats:
        weights = [self.arrays[name] for name in sorted(self.arrays) if name.startswith("mix.") and name != "mix.bias"]
        if [level.shape[0] for level in levels] != [weight.shape[1] for weight in weights]:
            wanted, given = (
                ", ".join(str(n) for n in counts) for counts in ([w.shape[1] for w in weights], map(len, levels))
            )
            raise LearningError(
                f"The model reads maps of {wanted} channels, not of {given}; were they made by another backbone?"
            )
        _, rows, columns = levels[0].shape
        total: Floats = np.zeros((len(self.arrays["mix.bias"]), rows, columns), dtype=np.float32)
        for level, weight in zip(levels, weights, strict=True):
            total += resampled(_mixed(level, weight), rows, columns)
        return total


def averaged(heads: Sequence[MaskHead]) -> MaskHead:
    """One head whose logits are the mean of those of heads for the same levels and classes: their layers, side by side."""
    if len(heads) == 1:
        return heads[0]
    each = {name: [head.arrays[name] for head in heads] for name in heads[0].arrays}
    arrays = {name: np.concatenate(values) for name, values in each.items() if not name.startswith("tell.")}
    arrays["around.weight"] = _apart(each["around.weight"])
    arrays["tell.weight"] = np.concatenate(each["tell.weight"], axis=1) / np.float32(len(heads))
    arrays["tell.bias"] = np.mean(each["tell.bias"], axis=0)
    return MaskHead(arrays)


def unfolded(parts: Floats) -> Floats:
    """Parts of cells [n * PARTS^2, rows, columns], by row, then column, each at its place: [n, PARTS * rows, PARTS * columns]."""
    _, rows, columns = parts.shape
    placed = parts.reshape(-1, PARTS, PARTS, rows, columns).transpose(0, 3, 1, 4, 2)
    return placed.reshape(-1, PARTS * rows, PARTS * columns)


def known(level: Floats) -> Floats:
    """A level as float32; what is not finite becomes 0."""
    return np.nan_to_num(level.astype(np.float32), copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _mixed(level: Floats, weight: Floats) -> Floats:
    """Channels of a level [channels, rows, columns] mixed by weights [w, channels]."""
    channels, rows, columns = level.shape
    result: Floats = (weight @ known(level).reshape(channels, -1)).reshape(-1, rows, columns)
    return result


def _around(values: Floats, weights: Floats) -> Floats:
    """Values [w, rows, columns] correlated with weights [v, 3, 3, w]; beyond the edges lies what is at them.

    All products are made at once and then moved into place, which takes half as long as to copy what is around each cell.
    """
    width, (_, rows, columns) = weights.shape[3], values.shape
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)), mode="edge")
    by_place = weights.transpose(1, 2, 0, 3).reshape(-1, width)
    products = (by_place @ padded.reshape(width, -1)).reshape(3, 3, -1, rows + 2, columns + 2)
    total: Floats = np.zeros((products.shape[2], rows, columns), dtype=np.float32)
    for down in range(3):
        for across in range(3):
            total += products[down, across, :, down : down + rows, across : across + columns]
    return total


def _apart(weights: Sequence[Array]) -> Array:
    """Weights [v, 3, 3, w] of several layers as those of one that keeps to each its own channels, [n * v, 3, 3, n * w]."""
    made, _, _, read = weights[0].shape
    together = np.zeros((len(weights) * made, 3, 3, len(weights) * read), dtype=np.float32)
    for place, one in enumerate(weights):
        together[place * made : (place + 1) * made, :, :, place * read : (place + 1) * read] = one
    return together
