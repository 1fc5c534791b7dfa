"""Token features that need no network: how a word and its neighbours are written. The last resort."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.base import OnProgress, ResolvedBackbone
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.backbones.plain_texts import PLAIN_TEXTS, PlainTexts
from labelloop.learning.backbones.tokens import pack_tokens
from labelloop.learning.backbones.word_shapes import SHAPES, pieces_of, shape_of
from labelloop.learning.words import words

# Columns for the pieces of a word itself, and of each of its neighbours: two before, two after.
OWN: Final = 160
NEIGHBOUR: Final = 24
REACH: Final = 2

CHANNELS: Final = OWN + SHAPES + 2 * REACH * NEIGHBOUR
# Count up the number in the id whenever the features change: cached ones must not be mixed with new ones.
PLAIN_TOKENS: Final = ResolvedBackbone("plain", "plain-tokens-2", PLAIN_TEXTS.dim)


class PlainTokens:
    """For each word its pieces hashed (Weinberger et al., 2009), its shape, and its neighbours hashed; beside plain rows."""

    id = PLAIN_TOKENS.id
    dim = PLAIN_TOKENS.dim

    def __init__(self) -> None:
        self._rows = PlainTexts()

    def embed(self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None) -> Floats:
        """Features of texts, float32 [n, 512]."""
        return self._rows.embed(items, on_progress)

    def embed_dense(
        self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None
    ) -> tuple[Floats, list[Dense]]:
        """Features of texts, float32 [n, 512], and of their words."""
        return self._rows.embed(items, on_progress), [_tokens(str(text)) for text in items]


def _tokens(text: str) -> Dense:
    places = words(text)
    said = [text[start:end] for start, end in places]
    own = [np.concatenate([pieces_of(word, OWN, "own"), shape_of(word)]) for word in said]
    values = np.zeros((len(said), CHANNELS), dtype=np.float32)
    if said:
        values[:, : OWN + SHAPES] = own
    for number, offset in enumerate((*range(-REACH, 0), *range(1, REACH + 1))):
        columns = slice(OWN + SHAPES + number * NEIGHBOUR, OWN + SHAPES + (number + 1) * NEIGHBOUR)
        for place in range(max(0, -offset), min(len(said), len(said) - offset)):
            values[place, columns] = pieces_of(said[place + offset], NEIGHBOUR, "beside")
    return pack_tokens(values, places)
