"""The classification learner: what it learns, what it says, and what it makes of odd labels."""

import os
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save
from sklearn.datasets import load_digits

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning import ClassificationLearner, Metrics
from labelloop.learning.intervals import wilson
from labelloop.records import ClassTarget

DIGITS = tuple("0123456789")


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, list[ClassTarget]]:
    data = load_digits()
    shuffled = np.random.default_rng(0).permutation(len(data.target))  # neighbours are by the same hand
    return data.data[shuffled].astype(np.float32), [ClassTarget(str(target)) for target in data.target[shuffled]]


@pytest.fixture(scope="module")
def learner(digits: tuple[np.ndarray, list[ClassTarget]]) -> ClassificationLearner:
    features, targets = digits
    return ClassificationLearner.fit(features[:500], targets[:500], DIGITS)


def _blobs(counts: dict[str, int], seed: int = 0, columns: int = 8) -> tuple[np.ndarray, list[ClassTarget]]:
    """Points around one centre per class; the centres do not depend on the seed."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(26, columns)) * 2
    labels = [label for label, count in counts.items() for _ in range(count)]
    points = np.stack([centres[ord(label) - 97] + generator.normal(size=columns) for label in labels])
    return points.astype(np.float32), [ClassTarget(label) for label in labels]


def test_digits_are_learnt_and_calibrated(
    digits: tuple[np.ndarray, list[ClassTarget]], learner: ClassificationLearner
) -> None:
    metrics = learner.evaluate(digits[0][500:], digits[1][500:])

    assert metrics.source == "holdout"
    assert metrics.items == 1297
    assert metrics.accuracy > 0.92
    assert metrics.ece < 0.04
    assert learner.cv_metrics is not None
    assert learner.cv_metrics.source == "cross-validation"
    assert learner.cv_metrics.items == 200  # of a candidate two folds of five are enough
    assert learner.cv_metrics.accuracy > 0.92


def test_predictions_agree_with_probabilities(
    digits: tuple[np.ndarray, list[ClassTarget]], learner: ClassificationLearner
) -> None:
    features = digits[0][500:520]
    probabilities = learner.probabilities(features)
    predictions = learner.predict(features)

    assert probabilities.sum(axis=1) == pytest.approx(np.ones(20))
    for row, prediction in zip(probabilities, predictions, strict=True):
        two = np.sort(row)[-2:]
        assert prediction.label == DIGITS[row.argmax()]
        assert prediction.confidence == pytest.approx(row.max())
        assert prediction.uncertainty == pytest.approx(1 - (two[1] - two[0]))
        assert list(prediction.probabilities) == list(DIGITS)


def test_no_row_gives_no_prediction(learner: ClassificationLearner) -> None:
    assert learner.predict(np.zeros((0, 64), dtype=np.float32)) == []


def test_class_without_a_label_keeps_its_place() -> None:
    features, targets = _blobs({"a": 10, "c": 10})
    learner = ClassificationLearner.fit(features, targets, ("a", "b", "c", "d"))
    probabilities = learner.probabilities(features)

    assert np.allclose(probabilities[:, [1, 3]], 1 / 42)  # two of four classes after twenty labels, none of them alone
    assert np.allclose(probabilities.sum(axis=1), 1)
    restored = ClassificationLearner.from_arrays(learner.arrays(), learner.meta())
    assert np.array_equal(restored.probabilities(features), probabilities)
    assert [prediction.label for prediction in learner.predict(features)] == ["a"] * 10 + ["c"] * 10


def test_order_of_the_config_decides_the_columns() -> None:
    features, targets = _blobs({"a": 10, "b": 10, "c": 10})
    forwards = ClassificationLearner.fit(features, targets, ("a", "b", "c")).probabilities(features)
    backwards = ClassificationLearner.fit(features, targets, ("c", "b", "a")).probabilities(features)

    assert backwards[:, ::-1].argmax(axis=1).tolist() == forwards.argmax(axis=1).tolist()


def test_stored_learner_says_the_same(
    digits: tuple[np.ndarray, list[ClassTarget]], learner: ClassificationLearner
) -> None:
    restored = ClassificationLearner.from_arrays(load(save(learner.arrays())), learner.meta())

    assert restored.predict(digits[0][:50]) == learner.predict(digits[0][:50])
    assert restored.cv_metrics == learner.cv_metrics
    assert restored.meta() == learner.meta()


def test_predicting_imports_no_training_library(learner: ClassificationLearner, tmp_path: Path) -> None:
    stored = tmp_path / "learner.safetensors"
    stored.write_bytes(save(learner.arrays()))
    code = f"""
import sys
import numpy as np
from safetensors.numpy import load_file
from labelloop.learning import ClassificationLearner
learner = ClassificationLearner.from_arrays(load_file({str(stored)!r}), {learner.meta()!r})
assert len(learner.predict(np.zeros((2, 64), dtype=np.float32))) == 2
assert not {{"sklearn", "scipy", "torch"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_same_seed_same_model(digits: tuple[np.ndarray, list[ClassTarget]]) -> None:
    features, targets = digits
    one, other = (ClassificationLearner.fit(features[:80], targets[:80], DIGITS, seed=4).arrays() for _ in range(2))

    assert all((one[name] == other[name]).all() for name in one)


def test_fewer_rows_than_columns_give_the_same_model_as_their_span() -> None:
    features, targets = _blobs({"a": 9, "b": 9, "c": 9}, columns=20)
    padded = np.concatenate([features, np.zeros((27, 30), dtype=np.float32)], axis=1)
    narrow = ClassificationLearner.fit(features, targets, ("a", "b", "c")).probabilities(features)
    wide = ClassificationLearner.fit(padded, targets, ("a", "b", "c")).probabilities(padded)

    assert wide == pytest.approx(narrow, abs=0.02)


def test_weight_of_a_doubtful_label_counts() -> None:
    features, targets = _blobs({"a": 12, "b": 12})
    wrong = [ClassTarget("b") for _ in range(4)] + targets[4:]
    doubted = [ClassTarget("b", weight=0.01) for _ in range(4)] + targets[4:]
    believed = ClassificationLearner.fit(features, wrong, ("a", "b")).probabilities(features[:4])[:, 0]
    discounted = ClassificationLearner.fit(features, doubted, ("a", "b")).probabilities(features[:4])[:, 0]

    assert (discounted > believed).all()


def test_rare_class_is_not_answered_away() -> None:
    """With few labels in many columns the bias outweighs what an unseen item shows, so offsets must correct it."""
    features, targets = _blobs({"a": 70, "b": 10}, columns=400)
    features[:, :] += np.random.default_rng(1).normal(size=features.shape).astype(np.float32) * 6
    unseen, truth = _blobs({"a": 50, "b": 50}, seed=5, columns=400)
    unseen += np.random.default_rng(2).normal(size=unseen.shape).astype(np.float32) * 6
    learner = ClassificationLearner.fit(features, targets, ("a", "b"))

    assert learner.evaluate(unseen, truth).per_class["b"].recall > 0.3


def test_class_with_one_label_is_learnt() -> None:
    features, targets = _blobs({"a": 10, "b": 10, "c": 1})
    learner = ClassificationLearner.fit(features, targets, ("a", "b", "c"))

    assert learner.predict(features[-1:])[0].label == "c"
    assert learner.cv_metrics is not None
    assert learner.cv_metrics.items == 20


def test_only_class_with_two_labels_does_not_win_them_all() -> None:
    """Cross-validation can test no other class, which must not count for it."""
    features, targets = _blobs({"a": 2, "b": 1, "c": 1, "d": 1, "e": 1})
    unseen, truth = _blobs({"a": 20, "b": 20, "c": 20, "d": 20, "e": 20}, seed=3)
    learner = ClassificationLearner.fit(features, targets, ("a", "b", "c", "d", "e"))

    assert learner.evaluate(unseen, truth).accuracy > 0.8


def test_one_label_of_each_class_is_enough() -> None:
    features, targets = _blobs({"a": 1, "b": 1, "c": 1})
    learner = ClassificationLearner.fit(features, targets, ("a", "b", "c"))

    assert [prediction.label for prediction in learner.predict(features)] == ["a", "b", "c"]
    assert learner.cv_metrics is None


@pytest.mark.parametrize("counts", [{}, {"a": 5}])
def test_fewer_than_two_classes_are_not_enough(counts: dict[str, int]) -> None:
    features, targets = _blobs(counts) if counts else (np.zeros((0, 8), dtype=np.float32), [])

    with pytest.raises(NotEnoughLabels, match="two classes"):
        ClassificationLearner.fit(features, targets, ("a", "b"))


def test_label_that_the_config_lost_is_set_aside() -> None:
    features, targets = _blobs({"a": 6, "b": 6, "z": 6})
    learner = ClassificationLearner.fit(features, targets, ("a", "b"))

    assert learner.evaluate(features, targets).items == 12
    with pytest.raises(NotEnoughLabels):
        learner.evaluate(features[12:], targets[12:])


def test_row_that_is_not_finite_is_left_out_of_training_and_refused_in_prediction() -> None:
    features, targets = _blobs({"a": 6, "b": 6})
    features[0, 3] = np.nan
    features[7, 1] = np.inf
    learner = ClassificationLearner.fit(features, targets, ("a", "b"))

    assert learner.evaluate(features, targets).items == 10
    with pytest.raises(LearningError, match="not finite"):
        learner.predict(features)


def test_equal_features_give_the_share_of_each_class() -> None:
    features = np.full((20, 5), 3.1, dtype=np.float32)
    learner = ClassificationLearner.fit(features, [ClassTarget("a")] * 15 + [ClassTarget("b")] * 5, ("a", "b"))

    assert learner.probabilities(features[:1])[0] == pytest.approx([0.75, 0.25], abs=0.1)


def test_features_of_another_backbone_are_refused(learner: ClassificationLearner) -> None:
    with pytest.raises(LearningError, match=r"64 features.*another backbone"):
        learner.predict(np.zeros((1, 10), dtype=np.float32))


def test_targets_and_rows_must_match() -> None:
    with pytest.raises(LearningError, match="1 targets for 2 rows"):
        ClassificationLearner.fit(np.zeros((2, 3)), [ClassTarget("a")], ("a", "b"))


def test_unknown_uncertainty_is_refused_before_training() -> None:
    with pytest.raises(LearningError, match="No uncertainty is called 'bald'"):
        ClassificationLearner.fit(np.zeros((0, 3)), [], ("a", "b"), uncertainty="bald")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_trains_in_a_forked_process_after_training_in_its_parent(
    digits: tuple[np.ndarray, list[ClassTarget]], learner: ClassificationLearner
) -> None:
    features, targets = digits
    with get_context("fork").Pool(1) as pool:
        forked = pool.apply_async(ClassificationLearner.fit, (features[:500], targets[:500], DIGITS)).get(timeout=60)

    assert forked.probabilities(features[:9]) == pytest.approx(learner.probabilities(features[:9]))


def test_what_cross_validation_tells_is_not_of_items_that_the_calibration_was_fitted_on() -> None:
    """Where nothing foretells the labels, a calibration that had seen them promised 0.07 of log loss too much."""
    told, found = [], []
    for seed in range(6):
        generator = np.random.default_rng(seed)
        features, numbers = generator.normal(size=(630, 30)).astype(np.float32), np.arange(630) % 3
        targets = [ClassTarget("abc"[number]) for number in numbers]
        learner = ClassificationLearner.fit(features[:30], targets[:30], "abc", seed=seed)
        assert learner.cv_metrics is not None
        told.append(learner.cv_metrics.log_loss)
        found.append(learner.evaluate(features[30:], targets[30:]).log_loss)

    assert np.mean(told) > np.mean(found) - 0.045


def test_a_class_with_one_label_is_not_passed_over_in_silence() -> None:
    """It is in no fold, as nothing would be known of it without its label; at worst all of its like are wrong."""
    features = np.random.default_rng(3).normal(size=(35, 8)).astype(np.float32)
    features[:15, 0] += 6
    targets = [ClassTarget("a")] * 15 + [ClassTarget("b")] * 15 + [ClassTarget(f"rare {n}") for n in range(5)]
    metrics = ClassificationLearner.fit(features, targets, sorted({one.label for one in targets})).cv_metrics

    assert metrics is not None
    assert metrics.accuracy_interval is not None
    assert (metrics.items, metrics.untested) == (30, 5)
    right = round(metrics.accuracy * 30)
    assert metrics.accuracy_interval.low == pytest.approx(wilson(right, 35).low)
    assert metrics.accuracy_interval.high == pytest.approx(wilson(right, 30).high)
    assert Metrics.from_json(metrics.to_json()) == metrics
