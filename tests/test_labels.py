"""From annotations to one label, and from a prediction to what Label Studio takes."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from labelloop.errors import LabelConfigError
from labelloop.labelstudio import AnnotationRecord, TaskRecord, codec_for, merge, parse_label_config, prediction_json
from labelloop.records import ClassPrediction, ClassTarget, Control, Modality

XML = """<View><Text name="t" value="$text"/><Choices name="c" toName="t">
<Choice value="Katze" alias="cat"/><Choice value="dog"/><Choice value="cow"/></Choices></View>"""
(CONTROL,) = parse_label_config(XML).controls
_ids = itertools.count(1)


def chose(
    *labels: Any, by: int | None = 1, second: int = 0, skip: bool = False, truth: bool = False
) -> AnnotationRecord:
    region = {"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": list(labels)}}
    moment = f"2026-11-24T02:00:{second:02d}.000000Z"
    return AnnotationRecord(next(_ids), by, skip, truth, moment, [region] if labels else [])


def merged(*annotations: AnnotationRecord) -> ClassTarget | None:
    return merge(CONTROL, TaskRecord(1, {"text": "x"}, "2026-11-24T02:00:00.000000Z", annotations))


def test_nobody_and_skips_say_nothing() -> None:
    assert merged() is None
    assert merged(chose("cat", skip=True), chose(skip=True, by=2)) is None


def test_one_annotator_decides_alone() -> None:
    assert merged(chose("cat")) == ClassTarget("cat", 1.0)


def test_a_skip_does_not_lower_the_agreement() -> None:
    assert merged(chose("cat"), chose(skip=True, by=2)) == ClassTarget("cat", 1.0)


def test_the_majority_wins_and_its_share_is_the_weight() -> None:
    assert merged(chose("dog", by=1), chose("cat", by=2), chose("dog", by=3)) == ClassTarget("dog", 2 / 3)


def test_an_annotator_has_one_vote_the_latest() -> None:
    votes = [
        chose("cat", by=1, second=1),
        chose("cat", by=1, second=2),
        chose("dog", by=1, second=3),
        chose("dog", by=2),
    ]
    assert merged(*votes) == ClassTarget("dog", 1.0)


def test_annotations_of_unknown_annotators_are_votes_of_their_own() -> None:
    assert merged(chose("cat", by=None), chose("cat", by=None), chose("dog", by=1, second=9)) == ClassTarget(
        "cat", 2 / 3
    )


def test_ground_truth_goes_before_any_majority() -> None:
    votes = [chose("dog", by=n, second=n) for n in range(2, 9)]
    assert merged(*votes, chose("cat", by=1, truth=True)) == ClassTarget("cat", 1.0, ground_truth=True)


def test_a_skipped_ground_truth_is_none() -> None:
    assert merged(chose("dog", by=2), chose("cat", by=1, truth=True, skip=True)) == ClassTarget("dog", 1.0)


def test_a_tie_goes_to_the_most_recent_then_to_the_first_in_the_config() -> None:
    assert merged(chose("dog", by=1, second=5), chose("cat", by=2, second=4)) == ClassTarget("dog", 0.5)
    assert merged(chose("cow", by=1), chose("dog", by=2)) == ClassTarget("dog", 0.5)
    assert merged(chose("gone", by=1), chose("cow", by=2)) == ClassTarget("cow", 0.5)


def test_a_class_the_config_has_lost_is_still_told() -> None:
    assert merged(chose("gone")) == ClassTarget("gone", 1.0)


@given(
    st.lists(
        st.builds(
            chose,
            st.sampled_from(["cat", "dog", "cow", "gone"]),
            by=st.none() | st.integers(1, 3),
            second=st.integers(0, 3),
            skip=st.booleans(),
            truth=st.booleans(),
        ),
        max_size=7,
    ),
    st.randoms(),
)
def test_the_order_of_annotations_does_not_matter(annotations: list[AnnotationRecord], random: Any) -> None:
    shuffled = random.sample(annotations, len(annotations))
    assert merged(*annotations) == merged(*shuffled)


@pytest.mark.parametrize(
    "result",
    [
        [],
        [{"from_name": "other", "value": {"choices": ["cat"]}}],
        [{"from_name": "c", "value": {"choices": []}}],
        [{"from_name": "c", "value": {"choices": ["cat", "dog"]}}],  # from when the config allowed several
        [{"from_name": "c", "value": {"choices": [["cat", "siamese"]]}}],  # from when the choices were nested
        [{"from_name": "c", "value": {"choices": "cat"}}],
        [{"from_name": "c", "value": {"labels": ["cat"]}}],
        [{"from_name": "c", "value": None}],
        [{"from_name": "c"}],
    ],
)
def test_what_is_no_clear_choice_says_nothing(result: list[dict[str, Any]]) -> None:
    assert codec_for(CONTROL).read(CONTROL, result) is None


def test_a_choice_is_found_among_other_controls_regions() -> None:
    others = [{"from_name": "box", "type": "rectanglelabels", "value": {"rectanglelabels": ["Car"], "x": 1}}]
    mine = {"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": ["cat"]}}
    assert codec_for(CONTROL).read(CONTROL, [*others, mine]) == ClassTarget("cat")


def test_a_tag_without_a_codec_is_named() -> None:
    with pytest.raises(LabelConfigError, match="Fancy"):
        codec_for(Control("c", "Fancy", "t", "text", Modality.TEXT, ("a", "b")))


@given(st.sampled_from(CONTROL.labels), st.floats(0, 1), st.floats(-0.5, 1.5))
def test_predictions_pass_label_studios_validation_and_are_read_back(
    label: str, confidence: float, score: float
) -> None:
    item = prediction_json(7, "v3", score, [(CONTROL, ClassPrediction(label, confidence, 0.5))], {})
    assert LabelInterface(XML).validate_prediction(item, return_errors=True) == []
    assert (item["task"], item["model_version"]) == (7, "v3")
    assert item["score"] == min(1, max(0, score))
    assert codec_for(CONTROL).read(CONTROL, item["result"]) == ClassTarget(label)
    assert item["result"][0]["score"] == confidence


def test_the_value_behind_an_alias_would_be_refused_so_the_alias_is_written() -> None:
    shown = prediction_json(7, "v3", 0.9, [(CONTROL, ClassPrediction("cat", 0.9, 0.1))], {})
    assert shown["result"][0]["value"] == {"choices": ["cat"]}
    wrong = prediction_json(7, "v3", 0.9, [(CONTROL, ClassPrediction("Katze", 0.9, 0.1))], {})
    assert LabelInterface(XML).validate_prediction(wrong, return_errors=True) != []


def test_without_a_prediction_to_show_the_score_alone_is_written() -> None:
    item = prediction_json(7, "v1-cold", 0.25, [], {})
    assert item == {"task": 7, "result": [], "score": 0.25, "model_version": "v1-cold"}
    assert LabelInterface(XML).validate_prediction(item, return_errors=True) == []


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_number_is_never_written(score: float) -> None:
    with pytest.raises(ValueError, match="task 7"):
        prediction_json(7, "v3", score, [], {})
