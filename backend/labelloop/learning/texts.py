"""Texts as every library below can read them: decoded, well-formed, without HTML's way of writing characters."""

import html
import re
from typing import Final

# Marks at the start of a file that say how it is encoded; UTF-32's begins with UTF-16's, so it comes first.
_MARKS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# What files are found in that are not Unicode.
_LEGACY: Final = (
    "cp1252",
    "cp1250",
    "cp1251",
    "cp1253",
    "cp1254",
    "shift_jis",
    "gb18030",
    "big5",
    "euc_kr",
    "euc_jp",
    "koi8_r",
)
_WESTERN: Final = "cp1252"
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")


def decode_text(data: bytes) -> str:
    """The text of a file, whatever its encoding.

    A byte order mark is believed; then UTF-8 is tried, which hardly any other encoding passes for, then UTF-16 where
    every other byte is 0. What is left is a legacy encoding, found by charset-normalizer; Windows-1252 where that is as
    good as any other.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8") if b"\0" not in data else data.decode(_wide(data), "replace")
    except UnicodeDecodeError:
        return data.decode(_legacy(data), "replace")


def well_formed(text: str) -> str:
    """A text as models should read it.

    Lone surrogates, which JSON can carry but UTF-8 cannot, become question marks; entities such as `&amp;` or `&#39;`,
    left over from a web page, the characters they stand for.
    """
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text).encode("utf-8", "replace").decode("utf-8")


def _wide(data: bytes) -> str:
    """UTF-16 by where its zeros are: Latin text has them in the second byte of each pair, or in the first."""
    odd, even = data[1::2].count(0), data[::2].count(0)
    if max(odd, even) * 4 < len(data):
        return "utf-8"
    return "utf-16-le" if odd > even else "utf-16-be"


def _legacy(data: bytes) -> str:
    from charset_normalizer import from_bytes

    found = list(from_bytes(data, cp_isolation=list(_LEGACY)))
    if not found or any(match.encoding == _WESTERN and match.chaos <= found[0].chaos for match in found):
        return _WESTERN
    return found[0].encoding
