"""What of a label config can be learnt, read as Label Studio's own parser reads it."""

import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from labelloop.errors import LabelConfigError
from labelloop.labelstudio import parse_label_config
from labelloop.labelstudio.label_tags import read_tags
from labelloop.records import Control, Kind, Modality

IMAGE = '<Image name="img" value="$image"/>'
TEXT = '<Text name="txt" value="$text"/>'
TWO = '<Choice value="a"/><Choice value="b"/>'


def view(*parts: str) -> str:
    return f"<View>{''.join(parts)}</View>"


def choices(inside: str = TWO, name: str = "c", to: str = "img", more: str = "") -> str:
    return f'<Choices name="{name}" toName="{to}" {more}>{inside}</Choices>'


def test_a_single_choice_on_an_image_is_learnt() -> None:
    config = parse_label_config(view(IMAGE, choices()))
    assert config.controls == (Control("c", "Choices", "img", "image", Modality.IMAGE, ("a", "b")),)
    assert config.unsupported == ()


@pytest.mark.parametrize("kind", ["Text", "HyperText", "Paragraphs"])
def test_a_single_choice_on_a_text_is_learnt(kind: str) -> None:
    config = parse_label_config(view(choices(to="txt"), f'<{kind} name="txt" value="$body"/>'))
    assert [(control.modality, control.data_key) for control in config.controls] == [(Modality.TEXT, "body")]


def test_an_alias_takes_the_place_of_its_value_as_it_does_in_results() -> None:
    xml = view(TEXT, choices('<Choice value="Katze" alias="cat"/><Choice value="dog"/>', to="txt"))
    (control,) = parse_label_config(xml).controls
    assert control.labels == ("cat", "dog") == tuple(LabelInterface(xml).get_control("c").labels)


def test_two_controls_keep_their_own_labels() -> None:
    xml = view(IMAGE, choices(), choices('<View><Choice value="x"/></View><Choice value="a"/>', name="d"))
    assert [(control.name, control.labels) for control in parse_label_config(xml).controls] == [
        ("c", ("a", "b")),
        ("d", ("x", "a")),
    ]


@pytest.mark.parametrize("choice", ["single", "single-radio"])
def test_single_choice_may_be_said_in_words(choice: str) -> None:
    assert parse_label_config(view(IMAGE, choices(more=f'choice="{choice}"'))).controls


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (view(IMAGE, choices("", more='choice="multiple"')), "fewer than one"),
        (view(IMAGE, choices(more='perRegion="true"')), "perRegion"),
        (view(IMAGE, choices(more='perItem="true"')), "perItem"),
        (view(IMAGE, choices(more='value="$options"')), "both the config and each task's data"),
        (
            view(IMAGE, choices('<Choice value="$first"/><Choice value="$second"/>')),
            '"$first" is another text in each task',
        ),
        (view(IMAGE, choices(f'{TWO}<Choice value="under $50"/>')), '"under $50" is another text in each task'),
        (
            view(
                IMAGE,
                choices('<Choice value="$first"/>', name="d", more='perRegion="true"'),
                '<Rectangle name="c" toName="img"/>',
            ),
            "give it an alias",
        ),
        (view(IMAGE, choices('<Choice value="a"><Choice value="b"/></Choice>')), "fewer than two"),
        (view(IMAGE, choices('<Choice value="a">' * 30 + "</Choice>" * 30, more='allowNested="true"')), "nested more"),
        (view(IMAGE, '<View visibleWhen="region-selected">' * 30, choices(), "</View>" * 30), "too many conditions"),
        (view(IMAGE, choices('<Choice value="a"/>')), "fewer than two"),
        (view('<Repeater on="$images">', IMAGE, choices(), "</Repeater>"), "repeated"),
        (view(IMAGE, choices(to="other")), "no object tag"),
        (view(IMAGE, TEXT, choices(to="img,txt")), "more than one"),
        (view('<Audio name="img" value="$audio"/>', choices()), "about Audio"),
        (view('<Paragraphs name="img" value="$talk" valueType="url"/>', choices()), 'valueType="url"'),
        (view('<Image name="img" valueList="$images"/>', choices()), "several pages"),
        (view('<Image name="img" value="$image" valueList="$images"/>', choices()), "several pages"),
        (view('<Image name="img" value="http://x/y.png"/>', choices()), "exactly one key"),
        (view('<Text name="img" value="Hello $name, you"/>', choices()), "exactly one key"),
        (view('<Text name="img" value="$url" valueType="url"/>', choices()), 'valueType="url"'),
        (view('<Text name="img" value="$table" resolver="csv|column=text"/>', choices()), "has a resolver"),
        (view('<HyperText name="img" value="$table" RESOLVER="csv"/>', choices()), "has a resolver"),
        (
            view('<Text name="img" value="$text" encoding="hex"/>', choices()),
            "only base64, base64unicode and none are read",
        ),
        (view(IMAGE, '<FancyThing name="c" toName="img"/>'), "only Choices"),
        (view(IMAGE, '<Rating name="c" maxRating="7"/>'), "no toName"),
    ],
)
def test_what_is_not_learnt_is_named_with_the_reason(xml: str, reason: str) -> None:
    config = parse_label_config(xml)
    assert config.controls == ()
    (line,) = config.unsupported
    assert line.startswith("'c' (")
    assert reason in line


@pytest.mark.parametrize(
    "xml",
    [
        view(
            IMAGE,
            choices('<Choice value="a"><Choice value="b"/><Choice value="c"/></Choice>', more='allowNested="true"'),
        ),
        view(IMAGE, choices(more='perRegion="true" whenLabelValue="x"'), '<Rectangle name="r" toName="img"/>'),
        view(
            IMAGE,
            '<RectangleLabels name="r" toName="img"><Label value="x"/><Label value="y"/></RectangleLabels>',
            choices(more='perRegion="true" whenLabelValue="x" required="true"'),
        ),
        view(IMAGE, choices(more='perItem="true"')),
        view(IMAGE, '<Taxonomy name="c" toName="img" leafsOnly="true" maxUsages="2">', TWO, "</Taxonomy>"),
        view(IMAGE, '<Taxonomy name="c" toName="img" apiUrl="http://x">', TWO, "</Taxonomy>"),
        view('<Paragraphs name="img" value="$talk" nameKey="who" textKey="said"/>', choices()),
        view(
            '<Paragraphs name="img" value="$talk" contextScroll="true"/>',
            '<ParagraphLabels name="c" toName="img"><Label value="a"/></ParagraphLabels>',
        ),
        view('<Text name="img" value="$url" valueType="url"/>', choices()),
    ],
)
def test_attributes_are_taken_in_any_spelling_as_the_editor_takes_them(xml: str) -> None:
    lower = re.sub(r"\b(?!toName)\w+=", lambda name: name[0].lower(), xml)
    assert lower != xml
    assert parse_label_config(lower) == parse_label_config(xml)


@pytest.mark.parametrize("spelt", [str.lower, str.upper, str.swapcase])
@pytest.mark.parametrize(
    "xml",
    [
        view(IMAGE, choices()),
        view(TEXT, '<Taxonomy name="c" toName="txt">', TWO, "</Taxonomy>", '<Rating name="r" toName="txt"/>'),
        view(
            '<HyperText name="h" value="$h"/>',
            '<HyperTextLabels name="c" toName="h"><Label value="a"/></HyperTextLabels>',
        ),
        view(IMAGE, '<Rectangle name="r" toName="img"/><Labels name="c" toName="img"><Label value="a"/></Labels>'),
        view('<Repeater on="$images">', IMAGE, choices(), "</Repeater>"),
        view(IMAGE, choices(), '<Relations><Relation value="founded"/></Relations>'),
    ],
)
def test_tags_are_taken_in_any_spelling_as_label_studio_takes_them(xml: str, spelt: Callable[[str], str]) -> None:
    other = re.sub(r"(</?)((?!View|Label\b|Choice\b)\w+)", lambda tag: tag[1] + spelt(tag[2]), xml)
    assert other != xml
    assert parse_label_config(other) == parse_label_config(xml)


def test_a_choice_that_the_tasks_fill_is_learnt_by_its_alias() -> None:
    xml = view(TEXT, choices('<Choice value="$first" alias="1"/><Choice value="5 $ or more"/>', to="txt"))
    (control,) = parse_label_config(xml).controls
    assert control.labels == ("1", "5 $ or more")


def test_the_usual_spelling_of_an_attribute_holds_before_another() -> None:
    xml = view(IMAGE, choices(more='peritem="true" perItem="false" PERITEM="true"'))
    assert parse_label_config(xml) == parse_label_config(view(IMAGE, choices()))


def test_relations_are_told_of_once() -> None:
    relations = '<Relations><Relation value="founded"/></Relations>'
    config = parse_label_config(view(IMAGE, relations, choices(), relations))
    assert [control.labels for control in config.controls] == [("a", "b")]
    assert config.unsupported == ("Relations between regions are not learnt.",)


def test_what_can_be_learnt_is_learnt_beside_what_cannot() -> None:
    config = parse_label_config(view(IMAGE, '<FancyThing name="box" toName="img"/>', choices()))
    assert [control.name for control in config.controls] == ["c"]
    assert config.controls[0].labels == ("a", "b")
    assert len(config.unsupported) == 1


@pytest.mark.parametrize("xml", ["<View></View>", "<View/>", view(IMAGE), view('<Filter name="f" toName="c"/>')])
def test_a_config_that_asks_nothing_teaches_nothing(xml: str) -> None:
    config = parse_label_config(xml)
    assert (config.controls, config.unsupported) == ((), ())


@pytest.mark.parametrize(
    "xml", ["", "  \n", "<View>", "no XML", "<View></View><View/>", "<View a=1/>", "<View>\ud800</View>"]
)
def test_empty_or_broken_xml_is_said_to_be_so(xml: str) -> None:
    with pytest.raises(LabelConfigError, match=r"no label config|not well-formed"):
        parse_label_config(xml)


def test_entities_of_a_configs_own_are_refused_before_they_grow() -> None:
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
    with pytest.raises(LabelConfigError, match="document type"):
        parse_label_config(f'<!DOCTYPE v [<!ENTITY e0 "ha">{bomb}]><View>&e8;</View>')
    with pytest.raises(LabelConfigError, match="document type"):
        parse_label_config('<!DOCTYPE v [<!ENTITY x SYSTEM "file:///etc/passwd">]><View>&x;</View>')


def test_depth_and_length_are_no_danger() -> None:
    deep = 20_000
    many = "".join(choices(name=f"c{number}") for number in range(2_000))
    started = time.process_time()
    config = parse_label_config("<View>" * deep + IMAGE + many + "</View>" * deep)
    assert len(config.controls) == 2_000
    assert time.process_time() - started < 3
    tree = '<Choice value="a">' * deep + "</Choice>" * deep
    assert "nested more" in parse_label_config(view(IMAGE, choices(tree, more='allowNested="true"'))).unsupported[0]


NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=6)


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> ET.Element:
    kind = draw(
        st.sampled_from(
            ["View", "Choices", "Labels", "Choice", "Label", "Image", "Text", "Filter", "Header", "TextArea"]
        )
    )
    element = ET.Element(kind)
    if draw(st.booleans()):
        element.set("name", draw(NAMES))
    if kind in ("Choices", "Labels", "Filter", "TextArea"):
        element.set("toName", draw(NAMES))
        if draw(st.booleans()):
            element.set("choice", draw(st.sampled_from(["single", "multiple"])))
    elif kind in ("Choice", "Label"):
        element.set("value", draw(WORDS))
        if draw(st.booleans()):
            element.set("alias", draw(WORDS))
    elif kind in ("Image", "Text"):
        element.set("value", "$" + draw(st.sampled_from(["image", "text"])))
    if depth:
        element.extend(draw(st.lists(elements(depth - 1), max_size=4)))
    return element


@st.composite
def configs(draw: st.DrawFn, *more: str) -> str:
    root = ET.Element("View")
    root.extend(draw(st.lists(elements(), max_size=5)))
    taken: set[str] = set()
    for element in root.iter():  # Label Studio refuses a config that gives a name twice
        if element.get("name") in taken:
            del element.attrib["name"]
        taken.add(element.get("name", ""))
    root.extend(ET.fromstring(part) for part in more)
    return ET.tostring(root, encoding="unicode")


@settings(max_examples=150)
@given(configs())
def test_tags_names_and_labels_agree_with_label_studios_own_parser(xml: str) -> None:
    theirs, ours = LabelInterface(xml), read_tags(xml)
    assert {name: (tag.kind, list(tag.labels)) for name, tag in ours.controls.items()} == {
        control.name: (control.tag, control.labels) for control in theirs.controls or ()
    }
    for tag in ours.controls.values():
        assert list(dict.fromkeys(label.name for label in tag.tree)) == list(tag.labels)
    assert {name: (tag.kind, tag.attributes.get("value")) for name, tag in ours.objects.items()} == {
        shown.name: (shown.tag, shown.value) for shown in theirs.objects or ()
    }


@settings(max_examples=100)
@given(configs(IMAGE, choices(name="z")))
def test_what_is_learnt_of_choices_label_studio_takes_too(xml: str) -> None:
    config, theirs = parse_label_config(xml), LabelInterface(xml)
    for control in config.controls:
        tag = theirs.get_control(control.name)
        assert tag.objects[0].value_name == control.data_key
        if control.tag != "Choices":
            continue
        assert (tag.is_multiple_choice, tag.to_name) == (control.kind is Kind.SET, [control.to_name])
        region = {"from_name": control.name, "to_name": control.to_name, "type": "choices"}
        valid = {"result": [{**region, "value": {"choices": [control.labels[0]]}}], "score": 0.5}
        assert theirs.validate_prediction(valid, return_errors=True) == []
    assert len(config.controls) + len(config.unsupported) == len(list(theirs.controls or ()))
