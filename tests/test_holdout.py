"""Who is held out: fixed by content, stratified, never undone."""

import random
import time
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from labelloop.learning import ClassificationLearner, assign_holdout, judged_keys
from labelloop.records import ClassTarget, SetTarget, strata


def _labels(counts: dict[str, int]) -> dict[str, str]:
    return {f"{label}{number}": label for label, count in counts.items() for number in range(count)}


def _held(labels: dict[str, str], sides: dict[str, bool]) -> Counter[str]:
    return Counter(label for key, label in labels.items() if sides[key])


def test_every_class_gives_its_share() -> None:
    labels = _labels({"cat": 50, "dog": 30, "owl": 20})

    assert _held(labels, assign_holdout(labels, {}, 0.1)) == {"cat": 5, "dog": 3, "owl": 2}


def test_items_of_many_classes_each_give_their_share() -> None:
    drawn = np.random.default_rng(0).random((200, 30)) < 0.2
    names = [tuple(f"class {n:02}" for n in np.flatnonzero(row)) for row in drawn]
    labels = strata({str(number): SetTarget(several) for number, several in enumerate(names)})
    sides = assign_holdout(labels, {}, 0.2)
    taught = {name for number, several in enumerate(names) for name in several if not sides[str(number)]}

    assert len(set(names)) > 190
    assert sum(sides.values()) == 40
    assert len(taught) == 30


def test_thousands_of_classes_take_no_longer_than_a_few() -> None:
    labels = {f"key {number}": f"class {number % 10_000}" for number in range(40_000)}
    started = time.process_time()
    sides = assign_holdout(labels, {}, 0.1)

    assert sum(sides.values()) == 4000
    assert time.process_time() - started < 5


def test_a_key_that_no_encoding_holds_has_its_place() -> None:
    labels = dict.fromkeys((f"cut off \udcff{number}" for number in range(10)), "cat")

    assert sum(assign_holdout(labels, {}, 0.2).values()) == 2


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


def test_new_items_follow_the_near_duplicates_that_are_placed() -> None:
    sides = {"held": True, "trained": False}
    labels = dict.fromkeys(["held", "trained", *(f"{name}{n}" for name in ("h", "t") for n in range(5))], "cat")
    groups = {key: key[0] for key in labels}
    placed = assign_holdout(labels, sides, 0.5, groups)

    assert all(placed[f"h{n}"] for n in range(5))
    assert not any(placed[f"t{n}"] for n in range(5))


def test_a_group_of_new_items_is_placed_as_one_and_counted_once() -> None:
    labels = _labels({"cat": 40, "dog": 40})
    groups = {key: int(key[3:]) // 2 for key in labels if key[:3] == "cat"}
    sides = assign_holdout(labels, {}, 0.2, groups)

    assert all(sides[f"cat{2 * n}"] == sides[f"cat{2 * n + 1}"] for n in range(20))
    assert 0 < len(judged_keys(sides, groups)) <= 16
    assert len(judged_keys(sides, groups)) < sum(sides.values())


def test_an_item_that_joins_both_sides_takes_its_relatives_out_of_the_judging() -> None:
    sides = {"held": True, "trained": False, "other": True}
    groups = {"held": 1, "trained": 1, "bridge": 1}
    placed = assign_holdout(dict.fromkeys([*sides, "bridge"], "cat"), sides, 0.0, groups)

    assert placed == sides | {"bridge": False}
    assert judged_keys(placed, groups) == {"other"}


def test_copies_of_a_held_out_item_neither_decide_the_judging_nor_end_its_growth() -> None:
    labels = _labels({"cat": 50})
    sides = assign_holdout(labels, {}, 0.1)
    victim = next(key for key, held in sides.items() if held)
    poison = {f"copy{n}": "dog" for n in range(50)}
    groups = dict.fromkeys([victim, *poison], 0)
    more = labels | poison | _labels({"owl": 50})
    after = assign_holdout(more, sides, 0.1, groups)

    assert all(after[key] for key in poison)
    assert judged_keys(after, groups).isdisjoint(poison)
    assert victim in judged_keys(after, groups)
    assert len(judged_keys(after, groups)) == 15


def test_a_near_duplicate_is_judged_on_when_the_one_before_it_has_lost_its_label() -> None:
    sides, groups = {"first": True, "second": True}, {"first": 0, "second": 0}

    assert judged_keys(sides, groups) == {"first"}
    assert judged_keys({"second": True}, groups) == {"second"}
    placed = assign_holdout({"second": "cat", **_labels({"cat": 9})}, sides, 0.1, groups)
    assert sum(placed.values()) == 2


def _family(generator: np.random.Generator, families: int, members: int) -> tuple[np.ndarray, np.ndarray]:
    """Near-duplicates: features [families * members, 200], whose families have random labels, so nothing else can be learnt."""
    centres = generator.normal(size=(families, 200))
    rows = np.repeat(centres, members, axis=0) + generator.normal(scale=0.01, size=(families * members, 200))
    return rows.astype(np.float32), np.repeat(generator.integers(0, 2, families), members)


def test_poisoned_with_near_duplicates_and_noise_the_holdout_does_not_flatter() -> None:
    """Labels are random, so an honest holdout finds a coin's accuracy; one that leaks finds the copies it was trained on."""
    rows, numbers = _family(np.random.default_rng(0), families=120, members=5)
    labels = {f"item{n:03}": "ab"[number] for n, number in enumerate(numbers)}
    groups = {key: int(key[4:]) // 5 for key in labels}

    def accuracy(groups_known: dict[str, int] | None) -> float:
        sides: dict[str, bool] = {}
        order = random.Random(1).sample(sorted(labels), len(labels))
        for count in (200, 400, 600):
            sides = assign_holdout({key: labels[key] for key in order[:count]}, sides, 0.2, groups_known)
        judged = judged_keys(sides, groups_known)
        trained = [key for key, held in sides.items() if not held]
        assert judged.isdisjoint(trained) and judged
        assert not groups_known or {groups[k] for k in judged}.isdisjoint(groups[k] for k in trained)

        def rows_of(keys: list[str]) -> np.ndarray:
            return rows[[int(key[4:]) for key in keys]]

        learner = ClassificationLearner.fit(rows_of(trained), [ClassTarget(labels[k]) for k in trained], ("a", "b"))
        return learner.evaluate(rows_of(sorted(judged)), [ClassTarget(labels[k]) for k in sorted(judged)]).accuracy

    assert accuracy(None) > 0.9
    assert abs(accuracy(groups) - 0.5) < 0.2


def test_a_class_that_vanishes_leaves_the_rest_as_it_was() -> None:
    labels = _labels({"cat": 20, "dog": 20, "owl": 20})
    sides = assign_holdout(labels, {}, 0.2)
    without = {key: label for key, label in labels.items() if label != "owl"} | _labels({"emu": 20})
    after = assign_holdout(without, sides, 0.2)

    assert sides.items() <= after.items()
    assert _held(without, after)["emu"] == 4


@given(
    labels=st.dictionaries(st.text(max_size=5), st.sampled_from("abc"), max_size=40),
    groups=st.dictionaries(st.text(max_size=5), st.integers(0, 5), max_size=40),
    share=st.floats(0, 1),
)
def test_no_group_is_ever_split_and_no_class_loses_its_last_training_example(
    labels: dict[str, str], groups: dict[str, int], share: float
) -> None:
    sides: dict[str, bool] = {}
    keys = sorted(labels)
    for count in range(0, len(keys) + 1, 10):
        sides = assign_holdout({key: labels[key] for key in keys[:count]}, sides, share, groups)
    for group in set(groups.values()):
        assert len({sides[key] for key in sides if groups.get(key) == group}) <= 1
    judged = judged_keys(sides, groups)
    assert len(judged) <= share * len(sides) + 1e-6
    assert all(any(not sides[k] for k in sides if labels[k] == labels[key]) for key in judged)
