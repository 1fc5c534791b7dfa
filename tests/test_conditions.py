"""Controls that are shown under a condition: learnt where they were shown, written where they are visible."""

from typing import Any

import pytest

from labelloop.labelstudio import (
    AnnotationRecord,
    TaskRecord,
    merge,
    parse_label_config,
    prediction_json,
    visible_controls,
)
from labelloop.labelstudio.conditions import kept, visible
from labelloop.records import (
    Attribute,
    AttributesPrediction,
    AttributesTarget,
    Box,
    BoxesPrediction,
    ClassPrediction,
    ClassTarget,
    Control,
    SetPrediction,
    SetTarget,
)

KIND = '<Choices name="kind" toName="t"><Choice value="Katze" alias="cat"/><Choice value="dog"/></Choices>'
TAGS = '<Choice value="big"/><Choice value="small"/>'


def config(*parts: str) -> dict[str, Control]:
    xml = f'<View><Text name="t" value="$text"/><Image name="i" value="$image"/>{"".join(parts)}</View>'
    parsed = parse_label_config(xml)
    assert parsed.unsupported == ()
    return {control.name: control for control in parsed.controls}


def choices(name: str, more: str) -> str:
    return f'<Choices name="{name}" toName="t" {more}>{TAGS}</Choices>'


def chose(name: str, *labels: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "t", "type": "choices", "value": {"choices": list(labels)}}


BOX = {"from_name": "box", "to_name": "i", "type": "rectanglelabels", "value": {"rectanglelabels": ["Car"], "x": 1}}
PATH = {"from_name": "tree", "to_name": "t", "type": "taxonomy", "value": {"taxonomy": [["animal", "cat"]]}}


@pytest.mark.parametrize(
    ("attributes", "seen", "hidden"),
    [
        ('visibleWhen="choice-selected" whenTagName="kind"', [chose("kind", "dog")], [chose("other", "dog")]),
        (
            'visibleWhen="choice-selected" whenTagName="kind" whenChoiceValue="Katze"',
            [chose("kind", "cat")],
            [chose("kind", "dog")],
        ),
        ('visibleWhen="choice-selected" whenTagName="kind" whenChoiceValue="cow,cat"', [chose("kind", "cat")], []),
        ('visibleWhen="choice-selected" whenTagName="tree" whenChoiceValue="cat"', [PATH], [chose("kind", "cat")]),
        ('visibleWhen="choice-selected"', [chose("other", "x")], [BOX]),
        ('whenChoiceValue="dog"', [chose("other", "dog")], [chose("other", "cat")]),
        ('visibleWhen="choice-unselected" whenTagName="kind" whenChoiceValue="dog"', [], [chose("kind", "dog")]),
        ('visibleWhen="region-selected"', [BOX], [chose("kind", "dog")]),
        ('visibleWhen="region-selected" whenTagName="box" whenLabelValue="Bus,Car"', [BOX], [chose("box", "Car")]),
        ('visiblewhen="REGION"', [], None),
        ('visibleWhen="no-region-selected"', [], None),
    ],
)
def test_a_condition_holds_or_not(attributes: str, seen: list[Any], hidden: list[Any] | None) -> None:
    control = config(KIND, choices("tags", attributes))["tags"]
    assert visible(control, seen)
    assert hidden is None or not visible(control, hidden)
    assert hidden is None or not visible(control, [*hidden, chose("tags", "big", "dog", "cat")]) or not hidden


def test_conditions_around_a_control_must_all_hold() -> None:
    around = '<View visibleWhen="choice-selected" whenTagName="kind" whenChoiceValue="cat">'
    control = config(KIND, around, choices("tags", 'visibleWhen="region-selected"'), "</View>")["tags"]
    assert visible(control, [chose("kind", "cat"), BOX])
    assert not visible(control, [chose("kind", "cat")])
    assert not visible(control, [BOX])


def annotated(control: Control, *result: dict[str, Any]) -> Any:
    annotation = AnnotationRecord(1, 1, False, False, "2026-11-24T02:00:00.000000Z", list(result))
    return merge(control, TaskRecord(1, {"text": "x"}, "2026-11-24T02:00:00.000000Z", (annotation,)))


def test_a_blank_answer_counts_only_where_the_control_was_shown() -> None:
    more = 'choice="multiple" visibleWhen="choice-selected" whenTagName="kind" whenChoiceValue="cat"'
    control = config(KIND, choices("tags", more))["tags"]
    assert annotated(control, chose("kind", "cat")) == SetTarget(())
    assert annotated(control, chose("kind", "dog")) is None
    assert annotated(control, chose("kind", "dog"), chose("tags", "big")) == SetTarget(("big",))


def test_an_answer_is_learnt_and_no_answer_is_none() -> None:
    control = config(KIND, choices("size", 'visibleWhen="choice-selected" whenTagName="kind"'))["size"]
    assert annotated(control, chose("kind", "dog"), chose("size", "big")) == ClassTarget("big")
    assert annotated(control, chose("kind", "dog")) is None


def said(label: str) -> ClassPrediction:
    return ClassPrediction(label, 0.9, 0.1)


def names(controls: dict[str, Control], **labels: str) -> list[str]:
    shown = [(controls[name], said(label)) for name, label in labels.items()]
    return [region["from_name"] for region in prediction_json(1, "v1", 0.5, shown, {"text": "x"})["result"]]


def test_only_what_is_visible_beside_the_rest_is_written() -> None:
    more = 'visibleWhen="choice-selected" whenTagName="kind" whenChoiceValue="cat"'
    controls = config(choices("size", more), KIND, choices("deep", 'visibleWhen="choice-selected" whenTagName="size"'))
    assert names(controls, size="big", kind="cat", deep="small") == ["size", "kind", "deep"]
    assert names(controls, size="big", kind="dog", deep="small") == ["kind"]
    assert names(controls, deep="small", kind="cat") == ["kind"]


def test_what_an_annotator_has_chosen_counts_as_well() -> None:
    controls = config(KIND, choices("size", 'visibleWhen="choice-selected" whenTagName="kind" whenChoiceValue="cat"'))
    shown = [(controls["size"], said("big"))]
    for label, written in (("cat", 1), ("dog", 0)):
        item = prediction_json(1, "v1", 0.5, shown, {"text": "x"}, [chose("kind", label)])
        assert len(item["result"]) == written


def test_a_region_of_no_type_is_no_choice() -> None:
    controls = config(KIND, choices("size", 'visibleWhen="choice-selected"'))
    assert not visible(controls["size"], [{**chose("kind", "cat"), "type": ["choices"]}])


def test_controls_that_wait_for_each_other_write_nothing() -> None:
    one = choices("one", 'visibleWhen="choice-selected" whenTagName="two"')
    two = choices("two", 'visibleWhen="choice-unselected" whenTagName="one"')
    assert names(config(KIND, one, two), one="big", two="big", kind="dog") == ["kind"]


def test_controls_that_look_at_any_other_are_decided_last() -> None:
    controls = config(
        choices("late", 'visibleWhen="choice-selected"'), choices("too", 'visibleWhen="choice-selected"'), KIND
    )
    assert names(controls, late="big", too="big", kind="dog") == ["late", "too", "kind"]
    assert names(controls, late="big", too="small") == []
    assert kept([]) == []


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_a_condition_may_look_at_the_tag_that_names_the_classes_of_regions(order: slice) -> None:
    waits = 'visibleWhen="region-selected" whenTagName="class" whenLabelValue="Car"'
    drawing = '<Rectangle name="box" toName="i"/><Labels name="class" toName="i"><Label value="Car"/><Label value="Bus"/></Labels>'
    controls = config(*(choices("size", waits), drawing)[order])
    for label, sent in (("Car", {"box", "class", "size"}), ("Bus", {"box", "class"})):
        found = BoxesPrediction((Box(label, 0.1, 0.1, 0.2, 0.2),), 0.9, 0.1, 10, 10)
        item = prediction_json(
            1, "v1", 0.5, [(controls["size"], said("big")), (controls["box"], found)], {"image": "x"}
        )
        assert {region["from_name"] for region in item["result"]} == sent
    nothing = BoxesPrediction((), 0.9, 0.1, 10, 10)
    assert visible_controls({controls["size"]: said("big"), controls["box"]: nothing}, {"image": "x"}) == {"box"}


ASKING = (
    '<RectangleLabels name="box" toName="i"><Label value="Car"/></RectangleLabels>'
    '<Choices name="seen" toName="i" perRegion="true"><Choice value="yes"/><Choice value="no"/></Choices>'
    '<Choices name="marks" toName="i" perRegion="true" choice="multiple" visibleWhen="choice-selected" whenTagName="seen" '
    'whenChoiceValue="yes"><Choice value="rust"/><Choice value="dent"/></Choices>'
    '<Rating name="deep" toName="i" perRegion="true" visibleWhen="choice-selected" whenTagName="marks" whenChoiceValue="dent"/>'
)


def two_cars(*said: tuple[str, str, str, list[Any]]) -> list[dict[str, Any]]:
    """Two boxes, `a` and `b`, and what is said of them: id, control, type and answer."""
    place = {"a": {"x": 10, "y": 10, "width": 20, "height": 20}, "b": {"x": 60, "y": 60, "width": 20, "height": 20}}
    boxes = [("a", "box", "rectanglelabels", ["Car"]), ("b", "box", "rectanglelabels", ["Car"])]
    return [
        {"id": name, "from_name": control, "to_name": "i", "type": kind, "value": {**place[name], kind: answer}}
        for name, control, kind, answer in [*boxes, *said]
    ]


def test_of_a_region_that_a_condition_hides_no_blank_answer_is_learnt() -> None:
    found = config(ASKING)
    result = two_cars(("a", "seen", "choices", ["no"]), ("b", "seen", "choices", ["yes"]))
    target = annotated(found["marks"], *result)
    assert isinstance(target, AttributesTarget)
    assert [(one.part.x, one.said) for one in target.attributes if isinstance(one.part, Box)] == [(0.6, SetTarget(()))]
    assert annotated(found["deep"], *result) is None


def test_an_answer_about_a_region_is_learnt_though_a_condition_hides_it_now() -> None:
    found = config(ASKING)
    result = two_cars(("a", "marks", "choices", ["rust"]), ("b", "seen", "choices", ["yes"]))
    target = annotated(found["marks"], *result)
    assert isinstance(target, AttributesTarget)
    assert [one.said for one in target.attributes] == [SetTarget(("rust",)), SetTarget(())]


def test_only_regions_that_a_condition_shows_a_control_for_are_told_of() -> None:
    found = config(ASKING)
    boxes = (Box("Car", 0.1, 0.1, 0.2, 0.2), Box("Car", 0.6, 0.6, 0.2, 0.2))

    def of_both(*said: Any) -> AttributesPrediction:
        return AttributesPrediction(tuple(map(Attribute, boxes, said)), 0.9, 0.1)

    sent = prediction_json(
        1,
        "v1",
        0.5,
        [
            (found["box"], BoxesPrediction(boxes, 0.9, 0.1, 100, 100)),
            (found["seen"], of_both(ClassPrediction("no", 0.9, 0.1), ClassPrediction("yes", 0.9, 0.1))),
            (found["marks"], of_both(*[SetPrediction(("dent",), 0.9, 0.1)] * 2)),
            (found["deep"], of_both(*[ClassPrediction("3", 0.9, 0.1)] * 2)),
        ],
        {"image": "x"},
    )["result"]
    told = [(region["from_name"], region["value"]["x"]) for region in sent]
    assert told == [("box", 10), ("box", 60), ("seen", 10), ("seen", 60), ("marks", 60), ("deep", 60)]
