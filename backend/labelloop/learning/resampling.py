"""Grids of other sizes."""

from functools import lru_cache

import numpy as np

from labelloop.learning.arrays import Floats


def resampled(values: Floats, rows: int, columns: int) -> Floats:
    """Values [..., rows given, columns given] as [..., rows, columns], each axis by `resampling`."""
    if values.shape[-2:] == (rows, columns):
        return values
    result: Floats = resampling(values.shape[-2], rows) @ values @ resampling(values.shape[-1], columns).T
    return result


@lru_cache(maxsize=64)
def resampling(given: int, wanted: int) -> Floats:
    """Weights [wanted, given] of the cells given in each cell wanted: the mean of those that it spans, or what lies between two."""
    span = max(1.0, given / wanted)
    middles = (np.arange(wanted) + 0.5) * given / wanted - 0.5
    away = np.abs(np.clip(middles, 0, given - 1)[:, None] - np.arange(given))
    weights = np.clip((span + 1) / 2 - away, 0, 1) if span > 1 else np.clip(1 - away, 0, None)
    result: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return result
