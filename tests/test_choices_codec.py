"""Several choices at once, nested ones, and those that come from a task's data."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from labelloop.labelstudio import codec_for, parse_label_config, prediction_json, showable
from labelloop.labelstudio.dynamic import narrowed, offered, with_used_labels
from labelloop.records import ClassPrediction, ClassTarget, Control, Kind, SetPrediction, SetTarget

FLAT = '<Choice value="Rot" alias="red"/><Choice value="green"/><Choice value="blue" predicted_values="navy"/>'
TREE = '<Choice value="a"><Choice value="b"/><Choice value="c"/></Choice><Choice value="d"/>'


def choices(inside: str = FLAT, more: str = 'choice="multiple"') -> str:
    return f'<View><Image name="i" value="$image"/><Choices name="c" toName="i" {more}>{inside}</Choices></View>'


def control_of(xml: str) -> Control:
    (control,) = parse_label_config(xml).controls
    return control


def chosen(said: Any) -> list[dict[str, Any]]:
    return [{"from_name": "c", "to_name": "i", "type": "choices", "value": {"choices": said}}]


MULTIPLE = control_of(choices())


def test_several_choices_are_a_set() -> None:
    assert (MULTIPLE.kind, MULTIPLE.labels) == (Kind.SET, ("red", "green", "blue"))
    assert MULTIPLE.predicted_values == (("navy", "blue"),)
    assert codec_for(MULTIPLE).read(MULTIPLE, chosen(["red", "blue"])) == SetTarget(("blue", "red"))
    assert control_of(choices('<Choice value="only"/>')).labels == ("only",)


def test_nothing_ticked_is_an_answer_unless_one_is_required() -> None:
    required = control_of(choices(more='choice="multiple" required="true"'))
    other = [{"from_name": "other", "type": "choices", "value": {"choices": ["red"]}}]
    assert codec_for(MULTIPLE).read(MULTIPLE, other) == SetTarget(())
    assert codec_for(required).read(required, other) is None
    assert codec_for(required).read(required, chosen([])) == SetTarget(())  # said in so many words


def test_answers_about_regions_from_an_earlier_config_are_not_the_items() -> None:
    one, single = MULTIPLE, control_of(choices(more=""))
    (of_region,) = chosen(["red"])
    of_region["value"] |= {"x": 1, "y": 2, "width": 3, "height": 4, "rotation": 0}
    assert codec_for(one).read(one, [of_region]) is None
    assert codec_for(one).read(one, [of_region, *chosen(["blue"])]) == SetTarget(("blue",))
    assert codec_for(single).read(single, [of_region]) is None


@pytest.mark.parametrize("said", [None, "red", [["red"]], ["red", 1]])
def test_what_cannot_be_read_says_nothing(said: Any) -> None:
    assert codec_for(MULTIPLE).read(MULTIPLE, chosen(said)) is None


@given(st.sets(st.sampled_from(MULTIPLE.labels)), st.floats(0, 1))
def test_a_set_is_valid_and_read_back_the_same(labels: set[str], confidence: float) -> None:
    said = SetPrediction(tuple(sorted(labels)), confidence, 0.5)
    item = prediction_json(7, "v3", 0.5, [(MULTIPLE, said)], {"image": "x"})
    assert LabelInterface(choices()).validate_prediction(item, return_errors=True) == []
    assert codec_for(MULTIPLE).read(MULTIPLE, item["result"]) == SetTarget(said.labels)
    assert [region["score"] for region in item["result"]] == [confidence] * bool(labels)


def test_annotators_are_joined_class_by_class() -> None:
    merge = codec_for(MULTIPLE).merge
    votes = [SetTarget(("blue", "red")), SetTarget(("red",)), SetTarget(("green", "red"))]
    assert merge(MULTIPLE, votes) == SetTarget(("red",), weight=(2 / 3 + 2 / 3 + 1) / 3)
    assert merge(MULTIPLE, [SetTarget(("red",)), SetTarget(())]) == SetTarget(("red",), weight=0.5)
    assert merge(MULTIPLE, [SetTarget(()), SetTarget(("red",))]) == SetTarget((), weight=0.5)
    assert merge(MULTIPLE, [SetTarget(()), SetTarget(())]) == SetTarget(())


def test_nested_choices_are_paths_to_leaves() -> None:
    several = control_of(choices(TREE, 'choice="multiple" allowNested="true"'))
    assert several.labels == ("a > b", "a > c", "d")
    read = codec_for(several).read
    # Label Studio ticks the branch as well, once all in it is ticked.
    assert read(several, chosen([["a"], ["a", "b"], ["a", "c"]])) == SetTarget(("a > b", "a > c"))
    single = control_of(choices(TREE, 'allowNested="true"'))
    assert single.kind is Kind.CLASS
    assert codec_for(single).read(single, chosen([["a", "b"]])) == ClassTarget("a > b")
    assert codec_for(single).read(single, chosen([["a", "b"], ["d"]])) is None
    assert codec_for(single).read(single, chosen([[]])) is None


def test_without_allow_nested_the_outermost_choices_alone_are_shown_and_learnt() -> None:
    assert control_of(choices(TREE)).labels == ("a", "d")


def test_label_studios_import_refuses_nested_choices_as_its_editor_has_them() -> None:
    bare = {"result": chosen([["a", "b"]]), "score": 0.5}
    assert LabelInterface(choices(TREE, 'allowNested="true"')).validate_prediction(bare, return_errors=True) != []


@given(st.sets(st.sampled_from(["a > b", "a > c", "d"])), st.floats(0, 1), st.booleans())
def test_nested_choices_are_written_valid_and_as_the_editor_reads_them(
    labels: set[str], confidence: float, several: bool
) -> None:
    xml = choices(TREE, f'allowNested="true" choice="{"multiple" if several else "single"}"')
    one = control_of(xml)
    said = sorted(labels) if several else sorted(labels)[:1] or ["d"]
    prediction = SetPrediction(tuple(said), confidence, 0.5) if several else ClassPrediction(said[0], confidence, 0.5)
    item = prediction_json(1, "v1", 0.5, [(one, prediction)], {"image": "x"})

    assert LabelInterface(xml).validate_prediction(item, return_errors=True) == []
    assert codec_for(one).read(one, item["result"]) == (SetTarget(tuple(said)) if several else ClassTarget(said[0]))
    for region in item["result"]:  # the editor saves the paths alone
        saved = chosen(region["value"]["choices"])
        assert codec_for(one).read(one, saved) == codec_for(one).read(one, item["result"])


@pytest.mark.parametrize("name", ["x", "start"])
def test_nested_choices_may_be_called_as_a_place_is(name: str) -> None:
    one = control_of(choices(TREE, 'allowNested="true"').replace('name="c"', f'name="{name}"'))
    (region,) = codec_for(one).write(one, ClassPrediction("a > b", 0.9, 0.1), "x")
    assert codec_for(one).read(one, [region]) == ClassTarget("a > b")


def test_nested_choices_called_choices_are_not_written_for_they_would_be_refused() -> None:
    xml = choices(TREE, 'allowNested="true"').replace('name="c"', 'name="choices"')
    item = prediction_json(1, "v1", 0.5, [(control_of(xml), ClassPrediction("a > b", 0.9, 0.1))], {"image": "x"})
    assert item["result"] == []


DYNAMIC = control_of(choices("", 'value="$options"'))
OFFER = {"image": "x", "options": [{"value": "Cat", "alias": "cat"}, {"value": "dog"}, "no object", {"alias": 3}]}


def test_labels_from_the_data_are_those_that_people_used() -> None:
    assert (DYNAMIC.kind, DYNAMIC.labels) == (Kind.CLASS, ())
    assert with_used_labels(DYNAMIC, [ClassTarget("dog"), ClassTarget("cat"), ClassTarget("dog")]).labels == (
        "cat",
        "dog",
    )
    assert with_used_labels(MULTIPLE, [SetTarget(("red",))]) is MULTIPLE


def test_only_what_a_task_offers_is_written() -> None:
    said = ClassPrediction("cow", 0.6, 0.5, {"cow": 0.6, "dog": 0.3, "cat": 0.1})
    used = replace(DYNAMIC, labels=("cat", "cow", "dog"))
    shown = showable(used, said, OFFER)
    assert shown is not None
    item = prediction_json(1, "v1", 0.5, [(used, shown)], OFFER)
    (region,) = item["result"]
    assert region["value"] == {"choices": ["dog"]}
    assert region["score"] == pytest.approx(0.75)
    assert LabelInterface(choices("", 'value="$options"')).validate_prediction(item, return_errors=True) == []
    assert showable(used, said, {"image": "x"}) is None

    several = control_of(choices("", 'value="$options" choice="multiple"'))
    both = SetPrediction(("cow", "dog"), 0.5, 0.5, {"cow": 0.9, "dog": 0.8})
    told = narrowed(several, both, OFFER)
    assert told is not None and told.summary == "dog"


def test_what_a_task_offers_may_lie_deeper_in_its_data() -> None:
    deep = control_of(choices("", 'value="$asked.options"'))
    assert offered(deep, {"asked": {"options": [{"value": "a"}, {"value": "b"}]}}) == ("a", "b")


def test_a_task_may_offer_a_tree() -> None:
    data = {"options": [{"value": "a", "children": [{"value": "b"}, {"value": "c", "children": []}]}, {"value": "d"}]}
    nested = control_of(choices("", 'value="$options" allowNested="true"'))
    taxonomy = '<View><Text name="t" value="$text"/><Taxonomy name="x" toName="t" value="$options" {}/></View>'
    assert offered(nested, data) == ("a > b", "a > c", "d")
    assert offered(control_of(taxonomy.format("")), data) == ("a", "a > b", "a > c", "d")
    assert offered(control_of(taxonomy.format('leafsOnly="true"')), data) == ("a > b", "a > c", "d")
    assert offered(DYNAMIC, data) == ("a", "d")
