"""Rectangles in Label Studio's results, read and written."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from labelloop.labelstudio import AnnotationRecord, TaskRecord, codec_for, merge, parse_label_config, prediction_json
from labelloop.records import Box, BoxesPrediction, BoxesTarget, Kind
from labelloop.records.geometry import hulls, overlaps

XML = """<View><Image name="img" value="$image"/>
<RectangleLabels name="box" toName="img" model_score_threshold="0.4"><Label value="Katze" alias="cat" predicted_values="lynx"/>
<Label value="dog"/></RectangleLabels></View>"""
(CONTROL,) = parse_label_config(XML).controls
CODEC = codec_for(CONTROL)


def drawn(x: float, y: float, width: float, height: Any, *labels: str, **more: Any) -> dict[str, Any]:
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": list(labels), **more}
    sizes = {"original_width": 640, "original_height": 480, "image_rotation": 0}
    return {"id": "a1", "from_name": "box", "to_name": "img", "type": "rectanglelabels", **sizes, "value": value}


def read(*regions: dict[str, Any]) -> BoxesTarget | None:
    target = CODEC.read(CONTROL, list(regions))
    assert target is None or isinstance(target, BoxesTarget)
    return target


def merged(*annotations: list[dict[str, Any]]) -> BoxesTarget:
    moment = "2026-11-24T02:00:0{}.000000Z"
    said = [AnnotationRecord(n, n, False, False, moment.format(9 - n), result) for n, result in enumerate(annotations)]
    target = merge(CONTROL, TaskRecord(1, {"image": "x"}, moment.format(0), tuple(said)))
    assert isinstance(target, BoxesTarget)
    return target


millionths = st.integers(0, 10**6).map(lambda n: n / 10**6)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x, y = draw(st.integers(0, 10**6 - 200)), draw(st.integers(0, 10**6 - 200))
    width, height = draw(st.integers(101, 10**6 - x)), draw(st.integers(101, 10**6 - y))
    turn = draw(st.one_of(st.just(0.0), st.integers(1, 3599).map(lambda tenths: tenths / 10)))
    label = draw(st.sampled_from(CONTROL.labels))
    return Box(label, x / 10**6, y / 10**6, width / 10**6, height / 10**6, turn, draw(millionths))


def inside(box: Box) -> bool:
    left, top, right, bottom = hulls([box])[0]
    return bool(min(right - left, bottom - top) > 1e-3)


def test_boxes_are_learnt_with_their_labels_aliases_and_threshold() -> None:
    assert (CONTROL.kind, CONTROL.labels, CONTROL.threshold) == (Kind.BOXES, ("cat", "dog"), 0.4)
    assert CONTROL.predicted_values == (("lynx", "cat"),)


def test_what_has_no_labels_is_not_learnt() -> None:
    config = parse_label_config('<View><Image name="img" value="$i"/><RectangleLabels name="b" toName="img"/></View>')
    assert config.controls == ()
    assert "no label" in config.unsupported[0]


@given(st.lists(boxes(), max_size=5))
def test_what_is_written_is_accepted_and_read_back_the_same(drawn: list[Box]) -> None:
    kept = [box for box in drawn if inside(box)]
    prediction = BoxesPrediction(tuple(kept), 0.5, 0.5, 480, 640)
    sent = prediction_json(7, "v1", 0.25, [(CONTROL, prediction)], {"image": "x"})
    assert LabelInterface(XML).validate_prediction(sent, return_errors=True) == []
    target = CODEC.read(CONTROL, sent["result"])
    assert isinstance(target, BoxesTarget)
    assert [box_without_score(box) for box in target.boxes] == [box_without_score(box) for box in kept]
    assert [region["score"] for region in sent["result"]] == [box.score for box in kept]
    assert len({region["id"] for region in sent["result"]}) == len(kept)
    # What the editor saves: percent with the noise of floating point, and keys of its own.
    for region in sent["result"]:
        sides = ("x", "y", "width", "height")
        region["value"] |= {key: region["value"][key] / 3.7 * 3.7 for key in sides}
        region |= {"origin": "prediction-changed", "meta": {}}
        del region["score"]
    assert CODEC.read(CONTROL, sent["result"]) == target


def box_without_score(box: Box) -> tuple[Any, ...]:
    return box.label, box.x, box.y, box.width, box.height, box.rotation


def test_the_same_boxes_have_the_same_ids_each_time() -> None:
    prediction = BoxesPrediction((Box("cat", 0.1, 0.1, 0.2, 0.2, score=0.6),), 0.5, 0.5, 480, 640)
    again = BoxesPrediction((Box("cat", 0.1, 0.1, 0.2, 0.2, score=0.7),), 0.5, 0.5, 480, 640)
    assert CODEC.write(CONTROL, prediction, "x")[0]["id"] == CODEC.write(CONTROL, again, "x")[0]["id"]


def test_no_box_says_that_there_is_nothing() -> None:
    assert read() == BoxesTarget(())
    assert read({"from_name": "other", "type": "choices", "value": {"choices": ["a"]}}) == BoxesTarget(())


def test_a_box_beyond_the_image_is_cut_at_its_edges() -> None:
    assert read(drawn(-10, 90, 30, 30, "cat")) == BoxesTarget((Box("cat", 0.0, 0.9, 0.2, 0.1),))


@pytest.mark.parametrize(
    "region",
    [
        drawn(10, 10, 0, 20, "cat"),
        drawn(10, 10, 20, 0.009, "cat"),
        drawn(110, 10, 20, 20, "cat"),
        drawn(10, 10, 20, 20),
        drawn(math.nan, 10, 20, 20, "cat"),
        drawn(10, 10, 20, "wide", "cat"),
        drawn(10, 10, 20, 10**400, "cat"),
        drawn(10, 10, 20, 20, "cat", rectanglelabels="cat"),
    ],
)
def test_what_is_no_box_is_passed_over_and_alone_says_nothing(region: dict[str, Any]) -> None:
    assert read(region) is None
    assert read(region, drawn(10, 20, 30, 40, "dog")) == BoxesTarget((Box("dog", 0.1, 0.2, 0.3, 0.4),))


def test_a_turned_box_is_kept_as_drawn() -> None:
    target = read(drawn(80, 50, 30, 10, "cat", rotation=-30.0))
    assert target == BoxesTarget((Box("cat", 0.8, 0.5, 0.3, 0.1, 330.0),))
    for turn in (None, 10**400):
        assert read(drawn(10, 10, 20, 20, "cat", rotation=turn)) == BoxesTarget((Box("cat", 0.1, 0.1, 0.2, 0.2),))


def test_a_region_of_two_labels_is_a_box_of_each() -> None:
    target = read(drawn(10, 10, 20, 20, "cat", "dog"))
    assert target is not None
    assert target.classes == ("cat", "dog")


def test_boxes_that_half_of_the_annotators_drew_are_kept_with_their_mean() -> None:
    target = merged(
        [drawn(10, 10, 20, 20, "cat"), drawn(60, 60, 20, 20, "dog")],
        [drawn(12, 10, 20, 20, "cat"), drawn(0, 80, 10, 10, "dog")],
        [drawn(14, 10, 20, 20, "cat"), drawn(62, 60, 20, 20, "dog")],
    )
    assert target.boxes == (Box("cat", 0.12, 0.1, 0.2, 0.2), Box("dog", 0.61, 0.6, 0.2, 0.2))
    assert target.weight == pytest.approx((3 + 2 + 2) / 9)


def test_boxes_of_two_classes_are_never_the_same() -> None:
    target = merged([drawn(10, 10, 20, 20, "cat")], [drawn(10, 10, 20, 20, "dog")], [drawn(10, 10, 20, 20, "dog")])
    assert target.boxes == (Box("dog", 0.1, 0.1, 0.2, 0.2),)


def test_two_boxes_of_one_annotator_are_never_the_same() -> None:
    twins = [drawn(10, 10, 20, 20, "cat"), drawn(11, 10, 20, 20, "cat")]
    assert len(merged(twins, twins).boxes) == 2
    assert merged(twins, twins).weight == 1


def test_annotators_may_agree_that_there_is_nothing() -> None:
    assert merged([], []) == BoxesTarget((), 1.0)
    assert merged([], [], [drawn(10, 10, 20, 20, "cat")]) == BoxesTarget((), pytest.approx(2 / 3))


def test_of_turned_boxes_the_latest_annotators_is_kept() -> None:
    one, other = drawn(50, 50, 20, 10, "cat", rotation=30), drawn(51, 50, 20, 10, "cat", rotation=32)
    assert merged([one], [other]).boxes == (Box("cat", 0.5, 0.5, 0.2, 0.1, 30.0),)


def test_a_quarter_turn_swaps_the_sides_in_pixels() -> None:
    # 0.2 of a width of 200 are 40 pixels, 0.4 of the height of 100; turned clockwise about its corner it lies to the left.
    turned = Box("cat", 0.5, 0.2, 0.2, 0.1, rotation=90.0)
    assert hulls([turned], aspect=2.0) == pytest.approx(np.array([[0.45, 0.2, 0.5, 0.6]]))


def test_overlaps_are_shares_of_the_union() -> None:
    one = np.array([[0.0, 0.0, 0.2, 0.2], [0.0, 0.0, 0.0, 0.0]])
    other = np.array([[0.1, 0.0, 0.3, 0.2], [0.5, 0.5, 0.6, 0.6]])
    assert overlaps(one, other) == pytest.approx(np.array([[1 / 3, 0], [0, 0]]))
