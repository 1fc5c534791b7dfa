"""Labelled items as a simulation sees them, and how they are split."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.arrays import Bools, Floats, Ints
from labelloop.learning.holdout import assign_holdout


@dataclass(frozen=True, slots=True)
class LabelledData:
    """A labelled data set, without what preparation left out.

    Attributes:
        features: float32 [n, d], all finite.
        labels: n labels.
        classes: every class.
        keys: n names, all different, that do not change with the order of the items.
        groups: int [n], number of the first item of each item's group of near-duplicates.
        given_test: bool [n], the items of a test set that came with the data; None: none came.
        history: int [n], ascending in the order in which people labelled the items; None: not known.
    """

    features: Floats
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    keys: tuple[str, ...]
    groups: Ints
    given_test: Bools | None = None
    history: Ints | None = None

    def __post_init__(self) -> None:
        if not len(self.features) == len(self.labels) == len(self.keys) == len(self.groups):
            raise LearningError("A data set has one row of features, label, key and group for each item.")
        present = set(self.labels)
        if len(present) < 2:
            named = f"all of {next(iter(present))!r}" if present else "none of which can be used"
            raise NotEnoughLabels(f"A simulation needs items of two classes; there are {len(self.labels)}, {named}.")


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of the items that can be bought, that the gate judges on, and that only measure."""

    pool: Ints
    validation: Ints
    test: Ints


def split_data(data: LabelledData, *, test: float, validation: int, seed: int) -> Split:
    """Split by class and by content; near-duplicates stay on one side.

    Each seed splits differently, so that what differs between seeds tells how much chance there is in a result. A given
    test set stays what it is.

    Args:
        data: the items.
        test: share of the items, or their number where above 1.
        validation: number of items.
        seed: of the split.

    Raises:
        LearningError: more is wanted than half of what there is.
    """
    if data.given_test is not None:
        tested: Ints = np.flatnonzero(data.given_test)
        rest: Ints = np.flatnonzero(~data.given_test)
    else:
        items = len(data.labels)
        count = round(test * items) if test < 1 else int(test)
        tested, rest = _held_out(data, np.arange(items), count, f"test {seed}", "test")
    validated, pool = _held_out(data, rest, validation, f"validation {seed}", "validation")
    return Split(pool, validated, tested)


def _held_out(data: LabelledData, rows: Ints, count: int, salt: str, what: str) -> tuple[Ints, Ints]:
    if count == 0:
        return rows[:0], rows
    if 2 * count > rows.size:
        raise LearningError(
            f"{count:,} items of {rows.size:,} are wanted for {what}, more than half; ask for fewer, or give more data."
        )
    names = [f"{salt} {data.keys[group]}" for group in data.groups[rows].tolist()]
    labels: dict[str, str] = {}
    for name, row in zip(names, rows.tolist(), strict=True):
        labels.setdefault(name, data.labels[row])
    # Groups are placed whole, so the share is of groups; the half that a first call takes at most is no limit here.
    sides = assign_holdout(labels, {}, min(count / rows.size, 0.5))
    held = np.array([sides[name] for name in names], dtype=bool)
    return rows[held], rows[~held]


def counts_of(labels: list[str], classes: tuple[str, ...]) -> list[int]:
    """How many of the labels are of each class."""
    counted = Counter(labels)
    return [counted[label] for label in classes]
