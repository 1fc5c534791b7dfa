"""What labelled items that are harder than the pool tell of the pool."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from labelloop.errors import LearningError
from labelloop.learning import STRATEGIES, ClassificationLearner, Pool, skill
from labelloop.learning.intervals import wilson
from labelloop.learning.pool_accuracy import Answers, pool_accuracy
from labelloop.records import ClassTarget


def _world(items: int, seed: int, hard: bool) -> tuple[np.ndarray, np.ndarray]:
    """Confidences of a calibrated model, mostly low where the items were picked for being hard, and whether it is right."""
    generator = np.random.default_rng(seed)
    confidence = generator.beta(2, 2, items) if hard else generator.beta(6, 1, items)
    return confidence, generator.random(items) < confidence


def test_a_holdout_picked_for_being_hard_tells_of_an_easier_pool() -> None:
    pool, pool_right = _world(20_000, 0, hard=False)
    within = far = 0
    for seed in range(1, 101):
        confidence, right = _world(100, seed, hard=True)
        found = pool_accuracy(Answers(confidence, right), pool)
        assert found is not None and found.worth < 100
        within += found.interval.low <= pool_right.mean() <= found.interval.high
        far += wilson(int(right.sum()), 100).high < pool_right.mean()
    assert within >= 90
    assert far == 100


def test_a_holdout_that_is_like_the_pool_is_taken_as_it_is() -> None:
    confidence, right = _world(200, 3, hard=False)
    found = pool_accuracy(Answers(confidence, right), confidence)
    assert found is not None
    assert found.accuracy == pytest.approx(right.mean())
    assert found.worth == pytest.approx(200)


def test_few_labels_or_no_pool_tell_nothing() -> None:
    confidence, right = _world(19, 4, hard=True)
    assert pool_accuracy(Answers(confidence, right), np.full(5, 0.5)) is None
    confidence, right = _world(20, 4, hard=True)
    assert pool_accuracy(Answers(confidence, right), np.zeros(0)) is None
    assert pool_accuracy(Answers(confidence, right), np.full(5, 0.5)) is not None


def test_equal_confidences_are_one_stratum() -> None:
    found = pool_accuracy(Answers(np.full(40, 0.7), np.arange(40) < 30), np.full(9, 0.7))
    assert found is not None
    assert (found.accuracy, found.worth) == (pytest.approx(0.75), pytest.approx(40))


def test_confidences_that_are_no_numbers_are_left_out() -> None:
    confidence, right = _world(40, 5, hard=True)
    holes = np.concatenate([confidence, [np.nan]]), np.concatenate([right, [False]])
    pool = np.array([0.4, 0.9])
    assert pool_accuracy(Answers(*holes), np.append(pool, np.nan)) == pool_accuracy(Answers(confidence, right), pool)
    with pytest.raises(LearningError, match="2 confidences for 1"):
        pool_accuracy(Answers(np.ones(2), np.ones(1, dtype=bool)), pool)


def test_what_could_not_be_tested_counts_against_the_lower_end_alone() -> None:
    confidence, right = _world(40, 6, hard=False)
    all_tested = pool_accuracy(Answers(confidence, right), confidence)
    found = pool_accuracy(Answers(confidence, right, untested=20), confidence)
    assert found is not None and all_tested is not None
    assert found.accuracy == all_tested.accuracy
    assert found.interval.low < all_tested.interval.low
    assert found.interval.high == all_tested.interval.high


def test_answers_of_two_tests_go_together() -> None:
    confidence, right = _world(40, 7, hard=False)
    both = Answers(confidence[:15], right[:15], untested=1) + Answers(confidence[15:], right[15:], untested=2)
    assert both.untested == 3
    assert pool_accuracy(both, confidence) == pool_accuracy(Answers(confidence, right, untested=3), confidence)


def test_along_the_order_cross_validation_tells_of_the_pool_and_its_plain_share_does_not() -> None:
    pixels, labels = load_digits(return_X_y=True)
    features, classes = pixels.astype(np.float32), [str(number) for number in range(10)]
    found_off, share_off = [], []
    for seed in range(3):
        have = _bought(features, labels, classes, 100, seed)
        left = np.setdiff1d(np.arange(len(labels)), have)
        learner = _taught(features, labels, classes, have, seed)
        said = learner.probabilities(features[left])
        assert learner.cv_answers is not None and learner.cv_metrics is not None
        found = pool_accuracy(learner.cv_answers, said.max(axis=1))
        assert found is not None
        truth = float((said.argmax(axis=1) == labels[left]).mean())
        found_off.append(abs(found.accuracy - truth))
        share_off.append(abs(learner.cv_metrics.accuracy - truth))
    assert np.mean(found_off) < np.mean(share_off) / 2


def _bought(features: np.ndarray, labels: np.ndarray, classes: list[str], count: int, seed: int) -> np.ndarray:
    """Rows labelled along `auto`, in batches that double their number."""
    have = np.zeros(0, dtype=np.int64)
    while len(have) < count:
        learner = _taught(features, labels, classes, have, seed) if len(have) else None
        left = np.setdiff1d(np.arange(len(labels)), have)
        batch = min(max(10, len(have)), count - len(have))
        pool = Pool(
            features[left],
            labelled=features[have],
            probabilities=learner.probabilities(features[left]) if learner else None,
            labels=labels[have],
            classes=10,
            skill=skill(learner.cv_metrics) if learner and learner.cv_metrics else None,
            batch=batch,
        )
        have = np.concatenate([have, left[STRATEGIES["auto"].order(pool, seed)[:batch]]])
    return have


def _taught(
    features: np.ndarray, labels: np.ndarray, classes: list[str], have: np.ndarray, seed: int
) -> ClassificationLearner:
    return ClassificationLearner.fit(
        features[have], [ClassTarget(classes[n]) for n in labels[have]], classes, seed=seed
    )
