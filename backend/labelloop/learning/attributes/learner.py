"""The learner of a control that asks about regions: a calibrated head on what a backbone says of each of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.arrays import Array, Floats, Ints
from labelloop.learning.attributes.asking import Asked
from labelloop.learning.attributes.pooling import pooled
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.classification import ClassificationLearner
from labelloop.learning.evaluation import Metrics
from labelloop.learning.learner import Reads, Training
from labelloop.records import (
    Attribute,
    AttributesPrediction,
    AttributesTarget,
    ClassPrediction,
    ClassTarget,
    Part,
    parts_of,
)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Features of the regions of some items, one after the other.

    Attributes:
        features: float32 [n, d]; a row of NaN where nothing is known of a region.
        blocks: how many columns are of each level of the maps, and last of the regions' classes.
        items: int64 [n], the place of the item that each is of.
        parts: the regions.
    """

    features: Floats
    blocks: tuple[int, ...]
    items: Ints
    parts: Sequence[Part]


class AttributesLearner:
    """A `ClassificationLearner` of regions: of the mean of the maps or tokens inside each, and of the class it has already.

    Its figures, cross-validated or on a holdout, are of regions that people drew, each counting once; those of one item may be
    on both sides of a cross-validation, which makes it look a little better than it is. The holdout is of whole items.

    Attributes:
        drawn: the classes of the regions it has learnt from; what is said of others goes by their features alone.
    """

    kind: ClassVar[str] = "attributes"
    reads: ClassVar[Reads] = Reads.PARTS

    def __init__(self, regions: ClassificationLearner, drawn: Sequence[str]) -> None:
        self._regions = regions
        self.drawn = tuple(drawn)

    @property
    def cv_metrics(self) -> Metrics | None:
        """How models trained on four fifths of the regions fare on the other fifth; None when no class has two."""
        return self._regions.cv_metrics

    @classmethod
    def train(cls, training: Training) -> "AttributesLearner":
        """Train on the regions of labelled items; the pool's regions are not known, and not learnt from.

        Raises:
            NotEnoughLabels: fewer than two classes have a usable region.
            LearningError: the features do not go together.
        """
        options = training.options
        drawn = sorted({one.part.label for target in training.targets for one in target.attributes})
        rows, said = _lesson(training.inputs, training.targets, drawn)
        unseen = None
        if training.holdout is not None:
            kept_back, their = _lesson(*training.holdout, drawn)
            unseen = (kept_back.features, their) if their else None
        regions = ClassificationLearner.fit(
            rows.features,
            said,
            training.classes,
            uncertainty=options.uncertainty,
            seed=options.seed,
            holdout=unseen,
            semi_supervised="none",
            ensemble=options.ensemble,
            combination=options.combination,
            blocks=rows.blocks,
        )
        return cls(regions, drawn)

    def predict(self, inputs: Sequence[Asked]) -> list[AttributesPrediction]:
        """What the model says of the regions of each item; of one that holds nothing of the item, nothing.

        Raises:
            LearningError: the features are not like those it was trained on.
        """
        rows = _rows(((one.dense, one.parts) for one in inputs), self.drawn)
        known = np.flatnonzero(np.isfinite(rows.features).all(axis=1))
        said = self._regions.predict(rows.features[known]) if known.size else []
        found: list[list[tuple[Part, ClassPrediction]]] = [[] for _ in range(len(inputs))]
        for row, one in zip(known.tolist(), said, strict=True):
            found[rows.items[row]].append((rows.parts[row], one))
        return [_together(one) for one in found]

    def evaluate(self, inputs: Sequence[Asked], targets: Sequence[AttributesTarget]) -> Metrics:
        """Compare with what people said of their regions in items that were held out.

        Raises:
            NotEnoughLabels: nothing usable was said.
        """
        rows, said = _lesson(inputs, targets, self.drawn)
        if not said:
            raise NotEnoughLabels(f"Of no region of the {len(targets)} items to judge on was anything said.")
        return self._regions.evaluate(rows.features, said)

    def quality(self, inputs: Sequence[Asked], targets: Sequence[AttributesTarget]) -> Floats:
        """The share of each item's regions of which it says what people do, float64 [n]."""
        rows, said = _lesson(inputs, targets, self.drawn)
        known = np.isfinite(rows.features).all(axis=1)
        right = np.zeros(len(said))
        right[known] = self._regions.quality(rows.features[known], [said[row] for row in np.flatnonzero(known)])
        counts = np.bincount(rows.items, minlength=len(targets))
        shares: Floats = np.bincount(rows.items, right, minlength=len(targets)) / np.maximum(counts, 1)
        return shares

    def probabilities(self, inputs: Sequence[Asked]) -> None:
        """None: an item does not have one class."""

    def arrays(self) -> dict[str, Array]:
        """The trained numbers, ready for safetensors."""
        return self._regions.arrays()

    def meta(self) -> dict[str, Any]:
        """The rest of the model, as JSON values."""
        return {**self._regions.meta(), "kind": self.kind, "drawn": list(self.drawn)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> "AttributesLearner":
        """Restore what `arrays` and `meta` gave."""
        return cls(ClassificationLearner.from_arrays(arrays, meta), meta["drawn"])


def _lesson(
    inputs: Sequence[Asked], targets: Sequence[AttributesTarget], drawn: Sequence[str]
) -> tuple[_Rows, list[ClassTarget]]:
    """The regions of which something was said in n items, and what was said.

    Raises:
        LearningError: there are not as many targets as items.
    """
    if len(inputs) != len(targets):
        raise LearningError(f"There are {len(targets)} targets for {len(inputs)} items.")
    pairs = ((one.dense, parts_of(target)) for one, target in zip(inputs, targets, strict=True))
    said = [ClassTarget(one.label, target.weight) for target in targets for one in target.attributes]
    return _rows(pairs, drawn), said


def _rows(items: Iterable[tuple[Dense, Sequence[Part]]], drawn: Sequence[str]) -> _Rows:
    """Features of the parts of items, in their order.

    Raises:
        LearningError: they are not all of one backbone.
    """
    places: list[int] = []
    parts: list[Part] = []
    levels: list[list[Floats]] = []
    for place, (dense, asked) in enumerate(items):
        if asked:
            places += [place] * len(asked)
            parts += asked
            levels.append(pooled(dense, asked))
    classes = np.array([[part.label == label for label in drawn] for part in parts], dtype=np.float32)
    classes = classes.reshape(len(parts), len(drawn))
    if not levels:
        return _Rows(classes, (len(drawn),), np.zeros(0, dtype=np.int64), [])
    if len({tuple(level.shape[1] for level in one) for one in levels}) > 1:
        raise LearningError("The items' features are not all of one backbone; embed them again.")
    columns = [np.concatenate(level) for level in zip(*levels, strict=True)] + [classes]
    blocks = tuple(column.shape[1] for column in columns)
    return _Rows(np.concatenate(columns, axis=1), blocks, np.array(places), parts)


def _together(found: Sequence[tuple[Part, ClassPrediction]]) -> AttributesPrediction:
    """What is said of the regions of one item, each counting by how sure it is that there is one."""
    if not found:
        return AttributesPrediction((), 1.0, 0.0)
    sure = np.array([part.score for part, _ in found]) + np.finfo(np.float64).tiny
    confidence, uncertainty = (
        float(np.average(values, weights=sure))
        for values in ([one.confidence for _, one in found], [one.uncertainty for _, one in found])
    )
    attributes = tuple(Attribute(part, one.label, one.confidence) for part, one in found)
    return AttributesPrediction(attributes, confidence, uncertainty)
