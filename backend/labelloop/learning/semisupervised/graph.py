"""The graph of nearest neighbours, sparse, and labels that spread along it."""

from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Floats, Ints

NEIGHBOURS: Final = 10
# How fast an edge loses weight with distance: exp(-FALL * (1 - cosine)).
FALL: Final = 4.0
AT_ONCE: Final = 1024
# Up to this many rows each is compared with all; beyond, with those of the cells next to its own.
ALL_PAIRS: Final = 8192
CELL: Final = 200
NEXT_CELLS: Final = 12

Sparse = Any  # scipy.sparse.csr_matrix: scipy has no types


def neighbour_graph(rows: Floats, *, neighbours: int = NEIGHBOURS, seed: int = 0) -> Sparse:
    """Symmetrically normalised adjacency D^-1/2 W D^-1/2 of the graph of nearest neighbours by cosine.

    Args:
        rows: float32 [n, d] of length 1, n >= 1.
        neighbours: how many each row names; an edge is there when either names the other.
        seed: decides the cells that many rows are searched by.

    Returns:
        scipy CSR matrix [n, n], without self-loops.
    """
    import scipy.sparse

    count = len(rows)
    wanted = min(neighbours, count - 1)
    if wanted == 0:
        return scipy.sparse.csr_matrix((count, count))
    found, alike = _all_pairs(rows, wanted) if count <= ALL_PAIRS else _by_cells(rows, wanted, seed)
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


def _all_pairs(rows: Floats, wanted: int) -> tuple[Ints, Floats]:
    """The nearest rows [n, wanted] of each row and their cosines."""
    found = np.empty((len(rows), wanted), dtype=np.int64)
    alike = np.empty((len(rows), wanted), dtype=np.float32)
    everyone = np.arange(len(rows))
    for start in range(0, len(rows), AT_ONCE):
        own = everyone[start : start + AT_ONCE]
        found[own], alike[own] = _nearest(rows, own, everyone, wanted)
    return found, alike


def _by_cells(rows: Floats, wanted: int, seed: int) -> tuple[Ints, Floats]:
    """As `_all_pairs`, nearly: each row is compared with those in the cells nearest to its own; a cell has some row's name."""
    chosen = np.random.default_rng(seed).permutation(len(rows))[: len(rows) // CELL]
    blocks = range(0, len(rows), AT_ONCE)
    cell = np.concatenate([(rows[start : start + AT_ONCE] @ rows[chosen].T).argmax(axis=1) for start in blocks])
    members = [np.flatnonzero(cell == number) for number in range(chosen.size)]
    near = np.argsort(-(rows[chosen] @ rows[chosen].T), axis=1, kind="stable")[:, :NEXT_CELLS]
    found = np.empty((len(rows), wanted), dtype=np.int64)
    alike = np.empty((len(rows), wanted), dtype=np.float32)
    for number, own in enumerate(members):
        others = np.concatenate([members[other] for other in near[number]])
        if others.size <= wanted:
            others = np.arange(len(rows))
        for start in range(0, own.size, AT_ONCE):
            some = own[start : start + AT_ONCE]
            found[some], alike[some] = _nearest(rows, some, others, wanted)
    return found, alike


def _nearest(rows: Floats, own: Ints, others: Ints, wanted: int) -> tuple[Ints, Floats]:
    alike = rows[own] @ rows[others].T
    alike[own[:, None] == others[None, :]] = -np.inf
    place = np.argpartition(-alike, wanted - 1, axis=1)[:, :wanted]
    return others[place], np.take_along_axis(alike, place, axis=1)
