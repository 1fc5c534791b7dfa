"""Marked stretches of a conversation: within an utterance and across several, as Label Studio's editor counts them."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from labelloop.errors import MediaBroken
from labelloop.labelstudio import AnnotationRecord, TaskRecord, codec_for, merge, parse_label_config, prediction_json
from labelloop.labelstudio.codecs.spans import marked_text
from labelloop.labelstudio.conversations import Conversation
from labelloop.records import Control, Kind, Span, SpansPrediction, SpansTarget

XML = """<View><ParagraphLabels name="l" toName="t"><Label value="Person" alias="PER"/><Label value="LOC"/></ParagraphLabels>
<Paragraphs name="t" value="$talk" nameKey="who" textKey="said" layout="dialogue"/></View>"""
GLOBE = "\U0001f30d"


def control(xml: str = XML) -> Control:
    (found,) = parse_label_config(xml).controls
    return found


def talk(*said: str) -> list[dict[str, Any]]:
    return [{"who": f"person {number}", "said": words} for number, words in enumerate(said)]


def region(start: Any, start_offset: Any, end: Any, end_offset: Any, *labels: Any) -> dict[str, Any]:
    value = {"start": start, "startOffset": start_offset, "end": end, "endOffset": end_offset}
    return {
        "from_name": "l",
        "to_name": "t",
        "type": "paragraphlabels",
        "value": {**value, "paragraphlabels": [*labels]},
    }


def read(value: object, *regions: dict[str, Any]) -> SpansTarget | None:
    target = codec_for(control()).read(control(), list(regions), value)
    assert target is None or isinstance(target, SpansTarget)
    return target


def written(value: object, *spans: Span) -> list[dict[str, Any]]:
    return codec_for(control()).write(control(), SpansPrediction(spans, 0.9, 0.1), value)


def places(region: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(region["value"][key] for key in ("start", "startOffset", "end", "endOffset"))


def test_config_says_what_is_marked_and_where_the_words_are() -> None:
    found = control()
    assert (found.kind, found.labels, found.data_key) == (Kind.SPANS, ("PER", "LOC"), "talk")
    assert (found.option("object"), found.option("text_key")) == ("Paragraphs", "said")


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("ParagraphLabels", "Labels", "ParagraphLabels alone"),
        ("ParagraphLabels", "HyperTextLabels", "ParagraphLabels alone"),
        ('layout="dialogue"', 'contextScroll="true"', "another order"),
        ('layout="dialogue"', 'valueType="url"', "text that lies in the task itself"),
        ("<Paragraphs ", "<Text ", "about Text"),
        ('<Label value="Person" alias="PER"/><Label value="LOC"/>', "", "it has no labels"),
    ],
)
def test_what_cannot_be_learnt_says_why(before: str, after: str, reason: str) -> None:
    config = parse_label_config(XML.replace(before, after))
    assert config.controls == ()
    assert reason in config.unsupported[0]


def test_words_are_one_text_without_their_authors() -> None:
    assert marked_text(control(), talk("Hi!", "", "Anna\r\nis here")) == "Hi!\n\nAnna\r\nis here"
    assert marked_text(control(), talk("Hi!", "Anna"), 5) == "Hi!\nA"
    assert marked_text(control(), [{"said": 7}, {"who": "x"}, {"said": None}, {"said": "a"}]) == "7\n\n\na"


@pytest.mark.parametrize("value", [None, "text", [], ["text"], [{"said": ["a"]}], [{"said": 1.5}], talk("", " "), {}])
def test_what_is_no_conversation_is_refused(value: object) -> None:
    with pytest.raises(MediaBroken):
        marked_text(control(), value)
    assert written(value, Span("PER", 0, 1)) == []


def test_places_are_counted_in_utf16_units_of_their_utterance() -> None:
    value = talk(f"a {GLOBE} hello Boris", "", "well\r\nthen  Paris")
    text = marked_text(control(), value)
    boris, paris = text.index("Boris"), text.index("Paris")

    assert read(value, region("0", 11, "0", 16, "PER")) == SpansTarget((Span("PER", boris, boris + 5),))
    assert read(value, region("0", 11, "2", 17, "LOC")) == SpansTarget((Span("LOC", boris, paris + 5),))
    assert [places(one) for one in written(value, Span("PER", boris, boris + 5), Span("LOC", boris, paris + 5))] == [
        ("0", 11, "0", 16),
        ("0", 11, "2", 17),
    ]


def test_spans_end_and_begin_with_words_not_between_utterances() -> None:
    value = talk("one", "", "two", "")
    text = marked_text(control(), value)
    assert text == "one\n\ntwo\n"
    spans = [Span("PER", start, end) for start in range(len(text)) for end in range(start + 1, len(text) + 1)]
    found = {(span.start, span.end): places(*written(value, span)) for span in spans if written(value, span)}

    assert found[0, 5] == ("0", 0, "0", 3)
    assert found[3, 9] == ("2", 0, "2", 3)
    assert found[2, 6] == ("0", 2, "2", 1)
    assert {(3, 4), (3, 5), (4, 5), (8, 9)} & found.keys() == set()
    assert len(found) == len(spans) - 4


@pytest.mark.parametrize(
    "broken",
    [
        region("9", 0, "9", 1, "PER"),
        region("0", 0, "0", 99, "PER"),
        region("0", 2, "0", 2, "PER"),
        region("1", 0, "0", 1, "PER"),
        region("-1", 0, "0", 1, "PER"),
        region("0", -1, "0", 1, "PER"),
        region(None, None, "0", 1, "PER"),
        region("0", 0, "0", 1),
        {**region("0", 0, "0", 1, "PER"), "value": {"paragraphlabels": ["PER"]}},
    ],
)
def test_what_lies_nowhere_is_passed_over_and_alone_says_nothing(broken: dict[str, Any]) -> None:
    value = talk("Anna", "Bo")
    assert read(value, broken) is None
    assert read(value, broken, region(1, 0, 1, 2.0, "LOC")) == SpansTarget((Span("LOC", 5, 7),))


def test_nothing_marked_says_that_there_is_nothing_and_no_conversation_says_nothing() -> None:
    assert read(talk("Anna")) == SpansTarget(())
    assert read(talk("Anna"), {**region("0", 0, "0", 1, "PER"), "from_name": "other"}) == SpansTarget(())
    assert read("Anna", region("0", 0, "0", 1, "PER")) is None
    assert read(None, region("0", 0, "0", 1, "PER")) is None


def test_annotations_are_merged_by_what_the_task_shows() -> None:
    moment = "2026-11-24T02:00:00.000000Z"
    said = [AnnotationRecord(n, n, False, False, moment, [region("1", 0, "1", 2, "PER")]) for n in (1, 2)]
    task = TaskRecord(1, {"talk": talk("Anna", "Bo")}, moment, tuple(said))
    assert merge(control(), task) == SpansTarget((Span("PER", 5, 7),), 1.0)


def test_a_conversation_may_lie_deeper_in_the_data() -> None:
    deep, moment = control(XML.replace("$talk", "$doc.talk")), "2026-11-24T02:00:00.000000Z"
    said = AnnotationRecord(1, 1, False, False, moment, [region("1", 0, "1", 2, "PER")])
    data = {"doc": {"talk": talk("Anna", "Bo")}}
    found = merge(deep, TaskRecord(1, data, moment, (said,)))
    assert found == SpansTarget((Span("PER", 5, 7),), 1.0)
    sent = prediction_json(1, "v1", 0.5, [(deep, SpansPrediction((Span("PER", 5, 7),), 1, 0))], data)
    assert [places(one) for one in sent["result"]] == [("1", 0, "1", 2)]


def test_the_words_of_a_span_can_be_encoded_and_its_place_stays() -> None:
    (one,) = written(talk("ab", "c\ud800d"), Span("PER", 1, 5))

    assert one["value"]["text"] == "b\nc?"
    assert places(one) == ("0", 1, "1", 2)


words = st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from(["\n", "\r", GLOBE, "é"]), max_size=12)


@st.composite
def marked(draw: st.DrawFn) -> tuple[list[str], list[Span]]:
    said = draw(st.lists(words, min_size=1, max_size=5))
    text = "\n".join(said)
    ends = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))
    pairs = [pair for pair in draw(st.lists(ends, max_size=5)) if pair[0] < pair[1]]
    return said, [Span(draw(st.sampled_from(["PER", "LOC"])), *pair, draw(st.floats(0, 1))) for pair in pairs]


def between(said: list[str]) -> set[int]:
    """Where in the text the breaks between utterances are."""
    return {len("\n".join(said[:number])) for number in range(1, len(said))}


@given(marked())
def test_what_is_written_is_valid_and_read_back_the_same(case: tuple[list[str], list[Span]]) -> None:
    said, spans = case
    one, value = control(), talk(*said)
    sent = prediction_json(7, "v1", 0.5, [(one, SpansPrediction(tuple(spans), 1, 0))], {"talk": value})
    breaks = between(said)
    whole = {Span(s.label, s.start, s.end) for s in spans if not {s.start, s.end - 1} & breaks}

    assert LabelInterface(XML).validate_prediction(sent, return_errors=True) == []
    target = read(value, *sent["result"])
    assert target is not None
    assert whole <= set(target.spans)
    assert len(target.spans) <= len({(s.label, s.start, s.end) for s in spans})
    assert written(value, *target.spans) == written(value, *(read(value, *sent["result"]) or target).spans)
    for one_region in sent["result"]:
        value_of = one_region["value"]
        assert isinstance(value_of["start"], str)
        assert value_of["text"] in "\n".join(said)
    ids = [one_region["id"] for one_region in sent["result"]]
    assert len(set(ids)) == len({json.dumps(r["value"]) for r in sent["result"]})


@given(marked(), st.randoms())
def test_what_the_editor_saves_of_it_reads_the_same(case: tuple[list[str], list[Span]], random: Any) -> None:
    said, spans = case
    sent = written(talk(*said), *spans)
    saved = copy.deepcopy(random.sample(sent, len(sent)))
    for one in saved:
        one.pop("score")
        one |= {"origin": "prediction", "id": str(random.random())}
        one["value"] |= {"text": "whatever the page shows in between"}
    assert read(talk(*said), *saved) == read(talk(*said), *sent)


@given(st.lists(words, min_size=1, max_size=5), st.data())
def test_units_are_those_of_a_browser(said: list[str], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(said) - 1))
    at = data.draw(st.integers(0, len(said[number])))
    units = len(said[number][:at].encode("utf-16-le")) // 2
    conversation = Conversation(tuple(said))
    assert conversation.offset((number, units)) == len("\n".join([*said[:number], ""])) + at


def test_a_place_within_a_character_is_behind_it() -> None:
    assert Conversation((GLOBE + "a",)).offset((0, 1)) == 1
