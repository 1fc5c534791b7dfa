"""What passes between the rooms: targets that know what they say, masks that keep their area, predictions that hold back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from labelloop.records import (
    MOST_SHOWN,
    Box,
    BoxesPrediction,
    BoxesTarget,
    ClassPrediction,
    ClassTarget,
    Mask,
    MasksTarget,
    SetPrediction,
    SetTarget,
    Span,
    SpansPrediction,
    SpansTarget,
    Target,
    TextPrediction,
    TextTarget,
    strata,
    value_of,
)

CAT, DOG = Box("cat", 0.1, 0.2, 0.3, 0.4, score=0.9), Box("dog", 0.5, 0.5, 0.2, 0.2, score=0.4)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("text", "a"),
        ("doc.text", "flat"),
        ("doc.title", "b"),
        ("doc.pages[1].text", "d"),
        ("doc.pages.0.text", "c"),
        ("images[0]", "e"),
        ("matrix[1][0]", 3),
        ("none", None),
        ("none.more", None),
        ("doc", {"title": "b", "pages": [{"text": "c"}, {"text": "d"}]}),
        ("doc.pages[2].text", None),
        ("doc.pages[-1].text", None),
        ("doc.pages[" + "9" * 5000 + "]", None),
        ("doc.pages.length", None),
        ("text[0]", None),
        ("other", None),
        ("other.text", None),
        ("", None),
        (".", None),
        ("[]", None),
    ],
)
def test_a_key_is_looked_up_as_it_stands_and_else_as_a_path(key: str, value: object) -> None:
    data = {
        "text": "a",
        "doc.text": "flat",
        "doc": {"title": "b", "pages": [{"text": "c"}, {"text": "d"}]},
        "images": ["e", "f"],
        "matrix": [[1], [3]],
        "none": None,
    }
    assert value_of(data, key) == value


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9)))
def test_a_mask_keeps_its_area(inside: np.ndarray) -> None:
    mask = Mask.of("a", inside)
    assert sum(mask.runs) == inside.size
    np.testing.assert_array_equal(mask.inside(), inside)


@pytest.mark.parametrize(
    "target",
    [
        ClassTarget("cat"),
        SetTarget(("cat", "dog")),
        BoxesTarget((CAT, DOG)),
        SpansTarget((Span("cat", 0, 3), Span("dog", 4, 7))),
        MasksTarget((Mask("cat", 1, 2, (0, 1, 1)), Mask("dog", 1, 2, (1, 1)))),
    ],
)
def test_only_what_the_config_still_has_is_left_of_a_target(target: Target) -> None:
    assert target.within({"cat", "dog", "cow"}) is target
    left = target.within({"cat"})
    assert left is not None
    assert left.classes == ("cat",)
    assert target.within({"cow"}) is None


@pytest.mark.parametrize("nothing", [SetTarget(()), BoxesTarget(()), SpansTarget(()), MasksTarget(())])
def test_that_there_is_nothing_here_stays_said(nothing: Target) -> None:
    assert nothing.classes == ()
    assert nothing.within({"cow"}) is nothing


def test_a_text_outlives_every_class() -> None:
    target = TextTarget(("Guten Tag",))
    assert target.within(()) is target
    assert strata({"a": target}) == {"a": ""}


def test_what_is_spread_over_splits_is_never_a_set_of_classes_that_is_there_once() -> None:
    said = {"a": ("x", "y"), "b": ("x", "y"), "c": ("x", "z"), "d": ("x",), "e": (), "f": ("z",)}
    found = strata({key: SetTarget(labels) for key, labels in said.items()})

    assert found == {"a": "x\0y", "b": "x\0y", "c": "z", "d": "x", "e": "", "f": "z"}


@given(st.permutations([CAT, DOG, Box("dog", 0.0, 0.0, 1.0, 1.0)]))
def test_the_order_of_regions_says_nothing(boxes: list[Box]) -> None:
    assert BoxesTarget(tuple(boxes)).summary == BoxesTarget((CAT, DOG, Box("dog", 0.0, 0.0, 1.0, 1.0))).summary
    assert BoxesTarget(tuple(boxes)).summary != BoxesTarget(tuple(boxes[:2])).summary


def test_the_order_of_texts_says_which_is_to_be_learnt() -> None:
    assert TextTarget(("a", "b")).summary == TextTarget(("a", "b"), weight=0.5).summary
    assert TextTarget(("a", "b")).summary != TextTarget(("b", "a")).summary


def test_regions_that_are_not_sure_enough_are_held_back() -> None:
    said = BoxesPrediction((CAT, DOG), 0.65, 0.3, 100, 200)
    shown = said.shown({"cat", "dog"}, 0.5)
    assert shown is not None
    assert shown.boxes == (CAT,)
    assert said.shown({"cat", "dog"}, 0.0) is said
    assert said.shown({"dog"}, 0.5) is None
    assert BoxesPrediction((), 0.9, 0.1, 1, 1).shown({"cat"}, 0.0) is None


def test_of_more_regions_than_a_page_can_show_the_surest_are_shown_in_their_order() -> None:
    spans = [Span("cat", place, place + 1, 0.5 + (place % 3) / 10) for place in range(2 * MOST_SHOWN)]
    shown = SpansPrediction(tuple(spans), 0.9, 0.1).shown({"cat"}, 0.0)
    assert shown is not None and len(shown.spans) == MOST_SHOWN
    left = [span for span in spans if span.score == 0.6][: MOST_SHOWN - sum(span.score == 0.7 for span in spans)]
    assert list(shown.spans) == [span for span in spans if span.score == 0.7 or span in left]
    as_many = SpansPrediction(tuple(spans[:MOST_SHOWN]), 0.9, 0.1)
    assert as_many.shown({"cat"}, 0.0) is as_many


def test_a_prediction_with_nothing_to_see_is_not_shown() -> None:
    assert ClassPrediction("cat", 0.4, 0.6).shown({"cat"}, 0.5) is None
    assert ClassPrediction("cat", 0.6, 0.4).shown({"dog"}, 0.5) is None
    assert SetPrediction((), 0.9, 0.1).shown({"cat"}, 0.0) is None
    assert SpansPrediction((Span("cat", 0, 1, 0.2),), 0.9, 0.1).shown({"cat"}, 0.5) is None
    assert TextPrediction("", 0.9, 0.1).shown((), 0.0) is None
    assert TextPrediction("Guten Tag", 0.9, 0.1).shown((), 0.5) is not None


def test_a_set_shows_the_classes_that_are_probable_enough() -> None:
    said = SetPrediction(("cat", "dog"), 0.6, 0.3, {"cat": 0.9, "dog": 0.6, "cow": 0.1})
    shown = said.shown({"cat", "dog", "cow"}, 0.7)
    assert shown is not None
    assert shown.labels == ("cat",)
