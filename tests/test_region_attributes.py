"""What is asked about regions that have a class already: learnt as of whole items, the rest named and in nobody's way."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from labelloop.labelstudio import codec_for, merge, parse_label_config, prediction_json
from labelloop.labelstudio.brush_rle import encode_runs
from labelloop.labelstudio.codecs.attributes import asked_about, asked_parts
from labelloop.labelstudio.outlines import fill
from labelloop.labelstudio.paths import join_path
from labelloop.labelstudio.tasks import AnnotationRecord, TaskRecord
from labelloop.records import (
    Attribute,
    AttributesPrediction,
    AttributesTarget,
    Box,
    BoxesPrediction,
    BoxesTarget,
    ClassPrediction,
    ClassTarget,
    Control,
    Kind,
    Mask,
    MasksPrediction,
    MasksTarget,
    Part,
    Prediction,
    SetPrediction,
    SetTarget,
    Span,
    SpansPrediction,
    SpansTarget,
    TextPrediction,
    TextTarget,
)

ATTRIBUTES = (
    '<Choices name="seen" toName="o" perRegion="true" required="true"><Choice value="yes"/><Choice value="no"/></Choices>'
    '<Choices name="how" toName="o" perRegion="true" choice="multiple"><Choice value="a"/></Choices>'
    '<TextArea name="note" toName="o" perRegion="true" whenLabelValue="A"/><Rating name="sure" toName="o" perRegion="true"/>'
    '<Taxonomy name="tree" toName="o" perRegion="true"><Choice value="a"/></Taxonomy>'
    '<Choices name="nest" toName="o" perRegion="true" allowNested="true"><Choice value="a"><Choice value="b"/><Choice value="c"/>'
    '</Choice></Choices><Number name="count" toName="o" perRegion="true"/><DateTime name="day" toName="o" perRegion="true" only="date"/>'
)
ANSWERS: dict[str, tuple[str, Any]] = {
    **{"seen": ("choices", ["yes"]), "how": ("choices", ["a"]), "note": ("textarea", ["torn"]), "sure": ("rating", 3)},
    **{
        "tree": ("taxonomy", [["a"]]),
        "nest": ("choices", [["a", "b"]]),
        "count": ("number", 2),
        "day": ("datetime", "2026-01-02"),
    },
}
AREA = Mask("A", 100, 100, (1010, 40, 8950))
PLACES: dict[str, dict[str, Any]] = {
    "RectangleLabels": {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0},
    "PolygonLabels": {"points": [[10, 10], [50, 10], [50, 50], [10, 50]], "closed": True},
    "BrushLabels": {"format": "rle", "rle": encode_runs(AREA.runs)},
    "Labels": {"start": 0, "end": 4, "text": "Anna"},
}
OBJECTS = {"Labels": '<Text name="o" value="$d"/>'}


def config(tag: str) -> str:
    shown = OBJECTS.get(tag, '<Image name="o" value="$d"/>')
    return f'<View>{shown}<{tag} name="r" toName="o"><Label value="A"/><Label value="B"/></{tag}>{ATTRIBUTES}</View>'


def annotated(tag: str) -> list[dict[str, Any]]:
    """A region with all that was said about it, as the editor saves it: each result holds the region's place."""
    more = {"id": "x1", "to_name": "o", "original_width": 100, "original_height": 100}
    key = tag.lower()
    answers = [
        {
            **more,
            "from_name": name,
            "type": kind,
            "value": {**PLACES[tag], "text" if kind == "textarea" else kind: said},
        }
        for name, (kind, said) in ANSWERS.items()
    ]
    own = {**more, "from_name": "r", "type": key, "value": {**PLACES[tag], key: ["A"]}}
    return [*answers[:3], own, *answers[3:]]


MOMENT = "2026-11-24T02:00:00.000000Z"


def choice(label: str, confidence: float) -> ClassPrediction:
    return ClassPrediction(label, confidence, 1 - confidence)


def task(*results: list[dict[str, Any]], data: Any = "Anna") -> TaskRecord:
    said = (AnnotationRecord(n, n, False, False, MOMENT, result) for n, result in enumerate(results))
    return TaskRecord(1, {"d": data}, MOMENT, tuple(said))


def controls(xml: str) -> dict[str, Control]:
    return {control.name: control for control in parse_label_config(xml).controls}


@pytest.mark.parametrize("tag", sorted(PLACES))
def test_what_is_asked_about_regions_is_learnt_and_the_rest_named(tag: str) -> None:
    found = parse_label_config(config(tag))
    learnt = ["r", "seen", "how", "note", "sure", "tree", "nest"]

    assert [control.name for control in found.controls] == learnt
    assert [line.split("'")[1] for line in found.unsupported] == ["count", "day"]
    assert all("only answers of Choices, Rating, Taxonomy, TextArea are" in line for line in found.unsupported)
    assert asked_about(found.controls) == {"r"}


@pytest.mark.parametrize("tag", sorted(PLACES))
def test_regions_are_read_around_what_is_said_about_them(tag: str) -> None:
    control = controls(config(tag))["r"]
    target = merge(control, task(annotated(tag)))

    assert target is not None
    assert (target.classes, target.weight) == (("A",), 1.0)
    assert target == codec_for(control).read(control, [one for one in annotated(tag) if one["from_name"] == "r"])
    assert isinstance(target, BoxesTarget | MasksTarget | SpansTarget)


PARTS: dict[str, Part] = {
    "RectangleLabels": Box("A", 0.1, 0.1, 0.2, 0.2),
    "PolygonLabels": replace(fill(np.array(PLACES["PolygonLabels"]["points"], dtype=float), 100, 100), label="A"),
    "BrushLabels": AREA,
    "Labels": Span("A", 0, 4),
}


@pytest.mark.parametrize("tag", sorted(PLACES))
def test_what_is_said_of_a_region_is_read_with_the_region(tag: str) -> None:
    found = controls(config(tag))
    target = merge(found["seen"], task(annotated(tag)))
    part = PARTS[tag]

    assert found["seen"].kind is Kind.ATTRIBUTES
    assert target == AttributesTarget((Attribute(part, ClassTarget("yes")),))
    assert target.classes == ("yes",)
    assert target.within(("no",)) is None
    assert asked_parts(found["seen"], {"r": BoxesPrediction((), 1, 0, 1, 1)}) == ()


def test_a_region_of_which_nothing_clear_is_said_is_passed_over() -> None:
    control = controls(config("RectangleLabels"))["seen"]
    said, place = annotated("RectangleLabels"), PLACES["RectangleLabels"]

    def read(**changed: Any) -> object:
        answers = [{**one, **changed} if one["from_name"] == "seen" else one for one in said]
        return codec_for(control).read(control, answers)

    assert read() is not None
    assert read(value={**place, "choices": ["yes", "no"]}) is None
    assert read(value={**place, "choices": []}) is None
    assert read(value="yes") is None
    assert read(id="another") is None
    assert read(id=None) is None
    assert codec_for(control).read(control, [one for one in said if one["from_name"] == "r"]) is None


@pytest.mark.parametrize("odd", [["seen"], {"a": 1}, 5, None])
def test_a_region_of_no_control_s_name_is_passed_over(odd: object) -> None:
    control, said = controls(config("RectangleLabels"))["seen"], annotated("RectangleLabels")
    stray = {"id": "x2", "from_name": odd, "to_name": "o", "type": "rectanglelabels", "value": {}}
    assert merge(control, task([*said, stray])) == merge(control, task(said)) is not None


def test_all_that_annotators_say_counts() -> None:
    control = controls(config("Labels"))["seen"]
    other = json.loads(json.dumps(annotated("Labels")).replace('"yes"', '"no"'))
    target = merge(control, task(annotated("Labels"), other, annotated("Labels")))
    assert isinstance(target, AttributesTarget)
    assert sorted(one.said.summary for one in target.attributes) == ["no", "yes"]


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ("", {"r": (), "s": ()}),
        ('whenLabelValue="A"', {"r": ("A",), "s": ("A",)}),
        ('whenLabelValue="A,B"', {"r": ("A", "B"), "s": ("A", "B")}),
        ('visibleWhen="region-selected"', {"r": (), "s": ()}),
        ('visibleWhen="region-selected" whenTagName="s"', {"s": ()}),
        ('visibleWhen="region-selected" whenTagName="r" whenLabelValue="B"', {"r": ("B",)}),
        ('visibleWhen="region-selected" whenTagName="nobody"', {}),
    ],
)
def test_regions_are_asked_about_as_the_config_says(more: str, asked: dict[str, tuple[str, ...]]) -> None:
    labels = '<Label value="A"/><Label value="B"/>'
    xml = (
        f'<View><Image name="o" value="$d"/><Choices name="c" toName="o" perRegion="true" {more}><Choice value="yes"/>'
        f'<Choice value="no"/></Choices><RectangleLabels name="r" toName="o">{labels}</RectangleLabels>'
        f'<Rectangle name="s" toName="o"/><Labels name="named" toName="o">{labels}</Labels></View>'
    )
    boxes = {name: (Box("A", 0, 0, 0.1, 0.1), Box("B", 0, 0, 0.1, place)) for place, name in ((0.2, "r"), (0.3, "s"))}
    said = {name: BoxesPrediction(found, 1, 0, 10, 10) for name, found in boxes.items()}
    found = controls(xml)

    assert list(found) == ["r", "s", "c"] if asked else list(found) == ["r", "s"]
    wanted = {box for name, labels in asked.items() for box in boxes[name] if not labels or box.label in labels}
    assert not asked or set(asked_parts(found["c"], said)) == wanted


@pytest.mark.parametrize(
    "xml",
    [
        config("Labels").replace('<Choice value="no"/>', ""),
        config("Labels").replace('toName="o" perRegion="true" required="true"', 'toName="x" perRegion="true"'),
        config("Labels")
        .replace('<Choices name="seen"', '<View visibleWhen="region-selected" whenLabelValue="B"><Choices name="seen"')
        .replace('required="true">', 'whenLabelValue="A">')
        .replace("</Choices>", "</Choices></View>", 1),
        config("Labels").replace('<Labels name="r" toName="o">', '<Labels name="r" toName="another">'),
    ],
)
def test_what_cannot_be_learnt_of_regions_is_named(xml: str) -> None:
    found = parse_label_config(xml)
    assert "seen" not in [control.name for control in found.controls]
    assert any(line.startswith("'seen'") for line in found.unsupported)


def found_regions(tag: str) -> tuple[Prediction, tuple[Any, ...]]:
    if tag == "RectangleLabels":
        parts: Any = (Box("A", 0.1, 0.1, 0.2, 0.2, score=0.9), Box("B", 1 / 3, 0.5, 0.25, 0.1, 30.0, score=0.4))
        return BoxesPrediction(parts, 0.9, 0.1, 100, 100), parts
    if tag != "Labels":
        parts = (replace(AREA, score=0.9), Mask("B", 100, 100, (5050, 30, 70, 30, 4820), 0.4))
        return MasksPrediction(parts, 0.9, 0.1), parts
    parts = (Span("A", 0, 4, 0.9), Span("B", 5, 9, 0.4))
    return SpansPrediction(parts, 0.9, 0.1), parts


@pytest.mark.parametrize("tag", ["RectangleLabels", "BrushLabels", "Labels"])
def test_what_is_said_of_regions_is_written_beside_them(tag: str) -> None:
    xml, data = config(tag), {"d": "Anna came"}
    found = controls(xml)
    prediction, parts = found_regions(tag)
    said = AttributesPrediction(
        (Attribute(parts[0], choice("yes", 0.8)), Attribute(parts[1], choice("no", 0.6))), 0.7, 0.3
    )
    sent = prediction_json(1, "v1", 0.5, [(found["r"], prediction), (found["seen"], said)], data)
    drawn, named = sent["result"][:2], sent["result"][2:]

    assert LabelInterface(xml).validate_prediction({**sent, "task": 1}, return_errors=True) == []
    assert [one["id"] for one in drawn] == [one["id"] for one in named]
    assert [one["value"]["choices"] for one in named] == [["yes"], ["no"]]
    assert [one["score"] for one in named] == [0.8, 0.6]
    for one, other in zip(drawn, named, strict=True):
        place = {key: value for key, value in one["value"].items() if key != tag.lower()}
        assert other["value"] == {**place, "choices": other["value"]["choices"]}
    saved = [{key: value for key, value in one.items() if key != "score"} for one in sent["result"]]
    read = codec_for(found["seen"]).read(found["seen"], saved)
    assert isinstance(read, AttributesTarget)
    assert [one.said.summary for one in read.attributes] == ["yes", "no"]
    assert codec_for(found["r"]).read(found["r"], saved) == codec_for(found["r"]).read(found["r"], drawn)


NESTED = join_path(("a", "b"))
SAID: dict[str, tuple[Any, Any, Any]] = {
    "note": (TextTarget(("torn",)), TextPrediction("torn", 0.8, 0.2), {"text": ["torn"]}),
    "how": (SetTarget(("a",)), SetPrediction(("a",), 0.8, 0.2, {"a": 0.8}), {"choices": ["a"]}),
    "sure": (ClassTarget("3"), ClassPrediction("3", 0.8, 0.2), {"rating": 3}),
    "nest": (ClassTarget(NESTED), ClassPrediction(NESTED, 0.8, 0.2), {"choices": [["a", "b"]]}),
    "tree": (SetTarget(("a",)), SetPrediction(("a",), 0.8, 0.2, {"a": 0.8}), {"taxonomy": [["a"]]}),
}


@pytest.mark.parametrize("name", sorted(SAID))
@pytest.mark.parametrize("tag", ["RectangleLabels", "BrushLabels", "Labels"])
def test_sets_paths_ratings_and_texts_of_regions_are_read_and_written(tag: str, name: str) -> None:
    xml = config(tag)
    found = controls(xml)
    target, prediction, value = SAID[name]
    read = codec_for(found[name]).read(found[name], annotated(tag))
    assert isinstance(read, AttributesTarget)
    assert [one.said for one in read.attributes] == [target]

    drawn, parts = found_regions(tag)
    shown = [(found["r"], drawn), (found[name], AttributesPrediction((Attribute(parts[0], prediction),), 0.8, 0.2))]
    sent = prediction_json(1, "v1", 0.5, shown, {"d": "Anna came"})
    said = sent["result"][-1]
    assert LabelInterface(xml).validate_prediction({**sent, "task": 1}, return_errors=True) == []
    assert (said["from_name"], said["id"], said["score"]) == (name, sent["result"][0]["id"], 0.8)
    assert {key: said["value"][key] for key in value} == value
    again = codec_for(found[name]).read(found[name], sent["result"])
    assert isinstance(again, AttributesTarget)
    # Where several are possible, of a region that is left blank none applies.
    assert [one.said for one in again.attributes] in ([target], [target, SetTarget(())])


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("RectangleLabels", "x"),
        ("RectangleLabels", "width"),
        ("BrushLabels", "rle"),
        ("Labels", "start"),
        ("Labels", "text"),
    ],
)
def test_nested_choices_called_as_a_part_of_the_place_are_not_written(tag: str, name: str) -> None:
    found = controls(config(tag).replace('name="nest"', f'name="{name}"'))
    drawn, parts = found_regions(tag)
    asked = AttributesPrediction((Attribute(parts[0], SAID["nest"][1]),), 0.8, 0.2)
    alone = prediction_json(1, "v1", 0.5, [(found["r"], drawn)], {"d": "Anna came"})
    assert prediction_json(1, "v1", 0.5, [(found["r"], drawn), (found[name], asked)], {"d": "Anna came"}) == alone


def test_a_text_of_marked_words_may_be_called_text() -> None:
    found = controls(config("Labels").replace('name="note"', 'name="text"'))
    drawn, parts = found_regions("Labels")
    asked = AttributesPrediction((Attribute(parts[0], SAID["note"][1]),), 0.8, 0.2)
    sent = prediction_json(1, "v1", 0.5, [(found["r"], drawn), (found["text"], asked)], {"d": "Anna came"})
    assert sent["result"][-1]["value"] == {"start": 0, "end": 4, "text": ["torn"]}


def test_only_regions_that_are_sent_are_told_of() -> None:
    found = controls(config("RectangleLabels"))
    prediction, parts = found_regions("RectangleLabels")
    said = AttributesPrediction(tuple(Attribute(part, choice("yes", 0.8)) for part in parts), 0.7, 0.3)

    def sent(*shown: tuple[str, Prediction | None]) -> list[str]:
        told = [(found[name], one) for name, one in shown if one is not None]
        return [region["from_name"] for region in prediction_json(1, "v1", 0.5, told, {"d": "x"})["result"]]

    assert sent(("r", prediction), ("seen", said)) == ["r", "r", "seen", "seen"]
    assert sent(("r", prediction.shown(("A", "B"), 0.5)), ("seen", said)) == ["r", "seen"]
    assert sent(("r", prediction), ("seen", said.shown(("yes",), 0.9))) == ["r", "r"]
    assert sent(("seen", said)) == []
    assert said.shown(("no",), 0.0) is None


def test_what_is_said_of_regions_goes_when_a_condition_hides_them() -> None:
    hidden = (
        '<RectangleLabels name="r" toName="o" visibleWhen="choice-selected" whenTagName="kind" whenChoiceValue="x">'
    )
    whole = '<Choices name="kind" toName="o"><Choice value="x"/><Choice value="y"/></Choices></View>'
    xml = config("RectangleLabels").replace('<RectangleLabels name="r" toName="o">', hidden).replace("</View>", whole)
    found = controls(xml)
    prediction, parts = found_regions("RectangleLabels")
    said = AttributesPrediction((Attribute(parts[0], choice("yes", 0.8)),), 0.7, 0.3)
    sent = prediction_json(1, "v1", 0.5, [(found["r"], prediction), (found["seen"], said)], {"d": "x"})
    assert sent["result"] == []


def test_each_region_of_an_area_drawn_in_several_is_told_of() -> None:
    found, apart = controls(config("PolygonLabels")), np.zeros((100, 100), dtype=bool)
    apart[10:30, 10:30] = apart[60:90, 50:80] = True
    mask = Mask.of("A", apart, 0.9)
    said = AttributesPrediction((Attribute(mask, choice("yes", 0.8)),), 0.8, 0.2)
    shown = [(found["r"], MasksPrediction((mask,), 0.9, 0.1)), (found["seen"], said)]
    sent = prediction_json(1, "v1", 0.5, shown, {"d": "x"})["result"]
    assert [one["from_name"] for one in sent] == ["r", "r", "seen", "seen"]
    assert [one["id"] for one in sent[:2]] == [one["id"] for one in sent[2:]]
    assert [one["value"]["points"] for one in sent[:2]] == [one["value"]["points"] for one in sent[2:]]


def test_what_is_asked_about_every_region_is_asked_about_boxes_and_areas_alike() -> None:
    labels = '<Label value="A"/>'
    found = controls(
        f'<View><Image name="o" value="$d"/><BrushLabels name="b" toName="o">{labels}</BrushLabels><RectangleLabels name="r" '
        f'toName="o">{labels}</RectangleLabels><Rating name="c" toName="o" perRegion="true"/></View>'
    )
    box = Box("A", 0.1, 0.1, 0.2, 0.2)
    said = {"b": MasksPrediction((AREA,), 1, 0), "r": BoxesPrediction((box,), 1, 0, 100, 100)}
    assert set(asked_parts(found["c"], said)) == {AREA, box}
    assert asked_about(found.values()) == {"b", "r"}


def test_two_tags_that_draw_and_name_are_told_of_once() -> None:
    xml = (
        '<View><Image name="o" value="$d"/><Rectangle name="r" toName="o"/><Labels name="l" toName="o"><Label value="A"/>'
        '</Labels><Choices name="c" toName="o" perRegion="true"><Choice value="yes"/><Choice value="no"/></Choices></View>'
    )
    found = controls(xml)
    box = Box("A", 0.1, 0.1, 0.2, 0.2, score=0.9)
    said = AttributesPrediction((Attribute(box, choice("yes", 0.8)),), 0.7, 0.3)
    shown = [(found["r"], BoxesPrediction((box,), 0.9, 0.1, 100, 100)), (found["c"], said)]
    sent = prediction_json(1, "v1", 0.5, shown, {"d": "x"})

    assert [one["from_name"] for one in sent["result"]] == ["r", "l", "c"]
    assert LabelInterface(xml).validate_prediction({**sent, "task": 1}, return_errors=True) == []
    assert codec_for(found["c"]).read(found["c"], sent["result"]) == AttributesTarget(
        (Attribute(replace(box, score=1.0), ClassTarget("yes")),)
    )


def test_stretches_of_a_conversation_are_told_of() -> None:
    xml = (
        '<View><Paragraphs name="o" value="$d"/><ParagraphLabels name="r" toName="o"><Label value="A"/></ParagraphLabels>'
        '<Choices name="c" toName="o" perRegion="true"><Choice value="yes"/><Choice value="no"/></Choices></View>'
    )
    talk = [{"author": "a", "text": "Anna came"}, {"author": "b", "text": "So did Bob"}]
    found = controls(xml)
    spans = SpansPrediction((Span("A", 0, 4, 0.9), Span("A", 2, 15, 0.8), Span("A", 500, 510, 0.8)), 0.9, 0.1)
    said = AttributesPrediction(tuple(Attribute(span, choice("no", 0.8)) for span in spans.spans), 0.7, 0.3)
    sent = prediction_json(1, "v1", 0.5, [(found["r"], spans), (found["c"], said)], {"d": talk})

    assert [one["from_name"] for one in sent["result"]] == ["r", "r", "c", "c"]
    target = codec_for(found["c"]).read(found["c"], sent["result"], talk)
    assert isinstance(target, AttributesTarget)
    assert [(one.part.start, one.part.end) for one in target.attributes if isinstance(one.part, Span)] == [
        (0, 4),
        (2, 15),
    ]


SHARES = st.floats(0, 0.9, allow_nan=False)


@given(st.lists(st.tuples(SHARES, SHARES, st.sampled_from("AB"), st.sampled_from(["yes", "no"])), max_size=5))
def test_what_is_sent_is_read_back(drawn: list[tuple[float, float, str, str]]) -> None:
    found = controls(config("RectangleLabels"))
    boxes = [Box(label, x, y, 0.1, 0.1, score=0.5) for x, y, label, _ in drawn]
    said = {box: answer for box, (*_, answer) in zip(boxes, drawn, strict=True)}
    attributes = tuple(Attribute(box, choice(answer, 0.5)) for box, answer in said.items())
    shown: list[tuple[Control, Prediction]] = [
        (found["r"], BoxesPrediction(tuple(said), 0.5, 0.5, 10, 10)),
        (found["seen"], AttributesPrediction(attributes, 0.5, 0.5)),
    ]
    result = prediction_json(1, "v1", 0.5, shown, {"d": "x"})["result"]
    target = codec_for(found["seen"]).read(found["seen"], result)
    read = target.attributes if isinstance(target, AttributesTarget) else ()
    assert [one.said.summary for one in read] == list(said.values())
    assert [one.part.label for one in read] == [box.label for box in said]


def test_what_is_asked_about_the_whole_item_beside_them_is_learnt() -> None:
    whole = '<Choices name="kind" toName="o"><Choice value="x"/><Choice value="y"/></Choices></View>'
    found = controls(config("Labels").replace("</View>", whole))
    said = {"from_name": "kind", "to_name": "o", "type": "choices", "value": {"choices": ["x"]}}

    assert list(found) == ["r", "kind", "seen", "how", "note", "sure", "tree", "nest"]
    target = codec_for(found["kind"]).read(found["kind"], [*annotated("Labels"), said])
    assert target is not None
    assert target.classes == ("x",)
