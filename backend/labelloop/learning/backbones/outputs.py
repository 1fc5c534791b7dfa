"""How what a model writes in answer to a text is laid out as dense features.

places = [outputs, dim, taught, length of each output in code points…, code points of the outputs, one after the other], the best
output first; values = the text's row [dim], then each output's log-probability (natural, the mean over its tokens). `taught` is 1
where the model has learnt from this very text, so that what it writes says nothing of how well it writes others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.dense import Dense, as_kept


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a model writes in answer to one text.

    Attributes:
        row: float32 [dim], features of the text as a whole.
        texts: the outputs, the best first; may be none.
        log_probabilities: of each, the mean over its tokens (natural), at most 0.
        taught: the model has learnt from this text.
    """

    row: Floats
    texts: tuple[str, ...] = ()
    log_probabilities: tuple[float, ...] = ()
    taught: bool = False


def pack_outputs(row: Floats, texts: Sequence[str], log_probabilities: Sequence[float], *, taught: bool) -> Dense:
    """Lay out a row [dim] and outputs with their log-probabilities; what float16 cannot hold is cut to its range."""
    codes = [np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<i4") for text in texts]
    head = np.array([len(texts), len(row), int(taught), *(len(one) for one in codes)], dtype=np.int32)
    values = np.concatenate([row, np.asarray(log_probabilities, dtype=np.float64)])
    return Dense(as_kept(values), np.concatenate([head, *codes]).astype(np.int32))


def read_outputs(dense: Dense) -> Outputs:
    """What `pack_outputs` laid out; without a row for empty features."""
    if not dense.places.size:
        return Outputs(np.zeros(0, dtype=np.float32))
    count, dim, taught = (int(number) for number in dense.places[:3])
    ends = 3 + count + np.cumsum([0, *dense.places[3 : 3 + count]])
    texts = tuple(
        dense.places[start:end].astype("<i4").tobytes().decode("utf-32-le", "surrogatepass")
        for start, end in pairwise(ends.tolist())
    )
    said = dense.values[dim : dim + count].astype(np.float64).tolist()
    return Outputs(dense.values[:dim].astype(np.float32), texts, tuple(said), bool(taught))
