"""What is written into a TextArea is read back as it is, edits and all."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from labelloop.labelstudio import AnnotationRecord, TaskRecord, codec_for, merge, parse_label_config, prediction_json
from labelloop.labelstudio.tasks import Region
from labelloop.records import Control, Kind, Modality, TextPrediction, TextTarget

CONFIG = """<View><{shown} name="source" value="$source"/>
  <TextArea name="answer" toName="source" {attributes}/></View>"""

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=80)


def config(attributes: str = "", shown: str = "Text") -> str:
    return CONFIG.format(attributes=attributes, shown=shown)


def control(attributes: str = "", shown: str = "Text") -> Control:
    (found,) = parse_label_config(config(attributes, shown)).controls
    return found


def region(texts: object, **value: Any) -> Region:
    return {
        "id": "a",
        "from_name": "answer",
        "to_name": "source",
        "type": "textarea",
        "value": {"text": texts, **value},
    }


def read(*regions: Region) -> TextTarget | None:
    found = codec_for(control()).read(control(), list(regions))
    assert found is None or isinstance(found, TextTarget)
    return found


@pytest.mark.parametrize(
    ("shown", "modality"),
    [("Text", Modality.TEXT), ("HyperText", Modality.TEXT), ("Paragraphs", Modality.TEXT), ("Image", Modality.IMAGE)],
)
def test_a_text_for_the_item_is_learnt(shown: str, modality: Modality) -> None:
    found = control('maxSubmissions="2" editable="true" rows="4"', shown)

    assert (found.kind, found.modality, found.labels, found.data_key) == (Kind.TEXT, modality, (), "source")


@pytest.mark.parametrize(
    ("flag", "reason"), [("perRegion", "asks about regions, and no"), ("perItem", "asks about parts of a task")]
)
def test_texts_about_parts_that_nobody_marks_are_refused_with_a_reason(flag: str, reason: str) -> None:
    found = parse_label_config(config(f'{flag}="true"'))

    assert found.controls == ()
    assert f'{flag}="true" {reason}' in found.unsupported[0]


@given(TEXTS, st.floats(0, 1), st.sampled_from(["Text", "HyperText", "Image"]))
def test_what_is_sent_is_valid_and_read_back_the_same(text: str, confidence: float, shown: str) -> None:
    about = control('editable="true" maxSubmissions="1"', shown)
    data = {"source": "https://example.test/a.png" if shown == "Image" else "a source"}
    sent = prediction_json(1, "v1", confidence, [(about, TextPrediction(text, confidence, 1 - confidence))], data)
    result = sent["result"]

    assert bool(result) == bool(text.strip())
    if result:
        assert LabelInterface(config(shown=shown)).validate_prediction(sent)
        assert result[0]["score"] == confidence
        assert codec_for(about).read(about, result) == TextTarget((text,))


def test_what_the_editor_adds_does_not_matter() -> None:
    written = codec_for(control()).write(control(), TextPrediction("guten Tag", 0.8, 0.2), "good day")
    saved = [{**written[0], "id": "Xy1", "origin": "prediction", "meta": {"text": ["a note"]}}]

    assert read(*saved) == TextTarget(("guten Tag",))


def test_an_edit_is_what_counts() -> None:
    assert read({**region(["guten Morgen"]), "origin": "prediction-changed"}) == TextTarget(("guten Morgen",))


def test_several_submissions_are_kept_in_order_and_blank_ones_dropped() -> None:
    assert read(region(["one", " ", "two"]), region(["three"])) == TextTarget(("one", "two", "three"))
    assert read(region("one alone")) == TextTarget(("one alone",))


@pytest.mark.parametrize("texts", [[], ["", " \n"], None, 3, [None, 4], {"a": "b"}])
def test_nothing_written_says_nothing(texts: object) -> None:
    assert read(region(texts)) is None


def test_no_region_says_nothing() -> None:
    assert read() is None
    assert read({**region(["other"]), "from_name": "another"}) is None


@pytest.mark.parametrize("part", [{"x": 1, "y": 2}, {"start": 0, "end": 4}, {"points": []}, {"itemIndex": 1}])
def test_texts_of_regions_from_an_earlier_config_are_not_the_items(part: dict[str, Any]) -> None:
    assert read(region(["of a region"], **part)) is None


def test_characters_no_database_takes_are_replaced() -> None:
    assert read(region(["a\ud800b\0c"])) == TextTarget(("a?b c",))
    (sent,) = codec_for(control()).write(control(), TextPrediction("a\ud800b\0c", 1.0, 0.0), "x")
    assert sent["value"] == {"text": ["a?b c"]}


def _annotated(*texts: str) -> TaskRecord:
    annotations = tuple(
        AnnotationRecord(
            id=number,
            result=[region([text])],
            completed_by=number,
            was_cancelled=False,
            ground_truth=False,
            updated_at=f"2026-01-0{number}T00:00:00.000000Z",
        )
        for number, text in enumerate(texts, start=1)
    )
    return TaskRecord(id=1, data={"source": "x"}, updated_at="", annotations=annotations)


def test_the_majority_of_the_annotators_wins() -> None:
    found = merge(control(), _annotated("yes", "yes", "no"))

    assert found == TextTarget(("yes",), weight=2 / 3)


def test_without_a_majority_the_most_recent_text_wins() -> None:
    found = merge(control(), _annotated("one", "two"))

    assert found == TextTarget(("two",), weight=0.5)
