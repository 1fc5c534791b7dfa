"""Which labelled items teach, and which decide when to stop."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.holdout import assign_holdout
from labelloop.learning.tuning.options import TuneOptions
from labelloop.learning.tuning.records import Lesson
from labelloop.records import Target, strata


class Chosen(Sequence[Any]):
    """Some rows of a sequence, read from it when they are asked for."""

    def __init__(self, items: Sequence[Any], rows: Ints) -> None:
        self._items = items
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        return self._items[int(self._rows[place])]


@dataclass(frozen=True, slots=True)
class Split:
    """Items that teach, and items that decide when to stop.

    Targets are float32 [n, C], 1 for the classes of an item; weights are float64 [n] in (0, 1]; `features` float32 [n, d] belong
    to the items that teach, where the lesson has them.
    """

    items: Sequence[Any]
    targets: Floats
    weights: Floats
    features: Floats | None
    validation_items: Sequence[Any]
    validation_targets: Floats
    validation_weights: Floats


def split(lesson: Lesson, options: TuneOptions) -> Split:
    """Leave out what cannot be learnt from, and set validation items aside where the lesson has none.

    Raises:
        LearningError: there are not as many targets as items, or not as many rows of features.
        NotEnoughLabels: all that is left to learn says the same, or no item is left to decide when to stop.
    """
    _check(lesson)
    said, weights, teach = _said(lesson.targets, lesson.classes)
    own, own_weights, aside = _said(lesson.validation_targets, lesson.classes)
    if aside.size:
        source: Sequence[Any] = lesson.validation_items
    else:
        teach, aside = _set_aside(lesson, teach, options.validation_share)
        source, own, own_weights = lesson.items, said, weights
    if len(np.unique(said[teach], axis=0)) < 2:
        raise NotEnoughLabels(
            "Fine-tuning needs labels of two classes beside those that decide when to stop; label more."
        )
    if aside.size == 0:
        raise NotEnoughLabels("Fine-tuning needs labelled items to decide when to stop; label more of each class.")
    return Split(
        Chosen(lesson.items, teach),
        said[teach],
        weights[teach],
        None if lesson.features is None else lesson.features[teach],
        Chosen(source, aside),
        own[aside],
        own_weights[aside],
    )


def _set_aside(lesson: Lesson, usable: Ints, share: float, least: int = 0) -> tuple[Ints, Ints]:
    """Rows that teach and rows that do not, a share of each stratum, or what makes up `least` where that is more.

    Equal items stand on one side.
    """
    keys = {int(row): _content(lesson.items[int(row)]) for row in usable}
    spread = strata({key: lesson.targets[row] for row, key in keys.items()})
    held = assign_holdout(spread, {}, max(share, least / max(len(spread), 1)))
    out = np.array([held[keys[int(row)]] for row in usable], dtype=bool)
    return usable[~out], usable[out]


def with_validation(lesson: Lesson, share: float) -> Lesson:
    """The lesson with validation items, a share of its own where it has none; equal items stand on one side.

    Raises:
        LearningError: there are not as many targets as items.
        NotEnoughLabels: none are left to learn, or to decide when to stop.
    """
    _check(lesson)
    if not lesson.validation_items:
        # A share of few items rounds down to none, and without one there is nothing to stop by.
        teach, aside = _set_aside(lesson, np.arange(len(lesson.items)), share, least=1)
        lesson = replace(
            lesson,
            items=Chosen(lesson.items, teach),
            targets=Chosen(lesson.targets, teach),
            validation_items=Chosen(lesson.items, aside),
            validation_targets=Chosen(lesson.targets, aside),
            features=None if lesson.features is None else lesson.features[teach],
        )
    if not len(lesson.items) or not len(lesson.validation_items):
        raise NotEnoughLabels("Fine-tuning needs at least two different labelled items; label more.")
    return lesson


def _said(targets: Sequence[Target], classes: Sequence[str]) -> tuple[Floats, Floats, Ints]:
    """What n targets say, float32 [n, C], their weights, and the rows that can be learnt from."""
    said = np.array([[label in target.classes for label in classes] for target in targets], dtype=np.float32)
    weights = np.array([target.weight for target in targets], dtype=np.float64)
    usable: Ints = np.flatnonzero([target.within(classes) is not None for target in targets])
    return said.reshape(len(targets), len(classes)), weights, usable


def _content(item: bytes | str) -> str:
    return sha256(item.encode(errors="replace") if isinstance(item, str) else item).hexdigest()


def _check(lesson: Lesson) -> None:
    pairs = [(lesson.items, lesson.targets), (lesson.validation_items, lesson.validation_targets)]
    for items, targets in pairs:
        if len(items) != len(targets):
            raise LearningError(f"There are {len(targets)} targets for {len(items)} items to fine-tune on.")
    if lesson.features is not None and len(lesson.features) != len(lesson.items):
        raise LearningError(f"There are {len(lesson.features)} rows of features for {len(lesson.items)} items.")
