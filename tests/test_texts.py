"""The words of a task reach the model, its markup does not."""

import base64
import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelloop.errors import MediaBroken
from labelloop.labelstudio import text_of


def test_blanks_and_line_ends_are_single_spaces() -> None:
    assert text_of("  two\r\n\twords\u00a0here ", 100) == "two words here"


@pytest.mark.parametrize(("value", "text"), [(3, "3"), (2.5, "2.5"), (0, "0")])
def test_a_number_is_read_as_it_is_written(value: object, text: str) -> None:
    assert text_of(value, 100) == text


def test_markup_is_taken_away() -> None:
    page = """<!DOCTYPE html><html><head><title>T</title><style>p { color: red }</style></head>
    <body><script>if (a < b) alert("x")</script><p class="a">Fish &amp; chips</p><p>for two<br/>please</p></body></html>"""
    assert text_of(page, 100) == "Fish & chips for two please"


def test_a_reference_of_thousands_of_digits_is_one_character() -> None:
    assert text_of(f"<p>a&#{'9' * 5000};b&#{'1' * 5000}</p>", 10_000) == "a\ufffdb\ufffd"


@pytest.mark.parametrize(
    "text", ["a < b and c > d", "if x<y then z>w", "List<String> names", "mail <me@host>", "&amp; stays"]
)
def test_plain_text_with_angle_brackets_is_left_alone(text: str) -> None:
    assert text_of(text, 100) == text


@pytest.mark.parametrize(("encoding", "characters"), [("base64", "latin-1"), ("base64unicode", "utf-8")])
def test_an_encoded_text_is_read_as_the_editor_shows_it(encoding: str, characters: str) -> None:
    written = base64.encodebytes("café & <b>crème</b>".encode(characters)).decode()
    assert text_of(written, 100, encoding=encoding) == "café & crème"
    assert text_of(written.rstrip("\n="), 100, encoding=encoding) == "café & crème"


@pytest.mark.parametrize("value", ["plain words!", "YWJjZ", "é", "/w=="])
def test_what_is_not_written_as_the_config_says_is_broken(value: str) -> None:
    with pytest.raises(MediaBroken, match='encoding="base64unicode"'):
        text_of(value, 100, encoding="base64unicode")


@pytest.mark.parametrize("value", ["", " \n\t", "<p></p>", "\0", "<script>x</script>"])
def test_an_empty_text_is_broken(value: str) -> None:
    with pytest.raises(MediaBroken, match="empty"):
        text_of(value, 100)


@pytest.mark.parametrize("value", [None, True, ["a"], {"a": "b"}, b"bytes"])
def test_what_is_not_text_is_broken(value: object) -> None:
    with pytest.raises(MediaBroken, match="a text is expected"):
        text_of(value, 100)


def test_a_huge_text_is_cut() -> None:
    assert text_of("word " * 10_000_000, 20) == "word word word word"


@pytest.mark.parametrize(
    "hostile", ["<" * 800_000, "<a" * 400_000, "<script>" * 100_000, "<p><!--" * 100_000, "</p" * 200_000 + "</p>"]
)
def test_hostile_markup_costs_little_time(hostile: str) -> None:
    started = time.process_time()
    with contextlib.suppress(MediaBroken):
        text_of(hostile, 100_000)
    assert time.process_time() - started < 2


@given(st.text(max_size=200), st.integers(1, 50))
def test_every_text_comes_out_encodable_and_within_bounds(value: str, limit: int) -> None:
    try:
        text = text_of(value + "\ud800", limit)
    except MediaBroken:
        return
    assert text.encode()
    assert 0 < len(text) <= limit
    assert "\n" not in text


TALK = [{"author": "Ada", "text": "Is it <b>here</b>?</p>"}, {"text": " No. "}, {"author": "Bo", "start": 3.5}]


def test_a_conversation_is_read_with_its_authors() -> None:
    assert text_of(TALK, 100) == "Ada: Is it here ? No."
    talk = [{"who": "Ada", "said": 7}, {"who": "", "said": "so"}]
    assert text_of(talk, 100, name_key="who", text_key="said") == "Ada: 7 so"


def test_a_long_conversation_is_cut_and_an_empty_one_is_broken() -> None:
    assert text_of([{"text": "word"}] * 1_000_000, 9) == "word word"
    for empty in ([], [{}], [{"author": "Ada", "text": "  "}], [{"said": "x"}]):
        with pytest.raises(MediaBroken, match="empty"):
            text_of(empty, 100)
