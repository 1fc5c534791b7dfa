"""Items with the regions that a learner is asked about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from labelloop.learning.backbones.dense import Dense
from labelloop.records import Part


@dataclass(frozen=True, slots=True)
class Asked:
    """One item.

    Attributes:
        dense: its dense features: maps of an image where the parts are boxes or areas, tokens of a text where they are spans.
        parts: the regions that are asked about; may be none.
    """

    dense: Dense
    parts: tuple[Part, ...]


class AskedItems(Sequence[Asked]):
    """Items whose dense features are read when they are asked for: all at once would not fit in memory.

    Args:
        dense: of n items.
        parts: of each of them.
    """

    def __init__(self, dense: Sequence[Dense], parts: Sequence[Sequence[Part]]) -> None:
        self._dense = dense
        self._parts = parts

    def __len__(self) -> int:
        return len(self._parts)

    @overload
    def __getitem__(self, place: int) -> Asked: ...
    @overload
    def __getitem__(self, place: slice) -> "AskedItems": ...
    def __getitem__(self, place: int | slice) -> "Asked | AskedItems":
        if isinstance(place, slice):
            return AskedItems(self._dense[place], self._parts[place])
        return Asked(self._dense[place], tuple(self._parts[place]))
