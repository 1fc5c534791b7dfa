"""Paths through trees of choices, read and written as Label Studio does."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from labelloop.labelstudio import codec_for, parse_label_config, prediction_json
from labelloop.labelstudio.paths import join_path, split_path
from labelloop.records import Control, Kind, SetPrediction, SetTarget

TREE = """<Choice value="Animal" alias="animal"><Choice value="Cat"/><Choice value="Dog > Wolf" predicted_values="husky"/></Choice>
<Choice value="Plant"/>"""


def taxonomy(inside: str = TREE, more: str = "") -> str:
    return f"""<View><Text name="t" value="$text"/><Taxonomy name="x" toName="t" {more}>{inside}</Taxonomy></View>"""


def control_of(xml: str) -> Control:
    (control,) = parse_label_config(xml).controls
    return control


def chosen(*paths: Any) -> dict[str, Any]:
    return {"from_name": "x", "to_name": "t", "type": "taxonomy", "value": {"taxonomy": list(paths)}}


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1, max_size=5) | st.sampled_from(
    [" > ", "\\", "\\>", ">", " ", "a > b"]
)


@given(st.lists(WORDS, min_size=1, max_size=4), st.lists(WORDS, min_size=1, max_size=4))
def test_a_path_as_text_means_one_path_only(one: list[str], other: list[str]) -> None:
    assert split_path(join_path(one)) == tuple(one)
    assert (join_path(one) == join_path(other)) == (one == other)


def test_classes_are_paths_by_alias_and_a_branch_is_one_too() -> None:
    control = control_of(taxonomy())
    assert control.kind is Kind.SET
    assert control.labels == ("animal", "animal > Cat", "animal > Dog \\> Wolf", "Plant")
    assert control.predicted_values == (("husky", "animal > Dog \\> Wolf"),)


def test_with_leafs_only_a_branch_is_no_class() -> None:
    assert control_of(taxonomy(more='leafsOnly="true"')).labels == ("animal > Cat", "animal > Dog \\> Wolf", "Plant")


def test_paths_are_read_in_any_order_and_an_empty_list_is_an_answer() -> None:
    control = control_of(taxonomy())
    read = codec_for(control).read
    paths = [["Plant"], ["animal", "Cat"]]
    expected = SetTarget(("Plant", "animal > Cat"))
    assert read(control, [chosen(*paths)]) == read(control, [chosen(*reversed(paths))]) == expected
    assert read(control, [chosen()]) == SetTarget(())
    assert read(control, [chosen(["animal", "own"])]) == SetTarget(("animal > own",))  # a choice an annotator added


@pytest.mark.parametrize(
    "value", [None, {}, {"taxonomy": "a"}, {"taxonomy": [[]]}, {"taxonomy": ["a"]}, {"taxonomy": [[1]]}]
)
def test_what_is_no_list_of_paths_says_nothing(value: Any) -> None:
    control = control_of(taxonomy())
    assert codec_for(control).read(control, [{**chosen(), "value": value}]) is None


def test_a_blank_answer_says_that_nothing_applies_unless_one_is_required() -> None:
    free, required = control_of(taxonomy()), control_of(taxonomy(more='required="true"'))
    assert codec_for(free).read(free, []) == SetTarget(())
    assert codec_for(required).read(required, []) is None


def test_no_more_paths_than_may_be_are_written_and_they_are_the_most_probable() -> None:
    control = control_of(taxonomy(more='maxUsages="2"'))
    said = SetPrediction(
        ("Plant", "animal", "animal > Cat"), 0.5, 0.2, {"Plant": 0.9, "animal": 0.6, "animal > Cat": 0.8}
    )
    (region,) = codec_for(control).write(control, said, "words")
    assert region["value"] == {"taxonomy": [["animal", "Cat"], ["Plant"]]}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ('apiUrl="https://example.com/tree"', "another server"),
        ('labeling="true"', "parts of a task"),
        ('perRegion="true"', "perRegion"),
        ('value="$tree"', "both the config"),
    ],
)
def test_what_is_not_learnt_of_a_taxonomy_is_named(more: str, reason: str) -> None:
    (line,) = parse_label_config(taxonomy(more=more)).unsupported
    assert reason in line


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> list[ET.Element]:
    values = draw(st.lists(WORDS, min_size=1, max_size=3, unique=True))
    elements = []
    for value in values:
        element = ET.Element("Choice", value=value)
        if draw(st.booleans()):
            element.set("alias", "#" + value)
        if depth and draw(st.booleans()):
            element.extend(draw(trees(depth - 1)))
        elements.append(element)
    return elements


@settings(max_examples=60)
@given(trees(), st.booleans(), st.data())
def test_what_is_written_is_valid_and_read_back_the_same(
    tree: list[ET.Element], leaves: bool, data: st.DataObject
) -> None:
    root = ET.fromstring(taxonomy("", 'leafsOnly="true"' if leaves else ""))
    root[1].extend(tree)
    xml = ET.tostring(root, encoding="unicode")
    control = control_of(xml)
    labels = data.draw(st.sets(st.sampled_from(control.labels)))
    item = prediction_json(1, "v1", 0.5, [(control, SetPrediction(tuple(sorted(labels)), 0.5, 0.1))], {"text": "x"})
    assert LabelInterface(xml).validate_prediction(item, return_errors=True) == []
    assert codec_for(control).read(control, item["result"]) == SetTarget(tuple(sorted(labels)))
    for path in map(split_path, control.labels):  # each leads from a topmost choice down
        inside = tree
        for name in path:
            inside = next(list(choice) for choice in inside if (choice.get("alias") or choice.get("value")) == name)
        assert not (leaves and inside)
