"""What is wrong with labelled items is found, counted and handled by the rule it states."""

from collections.abc import Sequence

import numpy as np
import pytest

from labelloop.errors import LearningError
from labelloop.learning.preparation import (
    Examination,
    FindingKind,
    disagreeing,
    duplicate_groups,
    empty_items,
    examine,
    impossible_labels,
    leaking,
    majority_labels,
    repeated,
)

CLASSES = ("cat", "dog")


def _features(rows: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, 30)).astype(np.float32)


def _examined(items: Sequence[str], labels: Sequence[str], features: np.ndarray | None = None) -> Examination:
    return examine(items, labels, _features(len(items)) if features is None else features, CLASSES)


def _found(examination: Examination) -> dict[FindingKind, tuple[int, tuple[str, ...]]]:
    return {finding.kind: (finding.count, finding.ids) for finding in examination.findings}


def _clean(count: int = 40) -> tuple[list[str], list[str]]:
    return [f"item {number}" for number in range(count)], [CLASSES[number % 2] for number in range(count)]


def test_clean_items_are_kept_without_a_word() -> None:
    examination = _examined(*_clean())

    assert examination.kept.all()
    assert examination.findings == ()


def test_what_cannot_be_used_is_left_out() -> None:
    items, labels = _clean()
    features = _features(40)
    items[3], labels[5], features[7, 0] = " \n", "owl", np.nan
    features[3] = np.nan

    examination = _examined(items, labels, features)

    assert np.flatnonzero(~examination.kept).tolist() == [3, 5, 7]
    assert _found(examination) == {
        FindingKind.EMPTY: (1, ("3",)),
        FindingKind.IMPOSSIBLE_LABEL: (1, ("5",)),
        FindingKind.BROKEN: (1, ("7",)),
    }


def test_one_of_equal_items_is_kept_under_what_most_copies_say() -> None:
    items, labels = _clean()
    features = _features(40)
    items[10] = items[20] = items[30]
    features[10] = features[20] = features[30]
    labels[10], labels[20], labels[30] = "cat", "dog", "dog"

    examination = _examined(items, labels, features)

    assert np.flatnonzero(~examination.kept).tolist() == [20, 30]
    assert examination.labels[10] == "dog"
    assert _found(examination) == {
        FindingKind.DUPLICATE: (2, ("20", "30")),
        FindingKind.CONFLICT: (3, ("10", "20", "30")),
    }


def test_copies_that_disagree_evenly_are_all_left_out() -> None:
    items, labels = _clean()
    features = _features(40)
    items[10], features[10] = items[11], features[11]

    assert np.flatnonzero(~_examined(items, labels, features).kept).tolist() == [10, 11]


def test_an_unusable_copy_has_no_say() -> None:
    items, labels = _clean()
    features = _features(40)
    items[10], features[10], labels[10] = items[12], features[12], ""

    examination = _examined(items, labels, features)

    assert np.flatnonzero(~examination.kept).tolist() == [10]
    assert FindingKind.CONFLICT not in _found(examination)


def test_near_duplicates_are_kept_together_and_their_disagreement_is_told() -> None:
    items, labels = _clean()
    features = _features(40)
    features[21] = features[4] + 0.01

    examination = _examined(items, labels, features)

    assert examination.kept.all()
    assert examination.groups[21] == 4
    assert _found(examination) == {
        FindingKind.NEAR_DUPLICATE: (1, ("21",)),
        FindingKind.NEAR_CONFLICT: (2, ("4", "21")),
    }


@pytest.mark.parametrize("shift", [0.0, 0.01])
def test_what_is_held_out_too_is_taken_from_the_training_side(shift: float) -> None:
    items, labels = _clean()
    features = _features(40)
    features[2] = features[38] + shift
    if not shift:
        items[2] = items[38]
    held_out = np.arange(40) >= 30

    examination = examine(items, labels, features, CLASSES, held_out=held_out, ids=[f"task {row}" for row in range(40)])

    assert np.flatnonzero(~examination.kept).tolist() == [2]
    assert _found(examination)[FindingKind.LEAK] == (1, ("task 2",))


def test_rare_classes_and_imbalance_are_told() -> None:
    items = [f"item {number}" for number in range(43)]
    examination = _examined(items, ["cat"] * 40 + ["dog"] * 3)

    assert examination.kept.all()
    assert _found(examination) == {FindingKind.FEW: (1, ("dog",)), FindingKind.IMBALANCE: (2, ("cat", "dog"))}
    assert examination.findings[0].found == "1 of 2 classes has fewer than 5 items."


def test_classes_that_a_label_stands_for_are_counted_each() -> None:
    items, named = [f"item {number}" for number in range(20)], {"both": ("cat", "dog"), "cat": ("cat",), "": ()}
    labels = ["both"] * 3 + ["cat"] * 16 + [""]
    examination = examine(items, labels, _features(20), CLASSES, named=named)

    assert examination.kept.all()
    assert _found(examination) == {FindingKind.FEW: (1, ("dog",))}


def test_each_finding_says_what_and_what_is_done_in_one_sentence() -> None:
    items, labels = _clean()
    items[1], labels[2], labels[3] = "", "owl", "cat"
    items[3] = items[4]
    for finding in _examined(items, labels).findings:
        assert finding.found.endswith(".")
        assert finding.rule.endswith(".")
        assert finding.to_json()["kind"] == finding.kind


def test_only_the_first_of_many_are_named() -> None:
    items = ["" for _ in range(30)]
    finding = _examined(items, ["cat"] * 30).findings[0]

    assert finding.count == 30
    assert finding.ids == tuple(str(row) for row in range(10))


def test_no_items_at_all() -> None:
    examination = _examined([], [])

    assert examination.kept.size == 0
    assert _found(examination)[FindingKind.FEW][0] == 2


def test_arrays_that_do_not_match_are_refused() -> None:
    with pytest.raises(LearningError, match="3 items, 2 labels and 3 rows"):
        examine(["a", "b", "c"], ["cat", "dog"], _features(3), CLASSES)


def test_the_single_questions() -> None:
    groups = duplicate_groups([b"a", b"b", b"a", b""])

    assert groups.tolist() == [0, 1, 0, 3]
    assert repeated(groups).tolist() == [False, False, True, False]
    assert empty_items([b"a", b"b", b"a", b""]).tolist() == [False, False, False, True]
    assert impossible_labels(["cat", "", "owl"], CLASSES).tolist() == [False, True, True]
    assert disagreeing(groups, ["x", "x", "y", "y"]).tolist() == [True, False, True, False]
    assert majority_labels(groups, ["x", "x", "y", "y"]) == (None, "x", None, "y")
    assert leaking(groups, np.array([False, True, True, False])).tolist() == [True, False, False, False]
