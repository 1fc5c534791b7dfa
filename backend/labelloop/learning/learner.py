"""What is trained for one control: the contract of every learner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np

from labelloop.learning.arrays import Array, Floats, Ints
from labelloop.learning.figures import Measured
from labelloop.learning.pool_accuracy import Answers
from labelloop.records import Kind, Prediction


class Reads(StrEnum):
    """What a learner is given of n items."""

    ROWS = "rows"  # float32 [n, d]: one row of features an item
    DENSE = "dense"  # a sequence of n `backbones.Dense`
    PARTS = "parts"  # a sequence of n `attributes.Asked`: dense features, and the regions that are asked about


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """What a person may choose of a training; a learner goes by what concerns it.

    Attributes:
        uncertainty: the name of the measure of uncertainty.
        reduction: how the uncertainties of an item's labels, words or places become one, see `reduction`; `auto`: as each
            learner does of itself.
        semi_supervised: `auto`, `none`, or the name of the one method to try.
        ensemble: names of heads and methods to try together.
        combination: how their answers become one.
        blocks: how many columns of a row are of each backbone; empty: all are of one.
        synonyms: a network's own names of classes, each with the label of the control that stands for it.
        answer: of what kind the answers about regions are; other learners know their kind.
        seed: decides what is random in training.
    """

    uncertainty: str = "margin"
    reduction: str = "auto"
    semi_supervised: str = "auto"
    ensemble: tuple[str, ...] = ()
    combination: str = "weighted"
    blocks: tuple[int, ...] = ()
    synonyms: tuple[tuple[str, str], ...] = ()
    answer: Kind = Kind.CLASS
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Training:
    """What a learner is trained on.

    Attributes:
        inputs: what the learner reads of n labelled items.
        targets: n of them, of the learner's kind.
        classes: every class of the control, in the config's order.
        unlabelled: what it reads of m items of the pool; None: there are none.
        holdout: what it reads of h labelled items that nothing is trained on, once they are enough to be trusted, and their
            targets; None: there are none. They may choose between candidates, no more.
        options: what a person chose.
        groups: int [n], the number of each item's group of near-duplicates (`preparation.near_duplicate_groups`), which stay on
            one side wherever a part is tested on the rest; None: no two are alike.
    """

    inputs: Any
    targets: Sequence[Any]
    classes: Sequence[str]
    unlabelled: Any = None
    holdout: tuple[Any, Sequence[Any]] | None = None
    options: TrainingOptions = field(default_factory=TrainingOptions)
    groups: Ints | None = None

    def grouped(self) -> Ints:
        """A number for each item's group of near-duplicates, int [n]."""
        return np.arange(len(self.targets)) if self.groups is None else self.groups


class Learner(Protocol):
    """A trained model of one control; never changes.

    Attributes:
        kind: what it is called in a version's manifest.
        reads: what it is given of an item, here and in `Training`.
    """

    kind: ClassVar[str]
    reads: ClassVar[Reads]

    @property
    def cv_metrics(self) -> Measured | None:
        """How good models trained on a part of the labels are on the rest; None when there are too few."""
        ...

    @classmethod
    def train(cls, training: Training) -> Self:
        """Train.

        Raises:
            NotEnoughLabels: the labels do not suffice; the sentence says what is missing.
            LearningError: what was chosen does not exist, or the parts do not go together.
        """
        ...

    def predict(self, inputs: Any) -> Sequence[Prediction]:
        """What the model says of each item.

        Raises:
            LearningError: the inputs are not like those it was trained on.
        """
        ...

    def evaluate(self, inputs: Any, targets: Sequence[Any]) -> Measured:
        """How good it is on labelled items it was not trained on.

        Raises:
            NotEnoughLabels: there is no item to judge on.
        """
        ...

    def quality(self, inputs: Any, targets: Sequence[Any]) -> Floats:
        """How well it does on each item, float64 [n] in [0, 1]: what the gate compares; 1 is faultless."""
        ...

    def probabilities(self, inputs: Any) -> Floats | None:
        """float64 [n, C] that sum to 1 over the classes of the item; None where an item does not have one class."""
        ...

    def arrays(self) -> dict[str, Array]:
        """The trained numbers, ready for safetensors."""
        ...

    def meta(self) -> dict[str, Any]:
        """The rest of the model, as JSON values."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> Self:
        """Restore what `arrays` and `meta` gave."""
        ...


@runtime_checkable
class Classifier(Learner, Protocol):
    """A learner whose items each have one class."""

    @property
    def cv_answers(self) -> Answers | None:
        """What `cv_metrics` is measured on; None where that is, and in a learner that was restored, which keeps the figures alone."""
        ...
