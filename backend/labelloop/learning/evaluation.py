"""How good a model is on labelled items it was not trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.intervals import Interval, macro_f1_interval, wilson

Source = Literal["holdout", "cross-validation"]

BINS: Final = 15
# One item of a class the model has never seen has probability 0; without a floor it alone would make the loss infinite.
FLOOR: Final = 1e-6


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """How one class fares.

    Attributes:
        precision: share of the items predicted to be of the class that are, in [0, 1]; 0 when none is predicted.
        recall: share of the class's items that are predicted to be, in [0, 1]; 0 when it has none.
        f1: harmonic mean of the two, in [0, 1].
        items: items of the class.
    """

    precision: float
    recall: float
    f1: float
    items: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a model reached on items it was not trained on.

    The intervals speak of items like these. Where a strategy picked what was labelled, these are harder than the pool's, whether
    they were held out or cross-validated, and the model does better on the pool than is said here. A cross-validated figure is
    besides of models that had up to a fifth less to learn from, and its interval takes their errors for independent, which is
    slightly too narrow (Bengio and Grandvalet, 2004).

    Attributes:
        items: how many.
        accuracy: share it gets right, in [0, 1].
        macro_f1: mean F1 of the classes that are among the labels or the predictions, in [0, 1].
        log_loss: mean of -log of the probability of the right class (natural), a probability counting as 1e-6 at least.
        ece: expected calibration error of the predicted class in 15 bins of equal width, in [0, 1] (Guo et al., 2017).
        per_class: by label, the classes that `macro_f1` is the mean of.
        source: the items were a holdout, or each was predicted by a model of a cross-validation that had not seen it.
        accuracy_interval: 95 % interval of the accuracy (Wilson, 1927), its lower end with the untested items counted as wrong;
            None in manifests of earlier releases.
        macro_f1_interval: 95 % interval of the macro F1 (bootstrap, seeded); None in manifests of earlier releases.
        untested: items beside these that no model could be tested on, because without them it knows nothing of their class.
    """

    items: int
    accuracy: float
    macro_f1: float
    log_loss: float
    ece: float
    per_class: dict[str, ClassMetrics]
    source: Source
    accuracy_interval: Interval | None = None
    macro_f1_interval: Interval | None = None
    untested: int = 0

    @property
    def name(self) -> str:
        """What `value` is."""
        return "accuracy"

    @property
    def value(self) -> float:
        """The figure to go by, in [0, 1]; more is better."""
        return self.accuracy

    @property
    def interval(self) -> Interval | None:
        """95 % interval of the value; None where it is not known."""
        return self.accuracy_interval

    def to_json(self) -> dict[str, Any]:
        """The metrics as JSON values, for a manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Metrics":
        """Read what `to_json` wrote."""
        per_class = {label: ClassMetrics(**figures) for label, figures in value["per_class"].items()}
        intervals = {
            name: Interval(**value[name]) for name in ("accuracy_interval", "macro_f1_interval") if value.get(name)
        }
        return cls(**{**value, "per_class": per_class, **intervals})


def measure(
    probabilities: Floats,
    labels: Sequence[str],
    classes: Sequence[str],
    *,
    source: Source = "holdout",
    untested: int = 0,
) -> Metrics:
    """Compare predicted probabilities with labels.

    Args:
        probabilities: [n, C], columns in the order of `classes`.
        labels: n labels, each one of `classes`.
        classes: the C classes.
        source: what the items are.
        untested: how many more there are that no model could be tested on.

    Raises:
        NotEnoughLabels: there is no item to measure.
        LearningError: a label is not among the classes, or a probability is not a number.
    """
    if len(labels) == 0:
        raise NotEnoughLabels("There is no labelled item to measure a model on.")
    truth = _columns(labels, classes)
    if not np.isfinite(probabilities).all():
        raise LearningError("Probabilities that are not finite cannot be measured; leave those items out.")
    predicted = probabilities.argmax(axis=1)
    per_class = _per_class(truth, predicted, classes)
    likelihood = probabilities[np.arange(truth.size), truth]
    right = int((predicted == truth).sum())
    return Metrics(
        items=int(truth.size),
        accuracy=float((predicted == truth).mean()),
        macro_f1=float(np.mean([figures.f1 for figures in per_class.values()])),
        log_loss=float(-np.log(np.clip(likelihood, FLOOR, 1.0)).mean()),
        ece=expected_calibration_error(probabilities.max(axis=1), predicted == truth),
        per_class=per_class,
        source=source,
        accuracy_interval=Interval(wilson(right, int(truth.size) + untested).low, wilson(right, int(truth.size)).high),
        macro_f1_interval=macro_f1_interval(truth, predicted, len(classes)),
        untested=untested,
    )


def expected_calibration_error(confidence: Floats, correct: Floats, bins: int = BINS) -> float:
    """Mean gap between confidence and accuracy over `bins` bins of equal width, weighted by their items.

    Naeini et al. (2015), as used by Guo et al. (2017).

    Args:
        confidence: [n] in [0, 1].
        correct: bool [n].
        bins: how many.
    """
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(bin_of, weights=correct.astype(np.float64) - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / max(confidence.size, 1))


def _columns(labels: Sequence[str], classes: Sequence[str]) -> Ints:
    place = {label: column for column, label in enumerate(classes)}
    foreign = sorted(set(labels) - place.keys())
    if foreign:
        raise LearningError(f"The model knows no class {foreign[0]!r}; it was trained for: {', '.join(classes)}.")
    return np.array([place[label] for label in labels])


def _per_class(truth: Ints, predicted: Ints, classes: Sequence[str]) -> dict[str, ClassMetrics]:
    count = len(classes)
    items = np.bincount(truth, minlength=count)
    guesses = np.bincount(predicted, minlength=count)
    hits = np.bincount(truth[truth == predicted], minlength=count)
    return {
        label: ClassMetrics(
            precision=float(hits[c] / max(guesses[c], 1)),
            recall=float(hits[c] / max(items[c], 1)),
            f1=float(2 * hits[c] / (items[c] + guesses[c])),
            items=int(items[c]),
        )
        for c, label in enumerate(classes)
        if items[c] + guesses[c] > 0
    }
