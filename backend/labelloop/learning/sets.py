"""The learner of a control that gives each item any number of classes: a calibrated yes or no for each class."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.arrays import Array, Bools, Floats
from labelloop.learning.binary import Binaries, calibrate_one, deal, fit_binaries, logistic, smoothed_rate
from labelloop.learning.figures import Figures
from labelloop.learning.learner import Reads, Training
from labelloop.learning.lessons import check_blocks, read_rows, scaled_rows
from labelloop.learning.reduction import AUTO, check_reduction, reduce
from labelloop.learning.scaling import centre_of
from labelloop.learning.set_figures import item_f1, measure_sets
from labelloop.learning.threads import one_thread
from labelloop.learning.thresholds import USUAL, choose_thresholds
from labelloop.learning.uncertainty import binary, measure_named
from labelloop.records import SetPrediction, SetTarget

# On digits by their properties and on made sets it bought a little more than the mean and the sum, which order alike.
USUAL_REDUCTION: Final = "max"
# Probabilities are held this far from 0 and 1 before their logarithm is taken.
EDGE: Final = 1e-6


class SetLearner:
    """Logistic regression for each class against the rest, on centred features of length 1.

    Each is calibrated on what cross-validation held back, and answers yes from the threshold of its best F1 on, where
    there are items enough to know it, else from 0.5. A class that all or none of the items have keeps its smoothed rate for a
    probability and is left out of uncertainty and confidence. Training needs scikit-learn; predicting needs numpy alone.

    An item is as uncertain as the most uncertain of its classes (Brinker, 2006), by the chosen measure of (p, 1 - p): on the
    scale of a single class, and the same however many classes are surely absent; or as another reduction has it. The
    confidence is the probability that the whole set is right: the product over the classes, calibrated on the sets that
    cross-validation held back.

    Attributes:
        classes: every class of the control, in the config's order.
        uncertainty: the name of the measure of one class's uncertainty.
        reduction: how those of all classes become one; `auto`: the largest.
        cv_metrics: how models trained on a part of the labels fare on the rest.
    """

    kind: ClassVar[str] = "sets"
    reads: ClassVar[Reads] = Reads.ROWS

    def __init__(
        self,
        classes: Sequence[str],
        arrays: Mapping[str, Array],
        *,
        uncertainty: str,
        reduction: str,
        blocks: Sequence[int],
        cv_metrics: Figures | None,
    ) -> None:
        self.classes = tuple(classes)
        self.uncertainty = uncertainty
        self.reduction = reduction
        self.cv_metrics = cv_metrics
        self._measure = measure_named(uncertainty)
        self._arrays = dict(arrays)
        self._blocks = tuple(blocks)
        self._binaries = Binaries.from_arrays(arrays)
        self._in_order = sorted(range(len(self.classes)), key=self.classes.__getitem__)

    @classmethod
    def train(cls, training: Training) -> "SetLearner":
        """Train on labelled items.

        Raises:
            NotEnoughLabels: no class is in some of the items' sets and not in others.
            LearningError: there is no such uncertainty or reduction, or the arrays do not go together.
        """
        options = training.options
        measure_named(options.uncertainty)
        check_reduction(options.reduction)
        kept, truth, weights = _usable(training.inputs, training.targets, training.classes)
        varies = np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0))
        if varies.size == 0:
            raise NotEnoughLabels(
                f"A model needs a class that some items have and others have not; the {len(truth)} so far all have the "
                "same. Label an item that differs."
            )
        rows, alike = training.inputs[kept], training.grouped()[kept]
        check_blocks(options.blocks, rows)
        centre = centre_of(rows)
        with one_thread():
            scaled, answers = scaled_rows(rows, centre, options.blocks), truth[:, varies]
            answered = fit_binaries(scaled, answers, weights, *deal(answers, options.seed, alike))
        tested = answered.rows
        thresholds, said = choose_thresholds(answered.probabilities, answers[tested])
        right = (said == answers[tested]).all(axis=1)
        sureness = calibrate_one(_log_odds(answered.probabilities, said), right, weights[tested])
        rates = smoothed_rate(truth, weights)
        arrays = {
            **answered.binaries.arrays(),
            "centre": centre,
            "seen": varies.astype(np.int64),
            "rates": rates,
            "thresholds": thresholds,
            "sureness": np.array(sureness),
        }
        sets = np.repeat((rates >= USUAL)[None], tested.size, axis=0)
        sets[:, varies] = said
        metrics = measure_sets(sets, truth[tested], training.classes, "cross-validation") if tested.size else None
        return cls(
            training.classes,
            arrays,
            uncertainty=options.uncertainty,
            reduction=options.reduction,
            blocks=options.blocks,
            cv_metrics=metrics,
        )

    def predict(self, features: Floats) -> list[SetPrediction]:
        """What the model says of each row of features [n, d].

        Raises:
            LearningError: a row is not finite, or not as long as those the model was trained on.
        """
        probabilities = self.class_probabilities(features)
        sets, varying = self._sets(probabilities), probabilities[:, self._arrays["seen"]]
        doubt = reduce(self._measure(binary(varying)), USUAL_REDUCTION if self.reduction == AUTO else self.reduction)
        slope, shift = self._arrays["sureness"]
        sure = logistic(_log_odds(varying, sets[:, self._arrays["seen"]]) * slope + shift)
        return [
            SetPrediction(
                tuple(self.classes[c] for c in self._in_order if chosen[c]),
                confidence,
                uncertainty,
                dict(zip(self.classes, row, strict=True)),
            )
            for chosen, confidence, uncertainty, row in zip(
                sets.tolist(), sure.tolist(), doubt.tolist(), probabilities.tolist(), strict=True
            )
        ]

    def class_probabilities(self, features: Floats) -> Floats:
        """Calibrated probability of each class, float64 [n, C], each on its own.

        Raises:
            LearningError: a row is not finite, or not as long as those the model was trained on.
        """
        probabilities = np.repeat(self._arrays["rates"][None], len(features), axis=0)
        probabilities[:, self._arrays["seen"]] = self._binaries.probabilities(
            read_rows(features, self._arrays["centre"], self._blocks)
        )
        return probabilities

    def evaluate(self, features: Floats, targets: Sequence[SetTarget]) -> Figures:
        """Compare with labelled items that were held out; what training would leave out is left out.

        Raises:
            NotEnoughLabels: no item is left.
        """
        kept, truth, _ = _usable(features, targets, self.classes)
        return measure_sets(self._sets(self.class_probabilities(features[kept])), truth, self.classes)

    def quality(self, features: Floats, targets: Sequence[SetTarget]) -> Floats:
        """The F1 of each item's set, float64 [n] in [0, 1]; 1 where it is rightly empty."""
        truth = _sets_of(targets, self.classes)
        return item_f1(self._sets(self.class_probabilities(features)), truth) if targets else np.zeros(0)

    def probabilities(self, inputs: Floats) -> None:
        """None: an item does not have one class."""
        return

    def arrays(self) -> dict[str, Array]:
        """The trained numbers, ready for safetensors."""
        return dict(self._arrays)

    def meta(self) -> dict[str, Any]:
        """The rest of the model, as JSON values."""
        return {
            "kind": self.kind,
            "classes": list(self.classes),
            "uncertainty": self.uncertainty,
            "reduction": self.reduction,
            "blocks": list(self._blocks),
            "cv_metrics": self.cv_metrics.to_json() if self.cv_metrics else None,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> "SetLearner":
        """Restore what `arrays` and `meta` gave."""
        metrics = Figures.from_json(meta["cv_metrics"]) if meta["cv_metrics"] else None
        return cls(
            meta["classes"],
            arrays,
            uncertainty=meta["uncertainty"],
            reduction=meta.get("reduction", AUTO),
            blocks=meta["blocks"],
            cv_metrics=metrics,
        )

    def _sets(self, probabilities: Floats) -> Bools:
        thresholds = np.full(len(self.classes), USUAL)
        thresholds[self._arrays["seen"]] = self._arrays["thresholds"]
        sets: Bools = probabilities >= thresholds
        return sets


def _usable(features: Floats, targets: Sequence[SetTarget], classes: Sequence[str]) -> tuple[Bools, Bools, Floats]:
    """Which of n items can be learnt from, bool [n]: finite, and of classes there are; sets [m, C] and weights of those.

    Raises:
        LearningError: there are not as many targets as rows.
    """
    if len(features) != len(targets):
        raise LearningError(f"There are {len(targets)} targets for {len(features)} rows of features.")
    there = set(classes)
    known = np.array([target.within(there) is not None for target in targets], dtype=bool)
    weights = np.array([target.weight for target in targets], dtype=np.float64)
    kept: Bools = known & np.isfinite(features).all(axis=1)
    return kept, _sets_of(targets, classes)[kept], weights[kept]


def _sets_of(targets: Sequence[SetTarget], classes: Sequence[str]) -> Bools:
    place = {label: column for column, label in enumerate(classes)}
    sets = np.zeros((len(targets), len(classes)), dtype=bool)
    for row, target in enumerate(targets):
        sets[row, [place[label] for label in target.labels if label in place]] = True
    return sets


def _log_odds(probabilities: Floats, sets: Bools) -> Floats:
    """Log odds [n] of the sets being right if the classes were independent."""
    right = np.log(np.clip(np.where(sets, probabilities, 1 - probabilities), EDGE, 1 - EDGE)).sum(axis=1)
    odds: Floats = right - np.log(-np.expm1(right))
    return odds
