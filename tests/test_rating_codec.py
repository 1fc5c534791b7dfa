"""Stars, read and written as Label Studio does."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from labelloop.labelstudio import codec_for, parse_label_config, prediction_json
from labelloop.records import ClassPrediction, ClassTarget, Control, Kind, Modality


def rating(more: str = "", shown: str = '<Paragraphs name="p" value="$talk" nameKey="who"/>') -> str:
    return f'<View>{shown}<Rating name="r" toName="p" {more}/></View>'


def control_of(xml: str) -> Control:
    (control,) = parse_label_config(xml).controls
    return control


def stars(said: Any) -> list[dict[str, Any]]:
    return [{"from_name": "r", "to_name": "p", "type": "rating", "value": {"rating": said}}]


CONTROL = control_of(rating())


def test_stars_are_classes_in_order() -> None:
    assert CONTROL.kind is Kind.RATING
    assert CONTROL.labels == ("1", "2", "3", "4", "5")
    assert control_of(rating('maxRating="3"')).labels == ("1", "2", "3")


def test_a_conversation_is_read_as_text_by_the_keys_it_has() -> None:
    assert (CONTROL.modality, CONTROL.data_key) == (Modality.TEXT, "talk")
    assert (CONTROL.option("name_key"), CONTROL.option("text_key", "text")) == ("who", "text")


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (4, "4"),
        (4.0, "4"),
        (9, "9"),
        (0, None),
        (2.5, None),
        (True, None),
        ("4", None),
        pytest.param(10**400, None, id="huge"),
        (math.inf, None),
    ],
)
def test_whole_stars_are_read(said: object, read: str | None) -> None:
    target = codec_for(CONTROL).read(CONTROL, stars(said))
    assert target == (ClassTarget(read) if read else None)


def test_different_numbers_of_stars_say_nothing_clear() -> None:
    assert codec_for(CONTROL).read(CONTROL, [*stars(1), *stars(2)]) is None
    assert codec_for(CONTROL).read(CONTROL, []) is None


def test_stars_of_regions_from_an_earlier_config_are_not_the_items() -> None:
    (of_span,) = stars(4)
    of_span["value"] |= {"start": "0", "end": "0", "startOffset": 1, "endOffset": 3}
    assert codec_for(CONTROL).read(CONTROL, [of_span]) is None
    assert codec_for(CONTROL).read(CONTROL, [of_span, *stars(2)]) == ClassTarget("2")


@given(st.integers(2, 100), st.data(), st.floats(0, 1))
def test_stars_are_valid_and_read_back_the_same(most: int, data: st.DataObject, confidence: float) -> None:
    xml = rating(f'maxRating="{most}"')
    control = control_of(xml)
    label = data.draw(st.sampled_from(control.labels))
    item = prediction_json(1, "v1", 0.5, [(control, ClassPrediction(label, confidence, 0.5))], {"talk": []})
    assert LabelInterface(xml).validate_prediction(item, return_errors=True) == []
    assert codec_for(control).read(control, item["result"]) == ClassTarget(label)


@pytest.mark.parametrize(
    ("votes", "merged", "weight"),
    [
        ("334", "3", 11 / 12),
        ("15", "1", 0.5),
        ("51", "5", 0.5),
        ("2", "2", 1.0),
        ("1245", "2", 5 / 8),
        ("5421", "4", 5 / 8),
    ],
)
def test_annotators_agree_on_the_median(votes: str, merged: str, weight: float) -> None:
    target = codec_for(CONTROL).merge(CONTROL, [ClassTarget(vote) for vote in votes])
    assert target == ClassTarget(merged, pytest.approx(weight))


@pytest.mark.parametrize("most", ["1", "0", "-3", "2.5", "many", "101", "9" * 5000])
def test_a_rating_without_a_sensible_number_of_stars_is_not_learnt(most: str) -> None:
    assert "maxRating" in parse_label_config(rating(f'maxRating="{most}"')).unsupported[0]


def test_a_rating_of_parts_is_not_learnt() -> None:
    assert "perRegion" in parse_label_config(rating('perRegion="true"')).unsupported[0]
