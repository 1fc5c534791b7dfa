"""Many yes-or-no questions about the same rows: logistic regression for each, one regularisation for all, calibrated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from labelloop.learning.arrays import Array, Bools, Floats, Ints
from labelloop.learning.calibration import fit_calibration
from labelloop.learning.evaluation import FLOOR
from labelloop.learning.folds import FOLDS, first_of_each, plan_folds
from labelloop.learning.logistic import DEFAULT, GRID, fit_once, span

Fit = Callable[[Floats, Bools, Floats, float], tuple[Floats, Floats]]
"""Coefficients [L, d] and bias [L] from rows [n, d], answers [n, L], weights [n] and an inverse regularisation; what cannot
be fitted is NaN."""

# Questions that choose the regularisation: those with the most of the rarer answer, for rare ones say little.
CHOOSERS: Final = 8
# With more questions than this the cross-validation has fewer folds, or it would take longer than a round may.
MANY: Final = 50
FEWER_FOLDS: Final = 3


@dataclass(frozen=True, slots=True)
class Binaries:
    """Fitted questions: the probability of yes is the logistic function of slope * (rows @ weights + bias) + shift.

    Attributes:
        weights: float32 [L, d].
        bias: float32 [L].
        slope: float64 [L], of the calibration.
        shift: float64 [L], of the calibration.
    """

    weights: Floats
    bias: Floats
    slope: Floats
    shift: Floats

    def probabilities(self, rows: Floats) -> Floats:
        """Calibrated probabilities of yes, float64 [n, L], of rows [n, d]."""
        scores = np.asarray(rows @ self.weights.T + self.bias, dtype=np.float64)
        return logistic(scores * self.slope + self.shift)

    def arrays(self) -> dict[str, Array]:
        """The trained numbers, ready for safetensors."""
        return {"weights": self.weights, "bias": self.bias, "slope": self.slope, "shift": self.shift}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "Binaries":
        """Restore what `arrays` gave."""
        return cls(arrays["weights"], arrays["bias"], arrays["slope"], arrays["shift"])


@dataclass(frozen=True, slots=True)
class Answered:
    """Fitted questions, and what models that had not seen the tested rows said of them.

    Attributes:
        binaries: fitted on every row.
        rows: int [k], ascending, the tested rows.
        probabilities: float64 [k, L], calibrated.
        loss: mean log loss of these.
    """

    binaries: Binaries
    rows: Ints
    probabilities: Floats
    loss: float


def fit_binaries(
    rows: Floats, answers: Bools, weights: Floats, folds: Ints, run: range, fit: Fit | None = None
) -> Answered:
    """Fit with the regularisation that does best in cross-validation, and calibrate on what it held back.

    Args:
        rows: float32 [n, d] of length 1.
        answers: bool [n, L], L >= 1; each question has both answers.
        weights: [n] > 0.
        folds: int [n]; -1: never tested.
        run: the folds to test.
        fit: how to fit; None: each question by itself.
    """
    fit = fit or separately
    coordinates, basis = span(rows)
    tested = np.flatnonzero(np.isin(folds, run))
    choosers = _choosers(answers)
    loss = {
        s: _loss(
            logistic(_held_back(coordinates, answers[:, choosers], weights, folds, run, s, fit)[tested]),
            answers[:, choosers][tested],
            weights[tested],
        )
        for s in GRID
    }
    strength = min(GRID, key=loss.__getitem__) if tested.size else DEFAULT
    held_back = _held_back(coordinates, answers, weights, folds, run, strength, fit)[tested]
    slope, shift = _calibrate(held_back, answers[tested], weights[tested])
    coefficients, bias = fit(coordinates, answers, weights, strength)
    binaries = Binaries(
        np.ascontiguousarray(coefficients @ basis.T, dtype=np.float32), bias.astype(np.float32), slope, shift
    )
    rate = smoothed_rate(answers, weights)
    probabilities = np.where(np.isfinite(held_back), logistic(held_back * slope + shift), rate)
    return Answered(binaries, tested, probabilities, _loss(probabilities, answers[tested], weights[tested]))


def separately(rows: Floats, answers: Bools, weights: Floats, strength: float) -> tuple[Floats, Floats]:
    """Each question by itself; see `Fit`."""
    coefficients, bias = np.full((answers.shape[1], rows.shape[1]), np.nan), np.full(answers.shape[1], np.nan)
    for question in np.flatnonzero(answers.any(axis=0) & ~answers.all(axis=0)):
        halves, biases = fit_once(rows, answers[:, question].astype(np.int64), weights, strength)
        coefficients[question], bias[question] = halves[1] - halves[0], biases[1] - biases[0]
    return coefficients, bias


def deal(answers: Bools, seed: int, groups: Ints | None = None) -> tuple[Ints, range]:
    """A fold for each row, int [n], and which to run: the rarest yes is dealt out first, so that every fold has its share.

    After the iterative stratification of Sechidis et al., 2011. Near-duplicates go where the first of them does.

    Args:
        answers: bool [n, L].
        seed: decides the order.
        groups: int [n], the number of each row's group of near-duplicates; None: there are none.
    """
    rows, questions = answers.shape
    folds, run = plan_folds(rows, FOLDS if questions <= MANY else FEWER_FOLDS)
    generator = np.random.default_rng(seed)
    first = np.arange(rows) if groups is None else first_of_each(groups)
    order, assigned, dealt = generator.permutation(np.flatnonzero(first == np.arange(rows))), np.full(rows, -1), 0
    for question in [*np.argsort(answers.sum(axis=0), kind="stable"), None]:
        open_rows = order[assigned[order] < 0]
        members = open_rows if question is None else open_rows[answers[open_rows, question]]
        assigned[members] = (np.arange(members.size) + dealt) % folds
        dealt += members.size
    return assigned[first], run


def logistic(scores: Floats) -> Floats:
    """1 / (1 + exp(-scores)), float64, without overflow."""
    result: Floats = 0.5 * (1 + np.tanh(np.asarray(scores, dtype=np.float64) / 2))
    return result


def smoothed_rate(answers: Bools, weights: Floats) -> Floats:
    """How often the answer is yes, float64 [L], half a yes and half a no added (Krichevsky and Trofimov, 1981)."""
    rate: Floats = (weights @ answers + 0.5) / (weights.sum() + 1)
    return rate


def _choosers(answers: Bools) -> Ints:
    yes = answers.sum(axis=0)
    return np.argsort(-np.minimum(yes, len(answers) - yes), kind="stable")[:CHOOSERS]


def _held_back(
    rows: Floats, answers: Bools, weights: Floats, folds: Ints, run: range, strength: float, fit: Fit
) -> Floats:
    """Scores [n, L] of each tested row by a model without its fold; NaN elsewhere."""
    scores = np.full(answers.shape, np.nan)
    for fold in run:
        test = folds == fold
        if test.any() and not test.all():
            coefficients, bias = fit(rows[~test], answers[~test], weights[~test], strength)
            scores[test] = rows[test] @ coefficients.T + bias
    return scores


def _loss(probabilities: Floats, answers: Bools, weights: Floats) -> float:
    """Weighted mean log loss over what is known; 0 where nothing is."""
    known = np.isfinite(probabilities)
    right = np.clip(np.where(answers, probabilities, 1 - probabilities), FLOOR, 1.0)
    counts = weights[:, None] * known
    return float(-(counts * np.log(np.where(known, right, 1.0))).sum() / max(counts.sum(), 1e-12))


def _calibrate(scores: Floats, answers: Bools, weights: Floats) -> tuple[Floats, Floats]:
    """Slope and shift of each question; 1 and 0 where its held-back rows have one answer only."""
    slope, shift = np.ones(answers.shape[1]), np.zeros(answers.shape[1])
    for question in range(answers.shape[1]):
        known = np.isfinite(scores[:, question])
        slope[question], shift[question] = calibrate_one(
            scores[known, question], answers[known, question], weights[known]
        )
    return slope, shift


def calibrate_one(scores: Floats, answers: Bools, weights: Floats) -> tuple[float, float]:
    """Slope and shift for scores [n] of one question: Platt (1999), under the priors of `calibration.fit_calibration`."""
    halves = np.column_stack([-scores / 2, scores / 2])
    fitted = fit_calibration(halves, answers.astype(np.int64), weights)
    return 1 / fitted.temperature, float(fitted.offsets[1] - fitted.offsets[0])
