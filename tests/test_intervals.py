"""Intervals hold what they promise, on few items too."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from labelloop.learning.boxes.decoding import Candidates
from labelloop.learning.boxes.figures import Judged
from labelloop.learning.boxes.figures import figures as box_figures
from labelloop.learning.boxes.lessons import Truth
from labelloop.learning.intervals import Interval, _macro_f1, drawn_interval, f1_interval, macro_f1_interval, wilson
from labelloop.learning.masks.figures import figures as mask_figures


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


@pytest.mark.parametrize("items", [2, 3, 4, 5, 10])
@pytest.mark.parametrize(
    "of_each",
    [
        lambda chance, size: chance.beta(8, 2, size),
        lambda chance, size: chance.beta(0.5, 0.5, size),
        lambda chance, size: np.where(chance.random(size) < 0.1, 0, chance.beta(20, 2, size)),
        lambda chance, size: (chance.random(size) < 0.8).astype(float),
    ],
    ids=["good", "good or bad", "seldom a miss", "all or nothing"],
)
def test_intervals_of_few_images_hold_the_truth(of_each: Callable[..., np.ndarray], items: int) -> None:
    """The percentiles of the draws alone hold it in half of the cases at two images, and in three of four at four."""
    chance = np.random.default_rng(7)
    truth = float(of_each(chance, 200_000).mean())
    held = 0
    for sample in of_each(chance, (400, items)):
        times = chance.multinomial(items, np.full(items, 1 / items), size=200)
        interval = drawn_interval(times @ sample / items, float(sample.mean()), items)
        held += interval.low <= truth <= interval.high
    assert held / 400 > 0.93


def test_intervals_of_many_images_are_as_narrow_as_they_may_be() -> None:
    chance = np.random.default_rng(8)
    truth, held, widths = 0.8, 0, []
    for sample in chance.beta(8, 2, (400, 40)):
        times = chance.multinomial(40, np.full(40, 1 / 40), size=200)
        interval = drawn_interval(times @ sample / 40, float(sample.mean()), 40)
        held += interval.low <= truth <= interval.high
        widths.append(interval.high - interval.low)
    assert 0.92 < held / 400 < 0.99
    assert np.mean(widths) < 0.1


def test_images_that_do_not_differ_are_no_certainty() -> None:
    assert drawn_interval(np.ones(100), 1.0, 40).low == pytest.approx(wilson(40, 40).low)
    assert drawn_interval(np.ones(100), 1.0, 1) == Interval(0.0, 1.0)


@pytest.mark.parametrize("images", [2, 3, 5])
def test_figures_of_areas_in_few_images_hold_the_truth(images: int) -> None:
    chance, held = np.random.default_rng(9), 0
    truth = 0.8 / (2 - 0.8)  # of overlaps of 0.8 on average in areas of the same size
    for overlap in chance.beta(8, 2, (100, images, 1)):
        told = mask_figures([np.stack([one, np.ones(1), np.ones(1)], axis=1) for one in overlap], ["cell"], "holdout")
        assert told.interval is not None
        held += told.interval.low <= truth <= told.interval.high
    assert held >= 93


@pytest.mark.parametrize("images", [2, 4])
def test_figures_of_boxes_in_few_images_hold_the_truth(images: int) -> None:
    """Ten boxes an image; the shares of them that are found differ from image to image, and what is found is right."""
    chance, held = np.random.default_rng(10), 0
    truth = 0.8
    for shares in chance.beta(8, 2, (60, images)):
        told = box_figures([_ten_boxes(int(chance.binomial(10, share))) for share in shares], ["cell"], "holdout")
        assert told.interval is not None
        held += told.interval.low <= truth <= told.interval.high
    assert held >= 56


def _ten_boxes(found: int) -> Judged:
    left = np.arange(10) / 10
    corners = np.stack([left, np.zeros(10), left + 0.1, np.ones(10)], axis=1)
    columns = np.zeros(10, dtype=np.int64)
    seen = Candidates(corners[:found], columns[:found], np.ones(found))
    return Judged(Truth(corners, columns), seen, np.ones(found), found, (100, 100))


def test_the_draws_of_many_items_are_made_a_few_at_a_time() -> None:
    counts = np.random.default_rng(0).integers(0, 3, (5000, 3))
    tracemalloc.start()
    f1_interval(counts, len(counts))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 20e6  # all at once would be 40 MB
