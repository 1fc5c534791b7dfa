"""Multinomial logistic regression whose regularisation is chosen by cross-validation, in well under a second."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.calibration import log_softmax
from labelloop.learning.folds import first_of_each

# Inverse regularisation for rows of length 1; the strongest first, so that a tie goes to the simpler model.
GRID: Final = (3.0, 10.0, 30.0, 100.0, 300.0)
# What is taken where up to so many tested rows would choose. Their log loss punishes confidence, which the calibration mends,
# rather than wrong answers: on eight data sets with two to four labels a class the choice lost a point beside this value, and
# up to 30 once pseudo-labels were built on a model that answers the commonest class for all.
DEFAULT: Final = GRID[4]
TOO_FEW: Final = 50
# lbfgs is stopped early on purpose: ten times the precision doubles the time and changes no prediction that matters.
PRECISION: Final = 1e-3


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """A fitted model and what its cross-validation saw.

    Attributes:
        weights: float32 [C, d].
        bias: float32 [C].
        strength: inverse regularisation, scikit-learn's C.
        tested_rows: int [k], the training rows that a cross-validation model predicted without having seen them.
        tested_logits: float64 [k, C] of those rows.
    """

    weights: Floats
    bias: Floats
    strength: float
    tested_rows: Ints
    tested_logits: Floats


def fit_logistic(features: Floats, targets: Ints, weights: Floats, folds: Ints, run: range) -> LogisticFit:
    """Fit with the regularisation that does best in cross-validation, once enough rows are tested to tell.

    Args:
        features: [n, d] of length 1.
        targets: int [n] in 0..C-1, each present, C >= 2.
        weights: [n] > 0.
        folds: int [n], what `assign_folds` gave.
        run: the folds to test.
    """
    rows, basis = span(features)
    tested = np.flatnonzero(np.isin(folds, run))
    # Rows of a single class would choose whatever answers that class.
    telling = tested.size > TOO_FEW and np.unique(targets[tested]).size > 1
    tried = GRID if telling else (DEFAULT,)
    by_strength = {s: _out_of_fold(rows, targets, weights, folds, run, s)[tested] for s in tried}
    loss = {s: _log_loss(by_strength[s], targets[tested], weights[tested]) for s in tried}
    strength = min(tried, key=loss.__getitem__)
    coefficients, bias = fit_once(rows, targets, weights, strength)
    return LogisticFit(
        (coefficients @ basis.T).astype(np.float32), bias.astype(np.float32), strength, tested, by_strength[strength]
    )


def preload() -> None:
    """Import what training and choosing need: seconds, which a process that forks its workers pays once instead of in each."""
    import scipy.optimize
    import scipy.sparse  # noqa: F401
    import sklearn.cluster
    import sklearn.gaussian_process  # which scikit-learn imports itself when it is first asked for a kernel
    import sklearn.isotonic
    import sklearn.kernel_approximation
    import sklearn.linear_model  # noqa: F401

    # Networks, and heads on maps and tokens; it starts no thread and touches no GPU before it is used.
    if find_spec("torch") is not None:
        import torch._dynamo  # noqa: F401  # which torch imports itself when the first optimizer is made


def assign_folds(targets: Ints, folds: int, seed: int, groups: Ints | None = None) -> Ints:
    """A fold for each row, int [n]: classes are dealt out in turn, so every fold's training rows hold every class.

    Near-duplicates go where the first of them does. A class with a single row, or whose rows are all alike, gets -1: it is
    always trained on, never tested.

    Args:
        targets: int [n], the class of each row.
        folds: how many there are, at least two.
        seed: decides the order.
        groups: int [n], the number of each row's group of near-duplicates; None: there are none.
    """
    generator = np.random.default_rng(seed)
    first = np.arange(len(targets)) if groups is None else first_of_each(groups)
    assigned: Ints = np.full(len(targets), -1)
    dealt = 0
    for target in np.unique(targets):
        members = generator.permutation(np.flatnonzero((targets == target) & (first == np.arange(len(targets)))))
        assigned[members] = (np.arange(members.size) + dealt) % folds
        dealt += members.size if members.size > 1 else 0
    assigned = assigned[first]
    for target in np.unique(targets):
        own = targets == target
        if (assigned[own] == assigned[own][0]).all():
            assigned[np.isin(first, first[own])] = -1
    return assigned


def span(features: Floats) -> tuple[Floats, Floats]:
    """Coordinates [n, r] of the rows in an orthonormal basis [d, r] of their span.

    With fewer rows than columns the optimum of a linear model with a quadratic penalty lies in the span (the penalty does
    not change under rotation), where the fit is the same and several times faster.
    """
    rows, columns = features.shape
    if rows >= columns:
        return features, np.eye(columns, dtype=np.float32)
    values, vectors = np.linalg.eigh((features @ features.T).astype(np.float64))
    kept = values > 1e-6 * max(float(values.max()), 1e-12)
    if not kept.any():
        return np.zeros((rows, 1), dtype=np.float32), np.zeros((columns, 1), dtype=np.float32)
    basis = (features.T @ (vectors[:, kept] / np.sqrt(values[kept]))).astype(np.float32)
    return features @ basis, basis


def fit_once(rows: Floats, targets: Ints, weights: Floats, strength: float) -> tuple[Floats, Floats]:
    """Coefficients [C, d] and bias [C] of one fit with that inverse regularisation; arguments as in `fit_logistic`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model: Any = LogisticRegression(C=strength, tol=PRECISION, max_iter=200)
    with few_a_class():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, targets, sample_weight=weights)
    return two_halves(model.coef_, model.intercept_)


@contextmanager
def few_a_class() -> Iterator[None]:
    """Let scikit-learn take targets of one or two rows a class for classes inside the block, without asking whether they are."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        yield


def two_halves(coefficients: Floats, bias: Floats) -> tuple[Floats, Floats]:
    """A row for each class; scikit-learn keeps one for two classes, and two opposite halves give the same odds."""
    if len(coefficients) > 1:
        return coefficients, bias
    return np.vstack([-coefficients, coefficients]) / 2, np.concatenate([-bias, bias]) / 2


def _out_of_fold(rows: Floats, targets: Ints, weights: Floats, folds: Ints, run: range, strength: float) -> Floats:
    logits = np.zeros((len(targets), int(targets.max()) + 1))
    for fold in run:
        test = folds == fold
        if test.any():
            coefficients, bias = fit_once(rows[~test], targets[~test], weights[~test], strength)
            logits[test] = rows[test] @ coefficients.T + bias
    return logits


def _log_loss(logits: Floats, targets: Ints, weights: Floats) -> float:
    return float(-weights @ log_softmax(logits)[np.arange(len(targets)), targets])
