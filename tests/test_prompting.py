"""What an annotator draws is answered with what the model makes of it."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from labelloop.labelstudio.prompts import Prompts, prompts_about
from labelloop.records import (
    Box,
    BoxesPrediction,
    ClassPrediction,
    Control,
    Kind,
    Mask,
    MasksPrediction,
    Modality,
    Prediction,
    Span,
    SpansPrediction,
)
from labelloop.service.prompting import REPEATED, answer_prompts

BOXES = Control("b", "RectangleLabels", "img", "image", Modality.IMAGE, ("car", "dog"), Kind.BOXES)
MASKS = Control("m", "BrushLabels", "img", "image", Modality.IMAGE, ("car", "dog"), Kind.MASKS)
SPANS = Control("s", "Labels", "txt", "text", Modality.TEXT, ("PER", "LOC"), Kind.SPANS)


def region(kind: str, to: str = "img", **value: object) -> dict[str, object]:
    return {"from_name": "x", "to_name": to, "type": kind, "value": value}


def test_boxes_points_and_stretches_are_prompts() -> None:
    drawn = [
        region("rectanglelabels", x=10, y=20, width=30, height=40, rotation=0, rectanglelabels=["car"]),
        region("keypointlabels", x=50, y=60, width=0.5, keypointlabels=["dog"]),
        region("rectangle", x=0, y=0, width=100, height=100),
        region("labels", to="txt", start=3, end=7, text="Anna", labels=["PER"]),
    ]
    found = prompts_about(BOXES, drawn, None)
    assert [(b.label, round(b.x, 6), round(b.width, 6)) for b in found.boxes] == [
        ("car", 0.1, 0.3),
        ("dog", 0.5, 0.0),
        ("", 0.0, 1.0),
    ]
    assert found.spans == ()
    assert prompts_about(SPANS, drawn, "So Anna went").spans == (Span("PER", 3, 7),)
    assert not prompts_about(replace(BOXES, to_name="other"), drawn, None)


@pytest.mark.parametrize(
    ("size", "left", "right", "top", "bottom"),
    [
        ({}, 0.1, 0.5, 0.5, 0.7),
        ({"original_width": 200, "original_height": 100}, 0.3, 0.5, 0.5, 0.9),
        ({"original_width": 200, "original_height": 0}, 0.1, 0.5, 0.5, 0.7),
    ],
)
def test_a_turned_box_is_looked_for_where_it_lies(
    size: dict[str, int], left: float, right: float, top: float, bottom: float
) -> None:
    drawn = region("rectanglelabels", x=50, y=50, width=20, height=40, rotation=90, rectanglelabels=["car"])
    (box,) = prompts_about(BOXES, [{**drawn, **size}], None).boxes
    assert (box.label, box.rotation) == ("car", 0)
    assert [box.x, box.x + box.width, box.y, box.y + box.height] == pytest.approx([left, right, top, bottom])


def test_a_rectangle_is_named_by_what_was_said_of_it() -> None:
    drawn = [
        {**region("choices", choices=["dog"], x=0, y=0, width=10, height=10), "id": "a"},
        {**region("choices", choices=["none"]), "id": "whole"},
        {**region("rectangle", x=0, y=0, width=10, height=10), "id": "a"},
        {**region("rectangle", x=20, y=20, width=10, height=10), "id": "b"},
        {**region("rectangle", x=40, y=40, width=10, height=10), "id": "c"},
        {**region("choices", choices=["blurred"]), "id": "c"},
        {**region("labels", labels=["car"]), "id": "c"},
    ]
    assert [box.label for box in prompts_about(BOXES, drawn, None).boxes] == ["dog", "", "car"]


@pytest.mark.parametrize(
    "drawn",
    [
        [],
        [{"to_name": "img", "type": "rectanglelabels"}],
        [region("rectanglelabels", x="left", y=0, width=1, height=1)],
        [region("rectanglelabels", x=10**400, y=0, width=1, height=1)],
        [region("keypointlabels", x=math.inf, y=0)],
        [region("labels", start=5, end=5, labels=["PER"])],
        [region("labels", start=-1, end=5, labels=["PER"])],
        [region("choices", choices=["car"])],
    ],
)
def test_what_is_no_prompt_is_passed_over(drawn: list[dict[str, object]]) -> None:
    assert not prompts_about(BOXES, drawn, None)


@pytest.mark.parametrize(
    "drawn", [[region("labels", "txt", start=5, end=5, labels=["PER"])], [region("labels", "txt", start=0, end=5)], []]
)
def test_a_stretch_without_a_place_or_a_label_is_no_prompt(drawn: list[dict[str, object]]) -> None:
    assert not prompts_about(SPANS, drawn, "So Anna went")


def test_stretches_of_pages_and_conversations_are_counted_in_their_text() -> None:
    page = replace(SPANS, tag="HyperTextLabels", options=(("object", "HyperText"),))
    talk = replace(SPANS, tag="ParagraphLabels", options=(("object", "Paragraphs"),))
    path = {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "startOffset": 3, "endOffset": 7}
    on_page = region("hypertextlabels", "txt", **path, globalOffsets={"start": 3, "end": 7}, hypertextlabels=["PER"])
    said = {"start": "1", "end": "1", "startOffset": 3, "endOffset": 7, "paragraphlabels": ["PER"]}
    in_talk, value = region("paragraphlabels", "txt", **said), [{"text": "Yes."}, {"text": "So Anna went"}]

    assert prompts_about(page, [on_page, in_talk], "<p>So Anna went</p>").spans == (Span("PER", 3, 7),)
    assert prompts_about(talk, [on_page, in_talk], value).spans == (Span("PER", 8, 12),)


def boxes(*found: Box) -> BoxesPrediction:
    return BoxesPrediction(found, 0.5, 0.5, 100, 200)


def test_a_box_is_answered_with_the_model_s_boxes_in_it_under_the_chosen_label() -> None:
    inside, outside = Box("dog", 0.1, 0.1, 0.2, 0.2, score=0.3), Box("car", 0.7, 0.7, 0.2, 0.2, score=0.9)
    prompts = Prompts((Box("car", 0.0, 0.0, 0.5, 0.5),))
    answer = answer_prompts(BOXES, boxes(inside, outside), prompts, None)
    assert isinstance(answer, BoxesPrediction)
    assert answer.boxes == (Box("car", 0.1, 0.1, 0.2, 0.2, score=0.3),)


def test_a_point_is_answered_with_the_box_around_it() -> None:
    around, beside = Box("dog", 0.1, 0.1, 0.2, 0.2), Box("dog", 0.7, 0.7, 0.2, 0.2)
    answer = answer_prompts(BOXES, boxes(around, beside), Prompts((Box("", 0.25, 0.25, 0.0, 0.0),)), None)
    assert isinstance(answer, BoxesPrediction)
    assert answer.boxes == (around,)


def areas(prediction: Prediction | None) -> list[list[list[int]]]:
    assert isinstance(prediction, MasksPrediction)
    return [mask.inside().astype(int).tolist() for mask in prediction.masks]


def test_a_box_cuts_the_model_s_area_out() -> None:
    said = MasksPrediction((Mask.of("car", np.ones((4, 4), dtype=bool)),), 0.9, 0.1)
    answer = answer_prompts(MASKS, said, Prompts((Box("car", 0.5, 0.0, 0.5, 0.5),)), None)
    assert areas(answer) == [[[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]]
    assert areas(answer_prompts(MASKS, said, Prompts((Box("dog", 0.5, 0.0, 0.5, 0.5),)), None)) == []


@pytest.mark.parametrize("label", ["", "prompt"])
def test_a_label_that_the_control_lacks_asks_for_any(label: str) -> None:
    prompts = Prompts((Box(label, 0.0, 0.0, 1.0, 1.0),))
    box, area = Box("dog", 0.1, 0.1, 0.2, 0.2), Mask.of("dog", np.ones((2, 2), dtype=bool))
    found = answer_prompts(BOXES, boxes(box), prompts, None)
    assert isinstance(found, BoxesPrediction)
    assert found.boxes == (box,)
    assert areas(answer_prompts(MASKS, MasksPrediction((area,), 0.9, 0.1), prompts, None)) == [[[1, 1], [1, 1]]]


def test_a_point_is_answered_with_the_area_that_hangs_together_with_it() -> None:
    inside = np.array([[1, 1, 0, 1], [0, 0, 0, 1]], dtype=bool)
    said = MasksPrediction((Mask.of("car", inside),), 0.9, 0.1)
    assert areas(answer_prompts(MASKS, said, Prompts((Box("car", 0.9, 0.9, 0.0, 0.0),)), None)) == [
        [[0, 0, 0, 1], [0, 0, 0, 1]]
    ]
    assert areas(answer_prompts(MASKS, said, Prompts((Box("car", 0.6, 0.9, 0.0, 0.0),)), None)) == []


def test_a_prompt_may_lie_far_beyond_the_image() -> None:
    said = MasksPrediction((Mask.of("car", np.ones((2, 400), dtype=bool)),), 0.9, 0.1)
    for far in (1e308, -1e308):
        drawn = region("rectanglelabels", x=far, y=0, width=1, height=1, rectanglelabels=["car"])
        assert areas(answer_prompts(MASKS, said, prompts_about(MASKS, [drawn], None), None)) == []


def test_marked_words_are_proposed_wherever_else_they_stand_whole() -> None:
    text = "Anna met Annabel; then Anna (not anna) left with Anna."
    said = SpansPrediction((Span("PER", 23, 27, 0.8),), 0.9, 0.1)
    answer = answer_prompts(SPANS, said, Prompts(spans=(Span("PER", 0, 4),)), text)
    assert isinstance(answer, SpansPrediction)
    assert answer.spans == (Span("PER", 23, 27, 0.8), Span("PER", 49, 53, REPEATED))


@pytest.mark.parametrize(
    ("text", "marked", "found"),
    [
        ("東京は大きい。私は東京に住む。", "東京", [9]),
        ("กรุงเทพ ฉันรักกรุงเทพมาก", "กรุงเทพ", [14]),
        ("राम गया। रामायण राम", "राम", [16]),
        ("cafe and cafe\u0301 and cafe", "cafe", [19]),
        ("👩 met 👩\u200d🚀 and 👩", "👩", [14]),
        ("a a ba a a", "a a", [7]),
        ("C++ or C++17, C++. (C++)", "C++", [14, 20]),
        (".NET, ASP.NET and (.NET)", ".NET", [19]),
        (
            "\U0001f1e6\U0001f1fa \U0001f1e8\U0001f1e6\U0001f1fa\U0001f1f8\U0001f1e6\U0001f1fa",
            "\U0001f1e6\U0001f1fa",
            [7],
        ),
        ("l'eau, l'air et l' seul", "l'", [7, 16]),
        ("「東京」と「東京」は", "「東京」", [5]),
    ],
)
def test_words_of_any_script_are_proposed_whole(text: str, marked: str, found: list[int]) -> None:
    prompts = Prompts(spans=(Span("PER", 0, len(marked)),))
    answer = answer_prompts(SPANS, SpansPrediction((), 0.9, 0.1), prompts, text)
    assert isinstance(answer, SpansPrediction)
    assert [(span.start, span.end) for span in answer.spans] == [(start, start + len(marked)) for start in found]


def test_words_that_stand_in_thousands_of_places_take_no_long_time() -> None:
    started = time.perf_counter()
    marked = tuple(Span("PER", start, start + 1) for start in range(0, 600, 2))
    answer = answer_prompts(SPANS, SpansPrediction((), 0.9, 0.1), Prompts(spans=marked), "\u3042" * 20_000)

    assert isinstance(answer, SpansPrediction)
    assert len(answer.spans) == 20_000 - 300
    assert time.perf_counter() - started < 5


def test_blanks_around_marked_words_do_not_matter() -> None:
    answer = answer_prompts(SPANS, SpansPrediction((), 0.9, 0.1), Prompts(spans=(Span("PER", 0, 5),)), "Anna met Anna.")
    assert isinstance(answer, SpansPrediction)
    assert answer.spans == (Span("PER", 9, 13, REPEATED),)


def test_words_that_are_marked_already_and_labels_that_do_not_exist_are_not_proposed() -> None:
    said = SpansPrediction((), 0.9, 0.1)
    marked = (Span("PER", 0, 4), Span("LOC", 5, 9), Span("GONE", 10, 13))
    answer = answer_prompts(SPANS, said, Prompts(spans=marked), "Anna Anna Bob Bob")
    assert isinstance(answer, SpansPrediction)
    assert answer.spans == ()


def test_an_answer_for_the_whole_item_is_left_to_the_annotator() -> None:
    control = Control("c", "Choices", "img", "image", Modality.IMAGE, ("a", "b"))
    assert answer_prompts(control, ClassPrediction("a", 0.9, 0.1), Prompts((Box("", 0, 0, 1, 1),)), None) is None


def test_on_a_page_words_are_counted_in_the_text_that_is_shown() -> None:
    page = replace(SPANS, tag="HyperTextLabels", options=(("object", "HyperText"),))
    marked = Prompts(spans=(Span("PER", 0, 4),))
    answer = answer_prompts(page, SpansPrediction((), 0.9, 0.1), marked, "<p>Anna met <b>Anna</b></p>")
    assert isinstance(answer, SpansPrediction)
    assert answer.spans == (Span("PER", 9, 13, REPEATED),)
