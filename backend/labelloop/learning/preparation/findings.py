"""What preparation found, told so that a person can look at it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Bools

SHOWN: Final = 10


class FindingKind(StrEnum):
    """What can be wrong with labelled items."""

    EMPTY = "empty"  # no byte, or a text of blanks
    BROKEN = "broken"  # the backbone could make no features of it
    IMPOSSIBLE_LABEL = "impossible label"  # not one of the classes
    DUPLICATE = "duplicate"  # the same content as an earlier item
    CONFLICT = "conflicting labels"  # the same content under different labels
    NEAR_DUPLICATE = "near-duplicate"  # nearly the same features as an earlier item
    NEAR_CONFLICT = "near-duplicates that disagree"  # nearly the same features under different labels
    LEAK = "leak"  # to be trained on, and held out too
    FEW = "too few of a class"
    IMBALANCE = "imbalance"  # one class is much more frequent than another


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of thing that is wrong.

    Attributes:
        kind: which.
        count: how many items, or classes where it is about classes.
        ids: the first of them.
        found: one sentence that says what was found.
        rule: one sentence that says what is done about it.
    """

    kind: FindingKind
    count: int
    ids: tuple[str, ...]
    found: str
    rule: str

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON values."""
        return asdict(self)


def finding_of(kind: FindingKind, flagged: Bools, ids: Sequence[str], found: str, rule: str) -> list[Finding]:
    """A finding about the flagged items, or none where nothing is flagged; `{count}` in `found` is filled in."""
    rows = np.flatnonzero(flagged)
    if rows.size == 0:
        return []
    return [
        Finding(kind, rows.size, tuple(ids[row] for row in rows[:SHOWN]), found.format(count=_counted(rows.size)), rule)
    ]


def _counted(count: int) -> str:
    return "1 item" if count == 1 else f"{count:,} items"
