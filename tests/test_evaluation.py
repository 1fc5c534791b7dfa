"""Metrics, with scikit-learn as the oracle."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_recall_fscore_support

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning import Metrics
from labelloop.learning.evaluation import expected_calibration_error, measure
from labelloop.learning.figures import believed
from labelloop.learning.intervals import wilson

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


def test_metrics_carry_their_intervals(labels_and_probabilities: tuple[list[str], np.ndarray]) -> None:
    labels, probabilities = labels_and_probabilities
    metrics = measure(probabilities, labels, CLASSES)

    assert metrics.accuracy_interval == wilson(round(metrics.accuracy * 60), 60)
    assert metrics.macro_f1_interval is not None
    assert metrics.macro_f1_interval.low < metrics.macro_f1 < metrics.macro_f1_interval.high


def test_metrics_of_an_earlier_release_are_read(labels_and_probabilities: tuple[list[str], np.ndarray]) -> None:
    labels, probabilities = labels_and_probabilities
    old = measure(probabilities, labels, CLASSES).to_json()
    del old["accuracy_interval"], old["macro_f1_interval"]

    assert Metrics.from_json(old).accuracy_interval is None


def test_a_holdout_is_believed_once_it_is_large_enough(labels_and_probabilities: tuple[list[str], np.ndarray]) -> None:
    labels, probabilities = labels_and_probabilities
    holdout = measure(probabilities[:20], labels[:20], CLASSES)
    tested = measure(probabilities, labels, CLASSES, source="cross-validation")

    assert believed(holdout, tested, 20) is holdout
    assert believed(holdout, tested, 21) is tested
    assert believed(holdout, None, 21) is holdout
    assert believed(None, None, 1) is None


def test_a_label_of_another_class_list_is_said() -> None:
    with pytest.raises(LearningError, match="no class 'c'; it was trained for: a, b"):
        measure(np.array([[0.5, 0.5]]), ["c"], ("a", "b"))


def test_probabilities_that_are_no_numbers_are_said() -> None:
    with pytest.raises(LearningError, match="not finite"):
        measure(np.array([[0.5, np.nan]]), ["a"], ("a", "b"))


def test_a_single_class_and_a_single_item_are_measured() -> None:
    metrics = measure(np.array([[1.0]]), ["a"], ("a",))

    assert (metrics.accuracy, metrics.macro_f1) == (1.0, 1.0)
    assert metrics.accuracy_interval is not None
    assert metrics.accuracy_interval.low < 0.3
