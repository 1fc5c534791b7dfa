"""The text of a task, as a model should read it."""

import base64
import html
import re
from typing import Final

from labelloop.errors import MediaBroken

ENCODINGS: Final = {"base64": "latin-1", "base64unicode": "utf-8"}
"""How texts may be written in a task (`encoding` of the tag), with what the editor takes their bytes for."""
READ_AHEAD = 8
"""How many times the wanted length is looked at, so that markup and blanks do not use it up."""

_MARKUP = re.compile(r"</[a-z][\w-]*\s*>|<(?:br|hr|p|img|!doctype)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"(<[^<>]*>)")
# Python turns no text of some 4,300 digits into a number.
_UNCOUNTABLE = re.compile(r"&#[0-9]{4000,};?")
_UNSEEN = re.compile(r"<(script|style|head|template)\b", re.IGNORECASE)


def text_of(
    value: object, max_chars: int, *, encoding: str = "none", name_key: str = "author", text_key: str = "text"
) -> str:
    """The words of a data value: HTML without its markup where it looks like HTML, blanks and line ends as single spaces.

    Args:
        value: what the task's data holds; a number is read as it is written, a list as a conversation, each utterance with
            its author before it ("author: text").
        max_chars: how many characters to keep, from the start.
        encoding: how the text is written, one of `ENCODINGS`; "none": as it is.
        name_key: where an utterance has its author.
        text_key: where an utterance has its words.

    Raises:
        MediaBroken: it is empty, or not text, or not written in that encoding.
    """
    if encoding != "none" and isinstance(value, str):
        value = _decoded(value, encoding)
    if isinstance(value, list):
        value = _conversation(value, max_chars * READ_AHEAD, name_key, text_key)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise MediaBroken(f"a text is expected, and there is {type(value).__name__} instead; correct the task's data.")
    text = str(value)[: max_chars * READ_AHEAD]
    if _MARKUP.search(text):
        text = _without_markup(text)
    text = " ".join(encodable(text).replace("\0", " ").split())[:max_chars].rstrip()
    if not text:
        raise MediaBroken("its text is empty; a task needs some to be learnt from.")
    return text


def encodable(text: str) -> str:
    """A text as tokenizers and answers take it: a lone surrogate, which JSON can carry, is no character and cannot be encoded."""
    return text.encode(errors="replace").decode()


def _decoded(text: str, encoding: str) -> str:
    """What the editor shows of an encoded text: like a browser's `atob`, it minds neither blanks nor padding that is left out."""
    written = "".join(text.split())
    try:
        return base64.b64decode(written + "=" * (-len(written) % 4), validate=True).decode(ENCODINGS[encoding])
    except ValueError:  # of base64, or of the characters
        raise MediaBroken(f'its text is not written in encoding="{encoding}"; correct the task\'s data.') from None


def _conversation(utterances: list[object], enough: int, name_key: str, text_key: str) -> str:
    """The utterances, a line each, as many as are enough characters."""
    lines: list[str] = []
    length = 0
    for utterance in utterances:
        if not isinstance(utterance, dict):
            found = f"a list that holds {type(utterance).__name__}"
            raise MediaBroken(
                f"a text is expected, or a list of utterances, and there is {found}; correct the task's data."
            )
        author, words = (_written(utterance.get(key)) for key in (name_key, text_key))
        if words:
            lines.append(f"{author}: {words}" if author else words)
            length += len(lines[-1])
        if length > enough:
            break
    return "\n".join(lines)


def _written(value: object) -> str:
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _without_markup(text: str) -> str:
    """What a browser would show. Linear in the length, whatever is thrown at it."""
    shown: list[str] = []
    hidden_in = ""
    for index, part in enumerate(_TAG.split(text)):
        if index % 2 == 0:
            shown.append("" if hidden_in else html.unescape(_UNCOUNTABLE.sub("\ufffd", part)))
        elif hidden_in:
            hidden_in = "" if part[1:].lower().startswith(f"/{hidden_in}") else hidden_in
        elif unseen := _UNSEEN.match(part):
            hidden_in = unseen[1].lower()
        else:
            shown.append(" ")
    return "".join(shown)
