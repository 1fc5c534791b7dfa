"""Monte-Carlo dropout: members that may disagree, of a head that has none."""

from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.heads.base import Head

PASSES: Final = 20
# Of the passes, those that a column is left out of.
DROPPED: Final = 10


def dropout_logits(head: Head, rows: Floats, seed: int = 0) -> Floats:
    """What a head says of rows whose columns are in part left out, once for each pass (Gal and Ghahramani, 2016).

    A pass leaves the same columns out of every row, so that it stands for one model, and what it says of a row does not hang
    on the rows beside it.

    Args:
        head: reads rows of d columns.
        rows: float32 [m, d].
        seed: decides which columns each pass leaves out.

    Returns:
        [`PASSES`, m, C]; their mean over the passes is the head's own logits where these are linear in the row.
    """
    return np.stack([head.logits(rows * mask) for mask in masks(rows.shape[1], seed)])


def masks(columns: int, seed: int = 0) -> Floats:
    """What each pass multiplies each column by, float32 [`PASSES`, columns].

    Every column is left out of exactly `DROPPED` passes and raised in the others, so that the mean over the passes is 1 for
    each column and not only on average.
    """
    turn = np.random.default_rng(seed).random((PASSES, columns)).argsort(axis=0)
    kept: Floats = (turn >= DROPPED).astype(np.float32)
    return kept * np.float32(PASSES / (PASSES - DROPPED))
