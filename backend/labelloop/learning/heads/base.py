"""What a head is: the small trained part on top of cached features, and the recipe that trains it.

A recipe needs scikit-learn or scipy; the head that comes of it predicts with numpy alone and is stored as plain arrays.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from labelloop.learning.arrays import Array, Bools, Floats, Ints
from labelloop.learning.calibration import log_softmax
from labelloop.learning.choice import TrackRecord
from labelloop.learning.folds import FOLDS


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a head is trained on.

    Attributes:
        rows: float32 [n, d], centred features of length 1.
        targets: int [n] in 0..C-1, each present, C >= 2.
        weights: float64 [n] > 0, how much each row counts.
        folds: int [n], the fold of each row from 0 up; -1: always trained on, never tested.
        run: the folds that are tested; fewer than all where there are many rows.
        pool: float32 [m, d], rows without a label, scaled alike; may be empty.
        strength: inverse regularisation that suits the rows, scikit-learn's C.
    """

    rows: Floats
    targets: Ints
    weights: Floats
    folds: Ints
    run: range = range(FOLDS)
    pool: Floats = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    strength: float = 100.0

    @property
    def classes(self) -> int:
        """How many classes there are, C."""
        return int(self.targets.max()) + 1

    @property
    def tested(self) -> Bools:
        """Which rows are tested by the folds that are run, bool [n]."""
        return np.isin(self.folds, self.run)

    def only(self, kept: Bools) -> "Lesson":
        """The lesson with some of its labelled rows, and no row to be tested."""
        return Lesson(
            rows=self.rows[kept],
            targets=self.targets[kept],
            weights=self.weights[kept],
            folds=np.full(int(kept.sum()), -1),
            run=range(0),
            pool=self.pool,
            strength=self.strength,
        )


class Head(Protocol):
    """A trained head."""

    kind: ClassVar[str]

    def logits(self, rows: Floats) -> Floats:
        """Logarithms of unnormalised probabilities [m, C] of rows [m, d] that are scaled like the lesson's."""
        ...

    def arrays(self) -> dict[str, Array]:
        """The trained numbers, ready for safetensors."""
        ...

    def meta(self) -> dict[str, Any]:
        """The rest of the head, as JSON values."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> Self:
        """Restore what `arrays` and `meta` gave; other names among the arrays are ignored."""
        ...


@dataclass(frozen=True, slots=True)
class Tested:
    """A head trained on every row, and what heads trained without them said of the rows that were tested.

    Attributes:
        head: the head.
        rows: int [k], ascending, the tested rows.
        logits: float64 [k, C] of those rows.
        strength: inverse regularisation that suits the rows, where the recipe found one.
    """

    head: Head
    rows: Ints
    logits: Floats
    strength: float = 100.0


def tested_loss(tested: Tested, lesson: Lesson) -> float:
    """Weighted log loss, summed, on the rows that were tested; 0 where none was."""
    targets, weights = lesson.targets[tested.rows], lesson.weights[tested.rows]
    return float(-weights @ log_softmax(tested.logits)[np.arange(targets.size), targets])


class Recipe(ABC):
    """One way of training a head; subclasses give `name` and `fit`.

    Attributes:
        name: what it is called.
        usual_temperature: what its logits usually have to be divided by, where few items say so themselves.
        track_record: what it has gained elsewhere beside the supervised head; None: nothing is known, so it must prove itself.
        needs_pool: without rows that have no label it is the supervised head again.
        labels_a_class: with fewer it gains nothing beside the supervised head.
    """

    name: ClassVar[str]
    needs_pool: ClassVar[bool] = False
    labels_a_class: ClassVar[int] = 0
    usual_temperature: ClassVar[float] = 1.0
    track_record: ClassVar[TrackRecord | None] = None

    @abstractmethod
    def fit(self, lesson: Lesson, seed: int) -> Head:
        """Train on every row.

        Raises:
            LearningError: it cannot be trained on these rows.
        """

    def fit_tested(self, lesson: Lesson, seed: int) -> Tested:
        """Train on every row, and test the whole procedure on the folds that the lesson names.

        Raises:
            LearningError: it cannot be trained on these rows.
        """
        logits = np.zeros((len(lesson.rows), lesson.classes))
        for fold in lesson.run:
            test = lesson.folds == fold
            if test.any():
                logits[test] = self.fit(lesson.only(~test), seed).logits(lesson.rows[test])
        tested = np.flatnonzero(lesson.tested)
        return Tested(self.fit(lesson, seed), tested, logits[tested], lesson.strength)
