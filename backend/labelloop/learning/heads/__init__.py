"""Heads: what is trained on cached features. A new one is a recipe, a stored form if it needs its own, and a line here."""

from collections.abc import Mapping
from typing import Any, Final

from labelloop.learning.arrays import Array
from labelloop.learning.heads.base import Head, Lesson, Recipe, Tested
from labelloop.learning.heads.boosting import Boosting, TreesHead
from labelloop.learning.heads.kernel import Kernel, KernelHead
from labelloop.learning.heads.linear import LinearHead, Logistic, Svm
from labelloop.learning.heads.neighbours import Neighbours, NeighboursHead

HEADS: Final[dict[str, Recipe]] = {
    recipe.name: recipe for recipe in (Logistic(), Svm(), Kernel(), Neighbours(), Boosting())
}
STORED: Final[dict[str, type[Head]]] = {head.kind: head for head in (LinearHead, KernelHead, NeighboursHead, TreesHead)}

__all__ = ["HEADS", "STORED", "Head", "Lesson", "LinearHead", "Recipe", "Tested", "arrays_of", "restore_head"]


def restore_head(kind: str, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> Head:
    """The head of that kind, from what its `arrays` and `meta` gave.

    Raises:
        KeyError: there is no such kind.
    """
    return STORED[kind].from_arrays(arrays, meta)


def arrays_of(arrays: Mapping[str, Array], part: str) -> dict[str, Array]:
    """The arrays of one part of a head that has several, under their own names; they are stored as `part.name`."""
    start = f"{part}."
    return {name.removeprefix(start): values for name, values in arrays.items() if name.startswith(start)}
