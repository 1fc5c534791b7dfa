"""Who is held out: fixed by content, stratified, never undone."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from labelloop.learning import assign_holdout


def _labels(counts: dict[str, int]) -> dict[str, str]:
    return {f"{label}{number}": label for label, count in counts.items() for number in range(count)}


def _held(labels: dict[str, str], sides: dict[str, bool]) -> Counter[str]:
    return Counter(label for key, label in labels.items() if sides[key])


def test_every_class_gives_its_share() -> None:
    labels = _labels({"cat": 50, "dog": 30, "owl": 20})

    assert _held(labels, assign_holdout(labels, {}, 0.1)) == {"cat": 5, "dog": 3, "owl": 2}


def test_exact_share_is_not_lost_to_rounding() -> None:
    labels = _labels({"cat": 10})

    assert sum(assign_holdout(labels, {}, 0.3).values()) == 3


def test_order_of_labelling_does_not_matter() -> None:
    labels = _labels({"cat": 40, "dog": 23})
    shuffled = list(labels.items())
    random.Random(1).shuffle(shuffled)

    assert assign_holdout(dict(shuffled), {}, 0.2) == assign_holdout(labels, {}, 0.2)


def test_what_is_placed_stays_and_the_share_is_kept_as_labels_come() -> None:
    labels = _labels({"cat": 70, "dog": 30})
    keys = sorted(labels, key=lambda key: int(key[3:]))
    sides: dict[str, bool] = {}
    for seen in range(10, 101, 10):
        before, sides = sides, assign_holdout({key: labels[key] for key in keys[:seen]}, sides, 0.2)
        assert before.items() <= sides.items()

    assert _held(labels, sides).total() == 20
    assert abs(_held(labels, sides)["cat"] - 14) <= 1


def test_new_label_of_an_old_item_does_not_move_it() -> None:
    labels = _labels({"cat": 20, "dog": 20})
    sides = assign_holdout(labels, {}, 0.25)
    relabelled = dict.fromkeys(labels, "dog")

    assert assign_holdout(relabelled, sides, 0.25) == sides


def test_item_that_lost_its_label_keeps_its_place() -> None:
    labels = _labels({"cat": 20})
    sides = assign_holdout(labels, {}, 0.5)
    fewer = dict(list(labels.items())[:5])

    assert assign_holdout(fewer, sides, 0.5) == sides


def test_last_training_example_of_a_class_is_never_taken() -> None:
    labels = _labels({"rare": 1, "cat": 2, "dog": 3})

    assert _held(labels, assign_holdout(labels, {}, 1.0))["rare"] == 0
    assert _held(labels, assign_holdout(labels, {}, 1.0))["cat"] <= 1


def test_late_holdout_takes_at_most_half_of_what_is_new() -> None:
    old = {f"old{number}": "cat" for number in range(100)}
    sides = assign_holdout(old, {}, 0.0)
    labels = old | {f"new{number}": "cat" for number in range(10)}

    assert sum(assign_holdout(labels, sides, 0.2).values()) == 5


def test_nothing_held_out_for_a_share_of_zero_or_without_labels() -> None:
    assert not any(assign_holdout(_labels({"cat": 9}), {}, 0.0).values())
    assert assign_holdout({}, {}, 0.1) == {}


@given(
    labels=st.dictionaries(st.text(max_size=5), st.sampled_from("abc"), max_size=40),
    placed=st.dictionaries(st.text(max_size=5), st.booleans(), max_size=20),
    share=st.floats(0, 1),
)
def test_never_more_than_the_share_of_new_items_and_nothing_forgotten(
    labels: dict[str, str], placed: dict[str, bool], share: float
) -> None:
    sides = assign_holdout(labels, placed, share)
    newly = sum(sides[key] for key in labels if key not in placed)

    assert sides.keys() == labels.keys() | placed.keys()
    assert placed.items() <= sides.items()
    assert newly == 0 or sum(sides[key] for key in labels) <= share * len(labels) + 1e-6
