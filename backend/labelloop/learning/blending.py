"""Midway between the plain head and those tried beside it: the mean of their logits."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, ClassVar, Final, Self

import numpy as np

from labelloop.learning.arrays import Array, Floats
from labelloop.learning.choice import TrackRecord
from labelloop.learning.heads import STORED, Head, LinearHead, Recipe, Tested, arrays_of, restore_head

BLEND: Final = "blend"
# Measured as for the recipes: it gains as much as the best of its parts, and more evenly.
BLEND_TRACK_RECORD: Final = TrackRecord(
    (0.071, 0.080, 0.046, 0.016, 0.001, 0.004), (0.114, 0.102, 0.054, 0.049, 0.037, 0.031)
)
# The mean of two lies between them; of three it is better than most (see above).
LEAST: Final = 3


class BlendHead:
    """Logits are weighted sums of other heads'.

    Args:
        parts: weight and head of each.
    """

    kind: ClassVar[str] = BLEND

    def __init__(self, parts: Sequence[tuple[float, Head]]) -> None:
        self._parts = tuple(parts)

    def logits(self, rows: Floats) -> Floats:
        """Logits [m, C] of rows [m, d]."""
        total: Floats = np.sum([weight * head.logits(rows) for weight, head in self._parts], axis=0)
        return total

    def arrays(self) -> dict[str, Array]:
        """The parts' arrays, each name after its part's number."""
        return {f"{n}.{name}": a for n, (_, head) in enumerate(self._parts) for name, a in head.arrays().items()}

    def meta(self) -> dict[str, Any]:
        """The parts' kinds and weights, as JSON values."""
        parts = [{"kind": head.kind, "head": head.meta(), "weight": weight} for weight, head in self._parts]
        return {"parts": parts}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> Self:
        """Restore what `arrays` and `meta` gave."""
        parts = [
            (part["weight"], restore_head(part["kind"], arrays_of(arrays, str(number)), part["head"]))
            for number, part in enumerate(meta["parts"])
        ]
        return cls(parts)


def blend(parts: Sequence[tuple[Recipe, Tested]]) -> Tested | None:
    """The geometric mean of what several heads say (Genest and Zidek, 1986), each at its recipe's usual temperature.

    The heads err in different places: one overrates the labels, another the clusters. The mean needs no training, and its
    linear parts are served as one.

    Args:
        parts: recipes and what they gave; ensembles are left out.

    Returns:
        The mean head, and the mean of what the parts' heads said of the rows that all were tested on; None where fewer than
        `LEAST` heads are left.
    """
    parts = [(recipe, tested) for recipe, tested in parts if tested.head.kind in STORED]
    if len(parts) < LEAST:
        return None
    rows = reduce(np.intersect1d, [tested.rows for _, tested in parts])
    shares = [1 / (len(parts) * recipe.usual_temperature) for recipe, _ in parts]
    logits: Floats = np.sum(
        [share * t.logits[np.searchsorted(t.rows, rows)] for share, (_, t) in zip(shares, parts, strict=True)], axis=0
    )
    weighted = [(share, tested.head) for share, (_, tested) in zip(shares, parts, strict=True)]
    return Tested(BlendHead(_joined(weighted)), rows, logits, parts[0][1].strength)


def _joined(parts: Sequence[tuple[float, Head]]) -> list[tuple[float, Head]]:
    """The parts with those that are linear as one."""
    linear = [(weight, head) for weight, head in parts if isinstance(head, LinearHead)]
    others = [(weight, head) for weight, head in parts if not isinstance(head, LinearHead)]
    if not linear:
        return others
    weights: Floats = np.sum([weight * head.weights for weight, head in linear], axis=0)
    bias: Floats = np.sum([weight * head.bias for weight, head in linear], axis=0)
    return [(1.0, LinearHead(weights, bias)), *others]
