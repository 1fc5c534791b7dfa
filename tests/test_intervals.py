"""Intervals hold what they promise, on few items too."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from labelloop.learning.intervals import _macro_f1, macro_f1_interval, wilson


@pytest.mark.parametrize(("right", "items"), [(0, 1), (1, 1), (7, 10), (20, 20), (450, 500)])
def test_wilson_agrees_with_scipy(right: int, items: int) -> None:
    expected = binomtest(right, items).proportion_ci(0.95, method="wilson")
    assert (wilson(right, items).low, wilson(right, items).high) == pytest.approx((expected.low, expected.high))


def test_of_no_items_nothing_is_known() -> None:
    empty = np.zeros(0, dtype=int)
    for interval in (wilson(0, 0), macro_f1_interval(empty, empty, 3)):
        assert (interval.low, interval.high) == (0.0, 1.0)


def test_macro_f1_of_counted_pairs_agrees_with_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    truth, predicted = generator.integers(0, 4, 50), generator.integers(0, 3, 50)
    pairs, counts = np.unique(truth * 5 + predicted, return_counts=True)
    [value] = _macro_f1(counts[None, :], pairs // 5, pairs % 5)
    assert value == pytest.approx(f1_score(truth, predicted, average="macro", zero_division=0))


def test_all_right_is_not_certainty() -> None:
    truth = np.arange(20) % 4
    interval = macro_f1_interval(truth, truth, 4)
    assert interval.high == 1.0
    assert interval.low == pytest.approx(wilson(20, 20).low)


def test_equal_predictions_and_a_single_class_have_an_interval() -> None:
    truth = np.arange(30) % 3
    same = np.zeros(30, dtype=int)
    for interval in (macro_f1_interval(truth, same, 3), macro_f1_interval(same, same, 3)):
        assert 0.0 <= interval.low < interval.high <= 1.0


def test_the_same_seed_gives_the_same_interval() -> None:
    generator = np.random.default_rng(2)
    truth, predicted = generator.integers(0, 3, 40), generator.integers(0, 3, 40)
    assert macro_f1_interval(truth, predicted, 3, seed=4) == macro_f1_interval(truth, predicted, 3, seed=4)


@pytest.mark.parametrize("items", [20, 60])
def test_nineteen_of_twenty_intervals_hold_the_truth(items: int) -> None:
    """A model of four classes of unequal size, right on 70 to 95 % of each."""
    generator = np.random.default_rng(5)
    share, recall = np.array([0.5, 0.25, 0.15, 0.1]), np.array([0.95, 0.9, 0.8, 0.7])

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        truth = generator.choice(4, size=count, p=share)
        wrong = (truth + generator.integers(1, 4, count)) % 4
        return truth, np.where(generator.random(count) < recall[truth], truth, wrong)

    true_f1 = f1_score(*draw(200_000), average="macro")
    in_f1 = in_accuracy = 0
    for _ in range(200):
        truth, predicted = draw(items)
        f1, accuracy = macro_f1_interval(truth, predicted, 4), wilson(int((truth == predicted).sum()), items)
        in_f1 += f1.low <= true_f1 <= f1.high
        in_accuracy += accuracy.low <= share @ recall <= accuracy.high
    assert in_accuracy >= 184
    assert in_f1 >= 180
