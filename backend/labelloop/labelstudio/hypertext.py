r"""The text of an HTML page as Label Studio's editor counts it.

The editor counts the code points of every text node below the page's body, seen or not, and one for each `<br>`. What is
told here is told only where every browser builds the same from the page; where that cannot be known without a browser's
whole parser, the page is refused.
"""

import html
import re
from html.entities import html5
from html.parser import HTMLParser
from typing import Final

from labelloop.errors import MediaBroken

# Elements whose content a browser reads by rules of its own, moves, or leaves out, or that Label Studio takes out.
_REFUSED: Final = frozenset(
    {
        *(
            "button",
            "foreignobject",
            "frame",
            "frameset",
            "iframe",
            "listing",
            "marquee",
            "math",
            "noembed",
            "noframes",
        ),
        *("noscript", "object", "optgroup", "option", "plaintext", "script", "select", "style", "svg", "template"),
        *("textarea", "title", "xmp"),
    }
)
_VOID: Final = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
)
_TABLES: Final = frozenset(("table", "thead", "tbody", "tfoot", "tr", "colgroup"))
_IN_TABLES: Final = _TABLES | {"caption", "td", "th", "col"}
_BREAK: Final = "\n"
_LONGEST: Final = max(map(len, html5))
# A number of as many digits is no character's, whatever follows.
_MOST_DIGITS: Final = 8
_REFERENCE: Final = re.compile(r"&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[a-zA-Z][a-zA-Z0-9]*;?)?")


def page_text(page: str, *, inline: bool) -> str:
    r"""The text of a page, `\n` for each `<br>`; its code points are what the editor's `globalOffsets` count.

    Args:
        page: HTML as the task has it, a whole document or a part of one.
        inline: it is shown within Label Studio's own page (`inline="true"`) and not in a frame, where blanks before the
            first element are left out.

    Raises:
        MediaBroken: it holds what a browser reads by rules of its own, or something that is not well-formed.
    """
    # A browser takes every way to end a line for one, and zeros out, before it reads anything.
    reader = _Reader(inline=inline)
    page = page.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    reader.feed(_REFERENCE.sub(_ended, page))
    reader.close()
    return reader.text


class _Reader(HTMLParser):
    def __init__(self, *, inline: bool) -> None:
        super().__init__(convert_charrefs=False)
        self._inline = inline
        self._parts: list[str] = []
        self._open: list[str] = []
        self._at_start = not inline
        self._after_pre = False

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._after_pre = False
        if tag in _REFUSED:
            raise _refused(f"it has a <{tag}>")
        if tag in ("html", "head", "body"):
            self._start_document(tag)
            return
        around = self._open[-1] if self._open else ""
        if around == "head":
            if tag not in ("meta", "link", "base"):
                raise _refused(f"it has a <{tag}> in its head")
            return
        if around in _TABLES and tag not in _IN_TABLES:
            raise _refused(f"it has a <{tag}> directly in a <{around}>")
        self._at_start = False
        if tag == "br":
            self._parts.append(_BREAK)
        elif tag not in _VOID:
            self._open.append(tag)
            self._after_pre = tag == "pre"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self._after_pre = False
        if tag in ("body", "html"):
            return
        if not self._open or self._open[-1] != tag:
            if tag in _VOID or tag not in self._open:
                raise _refused(f"</{tag}> ends nothing")
            if _TABLES & {tag, *self._open}:
                raise _refused(f"</{tag}> ends before what is in it")
        while self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "<" in data:
            raise _refused("it has a < that begins no tag")
        self._add(data)

    def handle_entityref(self, name: str) -> None:
        self._add(html.unescape(f"&{name};"))

    def handle_charref(self, name: str) -> None:
        self._add(_character(name))

    def unknown_decl(self, data: str) -> None:
        raise _refused("it has a <![ that is no HTML")

    def _start_document(self, tag: str) -> None:
        if self._inline or self._open or self.text.strip():
            raise _refused(f"it has a <{tag}> within")
        if tag == "head":
            self._open.append(tag)
        self._at_start = tag != "body"

    def _add(self, text: str) -> None:
        around = self._open[-1] if self._open else ""
        if self._after_pre:
            text, self._after_pre = text.removeprefix("\n"), False
        if self._at_start or around == "head":
            text = text.lstrip(" \t\n\f")
            if text and around == "head":
                raise _refused("it has text in its head")
            self._at_start = not text
        if around in _TABLES and text.strip(" \t\n\f"):
            raise _refused(f"it has text directly in a <{around}>")
        self._parts.append(text)


def _character(name: str) -> str:
    """The character that a reference names by its number; `name` has neither `&#` nor `;`."""
    digits, base = (name[1:], 16) if name[0] in "xX" else (name, 10)
    number = int(digits.lstrip("0")[:_MOST_DIGITS] or "0", base)
    # `unescape` leaves out the control characters that a browser keeps.
    return html.unescape(f"&#{number};") or chr(number)


def _ended(reference: re.Match[str]) -> str:
    """A reference as it is meant, its `;` written out, and what is none with its `&` escaped.

    `HTMLParser` does not say whether there was a `;`, and loses an `&` that is followed by the last letter of a page.
    """
    name = reference[1] or ""
    if name.startswith("#"):
        return f"&{name.removesuffix(';')};"
    # A browser takes the longest of the old names, which need no `;`, and leaves the rest as it stands.
    known = next((name[:size] for size in range(min(len(name), _LONGEST), 1, -1) if name[:size] in html5), "")
    return f"&{known.removesuffix(';')};{name[len(known) :]}" if known else f"&amp;{name}"


def _refused(reason: str) -> MediaBroken:
    return MediaBroken(f"the places in its HTML cannot be told without a browser: {reason}; simplify the page.")
