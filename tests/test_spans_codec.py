"""Marked stretches of a text: read from annotations, merged, and written as Label Studio takes them."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from labelloop.errors import MediaBroken
from labelloop.labelstudio import codec_for, parse_label_config, prediction_json
from labelloop.labelstudio.codecs.spans import SpansCodec, marked_text
from labelloop.records import Control, Kind, Span, SpansPrediction, SpansTarget

TEXT = """<View><Labels name="l" toName="t"><Label value="Person" alias="PER"/><Label value="LOC"/></Labels>
<Text name="t" value="$text" granularity="word"/></View>"""
HYPER = """<View><HyperTextLabels name="l" toName="t"><Label value="PER"/><Label value="LOC"/></HyperTextLabels>
<HyperText name="t" value="$html"/></View>"""
LABELS_ON_HYPER = HYPER.replace("HyperTextLabels", "Labels")
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


def control(xml: str = TEXT) -> Control:
    (found,) = parse_label_config(xml).controls
    return found


def region(start: Any, end: Any, *labels: Any, key: str = "labels", **more: Any) -> dict[str, Any]:
    value = {"start": start, "end": end, key: list(labels), **more}
    return {"from_name": "l", "to_name": "t", "type": key, "value": value}


def read(*regions: dict[str, Any], xml: str = TEXT) -> SpansTarget | None:
    target = codec_for(control(xml)).read(control(xml), list(regions))
    assert target is None or isinstance(target, SpansTarget)
    return target


def written(text: str, *spans: Span, xml: str = TEXT) -> list[dict[str, Any]]:
    return codec_for(control(xml)).write(control(xml), SpansPrediction(spans, 0.9, 0.1), text)


def test_config_says_what_is_marked_and_on_what() -> None:
    found = control()

    assert (found.kind, found.labels, found.data_key) == (Kind.SPANS, ("PER", "LOC"), "text")
    assert (found.option("object"), found.option("granularity")) == ("Text", "word")
    assert control(HYPER).option("object") == "HyperText"


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ('<Label value="Person" alias="PER"/><Label value="LOC"/>', "", "it has no labels"),
        ('granularity="word"', 'encoding="base64"', 'encoding="base64"'),
        (
            '<Text name="t" value="$text" granularity="word"/>',
            '<Paragraphs name="t" value="$text"/>',
            "ParagraphLabels alone",
        ),
        ('<Text name="t" value="$text" granularity="word"/>', '<Image name="t" value="$text"/>', "about Image"),
    ],
)
def test_what_cannot_be_learnt_says_why(before: str, after: str, reason: str) -> None:
    config = parse_label_config(TEXT.replace(before, after))

    assert config.controls == ()
    assert reason in config.unsupported[0]


def test_nothing_marked_says_that_there_is_nothing() -> None:
    other = {**region(0, 1, "PER"), "from_name": "other"}
    assert read() == SpansTarget(())
    assert read(other) == SpansTarget(())


def test_overlapping_and_nested_spans_and_several_labels_are_all_kept_in_order() -> None:
    assert read(
        region(4, 9, "LOC"), region(0, 9, "PER", "LOC"), region(4, 6, "PER"), region(4, 9, "LOC")
    ) == SpansTarget((Span("LOC", 0, 9), Span("PER", 0, 9), Span("PER", 4, 6), Span("LOC", 4, 9)))


def test_counts_may_be_text_or_whole_floats() -> None:
    assert read(region("2", 5.0, "PER")) == SpansTarget((Span("PER", 2, 5),))


@pytest.mark.parametrize(
    ("start", "end", "labels"),
    [
        *[
            (3, 3, ["PER"]),
            (5, 3, ["PER"]),
            (-1, 3, ["PER"]),
            (0.5, 2, ["PER"]),
            (None, 2, ["PER"]),
            (True, 2, ["PER"]),
        ],
        *[("/p[1]/text()[1]", 2, ["PER"]), (float("inf"), 2, ["PER"]), (0, 2, []), (0, 2, [7])],
    ],
)
def test_regions_without_a_place_or_a_label_say_nothing_clear(start: Any, end: Any, labels: list[Any]) -> None:
    assert read(region(start, end, *labels)) is None
    assert read(region(start, end, *labels), region(1, 2, "LOC")) == SpansTarget((Span("LOC", 1, 2),))


def test_a_value_that_is_no_object_or_names_no_list_is_passed_over() -> None:
    broken = [{**region(0, 2, "PER"), "value": None}, region(0, 2, "PER") | {"value": {"start": 0, "end": 2}}]
    assert read(*broken) is None


def test_places_in_a_page_are_read_by_their_counts_alone() -> None:
    path = {"startOffset": 3, "endOffset": 5, "key": "hypertextlabels"}
    known = region("/p[1]/text()[1]", "/p[1]/text()[1]", "PER", globalOffsets={"start": 13, "end": 15}, **path)
    unknown = region("/p[1]/text()[1]", "/p[1]/text()[1]", "PER", **path)

    assert read(known, xml=HYPER) == SpansTarget((Span("PER", 13, 15),))
    assert read(unknown, xml=HYPER) is None


def test_what_astral_characters_and_line_ends_come_before_does_not_move_a_span() -> None:
    text = f"{FAMILY} e\u0301t\u00e9\r\nBo\U0001f600b"
    start = text.index("Bo")
    (found,) = written(text, Span("PER", start, start + 4))

    assert (found["value"]["start"], found["value"]["end"]) == (start, start + 4)
    assert found["value"]["text"] == "Bo\U0001f600b"
    assert found["type"] == "labels"


def test_ids_are_the_same_each_time_and_differ_between_spans() -> None:
    spans = Span("PER", 0, 2), Span("LOC", 0, 2), Span("PER", 0, 3)
    ids = [one["id"] for one in written("abcdef", *spans)]

    assert ids == [one["id"] for one in written("abcdef", *spans)]
    assert len(set(ids)) == 3


def test_spans_beyond_the_text_and_texts_that_cannot_be_read_are_not_written() -> None:
    assert [one["value"]["end"] for one in written("abc", Span("PER", 1, 3), Span("PER", 1, 4))] == [3]
    assert written(" ", Span("PER", 0, 1)) == []
    assert written("<script>x</script>", Span("PER", 0, 1), xml=HYPER) == []


@pytest.mark.parametrize("xml", [TEXT, HYPER])
def test_the_words_of_a_span_can_be_encoded_and_its_place_stays(xml: str) -> None:
    (one,) = written("ab\ud800c\U0001f600 d", Span("PER", 1, 5), xml=xml)

    assert (one["value"]["text"], one["value"]["start"], one["value"]["end"]) == ("b?c\U0001f600", 1, 5)


spans = st.builds(
    lambda label, start, length, score: Span(label, start, start + length, score),
    st.sampled_from(["PER", "LOC"]),
    st.integers(0, 30),
    st.integers(1, 12),
    st.floats(0, 1),
)


@given(st.text(min_size=1, max_size=40), st.lists(spans, max_size=5), st.sampled_from([TEXT, LABELS_ON_HYPER, HYPER]))
def test_what_is_written_is_valid_and_read_back_the_same(text: str, found: list[Span], xml: str) -> None:
    shown = control(xml)
    try:
        length = len(marked_text(shown, text))
    except MediaBroken:
        length = 0
    item = prediction_json(7, "v1", 0.5, [(shown, SpansPrediction(tuple(found), 1, 0))], {shown.data_key: text})
    kept = {Span(span.label, span.start, span.end) for span in found if span.end <= length}

    assert LabelInterface(xml).validate_prediction(item, return_errors=True) == []
    target = codec_for(shown).read(shown, item["result"])
    assert isinstance(target, SpansTarget)
    assert set(target.spans) == kept


@given(st.lists(spans, max_size=5, unique_by=lambda span: (span.label, span.start, span.end)), st.randoms())
def test_what_the_editor_saves_of_it_reads_the_same(found: list[Span], random: Any) -> None:
    shown = control()
    sent = codec_for(shown).write(shown, SpansPrediction(tuple(found), 1, 0), "x" * 60)
    saved = copy.deepcopy(random.sample(sent, len(sent)))
    for one in saved:
        one.pop("score")
        one |= {"origin": "prediction", "id": str(random.random())}
        one["value"] = dict(reversed(one["value"].items()))

    assert codec_for(shown).read(shown, saved) == codec_for(shown).read(shown, sent)


def test_spans_that_half_of_the_annotators_marked_exactly_are_kept() -> None:
    one, two, three = Span("PER", 0, 4), Span("PER", 0, 5), Span("LOC", 9, 12)
    merged = SpansCodec().merge(control(), [SpansTarget((one, three)), SpansTarget((two, three)), SpansTarget((one,))])

    assert merged.spans == (one, three)
    assert merged.weight == pytest.approx((1 + 0.5 + 2 / 3) / 3)


def test_annotators_who_agree_that_there_is_nothing_agree_fully() -> None:
    assert SpansCodec().merge(control(), [SpansTarget(()), SpansTarget(())]) == SpansTarget((), 1.0)
    assert SpansCodec().merge(control(), [SpansTarget((Span("PER", 0, 1),))]) == SpansTarget((Span("PER", 0, 1),), 1.0)


def test_annotators_who_agree_on_nothing_still_have_a_weight() -> None:
    merged = SpansCodec().merge(control(), [SpansTarget((Span("PER", start, start + 1),)) for start in range(3)])
    assert merged == SpansTarget((), pytest.approx(1 / 3))


@given(st.lists(st.lists(spans, max_size=3), min_size=1, max_size=4))
def test_a_merged_weight_is_a_share(marked: list[list[Span]]) -> None:
    targets = [SpansTarget(tuple(Span(s.label, s.start, s.end) for s in one)) for one in marked]
    assert 0 < SpansCodec().merge(control(), targets).weight <= 1


def test_text_to_be_marked_is_as_the_task_has_it() -> None:
    assert marked_text(control(), " a\r\n b ") == " a\r\n b "
    assert marked_text(control(), "abcdef", 3) == "abc"
    assert marked_text(control(), 12) == "12"
    for value in (None, ["a"], True, "", " \n"):
        with pytest.raises(MediaBroken):
            marked_text(control(), value)


@pytest.mark.parametrize(
    ("page", "inline", "text"),
    [
        ("<p>a &amp; <b>b</b></p>", False, "a & b"),
        ("  \n<p>a</p> <p>b</p>\n", False, "a b\n"),
        ("  <p>a</p>", True, "  a"),
        ("x<br>y<br/>z\r\nq\rr", False, "x\ny\nz\nq\nr"),
        ("<pre>\n a\n</pre>", False, " a\n"),
        ("<!-- n --><p title='<'>\U0001f600&eacute;&#x1F600;&nbsp;</p>", False, "\U0001f600\u00e9\U0001f600\u00a0"),
        ("<!DOCTYPE html>\n<html><head>\n<meta charset='u'></head>\n<body> <p>a</p></body></html>", False, " a"),
        ("<table> <tr><td>a</td></tr>\n</table>", False, " a\n"),
        ("<ul><li>a<li>b</ul>", False, "ab"),
        ("a\0b", False, "ab"),
        ("1 & 2", False, "1 & 2"),
        ("<p>AT&T rocks</p>", False, "AT&T rocks"),
        ("AT&T", False, "AT&T"),
        ("a&", False, "a&"),
        ("<p>&copy2 &copy;2 &ampfoo &notit; &lt;p&gt</p>", False, "\u00a92 \u00a92 &foo \u00acit; <p>"),
        ("<p>&unknown; &unknown &#65a &#x41; &#65z; &#; &#x</p>", False, "&unknown; &unknown Aa A Az; &#; &#x"),
        ("<p>a&#1;b&#x1F;c&#127;&#129;&#11;&#xFFFF;</p>", False, "a\x01b\x1fc\x7f\x81\x0b\uffff"),
        (f"<p>&#0;&#xD800;&#x110000;&#1{'0' * 5000};&#{'0' * 5000}65;</p>", False, 4 * "\ufffd" + "A"),
        ("<p title='&quot' lang=&copy><!-- &#45;-> &amp -->a</p>", False, "a"),
    ],
)
def test_text_of_a_page_is_what_its_text_nodes_hold(page: str, inline: bool, text: str) -> None:
    xml = HYPER.replace('value="$html"', f'value="$html" inline="{str(inline).lower()}"')
    assert marked_text(control(xml), page) == text


@pytest.mark.parametrize(
    "page",
    [
        "<script>a</script>b",
        "<style>a</style>b",
        "<table>a<tr><td>b</td></tr></table>",
        "<table><div>a</div></table>",
        "<table><tr><td>a</table>b",
        "<head><title>a</title></head>b",
        "<html><head>x</head><body>a</body></html>",
        "a</p>",
        "a</br>b",
        "a < b",
        "a<body>b",
        "<svg><text>a</text></svg>",
        "<![CDATA[a]]>",
        "<br>",
    ],
)
def test_pages_that_only_a_browser_can_count_are_refused(page: str) -> None:
    with pytest.raises(MediaBroken):
        marked_text(control(HYPER), page)


@given(
    st.lists(st.sampled_from(["<p>", "</p>", "<b>", "<br>", "&lt;", "&", "a", " ", "<td>", "<!--", "\n", "<a", ">"]))
)
def test_any_page_is_read_or_refused(parts: list[str]) -> None:
    try:
        assert marked_text(control(HYPER), "".join(parts))
    except MediaBroken as refused:
        assert str(refused)
