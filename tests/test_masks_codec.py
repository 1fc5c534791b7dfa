"""Areas in Label Studio's results: brushes, polygons, bitmaps."""

import base64
import json
import tracemalloc
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from label_studio_sdk.converter.brush import decode_rle, encode_rle, mask2rle
from label_studio_sdk.label_interface import LabelInterface
from PIL import Image

from labelloop.labelstudio.brush_rle import decode_area, encode_runs
from labelloop.labelstudio.codecs import CODECS
from labelloop.labelstudio.config import parse_label_config
from labelloop.labelstudio.outlines import fill, outlines
from labelloop.records import Control, Kind, Mask, MasksPrediction, MasksTarget

TAGS = ("BrushLabels", "PolygonLabels", "BitmaskLabels")
LABELS = ("cell", "naïve ☃")

small = arrays(np.bool_, st.tuples(st.integers(1, 24), st.integers(1, 24)))


def _config(tag: str) -> str:
    labels = "".join(f'<Label value="{label}"/>' for label in LABELS)
    return f'<View><Image name="image" value="$image"/><{tag} name="area" toName="image">{labels}</{tag}></View>'


def _control(tag: str) -> Control:
    (control,) = parse_label_config(_config(tag)).controls
    return control


def _read(tag: str, result: list[dict[str, Any]]) -> MasksTarget | None:
    found = CODECS[tag].read(_control(tag), result)
    assert found is None or isinstance(found, MasksTarget)
    return found


def _write(tag: str, *masks: Mask) -> list[dict[str, Any]]:
    return CODECS[tag].write(_control(tag), MasksPrediction(masks, 0.5, 0.5), None)


def _saved(regions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the editor saves what it was shown: in another order, through JSON, with keys of its own."""
    return json.loads(json.dumps([{**region, "origin": "prediction", "readonly": False} for region in regions[::-1]]))


def _disc(side: int = 60, radius: float = 20, hole: float = 0) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side]
    away = np.hypot(rows - side / 2, columns - side / 2)
    return (away < radius) & (away >= hole)


def _decoded(stream: object, height: int, width: int) -> np.ndarray | None:
    area = decode_area(stream, height, width)
    # What is read is as it would be written.
    assert area is None or area == Mask.of("", area.inside())
    return None if area is None else area.inside()


def _filled(points: np.ndarray, height: int, width: int) -> np.ndarray:
    return fill(points, height, width).inside()


def _together(target: MasksTarget | None, label: str, shape: tuple[int, ...]) -> np.ndarray:
    assert target is not None
    return np.any([m.inside() for m in target.masks if m.label == label] or [np.zeros(shape, dtype=bool)], axis=0)


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("tag", TAGS)
def test_controls_are_found(tag: str) -> None:
    control = _control(tag)

    assert (control.kind, control.labels) == (Kind.MASKS, LABELS)
    empty = _config(tag).replace("<Label ", "<Other ")
    assert "no label" in parse_label_config(empty).unsupported[0]


@settings(max_examples=60)
@given(small)
def test_run_lengths_are_those_of_label_studio(inside: np.ndarray) -> None:
    height, width = inside.shape
    stream = encode_runs(Mask.of("", inside).runs)

    assert (decode_rle(stream).reshape(height, width, 4) == inside[..., None] * 255).all()
    assert (_decoded(stream, height, width) == inside).all()
    assert (_decoded(mask2rle(inside * np.uint8(255)), height, width) == inside).all()


def test_run_lengths_of_large_areas_and_of_colours_are_read() -> None:
    large = np.zeros((400, 700), dtype=bool)
    large[100:] = True
    assert (
        decode_rle(encode_runs(Mask.of("", large).runs)).reshape(400, 700, 4)[..., 3] > 0
    ).tolist() == large.tolist()
    colours = np.random.default_rng(0).integers(0, 256, (5, 6, 4))
    inside = _decoded(encode_rle(colours.ravel()), 5, 6)
    assert (inside == (colours[..., 3] >= colours[..., 3].max() / 2)).all()


@pytest.mark.parametrize("seed", range(12))
def test_pieces_of_a_stream_may_begin_and_end_at_any_channel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.choice([0, 0, 200, 255], (7, 9, 4)).repeat(rng.integers(1, 5), axis=1)
    found = _decoded(encode_rle(values.astype(np.uint8).ravel()), *values.shape[:2])

    assert (found == (values[..., 3] >= values[..., 3].max() / 2)).all()


def test_a_small_area_in_a_large_image_is_read_in_its_own_size() -> None:
    side, pixels = 4000, 16_000_000
    stream = encode_runs((pixels // 2, 500, pixels // 2 - 500))
    tracemalloc.start()
    area = decode_area(stream, side, side)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert area == Mask("", side, side, (pixels // 2, 500, pixels // 2 - 500))
    assert most < 2**20


@pytest.mark.parametrize("opaque", [1, 100, 255])
def test_areas_are_read_however_opaque(opaque: int) -> None:
    stream = mask2rle(_disc().astype(np.uint8) * opaque)
    assert (_decoded(stream, 60, 60) == _disc()).all()


@pytest.mark.parametrize("stream", [[], [1], [0] * 9, [255] * 30, ["a"], [300], [None], "rle", None, {}, [-1]])
def test_what_is_no_stream_is_nothing(stream: object) -> None:
    assert _decoded(stream, 4, 4) is None


@settings(max_examples=60)
@given(st.lists(st.integers(0, 255), max_size=60))
def test_streams_that_break_off_are_nothing_or_an_area(tail: list[int]) -> None:
    head = mask2rle(np.zeros((4, 4), dtype=np.uint8))[:7]
    found = _decoded(head + tail, 4, 4)
    assert found is None or found.shape == (4, 4)


@settings(max_examples=60)
@given(st.sampled_from(["BrushLabels", "BitmaskLabels"]), small, small, st.floats(0, 1))
def test_brushes_and_bitmaps_come_back_as_they_were_sent(
    tag: str, first: np.ndarray, second: np.ndarray, score: float
) -> None:
    masks = [Mask.of(label, inside, score) for label, inside in zip(LABELS, (first, second), strict=True)]
    result = _write(tag, *masks)
    errors = LabelInterface(_config(tag)).validate_prediction({"result": result, "score": 0.5}, return_errors=True)
    sent = {m.label: (m.runs, m.height, m.width) for m in masks if len(m.runs) > 1}

    assert errors == []
    read = _read(tag, _saved(result))
    assert read is not None
    assert {m.label: (m.runs, m.height, m.width) for m in read.masks} == sent
    assert [m.score for m in read.masks] == [1.0] * len(sent)


@settings(max_examples=60)
@given(small)
def test_polygons_come_back_as_they_were_shown(inside: np.ndarray) -> None:
    result = _write("PolygonLabels", Mask.of("cell", inside, 0.7))
    errors = LabelInterface(_config("PolygonLabels")).validate_prediction({"result": result}, return_errors=True)
    shown = [_filled(np.array(r["value"]["points"]) * inside.shape[::-1] / 100, *inside.shape) for r in result]
    rounded = json.loads(json.dumps(result))
    for region in rounded:
        region["value"]["points"] = [[x + 1e-7, y - 1e-7] for x, y in region["value"]["points"]]

    assert errors == []
    for version in (result, rounded):
        read = _read("PolygonLabels", version)
        assert read is not None
        assert [m.runs for m in read.masks] == [Mask.of("", one).runs for one in shown]


@settings(max_examples=100)
@given(small)
def test_outlines_that_are_not_simplified_give_back_the_area(inside: np.ndarray) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("labelloop.labelstudio.outlines.SPECK_PIXELS", 0)
        patch.setattr("labelloop.labelstudio.outlines._FINEST", 1e6)
        found = [_filled(outline, *inside.shape) for outline in outlines(inside)]

    assert (np.sum([*found, np.zeros(inside.shape)], axis=0) == inside).all()


@pytest.mark.parametrize("hole", [0, 8])
def test_polygons_keep_area_and_holes_with_few_points(hole: float) -> None:
    inside = _disc(200, 60, hole * 2)
    (outline,) = outlines(inside)

    assert len(outline) < 60
    assert _overlap(_filled(outline, 200, 200), inside) > 0.97
    assert _filled(outline, 200, 200)[100, 100] == (hole == 0)


def test_pieces_are_polygons_of_their_own_and_specks_are_dropped() -> None:
    inside = np.zeros((100, 200), dtype=bool)
    inside[10:30, 20:60] = inside[60:90, 100:180] = True
    inside[70:80, 120:140] = False
    inside[74:77, 128:133] = True
    inside[50, 50] = inside[5, 5:8] = True
    found = outlines(inside)
    kept = np.any([_filled(outline, 100, 200) for outline in found], axis=0)
    inside[50, 50] = inside[5, 5:8] = False

    assert len(found) == 3
    assert (kept == inside).all()
    assert outlines(np.zeros((5, 5), dtype=bool)) == []


def test_polygon_is_filled_where_it_winds_and_cut_at_the_image() -> None:
    star = np.array([[50, 0], [80, 95], [2, 35], [98, 35], [20, 95]], dtype=float)
    assert _filled(star, 100, 100)[50, 50]
    assert _filled(np.array([[-50, -50], [150, -50], [150, 50], [-50, 50]], dtype=float), 100, 100).sum() == 5000
    assert not _filled(np.array([[200, 200], [300, 200], [300, 300]], dtype=float), 100, 100).any()
    assert not _filled(np.array([[-9, -9], [-5, -9], [-5, -5]], dtype=float), 100, 100).any()


def _winding(points: np.ndarray, x: float, y: float) -> int:
    """How often a polygon runs around a point, edge by edge."""
    turns = 0
    for (from_x, from_y), (to_x, to_y) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if (from_y < y) != (to_y < y) and from_x + (y - from_y) * (to_x - from_x) / (to_y - from_y) <= x:
            turns += 1 if to_y > from_y else -1
    return turns


@pytest.mark.parametrize("seed", range(20))
def test_a_polygon_of_any_form_is_what_it_winds_around(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 30, 2).tolist()
    points = np.round(rng.uniform(-20, 50, (rng.integers(3, 9), 2)) * 64) / 64
    right = [[_winding(points, x + 0.5, y + 0.5) != 0 for x in range(width)] for y in range(height)]

    assert (_filled(points, height, width) == right).all()
    assert fill(points, height, width).runs == Mask.of("", np.array(right)).runs


def test_a_small_polygon_in_a_large_image_is_read_in_its_own_size() -> None:
    """A photograph of 12 megapixels with 300 of them took seconds to read, at every round."""
    value = {"points": [[50, 50], [50.1, 50], [50.1, 50.1]], "closed": True, "polygonlabels": ["cell"]}
    region = {"from_name": "area", "to_name": "image", "type": "polygonlabels", "value": value}
    size = {"original_width": 4000, "original_height": 3000}
    tracemalloc.start()
    read = _read("PolygonLabels", [region | size])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert read is not None
    assert most < 2**20


def test_each_region_and_each_of_its_labels_is_a_mask() -> None:
    square = {"points": [[0, 0], [50, 0], [50, 50], [0, 50]], "polygonlabels": list(LABELS)}
    other = {"points": [[50, 50], [100, 50], [100, 100]], "polygonlabels": ["cell"]}
    result = [
        {"from_name": "area", "original_width": 10, "original_height": 20, "value": value} for value in (square, other)
    ]
    target = _read("PolygonLabels", result)

    assert target is not None
    assert [(m.label, m.height, m.width) for m in target.masks] == [
        ("cell", 20, 10),
        (LABELS[1], 20, 10),
        ("cell", 20, 10),
    ]
    assert target.masks[0].inside()[:10, :5].all()
    assert int(target.masks[0].inside().sum()) == 50


@pytest.mark.parametrize("tag", TAGS)
def test_no_region_says_nothing_is_there_and_broken_ones_say_nothing(tag: str) -> None:
    key = tag.lower()
    broken: list[Any] = [
        {},
        {"value": None},
        {"value": {key: None}},
        {"value": {key: ["cell"]}},
        {"value": {key: ["cell"], "format": "rle", "rle": [1, 2]}, "original_width": 4, "original_height": 4},
        {"value": {key: ["cell"], "points": [[0, 0], [1, "a"], [2, 2]]}},
        {"value": {key: ["cell"], "points": [[0, 0], [1, 1]]}},
        {"value": {key: ["cell"], "points": [[0, 0], [float("nan"), 1], [5, 5]]}},
        {"value": {key: ["cell"], "points": [[0, 0], [10**400, 1], [5, 5]]}},
        {"value": {key: ["cell"], "imageDataURL": "data:image/png;base64,AAAA"}},
        {"value": {key: ["cell"], "rle": [0]}, "original_width": 10**9, "original_height": 10**9},
    ]

    assert _read(tag, []) == MasksTarget(())
    assert _read(tag, [{"from_name": "other", "value": {}}]) == MasksTarget(())
    for region in broken:
        assert _read(tag, [{"from_name": "area", **region}]) is None


def test_bitmap_without_transparency_says_nothing() -> None:
    stream = BytesIO()
    Image.fromarray(_disc().astype(np.uint8) * 255).save(stream, "PNG")
    url = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()

    assert (
        _read("BitmaskLabels", [{"from_name": "area", "value": {"bitmasklabels": ["cell"], "imageDataURL": url}}])
        is None
    )


@pytest.mark.parametrize("tag", TAGS)
def test_size_of_the_image_may_be_whole_floats(tag: str) -> None:
    sent = _write(tag, Mask.of("cell", _disc()))
    floats = [{**one, "original_width": 60.0, "original_height": 60.0} for one in sent]

    assert _read(tag, floats) == _read(tag, sent) is not None


@pytest.mark.parametrize("side", [60.5, -60.0, float("nan"), float("inf"), 1e300, True, None])
def test_size_that_is_none_is_unknown(side: object) -> None:
    sent = _write("BrushLabels", Mask.of("cell", _disc()))

    assert _read("BrushLabels", [{**one, "original_width": side} for one in sent]) is None


def test_polygon_of_an_image_of_unknown_size_keeps_its_shares() -> None:
    value = {"points": [[0, 0], [25, 0], [25, 100], [0, 100]], "polygonlabels": ["cell"]}
    target = _read("PolygonLabels", [{"from_name": "area", "value": value}])

    assert target is not None
    assert target.masks[0].inside().mean() == pytest.approx(0.25)


@pytest.mark.parametrize("tag", TAGS)
def test_ids_are_the_same_for_the_same_and_differ_otherwise(tag: str) -> None:
    masks = [Mask.of("cell", _disc(), 0.3), Mask.of(LABELS[1], _disc(), 0.4)]
    ids = [region["id"] for region in _write(tag, *masks)]

    assert len(set(ids)) == 2
    assert ids == [
        region["id"] for region in _write(tag, *(Mask(m.label, m.height, m.width, m.runs, 0.9) for m in masks))
    ]
    assert [region["score"] for region in _write(tag, *masks)] == [0.3, 0.4]
    assert _write(tag, masks[0])[0]["original_width"] == 60
    assert _write(tag, Mask.of("cell", np.zeros((3, 3), bool))) == []


def test_annotators_keep_the_pixels_that_half_of_them_marked() -> None:
    codec, control = CODECS["BrushLabels"], _control("BrushLabels")
    wide, high, nothing = np.zeros((10, 10), bool), np.zeros((10, 10), bool), MasksTarget(())
    wide[:6], high[:, :6] = True, True
    one, other = MasksTarget((Mask.of("cell", wide),)), MasksTarget((Mask.of("cell", high), Mask.of(LABELS[1], ~high)))
    both: Any = codec.merge(control, [one, other, one])
    split: Any = codec.merge(control, [one, nothing, nothing])

    assert _together(both, "cell", (10, 10)).tolist() == wide.tolist()
    assert not _together(both, LABELS[1], (10, 10)).any()
    assert 0.5 < both.weight < 1
    assert split.masks == ()
    assert split.weight == pytest.approx(2 / 3)


def test_what_annotators_drew_alike_stays_as_it_was_drawn() -> None:
    codec, control = CODECS["BrushLabels"], _control("BrushLabels")
    drawn = MasksTarget((Mask.of("cell", _disc()), Mask.of("cell", ~_disc())), 0.2)
    merged: Any = codec.merge(control, [drawn, drawn])

    assert (merged.masks, merged.weight) == (drawn.masks, 1.0)
    assert codec.merge(control, [MasksTarget(())]) == MasksTarget(())


def test_areas_of_several_sizes_are_merged_at_the_preferred_size() -> None:
    codec, control = CODECS["PolygonLabels"], _control("PolygonLabels")
    coarse = np.zeros((5, 5), bool)
    coarse[:3] = True
    fine = np.repeat(np.repeat(coarse, 4, axis=0), 4, axis=1)
    fine[0, 0] = False
    merged: Any = codec.merge(control, [MasksTarget((Mask.of("cell", fine),)), MasksTarget((Mask.of("cell", coarse),))])

    assert (merged.masks[0].height, merged.masks[0].width) == (20, 20)
    assert int(merged.masks[0].inside().sum()) == 240
