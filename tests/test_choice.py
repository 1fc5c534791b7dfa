"""The choice between the supervised head and those trained beside it."""

from dataclasses import replace

import numpy as np
import pytest

from labelloop.errors import LearningError
from labelloop.learning.blending import BLEND
from labelloop.learning.candidates import POOL_ROWS, sampled_pool, train_candidates, worth_trying
from labelloop.learning.choice import Choice, Comparison, Prior, TrackRecord, choose, compare, expect
from labelloop.learning.contest import Unseen
from labelloop.learning.heads import HEADS, Head, Lesson, Recipe
from labelloop.learning.recipes import methods_named, recipe_named
from labelloop.learning.semisupervised import METHODS
from support.lessons import crossed_blobs, digits, digits_lesson, lesson_of

NOTHING = Unseen(np.zeros((0, 64), dtype=np.float32), np.zeros(0, dtype=np.int64))


def _sure(right: np.ndarray, confidence: float = 0.9) -> np.ndarray:
    """Probabilities of two classes for items that are all of the first."""
    first = np.where(right, confidence, 1 - confidence)
    return np.column_stack([first, 1 - first])


def _compared(name: str, right: int, base: int, items: int = 100) -> Comparison:
    numbers = np.arange(items)
    return compare(name, _sure(numbers < right), _sure(numbers < base), np.zeros(items, dtype=np.int64))


def test_a_clear_gain_wins() -> None:
    choice = choose("logistic", [_compared("a", 85, 70), _compared("b", 95, 70)], ["a", "b"], {})

    assert choice.method == "b"
    assert choice.reason.startswith("b beats logistic: 95 of 100 labels right against 70, log loss -0.5")


def test_noise_does_not_switch() -> None:
    choice = choose("logistic", [_compared("a", 70, 70), _compared("b", 60, 70)], ["a", "b"], {})

    assert choice.method == "logistic"
    assert "a 70 of 100 labels right against 70" in choice.reason


def test_surer_but_wronger_does_not_win() -> None:
    numbers = np.arange(100)
    candidate = compare("a", _sure(numbers < 80, 0.85), _sure(numbers < 90, 0.51), np.zeros(100, dtype=np.int64))

    assert candidate.gain > candidate.error
    assert choose("logistic", [candidate], ["a"], {}).method == "logistic"


def test_one_item_that_is_very_wrong_does_not_decide() -> None:
    numbers = np.arange(50)
    candidate = _sure(numbers < 50)
    candidate[0] = [0.0, 1.0]

    assert compare("a", candidate, _sure(numbers < 40), np.zeros(50, dtype=np.int64)).clear


def test_no_item_is_no_proof() -> None:
    empty = compare("a", np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0, dtype=np.int64))

    assert not empty.clear
    assert not compare("a", _sure(np.array([True])), _sure(np.array([False])), np.zeros(1, dtype=np.int64)).clear


def test_what_usually_helps_is_taken_where_nothing_can_be_tested() -> None:
    untested = compare("a", np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0, dtype=np.int64))
    choice = choose("logistic", [expect(untested, Prior(0.02, 0.06), 0.3)], ["a"], {})

    assert choice.method == "a"
    assert choice.reason == (
        "a is expected to beat logistic, as it usually does: no label could be held back, +2.0 points expected."
    )
    assert choose("logistic", [expect(untested, None, 0.3)], ["a"], {}).method == "logistic"
    assert choose("logistic", [expect(untested, Prior(-0.01, 0.06), 0.3)], ["a"], {}).method == "logistic"


@pytest.mark.parametrize(("items", "taken"), [(4, True), (40, False), (400, False)])
def test_labels_overrule_what_is_usual_the_more_of_them_there_are(items: int, taken: bool) -> None:
    hurts = expect(_compared("a", items // 2, items * 3 // 4, items), Prior(0.05, 0.05), 0.3)

    assert (choose("logistic", [hurts], ["a"], {}).method == "a") == taken


def test_what_is_expected_lies_between_the_usual_and_the_measured() -> None:
    expected = [
        expect(_compared("a", items * 9 // 10, items * 7 // 10, items), Prior(0.0, 0.05), 0.3).expected
        for items in (10, 100, 1000)
    ]

    assert expected == sorted(expected)
    assert 0 < expected[0] < 0.05
    assert expected[-1] > 0.15


def test_of_two_that_win_the_one_expected_to_gain_more_is_taken() -> None:
    sure, doubtful = Prior(0.02, 0.02), Prior(0.02, 0.2)
    figures = _compared("a", 12, 9, 20), _compared("b", 12, 9, 20)
    choice = choose("logistic", [expect(figures[0], sure, 0.3), expect(figures[1], doubtful, 0.3)], ["a", "b"], {})

    assert choice.method == "b"


def test_an_average_is_taken_unless_it_is_expected_to_lose_two_points() -> None:
    def chosen(expected: float) -> Choice:
        average = replace(_compared("mean", 70, 70), expected=expected)
        part = replace(_compared("a", 75, 70), expected=0.05)
        return choose("logistic", [part, average], ["mean"], {}, "mean")

    assert chosen(0.01).method == chosen(-0.01).method == "mean"
    assert chosen(-0.01).reason.startswith("mean is no worse than logistic by what can be told: 70 of 100 labels right")
    assert chosen(-0.03).method == "logistic"


def test_less_is_expected_the_more_labels_a_class_has() -> None:
    record = TrackRecord((0.06, 0.05, 0.04, 0.02, 0.01, 0.0), (0.1, 0.1, 0.05, 0.03, 0.02, 0.01))

    assert record.at(4) == Prior(0.04, 0.05)
    assert record.at(2**2.5).gain == pytest.approx(0.03)
    assert record.at(0.5) == record.at(1) == Prior(0.06, 0.1)
    assert record.at(500) == record.at(32) == Prior(0.0, 0.01)


def test_a_choice_of_an_earlier_release_is_read() -> None:
    stored = choose("logistic", [_compared("a", 95, 70)], ["a"], {}).to_json()
    for comparison in stored["comparisons"]:
        del comparison["expected"]

    assert Choice.from_json(stored).comparisons[0].expected is None


def test_one_label_a_class_is_enough_to_learn_from_the_pool() -> None:
    features, targets = digits()
    first = np.array([np.flatnonzero(targets == target)[0] for target in range(10)])
    lesson = lesson_of(features[first], targets[first], features[200:800])
    trained = train_candidates(lesson, methods_named("auto"), NOTHING, seed=0)

    assert trained.choice.method in {*METHODS, BLEND}
    assert "no label could be held back" in trained.choice.reason
    assert trained.reliability.items == 0


def test_without_a_pool_no_method_that_learns_from_one_is_tried() -> None:
    lesson, _, _ = digits_lesson(40)
    trained = train_candidates(lesson, list(METHODS.values()), NOTHING, seed=0)

    assert trained.choice.method == "logistic"
    assert trained.choice.comparisons == ()


def test_what_loses_on_the_holdout_may_not_win() -> None:
    choice = choose("logistic", [_compared("a", 95, 70)], [], {"b": "it broke"})

    assert choice.method == "logistic"
    assert "b could not be trained (it broke)" in choice.reason


def test_choice_survives_json() -> None:
    choice = choose("logistic", [_compared("a", 95, 70)], ["a"], {"b": "it broke"})

    assert Choice.from_json(choice.to_json()) == choice


def test_digits_choose_what_learns_from_the_pool() -> None:
    lesson, rows, targets = digits_lesson(80, pool=800)
    trained = train_candidates(lesson, methods_named("auto"), NOTHING, seed=0)
    plain = (HEADS["logistic"].fit(lesson, 0).logits(rows).argmax(axis=1) == targets).mean()

    assert trained.choice.method in {*METHODS, BLEND}
    assert (trained.head.logits(rows).argmax(axis=1) == targets).mean() > plain


@pytest.mark.parametrize("method", ["label_spreading", "spread_neighbours"])
def test_spreading_that_loses_ten_points_is_refused(method: str) -> None:
    features, targets = crossed_blobs(600)
    lesson = lesson_of(features[:120], targets[:120], features[120:])
    trained = train_candidates(lesson, [METHODS[method]], NOTHING, seed=0)
    (comparison,) = trained.choice.comparisons

    assert trained.choice.method == "logistic"
    assert comparison.expected is not None
    assert comparison.expected < 0
    assert comparison.right <= comparison.supervised_right - 0.1 * comparison.items


def test_the_holdout_can_refuse_what_cross_validation_likes() -> None:
    lesson, rows, targets = digits_lesson(80, pool=800)
    method = methods_named("label_spreading")
    head = METHODS["label_spreading"].fit(lesson, 0)
    spread, plain = (h.logits(rows).argmax(axis=1) for h in (head, HEADS["logistic"].fit(lesson, 0)))
    apart = np.flatnonzero(spread != plain)
    refusing = Unseen(rows[apart], plain[apart])

    assert train_candidates(lesson, method, Unseen(rows[:60], targets[:60]), seed=0).choice.method == "label_spreading"
    assert train_candidates(lesson, method, refusing, seed=0).choice.method == "logistic"


class _Broken(Recipe):
    name = "broken"

    def fit(self, lesson: Lesson, seed: int) -> Head:
        raise LearningError("it cannot be trained")


def test_a_candidate_that_cannot_be_trained_is_reported_and_left_out() -> None:
    lesson, _, _ = digits_lesson(60, classes=3)
    trained = train_candidates(lesson, [_Broken()], NOTHING, seed=0)

    assert trained.choice.method == "logistic"
    assert trained.choice.failed == {"broken": "it cannot be trained"}


def test_a_large_pool_is_sampled_and_broken_rows_left_out() -> None:
    pool = np.random.default_rng(0).normal(size=(5000, 8)).astype(np.float32)
    pool[:2500, 3] = np.nan
    sampled = sampled_pool(pool, 5, 0)

    assert sampled.shape == (POOL_ROWS, 8)
    assert np.isfinite(sampled).all()
    assert (sampled == sampled_pool(pool, 5, 0)).all()
    assert len(sampled_pool(np.zeros((5000, 2048), dtype=np.float32), 5, 0)) < 500


@pytest.mark.parametrize(
    ("labels", "pool", "why"), [(50, 3, "3 items"), (900, 5000, "900 labels of 5 classes"), (50, 500, "")]
)
def test_candidates_that_cannot_win_are_skipped(labels: int, pool: int, why: str) -> None:
    assert why in worth_trying(labels, 5, pool)
    assert bool(worth_trying(labels, 5, pool)) == bool(why)


def test_many_labels_of_many_classes_still_learn_from_the_pool() -> None:
    assert worth_trying(4000, 77, 5000) == ""
    assert "5001 labels" in worth_trying(5001, 77, 5000)


def test_a_head_that_needs_more_labels_a_class_is_not_tried() -> None:
    def tried(labels: int) -> list[str]:
        lesson, _, _ = digits_lesson(labels, classes=4)
        return [c.name for c in train_candidates(lesson, [HEADS["kernel"]], NOTHING, seed=0).choice.comparisons]

    assert tried(31) == []
    assert tried(32) == ["kernel"]


def test_a_name_that_does_not_exist_says_what_there_is() -> None:
    with pytest.raises(
        LearningError, match=r"'perceptron'; there are boosting, kernel, knn, label_spreading, logistic"
    ):
        recipe_named("perceptron")
    with pytest.raises(LearningError, match=r"'magic'; there are auto, label_spreading"):
        methods_named("magic")
