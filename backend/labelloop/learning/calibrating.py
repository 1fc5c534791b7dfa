"""Which calibration a model gets: the one that does best on items it was not fitted on, or none."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Bools, Floats, Ints
from labelloop.learning.calibration import Calibration, fit_calibration, fit_isotonic, log_softmax, unfitted
from labelloop.learning.evaluation import BINS, FLOOR
from labelloop.learning.folds import deal_in_order

Fit = Callable[[Floats, Ints, Floats], Calibration]

# An isotonic curve has as many free corners as the data allow and needs the more of it (Niculescu-Mizil and Caruana, 2005).
ISOTONIC_FROM: Final = 500
# What another calibration must gain in mean log loss beside the standard one to be taken.
GAIN: Final = 0.01
# What calibrated probabilities may lose in expected calibration error beside the uncalibrated, and from how many items on
# that is asked: the errors of fewer differ by noise alone, and leaving out the calibration for it makes new items worse.
MAY_LOSE: Final = 0.01
ASKED_FROM: Final = 100
# Bins of a reliability diagram hold this many items on average, or their heights are noise.
ITEMS_A_BIN: Final = 10
PARTS: Final = 5


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a reliability diagram (DeGroot and Fienberg, 1983).

    Attributes:
        confidence: mean probability of the predicted class, in [0, 1].
        accuracy: share of the predictions that are right, in [0, 1].
        count: items in the bin.
    """

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True, slots=True)
class Reliability:
    """How a calibration was chosen and what it does, on items that neither model nor calibration was fitted on.

    Attributes:
        method: `none`, `usual` (no item to fit on: the temperature that such heads usually need), `temperature`, `vector` or
            `isotonic`.
        items: how many items it is measured on; 0: none were there, and nothing is calibrated.
        ece_before: expected calibration error of the uncalibrated probabilities, in [0, 1].
        ece_after: of the calibrated ones.
        bins: the reliability diagram after calibration; bins without an item are left out.
    """

    method: str
    items: int = 0
    ece_before: float = 0.0
    ece_after: float = 0.0
    bins: tuple[Bin, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {**asdict(self), "bins": [asdict(bar) for bar in self.bins]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Reliability":
        """Read what `to_json` wrote."""
        return cls(**{**value, "bins": tuple(Bin(**figures) for figures in value["bins"])})


def choose_calibration(
    logits: Floats, targets: Ints, weights: Floats, usual: float = 1.0
) -> tuple[Calibration, Reliability]:
    """Fit each calibration on parts of the items and test it on the others; the best is fitted on all.

    `vector` is the standard one; another must beat its log loss clearly. Once there are `ASKED_FROM` items, one whose expected
    calibration error is worse than that of the uncalibrated probabilities by more than a point is passed over.

    Args:
        logits: [n, C] of items the model was not trained on.
        targets: int [n], the right column of each.
        weights: [n], how much each item counts.
        usual: the temperature that such logits usually need; few items are drawn to it.
    """
    if np.unique(targets).size < 2:
        return unfitted(logits.shape[1], usual), Reliability("none" if usual == 1 else "usual")
    plain = np.exp(log_softmax(logits))
    before = calibration_error(plain, targets)
    fits = _fits(len(targets), usual)
    tested = {name: _cross_fitted(fit, logits, targets, weights) for name, fit in fits.items()}
    order = sorted(tested, key=lambda name: _loss(tested[name], targets, weights) - GAIN * (name == "vector"))
    for name in order:
        after = calibration_error(tested[name], targets)
        if after <= before + MAY_LOSE or len(targets) < ASKED_FROM:
            fitted = fits[name](logits, targets, weights)
            return fitted, Reliability(name, len(targets), before, after, reliability(tested[name], targets))
    return unfitted(logits.shape[1]), Reliability("none", len(targets), before, before, reliability(plain, targets))


def held_back_probabilities(
    calibration: Calibration, logits: Floats, targets: Ints, weights: Floats, usual: float = 1.0
) -> Floats:
    """Probabilities [n, C] of each item by calibrations like the given one that were fitted without it.

    What a calibration makes of the items it was fitted on looks better than what it makes of new ones. Arguments as in
    `choose_calibration`.
    """
    fit = _fits(len(targets), usual).get(calibration.method)
    return calibration.probabilities(logits) if fit is None else _cross_fitted(fit, logits, targets, weights)


def reliability(probabilities: Floats, targets: Ints) -> tuple[Bin, ...]:
    """The reliability diagram of probabilities [n, C] whose right columns are targets int [n]: up to 15 bins of equal width."""
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    bins = int(np.clip(len(targets) // ITEMS_A_BIN, 1, BINS))
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    return tuple(_bin(confidence[bin_of == b], correct[bin_of == b]) for b in np.unique(bin_of))


def calibration_error(probabilities: Floats, targets: Ints) -> float:
    """Expected calibration error over the bins of `reliability`, in [0, 1].

    With few items it takes fewer bins than `evaluation.expected_calibration_error`, whose 15 would measure mostly noise.
    """
    gaps = [bar.count * abs(bar.confidence - bar.accuracy) for bar in reliability(probabilities, targets)]
    return float(sum(gaps) / max(len(targets), 1))


def _bin(confidence: Floats, correct: Bools) -> Bin:
    return Bin(round(float(confidence.mean()), 4), round(float(correct.mean()), 4), int(confidence.size))


def _fits(items: int, usual: float) -> dict[str, Fit]:
    fits: dict[str, Fit] = {
        "vector": partial(fit_calibration, usual=usual),
        "temperature": partial(fit_calibration, usual=usual, offsets=False),
    }
    return {**fits, "isotonic": partial(fit_isotonic, usual=usual)} if items >= ISOTONIC_FROM else fits


def _cross_fitted(fit: Fit, logits: Floats, targets: Ints, weights: Floats) -> Floats:
    """Probabilities [n, C] of each item by a calibration fitted on the other parts."""
    probabilities = np.exp(log_softmax(logits))
    part = deal_in_order(targets, PARTS)
    for number in np.unique(part):
        test = part == number
        if np.unique(targets[~test]).size > 1:
            probabilities[test] = fit(logits[~test], targets[~test], weights[~test]).probabilities(logits[test])
    return probabilities


def _loss(probabilities: Floats, targets: Ints, weights: Floats) -> float:
    right = np.clip(probabilities[np.arange(len(targets)), targets], FLOOR, 1.0)
    return float(-weights @ np.log(right) / weights.sum())
