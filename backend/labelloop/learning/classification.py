"""The learner of a control that gives each item one class: a calibrated linear head on cached features."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.arrays import Array, Floats, Ints
from labelloop.learning.calibration import Calibration, fit_calibration
from labelloop.learning.evaluation import Metrics, measure
from labelloop.learning.logistic import LogisticFit, fit_logistic
from labelloop.learning.scaling import centre_of, unit_rows
from labelloop.learning.threads import one_thread
from labelloop.learning.uncertainty import measure_named
from labelloop.records import ClassPrediction, ClassTarget

_ROWS_AT_ONCE: Final = 4096


class ClassificationLearner:
    """Multinomial logistic regression on centred features of length 1, calibrated on what cross-validation held back.

    Training needs scikit-learn; predicting needs numpy alone.

    Attributes:
        classes: every class of the control, in the config's order; those without a label get probability 0.
        uncertainty: the name of the measure of `ClassPrediction.uncertainty`.
        cv_metrics: how models trained on four fifths of the labels fare on the other fifth; None when no class has two.
    """

    kind: ClassVar[str] = "classification"

    def __init__(
        self,
        classes: Sequence[str],
        arrays: Mapping[str, Array],
        *,
        uncertainty: str,
        cv_metrics: Metrics | None,
    ) -> None:
        self.classes = tuple(classes)
        self.uncertainty = uncertainty
        self.cv_metrics = cv_metrics
        self._measure = measure_named(uncertainty)
        self._arrays = dict(arrays)
        self._calibration = Calibration(float(arrays["temperature"][0]), arrays["offsets"])

    @classmethod
    def fit(
        cls,
        features: Floats,
        targets: Sequence[ClassTarget],
        classes: Sequence[str],
        *,
        uncertainty: str = "margin",
        seed: int = 0,
    ) -> "ClassificationLearner":
        """Train on labelled items.

        Args:
            features: [n, d]; a row that is not finite is left out.
            targets: n targets; one whose label is not among `classes` is left out.
            classes: every class of the control.
            uncertainty: `margin`, `least_confidence` or `entropy`.
            seed: decides the folds of the cross-validation.

        Raises:
            NotEnoughLabels: fewer than two classes have a usable label.
            LearningError: no uncertainty has that name, or there are not as many targets as rows.
        """
        measure_named(uncertainty)
        rows, labels, weights = _usable(features, targets, classes)
        seen, columns = np.unique(labels, return_inverse=True)
        if seen.size < 2:
            raise NotEnoughLabels(
                f"A model needs labels of two classes; the {labels.size} so far are of {seen.size}. "
                "Label an item of another class."
            )
        centre = centre_of(rows)
        with one_thread():
            fitted = fit_logistic(unit_rows(rows, centre), columns, weights, seed=seed)
            tested = fitted.tested_rows
            calibration = fit_calibration(fitted.tested_logits, columns[tested], weights[tested])
        arrays = {
            "centre": centre,
            "weights": fitted.weights,
            "bias": fitted.bias,
            "seen": seen.astype(np.int64),
            "temperature": np.array([calibration.temperature]),
            "offsets": calibration.offsets,
        }
        cv_metrics = _cv_metrics(fitted, calibration, [classes[i] for i in seen], columns)
        return cls(classes, arrays, uncertainty=uncertainty, cv_metrics=cv_metrics)

    def predict(self, features: Floats) -> list[ClassPrediction]:
        """What the model says of each row of features [n, d].

        Raises:
            LearningError: a row is not finite, or not as long as those the model was trained on.
        """
        probabilities = self.probabilities(features)
        best = probabilities.argmax(axis=1).tolist()
        uncertainty = self._measure(probabilities).tolist()
        return [
            ClassPrediction(self.classes[column], row[column], doubt, dict(zip(self.classes, row, strict=True)))
            for column, doubt, row in zip(best, uncertainty, probabilities.tolist(), strict=True)
        ]

    def probabilities(self, features: Floats) -> Floats:
        """Calibrated probabilities [n, C] of features [n, d], float64, columns in the order of `classes`.

        Raises:
            LearningError: a row is not finite, or not as long as those the model was trained on.
        """
        weights, centre = self._arrays["weights"], self._arrays["centre"]
        if features.ndim != 2 or features.shape[1] != centre.size:
            raise LearningError(
                f"The model reads rows of {centre.size} features, not an array of shape {features.shape}; "
                "were they made by another backbone?"
            )
        logits = np.empty((len(features), len(weights)), dtype=np.float32)
        for start in range(0, len(features), _ROWS_AT_ONCE):  # a pool's features are large, and so would be a copy
            rows = unit_rows(features[start : start + _ROWS_AT_ONCE], centre)
            logits[start : start + _ROWS_AT_ONCE] = rows @ weights.T + self._arrays["bias"]
        if not np.isfinite(logits).all():
            raise LearningError("Features that are not finite cannot be predicted; leave those items out.")
        probabilities = np.zeros((len(features), len(self.classes)))
        probabilities[:, self._arrays["seen"]] = self._calibration.probabilities(logits)
        return probabilities

    def evaluate(self, features: Floats, targets: Sequence[ClassTarget]) -> Metrics:
        """Compare with labelled items that were held out; what `fit` would leave out is left out.

        Raises:
            NotEnoughLabels: no item is left.
        """
        rows, labels, _ = _usable(features, targets, self.classes)
        return measure(self.probabilities(rows), [self.classes[i] for i in labels], self.classes, source="holdout")

    def arrays(self) -> dict[str, Array]:
        """The trained numbers, ready for safetensors."""
        return dict(self._arrays)

    def meta(self) -> dict[str, Any]:
        """The rest of the model, as JSON values."""
        return {
            "kind": self.kind,
            "classes": list(self.classes),
            "uncertainty": self.uncertainty,
            "cv_metrics": self.cv_metrics.to_json() if self.cv_metrics else None,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> "ClassificationLearner":
        """Restore what `arrays` and `meta` gave."""
        cv_metrics = Metrics.from_json(meta["cv_metrics"]) if meta["cv_metrics"] else None
        return cls(
            meta["classes"],
            arrays,
            uncertainty=meta["uncertainty"],
            cv_metrics=cv_metrics,
        )


def _usable(features: Floats, targets: Sequence[ClassTarget], classes: Sequence[str]) -> tuple[Floats, Ints, Floats]:
    """Rows, class numbers and weights of the items that can be learnt from."""
    if len(features) != len(targets):
        raise LearningError(f"There are {len(targets)} targets for {len(features)} rows of features.")
    place = {label: number for number, label in enumerate(classes)}
    labels = np.array([place.get(target.label, -1) for target in targets], dtype=np.int64)
    usable = (labels >= 0) & np.isfinite(features).all(axis=1)
    weights = np.array([target.weight for target in targets], dtype=np.float64)
    return features[usable], labels[usable], weights[usable]


def _cv_metrics(fitted: LogisticFit, calibration: Calibration, seen: Sequence[str], columns: Ints) -> Metrics | None:
    if fitted.tested_rows.size == 0:
        return None
    labels = [seen[column] for column in columns[fitted.tested_rows]]
    return measure(calibration.probabilities(fitted.tested_logits), labels, seen, source="cross-validation")
