"""What a holdout that is harder than the pool tells of the pool."""

import numpy as np
import pytest

from labelloop.errors import LearningError
from labelloop.learning.intervals import wilson
from labelloop.learning.pool_accuracy import pool_accuracy


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
        found = pool_accuracy(confidence, right, pool)
        assert found is not None and found.worth < 100
        within += found.interval.low <= pool_right.mean() <= found.interval.high
        far += wilson(int(right.sum()), 100).high < pool_right.mean()
    assert within >= 90
    assert far == 100


def test_a_holdout_that_is_like_the_pool_is_taken_as_it_is() -> None:
    confidence, right = _world(200, 3, hard=False)
    found = pool_accuracy(confidence, right, confidence)
    assert found is not None
    assert found.accuracy == pytest.approx(right.mean())
    assert found.worth == pytest.approx(200)


def test_few_labels_or_no_pool_tell_nothing() -> None:
    confidence, right = _world(19, 4, hard=True)
    assert pool_accuracy(confidence, right, np.full(5, 0.5)) is None
    confidence, right = _world(20, 4, hard=True)
    assert pool_accuracy(confidence, right, np.zeros(0)) is None
    assert pool_accuracy(confidence, right, np.full(5, 0.5)) is not None


def test_equal_confidences_are_one_stratum() -> None:
    found = pool_accuracy(np.full(40, 0.7), np.arange(40) < 30, np.full(9, 0.7))
    assert found is not None
    assert (found.accuracy, found.worth) == (pytest.approx(0.75), pytest.approx(40))


def test_confidences_that_are_no_numbers_are_left_out() -> None:
    confidence, right = _world(40, 5, hard=True)
    holes = np.concatenate([confidence, [np.nan]]), np.concatenate([right, [False]])
    pool = np.array([0.4, 0.9])
    assert pool_accuracy(*holes, np.append(pool, np.nan)) == pool_accuracy(confidence, right, pool)
    with pytest.raises(LearningError, match="2 confidences for 1"):
        pool_accuracy(np.ones(2), np.ones(1, dtype=bool), pool)
