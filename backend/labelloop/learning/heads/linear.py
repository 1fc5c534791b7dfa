"""Heads that are one matrix: logistic regression and a linear support vector machine."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final, Self

import numpy as np

from labelloop.learning.arrays import Array, Floats
from labelloop.learning.calibration import fit_calibration
from labelloop.learning.heads.base import Head, Lesson, Recipe, Tested, tested_loss
from labelloop.learning.logistic import few_a_class, fit_logistic, fit_once, span, two_halves

# Inverse regularisation of the support vector machine for rows of length 1, the strongest first.
MARGINS: Final = (0.3, 1.0, 3.0)

# A basis of the rows' span pays for one fit only where there are this many times fewer rows than columns.
WIDE: Final = 4


class LinearHead:
    """Logits are rows times weights plus bias.

    Args:
        weights: float32 [C, d].
        bias: float32 [C].
    """

    kind: ClassVar[str] = "linear"

    def __init__(self, weights: Floats, bias: Floats) -> None:
        # safetensors writes an array's memory as it lies, so it must lie in rows.
        self.weights = np.ascontiguousarray(weights, dtype=np.float32)
        self.bias = np.ascontiguousarray(bias, dtype=np.float32)

    def logits(self, rows: Floats) -> Floats:
        """Logits [m, C] of rows [m, d]."""
        scored: Floats = rows @ self.weights.T + self.bias
        return scored

    def arrays(self) -> dict[str, Array]:
        """The weights and the bias."""
        return {"weights": self.weights, "bias": self.bias}

    def meta(self) -> dict[str, Any]:
        """Nothing beside the arrays."""
        return {}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> Self:
        """Restore what `arrays` gave."""
        return cls(arrays["weights"], arrays["bias"])


def fit_linear(lesson: Lesson) -> LinearHead:
    """Logistic regression with the lesson's strength."""
    if WIDE * len(lesson.rows) > lesson.rows.shape[1]:
        return LinearHead(*fit_once(lesson.rows, lesson.targets, lesson.weights, lesson.strength))
    rows, basis = span(lesson.rows)
    coefficients, bias = fit_once(rows, lesson.targets, lesson.weights, lesson.strength)
    return LinearHead(coefficients @ basis.T, bias)


class Logistic(Recipe):
    """Multinomial logistic regression, its regularisation chosen by cross-validation."""

    name = "logistic"
    usual_temperature = 1.15

    def fit(self, lesson: Lesson, seed: int) -> Head:
        """Train with the lesson's strength."""
        return fit_linear(lesson)

    def fit_tested(self, lesson: Lesson, seed: int) -> Tested:
        """Choose the strength, train and test; the folds that chose are those that test."""
        fitted = fit_logistic(lesson.rows, lesson.targets, lesson.weights, lesson.folds, lesson.run)
        head = LinearHead(fitted.weights, fitted.bias)
        return Tested(head, fitted.tested_rows, fitted.tested_logits, fitted.strength)


class Svm(Recipe):
    """One linear support vector machine a class against the rest, with squared hinge loss (Cortes and Vapnik, 1995).

    Distances from its planes are no logits; the calibration that follows every head makes probabilities of them, as Platt
    (1999) does.

    Args:
        margin: inverse regularisation where it is not chosen.
    """

    name = "svm"

    def __init__(self, margin: float = MARGINS[1]) -> None:
        self._margin = margin

    def fit(self, lesson: Lesson, seed: int) -> Head:
        """Train with the margin given."""
        return _fit_svm(lesson, self._margin, seed)

    def fit_tested(self, lesson: Lesson, seed: int) -> Tested:
        """Choose the margin by the log loss after calibration, train and test."""
        trials = [Recipe.fit_tested(Svm(margin), lesson, seed) for margin in MARGINS]
        return min(trials, key=lambda tested: _calibrated_loss(tested, lesson))


def _fit_svm(lesson: Lesson, margin: float, seed: int) -> LinearHead:
    from sklearn.svm import LinearSVC

    rows, basis = span(lesson.rows)
    model: Any = LinearSVC(C=margin, dual="auto", random_state=seed, tol=1e-3, max_iter=5000)
    with few_a_class():
        model.fit(rows, lesson.targets, sample_weight=lesson.weights)
    coefficients, bias = two_halves(model.coef_, model.intercept_)
    return LinearHead(coefficients @ basis.T, bias)


def _calibrated_loss(tested: Tested, lesson: Lesson) -> float:
    targets, weights = lesson.targets[tested.rows], lesson.weights[tested.rows]
    calibration = fit_calibration(tested.logits, targets, weights)
    return tested_loss(replace(tested, logits=calibration.scaled(tested.logits)), lesson)
