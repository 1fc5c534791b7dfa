"""The tokens of one text, and how `Dense` holds them.

`places` is [tokens, channels, start 0, end 0, start 1, end 1, …], in code points of the text, and a 1 after that where the backbone
has learnt from this very text, so that what it says of it is surer than what it says of others; `values` is float16
[tokens, channels], raveled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.backbones.dense import Dense, as_kept


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one text.

    Attributes:
        values: float32 [t, c], their features.
        starts: int32 [t], the first character of each, in code points.
        ends: int32 [t], the character after the last of each; tokens do not overlap and are in order.
        taught: the backbone has learnt from this text.
    """

    values: Floats
    starts: Ints
    ends: Ints
    taught: bool = False


def pack_tokens(values: Floats, places: Sequence[tuple[int, int]], *, taught: bool = False) -> Dense:
    """Features [t, c] of the words at t places, as they are kept; what float16 cannot hold is cut to its range."""
    ends = np.array(places, dtype=np.int32).reshape(-1)
    said = [np.array(values.shape, dtype=np.int32), ends, np.ones(int(taught), dtype=np.int32)]
    return Dense(as_kept(values), np.concatenate(said))


def unpack_tokens(dense: Dense) -> Tokens:
    """What `pack_tokens` packed; of an item that could not be read no token.

    Raises:
        LearningError: it is not the tokens of a text.
    """
    if dense.places.size == 0:
        none = np.zeros(0, dtype=np.int32)
        return Tokens(np.zeros((0, 0), dtype=np.float32), none, none)
    tokens, channels = (int(size) for size in (*dense.places[:2], 0)[:2])
    ends, taught = dense.places[2 : 2 + 2 * tokens], dense.places[2 + 2 * tokens :]
    if ends.size != 2 * tokens or taught.size > 1 or dense.values.size != tokens * channels:
        raise LearningError("Dense features of this size are not those of a text's tokens; embed the text again.")
    return Tokens(dense.values.astype(np.float32).reshape(tokens, channels), ends[::2], ends[1::2], bool(taught.any()))
