"""k-means as the strategies use it: one short run from a seed, on rows that may well be equal."""

import warnings
from typing import Any, Final

import numpy as np

from labelloop.learning.acquisition.base import descending
from labelloop.learning.arrays import Floats, Ints

# Lloyd's algorithm has found nearly all it will by then.
STEPS: Final = 30
# Rows of length 1 whose squared distance is below this differ by rounding alone.
ROUNDING: Final = 1e-6
# k-means gains nothing here from more directions than this, and takes longer in them.
DIRECTIONS: Final = 64


def cluster(rows: Floats, clusters: int, generator: np.random.Generator) -> Ints:
    """The cluster, int [n] in 0..clusters-1, of each of rows [n, d], n >= clusters; equal rows share one, so some may be empty."""
    labels: Ints = fit_clusters(rows, clusters, generator).labels_.astype(np.int64)
    return labels


def fit_clusters(
    rows: Floats, clusters: int, generator: np.random.Generator, weights: Floats | None = None, start: Any = "k-means++"
) -> Any:
    """scikit-learn's fitted KMeans of rows [n, d], n >= clusters.

    Args:
        rows: what to cluster.
        clusters: how many clusters.
        generator: seeds it.
        weights: [n], how much each row counts; None: all the same.
        start: scikit-learn's `init`: a method's name, or centres [clusters, d].
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    model = KMeans(clusters, init=start, n_init=1, max_iter=STEPS, random_state=int(generator.integers(2**31)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than clusters
        return model.fit(rows, sample_weight=weights)


def _seeds(rows: Floats, clusters: int, generator: np.random.Generator, weights: Floats) -> Floats:
    """Centres to start from: greedy k-means++ (Arthur and Vassilvitskii, 2007), without the checks that slow scikit-learn's."""
    squares = np.square(rows).sum(axis=1)
    trials = 2 + int(np.log(clusters))
    far = np.ones(len(rows))  # squared distance to the nearest centre; before there is one, the same for all
    picked: list[int] = []
    while len(picked) < clusters:
        odds = weights * far if (weights * far).sum() > 0 else np.ones(len(rows))  # else every row lies on a centre
        drawn = generator.choice(len(rows), size=trials, p=odds / odds.sum())
        apart = squares[:, None] + squares[drawn] - 2 * (rows @ rows[drawn].T)
        apart[apart < ROUNDING] = 0
        nearest = np.minimum(far[:, None], apart) if picked else apart
        best = int((weights @ nearest).argmin())
        picked.append(int(drawn[best]))
        far = nearest[:, best]
    return rows[picked]


def spread(rows: Floats, weights: Floats, count: int, generator: np.random.Generator) -> Ints:
    """Pick rows that stand for all: the one nearest to the centre of each cluster of weighted k-means.

    Args:
        rows: [n, d].
        weights: [n], at least 0, how much each row counts.
        count: how many clusters.
        generator: seeds k-means.

    Returns:
        int, min(n, count) row numbers, those of the weightiest clusters first.
    """
    if count >= len(rows):
        return descending(weights)
    weights = weights + 1e-9  # rows that all count nothing count the same
    model = fit_clusters(rows, count, generator, weights, _seeds(rows, count, generator, weights))
    clusters, central = central_rows(rows, model)
    return central[descending(np.bincount(model.labels_, weights)[clusters])]


def central_rows(rows: Floats, model: Any) -> tuple[Ints, Ints]:
    """The clusters of a fitted KMeans that hold some of its rows [n, d], and of each the row nearest to its centre."""
    off = np.linalg.norm(rows - model.cluster_centers_[model.labels_], axis=1)
    nearest = np.lexsort((off, model.labels_))
    clusters, first = np.unique(model.labels_[nearest], return_index=True)
    return clusters.astype(np.int64), nearest[first]


def main_directions(rows: Floats) -> Floats:
    """The coordinates [n, <= DIRECTIONS] of rows [n, d] along their principal directions."""
    if rows.shape[1] <= DIRECTIONS:
        return rows
    _, vectors = np.linalg.eigh((rows.T @ rows).astype(np.float64))
    main: Floats = rows @ vectors[:, -DIRECTIONS:].astype(np.float32)
    return main
