"""Text files are read whatever their encoding, and texts reach models without HTML's way of writing characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelloop.learning.texts import decode_text, well_formed

FRENCH = "Le café est fermé aujourd\u2019hui, désolé pour la gêne occasionnée.\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_latin_text_is_read_in_every_usual_encoding(encoding: str) -> None:
    assert decode_text(FRENCH.encode(encoding)) == FRENCH


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "text,label\nIt\u2019s £5,a\nnaïve,b\n"),
        ("cp1252", "Straße, Größe und Übermut"),
        ("cp1250", "Příliš žluťoučký kůň úpěl ďábelské ódy. " * 5),
        ("cp1251", "Привет, как дела? Сегодня хорошая погода и мы идём гулять. " * 5),
        ("shift_jis", "今日は天気がいいですね。散歩に行きましょう。" * 5),
        ("gb18030", "今天天气很好,我们去散步吧。" * 5),
    ],
)
def test_legacy_encodings_are_told_apart(encoding: str, text: str) -> None:
    assert decode_text(text.encode(encoding)) == text


@given(st.binary(max_size=80))
def test_any_bytes_are_read(data: bytes) -> None:
    assert isinstance(decode_text(data), str)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff\ufffe\0")))
def test_utf_8_comes_out_as_it_went_in(text: str) -> None:
    assert decode_text(text.encode()) == text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("fish &amp; chips", "fish & chips"),
        ("&lt;#&gt; it&#39;s &#x20AC;5&nbsp;now", "<#> it's €5\u00a0now"),
        ("R&D; AT&T & co; &unknown;", "R&D; AT&T & co; &unknown;"),
        ("&amp;amp;", "&amp;"),
        ("lone \ud800 surrogate", "lone ? surrogate"),
        ("&#xD800;", "\ufffd"),
    ],
)
def test_entities_become_characters(written: str, meant: str) -> None:
    assert well_formed(written) == meant
