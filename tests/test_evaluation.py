"""Metrics, with scikit-learn as the oracle."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_recall_fscore_support

from labelloop.errors import NotEnoughLabels
from labelloop.learning import Metrics
from labelloop.learning.evaluation import expected_calibration_error, measure

CLASSES = ("ant", "bee", "cat", "never seen")


@pytest.fixture
def labels_and_probabilities() -> tuple[list[str], np.ndarray]:
    generator = np.random.default_rng(3)
    probabilities = np.zeros((60, 4))
    probabilities[:, :3] = generator.dirichlet([1, 1, 1], size=60)
    return [CLASSES[i] for i in generator.integers(0, 3, size=60)], probabilities


def test_agrees_with_scikit_learn(labels_and_probabilities: tuple[list[str], np.ndarray]) -> None:
    labels, probabilities = labels_and_probabilities
    predicted = [CLASSES[i] for i in probabilities.argmax(axis=1)]
    metrics = measure(probabilities, labels, CLASSES)

    assert metrics.items == 60
    assert metrics.accuracy == pytest.approx(accuracy_score(labels, predicted))
    assert metrics.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert metrics.log_loss == pytest.approx(log_loss(labels, probabilities[:, :3], labels=CLASSES[:3]))
    precision, recall, f1, items = precision_recall_fscore_support(labels, predicted, labels=CLASSES[:3])
    for place, label in enumerate(CLASSES[:3]):
        figures = metrics.per_class[label]
        assert (figures.precision, figures.recall, figures.f1, figures.items) == pytest.approx(
            (precision[place], recall[place], f1[place], items[place])
        )


def test_class_among_neither_labels_nor_predictions_does_not_count(
    labels_and_probabilities: tuple[list[str], np.ndarray],
) -> None:
    labels, probabilities = labels_and_probabilities

    assert "never seen" not in measure(probabilities, labels, CLASSES).per_class


def test_class_without_a_prediction_has_no_precision_but_counts() -> None:
    metrics = measure(np.array([[0.9, 0.1], [0.8, 0.2]]), ["a", "b"], ("a", "b"))

    assert metrics.per_class["b"].precision == 0
    assert metrics.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_impossible_class_costs_a_bounded_loss() -> None:
    assert measure(np.array([[1.0, 0.0]]), ["b"], ("a", "b")).log_loss == pytest.approx(-np.log(1e-6))


def test_calibration_error_is_the_gap_weighted_by_items() -> None:
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.55])
    correct = np.array([True, True, False, False, True])

    assert expected_calibration_error(confidence, correct) == pytest.approx(0.8 * 0.45 + 0.2 * 0.45)


def test_confident_and_right_is_perfectly_calibrated() -> None:
    assert expected_calibration_error(np.ones(5), np.ones(5, dtype=bool)) == 0


def test_json_round_trip_is_lossless(labels_and_probabilities: tuple[list[str], np.ndarray]) -> None:
    labels, probabilities = labels_and_probabilities
    metrics = measure(probabilities, labels, CLASSES, source="cross-validation")

    assert Metrics.from_json(json.loads(json.dumps(metrics.to_json()))) == metrics


def test_nothing_to_measure_is_said() -> None:
    with pytest.raises(NotEnoughLabels, match="no labelled item"):
        measure(np.zeros((0, 2)), [], ("a", "b"))
