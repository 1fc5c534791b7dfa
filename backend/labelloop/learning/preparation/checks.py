"""The single questions of preparation: arrays in, arrays out.

Groups are int [n], for each row the number of the first row of its group, as `near_duplicate_groups` gives them.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from labelloop.learning.arrays import Bools, Ints


def empty_items(items: Sequence[bytes] | Sequence[str]) -> Bools:
    """Which items hold nothing, bool [n]: no byte, or a text of blanks alone."""
    return np.array([not item.strip() if isinstance(item, str) else not item for item in items], dtype=bool)


def duplicate_groups(items: Sequence[bytes] | Sequence[str]) -> Ints:
    """Groups of items of equal content."""
    first: dict[object, int] = {}
    return np.array([first.setdefault(item, row) for row, item in enumerate(items)], dtype=np.int64)


def impossible_labels(labels: Sequence[str], classes: Sequence[str]) -> Bools:
    """Which labels are none of the classes, bool [n]."""
    known = set(classes)
    return np.array([label not in known for label in labels], dtype=bool)


def repeated(groups: Ints) -> Bools:
    """Which rows are not the first of their group, bool [n]."""
    return np.asarray(groups != np.arange(len(groups)))


def disagreeing(groups: Ints, labels: Sequence[str]) -> Bools:
    """Which rows are in a group that has more than one label, bool [n]."""
    said = _labels_by_group(groups, labels)
    return np.array([len(said[group]) > 1 for group in groups.tolist()], dtype=bool)


def majority_labels(groups: Ints, labels: Sequence[str]) -> tuple[str | None, ...]:
    """For each row the label most rows of its group have; None where two share first place."""
    said = _labels_by_group(groups, labels)
    winners = {group: _winner(counts) for group, counts in said.items()}
    return tuple(winners[group] for group in groups.tolist())


def leaking(groups: Ints, held_out: Bools) -> Bools:
    """Which rows that are not held out share a group with one that is, bool [n]."""
    tainted = np.unique(groups[held_out])
    return np.asarray(np.isin(groups, tainted) & ~held_out)


def _labels_by_group(groups: Ints, labels: Sequence[str]) -> dict[int, Counter[str]]:
    said: dict[int, Counter[str]] = {}
    for group, label in zip(groups.tolist(), labels, strict=True):
        said.setdefault(group, Counter())[label] += 1
    return said


def _winner(counts: Counter[str]) -> str | None:
    (label, most), *others = counts.most_common(2)
    return None if others and others[0][1] == most else label
