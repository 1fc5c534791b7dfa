"""Regions that one tag draws and another names, as `Rectangle` and `Labels` do, or `Choices` per region."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from label_studio_sdk.label_interface import LabelInterface

from labelloop.labelstudio import LabelConfig, codec_for, parse_label_config, prediction_json
from labelloop.records import Box, BoxesPrediction, BoxesTarget, Control, Kind, Mask, MasksPrediction, MasksTarget

CHOICES = (
    '<Choice value="Katze" alias="cat" predicted_values="lynx"/><Choice value="dog"><Choice value="pug"/></Choice>'
)
AREAS = ("Brush", "Polygon", "Bitmask")


def config(
    tag: str = "Rectangle", of_tag: str = "", of_choices: str = 'perRegion="true"', inside: str = CHOICES
) -> str:
    return (
        f'<View><Image name="img" value="$image"/><{tag} name="drawn" toName="img" {of_tag}/>'
        f'<Choices name="what" toName="img" {of_choices}>{inside}</Choices></View>'
    )


def labels(tag: str = "Rectangle") -> str:
    """As in Label Studio's template for reading texts in images."""
    naming = '<Labels name="what" toName="img"><Label value="Katze" alias="cat"/><Label value="dog"/></Labels>'
    note = '<TextArea name="note" toName="img" perRegion="true" editable="true"/>'
    return f'<View><Image name="img" value="$image"/>{naming}<{tag} name="drawn" toName="img"/>{note}</View>'


CONFIGS = {"choices": config, "labels": labels}


def control(tag: str = "Rectangle", by: str = "choices") -> Control:
    found, *_ = parse_label_config(CONFIGS[by](tag)).controls
    return found


def rectangle(region_id: Any, x: float, *, labels: Any = None, name: str = "drawn") -> dict[str, Any]:
    value = {"x": x, "y": 10, "width": 20, "height": 30, "rotation": 0}
    sizes = {"original_width": 640, "original_height": 480, "image_rotation": 0}
    drawn = {"id": region_id, "from_name": name, "to_name": "img", "type": "rectangle", **sizes, "value": value}
    return drawn if labels is None else {**drawn, "type": "choices", "value": {**value, "choices": labels}}


def chosen(region_id: Any, x: float, labels: Any, name: str = "what") -> dict[str, Any]:
    return rectangle(region_id, x, labels=labels, name=name)


def read(*result: dict[str, Any]) -> BoxesTarget | None:
    target = codec_for(control()).read(control(), list(result))
    assert target is None or isinstance(target, BoxesTarget)
    return target


def box(label: str, x: float) -> Box:
    return Box(label, x, 0.1, 0.2, 0.3)


def test_the_two_tags_are_one_control_with_the_classes_of_the_choices() -> None:
    found = parse_label_config(config(of_choices='perRegion="true" model_score_threshold="0.4"'))

    assert found.unsupported == ()
    (one,) = found.controls
    assert (one.name, one.tag, one.kind, one.labels) == ("drawn", "Rectangle", Kind.BOXES, ("cat", "dog"))
    assert (one.threshold, one.predicted_values) == (0.4, (("lynx", "cat"),))
    assert (one.option("named_by"), one.option("named_in")) == ("what", "choices")
    assert [control(tag).kind for tag in AREAS] == [Kind.MASKS] * 3


def test_labels_may_name_what_is_drawn_and_come_before_choices() -> None:
    more = f'<Choices name="seen" toName="img" perRegion="true">{CHOICES}</Choices><Brush name="more" toName="img"/></View>'
    found = parse_label_config(labels().replace("</View>", more))

    assert [(one.name, one.labels, one.option("named_by"), one.option("named_in")) for one in found.controls] == [
        ("drawn", ("cat", "dog"), "what", "labels"),
        ("more", ("cat", "dog"), "what", "labels"),
        ("note", (), "", ""),
        ("seen", ("cat", "dog"), "", ""),
    ]
    assert [one.kind for one in found.controls[2:]] == [Kind.ATTRIBUTES] * 2
    assert found.unsupported == ()


def test_labels_on_an_image_where_nothing_draws_are_not_learnt() -> None:
    found = parse_label_config(labels("Ellipse"))
    assert found.controls == ()
    assert "'what' (Labels) is not learnt: it is about Image" in found.unsupported[0]


def test_the_drawings_own_threshold_comes_first() -> None:
    xml = config(of_tag='model_score_threshold="0.2"', of_choices='perRegion="true" model_score_threshold="0.4"')
    assert parse_label_config(xml).controls[0].threshold == 0.2


@pytest.mark.parametrize(
    "xml",
    [
        config(of_choices=""),
        config(of_choices='perRegion="true" allowNested="true"'),
        config(of_choices='perRegion="true" visibleWhen="region-selected" whenTagName="other"'),
        config(of_choices='perRegion="true" visibleWhen="choice-selected" whenTagName="other"'),
        config(of_choices='perRegion="true" whenLabelValue="car"'),
        config().replace('<Choices name="what" toName="img"', '<Choices name="what" toName="txt"'),
        '<View><Image name="img" value="$image"/><Rectangle name="drawn" toName="img"/></View>',
    ],
)
def test_regions_that_nothing_names_are_not_learnt(xml: str) -> None:
    found = parse_label_config(xml)
    assert "drawn" not in [one.name for one in found.controls]
    assert any(
        line.startswith("'drawn' (Rectangle) is not learnt: nothing says of what class") for line in found.unsupported
    )


@pytest.mark.parametrize(
    "condition", ['visibleWhen="region-selected"', 'visibleWhen="region-selected" whenTagName="drawn"']
)
def test_choices_that_are_shown_for_every_region_name_it(condition: str) -> None:
    assert parse_label_config(config(of_choices=f'perRegion="true" {condition}')).controls


def test_the_first_choices_name_the_class_and_others_say_more_of_it() -> None:
    more = '<Choices name="seen" toName="img" perRegion="true"><Choice value="a"/><Choice value="b"/></Choices></View>'
    found = parse_label_config(config().replace("</View>", more))

    named = [(one.name, one.kind, one.option("named_by")) for one in found.controls]
    assert named == [("drawn", Kind.BOXES, "what"), ("seen", Kind.ATTRIBUTES, "")]
    assert found.unsupported == ()


def test_choices_for_one_tag_come_before_those_for_any() -> None:
    only = '<Choices name="lane" toName="img" perRegion="true" visibleWhen="region-selected" whenTagName="lines">'
    more = f'<Polygon name="lines" toName="img"/>{only}<Choice value="left"/></Choices></View>'
    found = parse_label_config(config().replace("</View>", more))
    assert [(one.name, one.option("named_by")) for one in found.controls] == [("drawn", "what"), ("lines", "lane")]


def test_one_choices_may_name_what_two_tags_draw() -> None:
    found = parse_label_config(config().replace("<Choices", '<Polygon name="lines" toName="img"/><Choices'))
    assert found == LabelConfig(found.controls, ())
    assert [(one.name, one.option("named_by")) for one in found.controls] == [("drawn", "what"), ("lines", "what")]


def test_a_reason_against_the_drawing_counts_for_both() -> None:
    found = parse_label_config(config(inside=""))
    assert found.controls == ()
    assert "it has no label" in found.unsupported[0]


def test_the_class_of_a_region_is_found_by_its_id_in_any_order() -> None:
    result = [chosen("b", 50, ["dog"]), rectangle("a", 10), chosen("a", 10, ["cat"]), rectangle("b", 50)]
    assert read(*result) == BoxesTarget((box("cat", 0.1), box("dog", 0.5)))


def test_regions_nobody_named_are_passed_over_and_alone_say_nothing() -> None:
    assert read(rectangle("a", 10)) is None
    assert read(rectangle("a", 10), rectangle("b", 50), chosen("b", 50, ["dog"])) == BoxesTarget((box("dog", 0.5),))


def test_no_region_says_that_there_is_nothing() -> None:
    assert read() == BoxesTarget(())
    assert read(chosen("a", 10, ["a"], name="other")) == BoxesTarget(())


def test_other_answers_about_a_region_change_nothing() -> None:
    texts = {**rectangle("a", 10, name="note"), "type": "textarea"}
    assert read(
        rectangle("a", 10), chosen("a", 10, ["b"], name="seen"), chosen("a", 10, ["cat"]), texts
    ) == BoxesTarget((box("cat", 0.1),))


@pytest.mark.parametrize("labels", [[], "cat", None, [7], [["cat"]]])
def test_a_choice_that_cannot_be_read_is_none(labels: Any) -> None:
    broken = {**chosen("a", 10, []), "value": {"choices": labels}}
    assert read(rectangle("a", 10), broken) is None


def test_results_without_ids_or_values_are_passed_over() -> None:
    assert read(rectangle(None, 10), chosen(None, 10, ["cat"])) is None
    assert read({**rectangle("a", 10), "value": None}, {**chosen("a", 10, ["cat"]), "value": 3}) is None
    assert read(rectangle(["a"], 10), chosen(["a"], 10, ["cat"])) == BoxesTarget((box("cat", 0.1),))


millionths = st.integers(0, 10**6).map(lambda n: n / 10**6)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x, y = draw(st.integers(0, 10**6 - 200)), draw(st.integers(0, 10**6 - 200))
    width, height = draw(st.integers(101, 10**6 - x)), draw(st.integers(101, 10**6 - y))
    label = draw(st.sampled_from(["cat", "dog"]))
    return Box(label, x / 10**6, y / 10**6, width / 10**6, height / 10**6, 0.0, draw(millionths))


def saved(result: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the editor saves what it was shown."""
    kept = [{key: said for key, said in region.items() if key != "score"} for region in result[::-1]]
    return json.loads(json.dumps([{**region, "origin": "prediction", "meta": {}} for region in kept]))


@pytest.mark.parametrize("by", sorted(CONFIGS))
@given(drawn=st.lists(boxes(), max_size=4, unique_by=lambda one: (one.label, one.x, one.y, one.width, one.height)))
def test_boxes_are_written_as_two_results_of_one_id_and_read_back_the_same(by: str, drawn: list[Box]) -> None:
    one, prediction = control(by=by), BoxesPrediction(tuple(drawn), 0.5, 0.5, 480, 640)
    sent = prediction_json(7, "v1", 0.25, [(one, prediction)], {"image": "x"})
    result = sent["result"]

    assert LabelInterface(CONFIGS[by]()).validate_prediction(sent, return_errors=True) == []
    assert [(r["from_name"], r["type"]) for r in result] == [("drawn", "rectangle"), ("what", by)] * len(drawn)
    assert [r["id"] for r in result[::2]] == [r["id"] for r in result[1::2]]
    assert len({r["id"] for r in result}) == len(drawn)
    for shape, name in zip(result[::2], result[1::2], strict=True):
        assert name["value"] == {**shape["value"], by: name["value"][by]}
    target = codec_for(one).read(one, saved(result))
    assert isinstance(target, BoxesTarget)
    assert sorted(b.label for b in target.boxes) == sorted(b.label for b in drawn)
    assert {(b.x, b.y, b.width, b.height) for b in target.boxes} == {(b.x, b.y, b.width, b.height) for b in drawn}


@pytest.mark.parametrize("by", sorted(CONFIGS))
@pytest.mark.parametrize("tag", AREAS)
@settings(max_examples=20)
@given(inside=arrays(np.bool_, (20, 30)), score=millionths)
def test_areas_are_written_as_two_results_and_read_back_the_same(tag: str, by: str, inside: Any, score: float) -> None:
    inside[5:12, 8:20] = True
    one, prediction = control(tag, by), MasksPrediction((Mask.of("cat", inside, score),), 0.5, 0.5)
    sent = prediction_json(7, "v1", 0.25, [(one, prediction)], {"image": "x"})

    assert LabelInterface(CONFIGS[by](tag)).validate_prediction(sent, return_errors=True) == []
    assert {r["type"] for r in sent["result"]} == {tag.lower(), by}
    target = codec_for(one).read(one, saved(sent["result"]))
    assert isinstance(target, MasksTarget)
    assert target.classes == ("cat",)
    together = np.any([mask.inside() for mask in target.masks], axis=0)
    if tag == "Polygon":
        assert (together & inside).sum() / (together | inside).sum() > 0.5
    else:
        assert np.array_equal(together, inside)


def test_annotators_are_joined_as_for_the_tag_that_says_both() -> None:
    one = control()
    merged = codec_for(one).merge(one, [BoxesTarget((box("cat", 0.1),)), BoxesTarget((box("cat", 0.12),))])
    assert merged == BoxesTarget((box("cat", 0.11),), 1.0)
