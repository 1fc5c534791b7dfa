"""The graph of nearest neighbours, sparse, and labels that spread along it."""

from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Floats, Ints

NEIGHBOURS: Final = 10
# How fast an edge loses weight with distance: exp(-FALL * (1 - cosine)).
FALL: Final = 4.0
AT_ONCE: Final = 1024

Sparse = Any  # scipy.sparse.csr_matrix: scipy has no types


def neighbour_graph(rows: Floats, *, neighbours: int = NEIGHBOURS) -> Sparse:
    """Symmetrically normalised adjacency D^-1/2 W D^-1/2 of the graph of nearest neighbours by cosine.

    Args:
        rows: float32 [n, d] of length 1, n >= 1.
        neighbours: how many each row names; an edge is there when either names the other.

    Returns:
        scipy CSR matrix [n, n], without self-loops.
    """
    import scipy.sparse

    count = len(rows)
    wanted = min(neighbours, count - 1)
    if wanted == 0:
        return scipy.sparse.csr_matrix((count, count))
    found, alike = _nearest(rows, wanted)
    edges = np.exp(FALL * (alike.ravel().astype(np.float64) - 1))
    graph = scipy.sparse.csr_matrix((edges, (np.repeat(np.arange(count), wanted), found.ravel())), shape=(count, count))
    graph = graph.maximum(graph.T)
    scale = scipy.sparse.diags(1 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel()))
    return (scale @ graph @ scale).tocsr()


def spread(graph: Sparse, labels: Floats, *, stay: float = 0.05, steps: int = 40) -> Floats:
    """Label spreading (Zhou et al., 2004): every row takes its neighbours' labels, each step, and keeps some of its own.

    What each class reaches in all is then brought to its share of the labels, smoothed by one label a class: the class mass
    normalisation of Zhu et al. (2003), without which a class whose labels lie in the thick of the rows takes them all.

    Args:
        graph: what `neighbour_graph` gave, [n, n].
        labels: [n, C], weights of the labels of each row; zeros where there is none.
        stay: share of its own label that a row keeps in each step, in (0, 1).
        steps: how many; the rest is below (1 - stay)^steps.

    Returns:
        float64 [n, C], a row sums to 1, or to 0 where no label reaches it.
    """
    mass = labels
    for _ in range(steps):
        mass = (1 - stay) * (graph @ mass) + stay * labels
    wanted = (labels.sum(axis=0) + 1) / (labels.sum() + labels.shape[1])
    mass = mass * (wanted / np.maximum(mass.sum(axis=0), 1e-300))
    total = mass.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(mass, total, out=np.zeros_like(mass), where=total > 0)
    return shares


def _nearest(rows: Floats, wanted: int) -> tuple[Ints, Floats]:
    """The nearest rows [n, wanted] of each row and their cosines."""
    found = np.empty((len(rows), wanted), dtype=np.int64)
    alike = np.empty((len(rows), wanted), dtype=np.float32)
    for start in range(0, len(rows), AT_ONCE):
        block = rows[start : start + AT_ONCE] @ rows.T
        own = np.arange(len(block))
        block[own, start + own] = -np.inf
        place = np.argpartition(-block, wanted - 1, axis=1)[:, :wanted]
        found[start + own], alike[start + own] = place, np.take_along_axis(block, place, axis=1)
    return found, alike
