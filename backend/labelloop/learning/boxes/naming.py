"""Which of a control's labels a detector means by its own classes."""

from collections.abc import Mapping, Sequence

import numpy as np

from labelloop.learning.arrays import Ints
from labelloop.learning.backbones.base import BackboneSpec
from labelloop.learning.backbones.detectors import design_of
from labelloop.learning.backbones.names import name_number
from labelloop.records import Control

Synonyms = Sequence[tuple[str, str]]
"""A detector's own names of classes, each with the label that stands for it."""


def columns_by_name(labels: Sequence[str], synonyms: Synonyms = ()) -> dict[int, int]:
    """The place of a label by the number of each name that means it.

    A label means the detector's class of the same name, those whose synonym it is, and the one that is spelt as data sets usually
    spell: in small letters, with blanks.
    """
    found: dict[int, int] = {}
    usual = [(_plain(label), label) for label in labels]
    for name, label in [*((label, label) for label in labels), *synonyms, *usual]:
        if label in labels:
            found.setdefault(name_number(name), labels.index(label))
    return found


def known_labels(names: Sequence[str], labels: Sequence[str], synonyms: Synonyms = ()) -> tuple[str, ...]:
    """Those of a control's labels that a detector with classes of those names can find, in the control's order."""
    columns = columns_by_name(labels, synonyms)
    found = {columns[number] for number in map(name_number, names) if number in columns}
    return tuple(label for column, label in enumerate(labels) if column in found)


def detected_labels(spec: BackboneSpec, control: Control) -> tuple[str, ...]:
    """Those of a control's labels that the detector a spec names can find, in the control's order.

    Raises:
        LearningError: torchvision is not installed, or there is no such detector.
    """
    design, _ = design_of(spec)
    return known_labels(design.classes, control.labels, control.predicted_values)


def to_columns(numbers: Ints, columns: Mapping[int, int]) -> Ints:
    """The place of the label of each name's number, int64 [n]; -1 where it means none."""
    return np.array([columns.get(number, -1) for number in numbers.tolist()], dtype=np.int64)


def _plain(label: str) -> str:
    return " ".join(label.casefold().replace("_", " ").replace("-", " ").split())
