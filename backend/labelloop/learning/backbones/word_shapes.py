"""Features of a word that its letters alone give: how it is written, and which pieces it has.

Encoders that lower all letters do not see capitals, which tell names from other words (Tkachenko and Simanovsky, 2012).
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from zlib import crc32

import numpy as np

from labelloop.learning.arrays import Floats

SHAPES = 16
# Columns for the pieces of a word, where they stand beside what an encoder says.
PIECES = 80
# The longest word whose pieces are looked at; what is longer is no word.
LONGEST = 64


def written_as(words: Sequence[str]) -> Floats:
    """How words are written, float32 [words, 96]: their pieces, then their shapes."""
    rows = [np.concatenate([pieces_of(word, PIECES, "own"), shape_of(word)]) for word in words]
    return np.stack(rows) if rows else np.zeros((0, PIECES + SHAPES), dtype=np.float32)


@lru_cache(maxsize=65536)
def shape_of(word: str) -> Floats:
    """How a word is written, float32 [16], each 0 or 1; read-only."""
    letters, digits = sum(map(str.isalpha, word)), sum(map(str.isdigit, word))
    said = (
        word.isupper(),
        word.istitle(),
        word.islower(),
        word[:1].isupper(),
        any(map(str.isupper, word[1:])),
        word.isupper() and letters == 1,
        digits > 0,
        digits == len(word),
        digits > 0 and letters > 0,
        letters == 0 and digits == 0,
        word in ".!?;:",
        word in "([{)]}",
        word in "-/_\u2010\u2011\u2013",
        word in "@#",
        len(word) <= 3,
        len(word) >= 9,
    )
    return _frozen(np.array(said, dtype=np.float32))


@lru_cache(maxsize=65536)
def pieces_of(word: str, columns: int, salt: str) -> Floats:
    """The word and its pieces, each hashed to a column with a sign, float32 [columns] of length 1; read-only.

    Args:
        word: it.
        columns: how many columns.
        salt: tells hashings apart that must not agree.
    """
    row = np.zeros(columns, dtype=np.float32)
    for piece in _pieces(word[:LONGEST].lower()):
        hashed = crc32(f"{salt}{piece}".encode(errors="surrogatepass"))
        row[(hashed >> 1) % columns] += 1.0 if hashed & 1 else -1.0
    return _frozen(row / max(float(np.linalg.norm(row)), 1e-6))


def _pieces(word: str) -> Iterator[str]:
    """The word, its first and last one to four letters, and every three letters in a row."""
    yield f"={word}"
    for length in range(1, min(4, len(word)) + 1):
        yield f"^{word[:length]}"
        yield f"{word[-length:]}$"
    for start in range(len(word) - 2):
        yield word[start : start + 3]


def _frozen(row: Floats) -> Floats:
    row.setflags(write=False)
    return row
