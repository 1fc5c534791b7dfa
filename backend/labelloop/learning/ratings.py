"""The learner of a control that rates each item: ordered classes, cut from each other one after the other."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from labelloop.errors import NotEnoughLabels
from labelloop.learning.arrays import Array, Floats, Ints
from labelloop.learning.binary import Binaries, fit_binaries
from labelloop.learning.candidates import fold_rows
from labelloop.learning.figures import Figures
from labelloop.learning.learner import Reads, Training
from labelloop.learning.lessons import check_blocks, read_rows, scaled_rows, usable
from labelloop.learning.ordinal import cuts, distribution, together
from labelloop.learning.pool_accuracy import Answers
from labelloop.learning.rating_figures import measure_ratings, nearness
from labelloop.learning.scaling import centre_of
from labelloop.learning.threads import one_thread
from labelloop.records import ClassPrediction, ClassTarget


class RatingLearner:
    """Parallel logistic cuts between neighbouring ratings, on centred features of length 1, each calibrated.

    On made ratings they did better than unordered classes and than cuts of a direction each (Frank and Hall, 2001), by the
    more the fewer the labels. The rating predicted is the median of what the model holds possible, which is the nearest on
    average; ratings without a label get probability 0. Training needs scikit-learn and scipy; predicting needs numpy alone.

    The uncertainty of an item is the standard deviation of its rating as a share of the largest there can be, (n - 1) / 2: between
    neighbours it is small, between the ends it is 1. The measures of unordered classes do not apply.

    Attributes:
        classes: every rating of the control, in order.
        cv_metrics: how models trained on a part of the labels fare on the rest; None when no rating has two.
        cv_answers: what that is measured on; see `Classifier`.
    """

    kind: ClassVar[str] = "ratings"
    reads: ClassVar[Reads] = Reads.ROWS

    def __init__(
        self,
        classes: Sequence[str],
        arrays: Mapping[str, Array],
        *,
        blocks: Sequence[int],
        cv_metrics: Figures | None,
        cv_answers: Answers | None = None,
    ) -> None:
        self.classes = tuple(classes)
        self.cv_metrics = cv_metrics
        self.cv_answers = cv_answers
        self._arrays = dict(arrays)
        self._blocks = tuple(blocks)
        self._binaries = Binaries.from_arrays(arrays)

    @classmethod
    def train(cls, training: Training) -> "RatingLearner":
        """Train on labelled items.

        Raises:
            NotEnoughLabels: fewer than two ratings have a usable label.
            LearningError: the arrays do not go together.
        """
        options = training.options
        kept, labels, weights = usable(training.inputs, training.targets, training.classes)
        seen, columns = np.unique(labels, return_inverse=True)
        if seen.size < 2:
            raise NotEnoughLabels(
                f"A model needs two different ratings; the {labels.size} labels so far are of {seen.size}. "
                "Rate an item that deserves another."
            )
        rows = training.inputs[kept]
        check_blocks(options.blocks, rows)
        centre = centre_of(rows)
        with one_thread():
            folds, run = fold_rows(columns, options.seed, training.grouped()[kept])
            lesson = scaled_rows(rows, centre, options.blocks), cuts(columns, seen.size), weights, folds, run
            answered = fit_binaries(*lesson, fit=together)
        metrics = answers = None
        if answered.rows.size:
            probabilities, truth = distribution(answered.probabilities), columns[answered.rows]
            medians = _medians(probabilities)
            metrics = measure_ratings(seen[medians], seen[truth], training.classes, "cross-validation")
            confidence = probabilities[np.arange(medians.size), medians]
            answers = Answers(confidence, medians == truth, int((folds < 0).sum()))
        arrays = {**answered.binaries.arrays(), "centre": centre, "seen": seen.astype(np.int64)}
        return cls(training.classes, arrays, blocks=options.blocks, cv_metrics=metrics, cv_answers=answers)

    def predict(self, features: Floats) -> list[ClassPrediction]:
        """What the model says of each row of features [n, d].

        Raises:
            LearningError: a row is not finite, or not as long as those the model was trained on.
        """
        probabilities = self.probabilities(features)
        best = _medians(probabilities).tolist()
        return [
            ClassPrediction(self.classes[place], row[place], doubt, dict(zip(self.classes, row, strict=True)))
            for place, doubt, row in zip(best, spread(probabilities).tolist(), probabilities.tolist(), strict=True)
        ]

    def probabilities(self, features: Floats) -> Floats:
        """Calibrated probabilities [n, C] of features [n, d], float64, columns in the order of `classes`.

        Raises:
            LearningError: a row is not finite, or not as long as those the model was trained on.
        """
        probabilities = np.zeros((len(features), len(self.classes)))
        probabilities[:, self._arrays["seen"]] = distribution(
            self._binaries.probabilities(read_rows(features, self._arrays["centre"], self._blocks))
        )
        return probabilities

    def evaluate(self, features: Floats, targets: Sequence[ClassTarget]) -> Figures:
        """Compare with labelled items that were held out; what training would leave out is left out.

        Raises:
            NotEnoughLabels: no item is left.
        """
        kept, labels, _ = usable(features, targets, self.classes)
        return measure_ratings(_medians(self.probabilities(features[kept])), labels, self.classes)

    def quality(self, features: Floats, targets: Sequence[ClassTarget]) -> Floats:
        """1 - |error| / (n - 1) of each item, float64; 0 where the right rating does not exist any more."""
        place = {label: column for column, label in enumerate(self.classes)}
        truth = np.array([place.get(target.label, -1) for target in targets], dtype=np.int64)
        if not truth.size:
            return np.zeros(0)
        near = nearness(_medians(self.probabilities(features)), truth, len(self.classes))
        return np.where(truth >= 0, near, 0.0)

    def arrays(self) -> dict[str, Array]:
        """The trained numbers, ready for safetensors."""
        return dict(self._arrays)

    def meta(self) -> dict[str, Any]:
        """The rest of the model, as JSON values."""
        return {
            "kind": self.kind,
            "classes": list(self.classes),
            "blocks": list(self._blocks),
            "cv_metrics": self.cv_metrics.to_json() if self.cv_metrics else None,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> "RatingLearner":
        """Restore what `arrays` and `meta` gave."""
        metrics = Figures.from_json(meta["cv_metrics"]) if meta["cv_metrics"] else None
        return cls(meta["classes"], arrays, blocks=meta["blocks"], cv_metrics=metrics)


def spread(probabilities: Floats) -> Floats:
    """The standard deviation of the rating as a share of its largest, float64 [n] in [0, 1], of probabilities [n, C]."""
    places = np.linspace(-1, 1, probabilities.shape[1])
    variance = probabilities @ places**2 - np.square(probabilities @ places)
    deviation: Floats = np.sqrt(np.clip(variance, 0, 1))
    return deviation


def _medians(probabilities: Floats) -> Ints:
    """The place int [n] of the median of each row of probabilities [n, C]."""
    medians: Ints = (np.cumsum(probabilities, axis=1) < 0.5).sum(axis=1)
    return np.minimum(medians, probabilities.shape[1] - 1)
