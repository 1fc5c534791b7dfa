"""One uncertainty per item from those of its labels, tokens, regions or numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labelloop.errors import LearningError
from labelloop.learning.reduction import REDUCTIONS, reduce, reduce_parts
from labelloop.learning.uncertainty import binary, disagreement, entropy, margin, scatter

PARTS = np.array([[0.1, 0.2, 0.9], [0.5, 0.5, 0.5]])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("mean", [0.4, 0.5]),
        ("max", [0.9, 0.5]),
        ("sum", [1 - np.exp(-1.2), 1 - np.exp(-1.5)]),
        ("quantile:0.5", [0.2, 0.5]),
        ("quantile:0", [0.1, 0.5]),
        ("quantile:1", [0.9, 0.5]),
    ],
)
def test_formula(how: str, expected: list[float]) -> None:
    assert reduce(PARTS, how) == pytest.approx(expected)


@pytest.mark.parametrize("how", REDUCTIONS)
def test_items_may_have_any_number_of_parts(how: str) -> None:
    values, item = np.array([0.3, 0.1, 0.8, 0.4]), np.array([2, 0, 2, 3])
    reduced = reduce_parts(values, item, 5, how)

    assert reduced[[1, 4]].tolist() == [0, 0]
    assert reduced[0] == pytest.approx(reduce(np.array([[0.1]]), how)[0])
    assert reduced[2] == pytest.approx(reduce(np.array([[0.8, 0.3]]), how)[0])
    assert reduce(np.zeros((3, 0)), how).tolist() == [0, 0, 0]
    assert reduce(np.zeros((0, 3)), how).shape == (0,)


@pytest.mark.parametrize("how", REDUCTIONS)
@given(values=arrays(np.float64, (3, 2, 4), elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_always_between_zero_and_one(how: str, values: np.ndarray) -> None:
    reduced = reduce(values, how)
    assert reduced.shape == (3,)
    assert ((reduced >= 0) & (reduced <= 1)).all()


@pytest.mark.parametrize("how", REDUCTIONS)
def test_more_doubt_in_a_part_is_never_less_in_the_item(how: str) -> None:
    more = PARTS + np.array([[0.05, 0.1, 0.0], [0.2, 0.0, 0.3]])
    assert (reduce(more, how) >= reduce(PARTS, how)).all()


def test_many_labels_an_item_may_have_or_not() -> None:
    yes = np.array([[0.99, 0.01, 0.5], [0.9, 0.1, 0.2]])  # one wholly open label; three slightly open ones
    doubts = margin(binary(yes))

    assert doubts.shape == (2, 3)
    assert reduce(doubts, "max")[0] == pytest.approx(1.0)
    assert reduce(doubts, "max").argmax() == 0
    assert reduce(doubts, "quantile:0.5").argmax() == 1


def test_tokens_of_a_sentence_and_regions_of_an_image() -> None:
    tokens = np.array([[0.5, 0.5], [1.0, 0.0], [0.9, 0.1]])  # two tokens of the first text, one of the second
    doubts = entropy(tokens)
    of_text = np.array([0, 0, 1])

    assert reduce_parts(doubts, of_text, 2, "mean") == pytest.approx([0.5, doubts[2]])
    assert entropy(np.full((2, 3, 4, 5), 0.2)).shape == (2, 3, 4)


def test_numbers_that_members_estimate_differently() -> None:
    members = np.array([[[1.0, 5.0], [2.0, 2.0]], [[3.0, 5.0], [2.0, 2.0]]])  # 2 members, 2 items, 2 numbers each
    doubts = scatter(members, scale=1.0)

    assert doubts == pytest.approx(np.array([[0.5, 0.0], [0.0, 0.0]]))
    assert reduce(doubts, "mean") == pytest.approx([0.25, 0.0])
    assert scatter(np.full((2, 1), np.nan), 1.0) == pytest.approx([1.0])


def test_disagreement_is_one_where_sure_members_contradict_and_zero_where_they_agree() -> None:
    sure = np.eye(3)[:, None, :]  # each of three members sure of another class
    assert disagreement(sure) == pytest.approx([1.0])
    assert disagreement(np.full((4, 2, 3), 1 / 3)) == pytest.approx([0.0, 0.0])
    assert disagreement(np.array([[[np.nan, 1.0]], [[0.5, 0.5]]])) == pytest.approx([1.0])
    assert disagreement(np.ones((2, 3, 1))) == pytest.approx([0.0, 0.0, 0.0])


@pytest.mark.parametrize("how", ["median", "quantile", "quantile:", "quantile:2", "quantile:x", ""])
def test_unknown_reduction_says_what_there_is(how: str) -> None:
    with pytest.raises(LearningError, match=r"there are mean, max, sum and quantile:q"):
        reduce(PARTS, how)
