"""Which characters stand beside each other in a text, as a row of numbers: what tells, without a library, how alike two texts are."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats, Ints

COLUMNS: Final = 256
LONGEST: Final = 4
# A text's beginning tells what it is like.
_READ: Final = 2000
_STEP: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = np.uint64(0xFF51AFD7ED558CCD)


def profiles(texts: Sequence[str]) -> Floats:
    """Hashed counts of one to four characters in a row, float32 [n, 256], each row of length 1; zeros for an empty text.

    Signed hashing keeps dot products in expectation (Weinberger et al., 2009), so the dot product of two rows is about the
    cosine of the two texts' counts.
    """
    rows = np.zeros((len(texts), COLUMNS), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        codes = np.frombuffer(text[:_READ].encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
        columns, signs = _hashed(codes)
        row += np.bincount(columns, weights=signs, minlength=COLUMNS)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Floats = rows / np.where(lengths > 0, lengths, 1)
    return scaled


def _hashed(codes: Ints) -> tuple[Ints, Floats]:
    """Column and sign of each piece of a text."""
    found: list[Ints] = [np.zeros(0, dtype=np.uint64)]
    hashes: Ints = np.zeros(len(codes), dtype=np.uint64)
    for size in range(1, min(LONGEST, len(codes)) + 1):
        hashes = (hashes[: len(codes) - size + 1] ^ codes[size - 1 :]) * _STEP
        found.append((hashes ^ (hashes >> np.uint64(29))) * _MIX)
    pieces = np.concatenate(found)
    columns = (pieces >> np.uint64(56)).astype(np.int64)
    return columns, np.where(pieces >> np.uint64(55) & np.uint64(1), 1.0, -1.0)
