"""The learner of a control that asks about regions: one of whole items, on what a backbone says of each region."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.arrays import Array, Floats, Ints
from labelloop.learning.attributes.asking import Asked
from labelloop.learning.attributes.pooling import pooled
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.classification import ClassificationLearner
from labelloop.learning.figures import Measured
from labelloop.learning.learner import Learner, Reads, Training
from labelloop.learning.ratings import RatingLearner
from labelloop.learning.sets import SetLearner
from labelloop.learning.translation import TextLearner
from labelloop.records import Attribute, AttributesPrediction, AttributesTarget, Kind, Prediction

# The learner of each kind of answer, as of whole items.
_ANSWERING: Final[dict[Kind, type[Learner]]] = {
    Kind.CLASS: ClassificationLearner,
    Kind.RATING: RatingLearner,
    Kind.SET: SetLearner,
    Kind.TEXT: TextLearner,
}


@dataclass(frozen=True, slots=True)
class _Rows:
    """Features of the regions of some items, one after the other; those that hold nothing of their item are left out.

    Attributes:
        features: float32 [n, d].
        blocks: how many columns are of each level of the maps, and last of the regions' classes.
        items: int64 [n], the place of the item that each is of.
        told: the regions, with what people said of them where they did.
    """

    features: Floats
    blocks: tuple[int, ...]
    items: Ints
    told: Sequence[Attribute[Any]]

    @property
    def said(self) -> list[Any]:
        """What people said of each."""
        return [one.said for one in self.told]


class AttributesLearner:
    """A learner of whole items that takes regions for items: the mean of the maps or tokens inside each, and its class.

    Its figures, cross-validated or on a holdout, are of regions that people drew, each counting once. Regions of one item, and of
    its near-duplicates, are on one side of either; where texts are written of them they may be on both sides of a
    cross-validation, which makes it look a little better than it is.

    Attributes:
        answer: of what kind the answers are: a class, a set, a rating or a text.
        drawn: the classes of the regions it has learnt from; what is said of others goes by their features alone.
    """

    kind: ClassVar[str] = "attributes"
    reads: ClassVar[Reads] = Reads.PARTS

    def __init__(self, answer: Kind, regions: Learner, drawn: Sequence[str]) -> None:
        self.answer = answer
        self.drawn = tuple(drawn)
        self._regions = regions

    @property
    def cv_metrics(self) -> Measured | None:
        """How models trained on a part of the regions fare on the rest; None where there are too few."""
        return self._regions.cv_metrics

    @classmethod
    def train(cls, training: Training) -> "AttributesLearner":
        """Train on the regions of labelled items; the pool's regions are not known, and not learnt from.

        Raises:
            NotEnoughLabels: what was said of the regions does not suffice; the sentence says what is missing.
            LearningError: the features do not go together.
        """
        drawn = sorted({one.part.label for target in training.targets for one in target.attributes})
        rows = _lesson(training.inputs, training.targets, drawn)
        if not rows.told:
            raise NotEnoughLabels("Nothing was said of a region yet that can be learnt from.")
        unseen = _lesson(*training.holdout, drawn) if training.holdout else None
        answer = training.options.answer
        regions = _ANSWERING[answer].train(
            Training(
                rows.features,
                rows.said,
                training.classes,
                holdout=(unseen.features, unseen.said) if unseen and unseen.told else None,
                options=replace(training.options, blocks=rows.blocks, semi_supervised="none"),
                # Of texts one of each group is judged, and regions of one item are not so alike.
                groups=None if answer is Kind.TEXT else training.grouped()[rows.items],
            )
        )
        return cls(answer, regions, drawn)

    def predict(self, inputs: Sequence[Asked]) -> list[AttributesPrediction]:
        """What the model says of the regions of each item; of one that holds nothing of the item, nothing.

        Raises:
            LearningError: the features are not like those it was trained on.
        """
        rows = _rows(((one.dense, [Attribute(part, None) for part in one.parts]) for one in inputs), self.drawn)
        said = self._regions.predict(rows.features) if rows.told else []
        found: list[list[Attribute[Prediction]]] = [[] for _ in range(len(inputs))]
        for item, asked, one in zip(rows.items.tolist(), rows.told, said, strict=True):
            found[item].append(Attribute(asked.part, one))
        return [_together(one) for one in found]

    def evaluate(self, inputs: Sequence[Asked], targets: Sequence[AttributesTarget]) -> Measured:
        """Compare with what people said of their regions in items that were held out.

        Raises:
            NotEnoughLabels: nothing usable was said.
        """
        rows = _lesson(inputs, targets, self.drawn)
        if not rows.told:
            raise NotEnoughLabels(f"Of no region of the {len(targets)} items to judge on was anything said.")
        return self._regions.evaluate(rows.features, rows.said)

    def quality(self, inputs: Sequence[Asked], targets: Sequence[AttributesTarget]) -> Floats:
        """How well it does on the regions of each item on average, float64 [n] in [0, 1]; 0 on what it cannot see."""
        rows = _lesson(inputs, targets, self.drawn)
        well = self._regions.quality(rows.features, rows.said) if rows.told else np.zeros(0)
        counts = np.array([len(target.attributes) for target in targets])
        shares: Floats = np.bincount(rows.items, well, minlength=len(targets)) / np.maximum(counts, 1)
        return shares

    def probabilities(self, inputs: Sequence[Asked]) -> None:
        """None: an item does not have one class."""

    def arrays(self) -> dict[str, Array]:
        """The trained numbers, ready for safetensors."""
        return self._regions.arrays()

    def meta(self) -> dict[str, Any]:
        """The rest of the model, as JSON values."""
        return {
            **self._regions.meta(),
            "kind": self.kind,
            "answer": str(self.answer),
            "drawn": list(self.drawn),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> "AttributesLearner":
        """Restore what `arrays` and `meta` gave."""
        answer = Kind(meta["answer"])
        return cls(answer, _ANSWERING[answer].from_arrays(arrays, meta), meta["drawn"])


def _lesson(inputs: Sequence[Asked], targets: Sequence[AttributesTarget], drawn: Sequence[str]) -> _Rows:
    """The regions of which something was said in n items, and what was said.

    Raises:
        LearningError: there are not as many targets as items, or their features are not all of one backbone.
    """
    if len(inputs) != len(targets):
        raise LearningError(f"There are {len(targets)} targets for {len(inputs)} items.")
    pairs = ((one.dense, target.attributes) for one, target in zip(inputs, targets, strict=True))
    return _rows(pairs, drawn)


def _rows(items: Iterable[tuple[Dense, Sequence[Attribute[Any]]]], drawn: Sequence[str]) -> _Rows:
    """Features of the regions of items, in their order.

    Raises:
        LearningError: they are not all of one backbone.
    """
    places: list[int] = []
    told: list[Attribute[Any]] = []
    levels: list[list[Floats]] = []
    for place, (dense, asked) in enumerate(items):
        if asked:
            places += [place] * len(asked)
            told += asked
            levels.append(pooled(dense, [one.part for one in asked]))
    classes = np.array([[one.part.label == label for label in drawn] for one in told], dtype=np.float32)
    if not told:
        return _Rows(classes, (), np.zeros(0, dtype=np.int64), told)
    if len({tuple(level.shape[1] for level in one) for one in levels}) > 1:
        raise LearningError("The items' features are not all of one backbone; embed them again.")
    columns = [np.concatenate(level) for level in zip(*levels, strict=True)] + [classes]
    features = np.concatenate(columns, axis=1)
    known = np.flatnonzero(np.isfinite(features).all(axis=1))
    blocks = tuple(column.shape[1] for column in columns)
    return _Rows(features[known], blocks, np.array(places)[known], [told[row] for row in known])


def _together(found: Sequence[Attribute[Prediction]]) -> AttributesPrediction:
    """What is said of the regions of one item, each counting by how sure it is that there is one."""
    if not found:
        return AttributesPrediction((), 1.0, 0.0)
    sure = np.array([one.part.score for one in found]) + np.finfo(np.float64).tiny
    confidence, uncertainty = (
        float(np.average(values, weights=sure))
        for values in ([one.said.confidence for one in found], [one.said.uncertainty for one in found])
    )
    return AttributesPrediction(tuple(found), confidence, uncertainty)
