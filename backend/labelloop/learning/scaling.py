"""Features as heads and strategies see them: centred, every row of length 1."""

from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats

# Below this share of the centre's own length a row differs from the centre by rounding alone.
ROUNDING: Final = 1e-5


def centre_of(features: Floats) -> Floats:
    """The mean row of features [n, d], as float32 [d]; zeros when there is no row."""
    if len(features) == 0:
        return np.zeros(features.shape[1], dtype=np.float32)
    centre: Floats = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    return centre


def unit_rows(features: Floats, centre: Floats) -> Floats:
    """Features [n, d] minus `centre` [d], each row scaled to length 1, float32.

    A row equal to the centre becomes 0; one that is not finite stays so.
    """
    rows = np.asarray(features, dtype=np.float32) - centre
    lengths = np.linalg.norm(rows, axis=1)
    rounding = max(ROUNDING * float(np.linalg.norm(centre)), np.finfo(np.float32).tiny)
    factors = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=~(lengths <= rounding))
    with np.errstate(invalid="ignore"):
        rows *= factors[:, None]
    return rows
