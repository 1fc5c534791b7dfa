"""Distances between rows of features."""

import numpy as np

from labelloop.learning.arrays import Floats


def distances(rows: Floats, others: Floats) -> Floats:
    """Euclidean distances [n, m] between rows [n, d] and others [m, d], float32."""
    squares = np.einsum("ij,ij->i", rows, rows)[:, None] + np.einsum("ij,ij->i", others, others)[None, :]
    squares -= 2 * (rows @ others.T)
    apart: Floats = np.sqrt(np.maximum(squares, 0, out=squares), out=squares)
    return apart
