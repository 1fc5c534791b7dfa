"""What is asked about regions that have a class already is named as not learnt, and gets in nobody's way."""

from typing import Any

import pytest

from labelloop.labelstudio import codec_for, merge, parse_label_config, prediction_json
from labelloop.labelstudio.tasks import AnnotationRecord, TaskRecord
from labelloop.records import Box, BoxesPrediction, BoxesTarget, MasksTarget, Span, SpansPrediction, SpansTarget

ATTRIBUTES = (
    '<Choices name="seen" toName="o" perRegion="true" required="true"><Choice value="yes"/><Choice value="no"/></Choices>'
    '<Choices name="how" toName="o" perRegion="true" choice="multiple"><Choice value="a"/></Choices>'
    '<TextArea name="note" toName="o" perRegion="true" whenLabelValue="A"/><Rating name="sure" toName="o" perRegion="true"/>'
    '<Taxonomy name="tree" toName="o" perRegion="true"><Choice value="a"/></Taxonomy>'
    '<Number name="count" toName="o" perRegion="true"/><DateTime name="day" toName="o" perRegion="true" only="date"/>'
)
ANSWERS: dict[str, tuple[str, Any]] = {
    **{"seen": ("choices", ["yes"]), "how": ("choices", ["a"]), "note": ("textarea", ["torn"]), "sure": ("rating", 3)},
    **{"tree": ("taxonomy", [["a"]]), "count": ("number", 2), "day": ("datetime", "2026-01-02")},
}
PLACES: dict[str, dict[str, Any]] = {
    "RectangleLabels": {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0},
    "PolygonLabels": {"points": [[10, 10], [50, 10], [50, 50], [10, 50]], "closed": True},
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


@pytest.mark.parametrize("tag", sorted(PLACES))
def test_every_attribute_is_named_and_the_regions_are_learnt(tag: str) -> None:
    found = parse_label_config(config(tag))

    assert [control.name for control in found.controls] == ["r"]
    assert [line.split("'")[1] for line in found.unsupported] == list(ANSWERS)
    for line in found.unsupported[:5]:
        assert 'perRegion="true" asks about parts of a task' in line


@pytest.mark.parametrize("tag", sorted(PLACES))
def test_regions_are_read_around_what_is_said_about_them(tag: str) -> None:
    (control,) = parse_label_config(config(tag)).controls
    moment = "2026-11-24T02:00:00.000000Z"
    task = TaskRecord(1, {"d": "Anna"}, moment, (AnnotationRecord(1, 1, False, False, moment, annotated(tag)),))
    target = merge(control, task)

    assert target is not None
    assert (target.classes, target.weight) == (("A",), 1.0)
    assert target == codec_for(control).read(control, [one for one in annotated(tag) if one["from_name"] == "r"])
    assert isinstance(target, BoxesTarget | MasksTarget | SpansTarget)


def test_only_regions_are_written() -> None:
    (boxes,), (spans,) = (parse_label_config(config(tag)).controls for tag in ("RectangleLabels", "Labels"))
    box = BoxesPrediction((Box("A", 0.1, 0.1, 0.2, 0.2, score=0.9),), 0.9, 0.1, 100, 100)
    span = SpansPrediction((Span("B", 0, 4, 0.9),), 0.9, 0.1)

    for control, prediction in ((boxes, box), (spans, span)):
        sent = prediction_json(1, "v1", 0.5, [(control, prediction)], {"d": "Anna"})
        assert [region["from_name"] for region in sent["result"]] == ["r"]


def test_what_is_asked_about_the_whole_item_beside_them_is_learnt() -> None:
    whole = '<Choices name="kind" toName="o"><Choice value="x"/><Choice value="y"/></Choices></View>'
    found = parse_label_config(config("Labels").replace("</View>", whole))
    said = {"from_name": "kind", "to_name": "o", "type": "choices", "value": {"choices": ["x"]}}
    control = found.controls[-1]

    assert [one.name for one in found.controls] == ["r", "kind"]
    target = codec_for(control).read(control, [*annotated("Labels"), said])
    assert target is not None
    assert target.classes == ("x",)
