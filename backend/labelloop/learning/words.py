"""A text cut into words: the units that spans begin and end at.

The rule is our own, not a model's, so that every backbone's tokens are the same stretches of the same text and a span's ends
do not depend on a vocabulary.
"""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

# Scripts written without blanks between words, by their first and last code points: each character is a word of its own.
_UNSPACED: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x109F),  # Tibetan, Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # iteration mark, ideographic zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # small Katakana
    (0x3400, 0x4DBF),  # ideographs
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),  # halfwidth Katakana
    (0x20000, 0x3FFFF),
)
# Beside combining marks what changes the character before: halfwidth Katakana's sound marks, joiners, skin tones, and the
# tags that make a black flag that of a region.
_CHANGES: Final = (
    (0x200C, 0x200D),
    (0xFF9E, 0xFF9F),
    (0x1F3FB, 0x1F3FF),
    (0xE0020, 0xE007F),
)
# Two of these are the flag of a country.
_HALVES: Final = ((0x1F1E6, 0x1F1FF),)
_JOINER: Final = "\u200d"
_BLANK, _LETTER, _SINGLE, _MARK, _HALF = range(5)


def words(text: str) -> list[tuple[int, int]]:
    """The words of a text, in order, as first character and the one after the last, in code points.

    Letters and digits in a row are one word; every other visible character is one, so that a full stop never belongs to the
    word before it. Combining marks, variation selectors, joiners and skin tones stay with what they follow, what a
    joiner joins stays together, and so do the two halves of a flag. Blanks and control characters are in no word.
    """
    found: list[tuple[int, int]] = []
    before = _BLANK
    for place, character in enumerate(text):
        sort = _sort(character)
        if sort == _BLANK:
            before = _BLANK
            continue
        alike = sort == before and sort in (_LETTER, _HALF)
        joined = before != _BLANK and (sort == _MARK or text[place - 1] == _JOINER or alike)
        if joined:
            found[-1] = (found[-1][0], place + 1)
        else:
            found.append((place, place + 1))
        if sort != _MARK or not joined:
            before = _SINGLE if joined and sort == _HALF else sort
    return found


def torn(text: str, start: int, end: int) -> tuple[bool, bool]:
    """Whether a stretch of a text begins, and whether it ends, between a sign of its own and a letter or digit beside it.

    So `C++` does in `C++17`, and `.NET` in `ASP.NET`: there they are parts of something longer, though signs are words of their own.
    """
    return (
        start > 0 and _is_sign(text[start]) and _sort(text[start - 1]) == _LETTER,
        end < len(text) and _is_sign(text[end - 1]) and _sort(text[end]) == _LETTER,
    )


def _is_sign(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


@lru_cache(maxsize=65536)
def _sort(character: str) -> int:
    code, category = ord(character), unicodedata.category(character)
    if category[0] == "M" or _among(code, _CHANGES):
        return _MARK
    if _among(code, _HALVES):
        return _HALF
    if character.isspace() or category in ("Cc", "Cf", "Zs", "Zl", "Zp"):
        return _BLANK
    if category[0] in "LN" and not _among(code, _UNSPACED):
        return _LETTER
    return _SINGLE


def _among(code: int, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(first <= code <= last for first, last in ranges)
