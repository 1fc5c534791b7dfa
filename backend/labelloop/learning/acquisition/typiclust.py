"""TypiClust: the most typical item of each cluster that has no label yet."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from labelloop.learning.acquisition.base import descending
from labelloop.learning.acquisition.clusters import cluster, main_directions
from labelloop.learning.acquisition.distance import distances
from labelloop.learning.acquisition.pool import View
from labelloop.learning.acquisition.representative import Representative
from labelloop.learning.arrays import Bools, Floats, Ints

NEIGHBOURS: Final = 20
FIRST_CLUSTERS: Final = 10
MOST_CLUSTERS: Final = 320


class TypiClust(Representative):
    """Hacohen et al., 2022, as a total order: the paper's batch becomes batches of 10, 20, 40, ... clusters.

    In each, clusters without a label or an earlier pick give their most typical row (smallest mean distance to its 20
    nearest neighbours), larger clusters first. After the last, every cluster gives its next most typical row in turn.
    """

    name = "typiclust"

    def order_sample(self, view: View) -> Ints:
        """Places, the most typical row of each cluster first."""
        rows = view.features
        typical_first = descending(_typicality(rows))
        picked: list[int] = []
        cluster_of: Ints = np.zeros(len(rows), dtype=np.int64)
        for cluster_of, taken in _clusterings(rows, view.labelled, view.generator):
            taken[cluster_of[picked]] = True
            picked.extend(_best_of_each(cluster_of, taken, typical_first))
        rest = np.ones(len(rows), dtype=bool)
        rest[picked] = False
        remaining = typical_first[rest[typical_first]]
        return np.concatenate([np.array(picked, dtype=np.int64), _in_turn(remaining, cluster_of)])


def _typicality(rows: Floats) -> Floats:
    """Minus the mean distance [n] to the nearest neighbours; equal for all when there is but one row."""
    neighbours = min(NEIGHBOURS, len(rows) - 1)
    apart = distances(rows, rows)
    nearest = np.partition(apart, neighbours, axis=1)[:, : neighbours + 1]
    typicality: Floats = -nearest.sum(axis=1) / max(neighbours, 1)
    return typicality


def _clusterings(rows: Floats, labelled: Floats, generator: np.random.Generator) -> Iterator[tuple[Ints, Bools]]:
    """Ever finer clusterings of the rows: each row's cluster [n], and which clusters [k] hold a labelled row."""
    both = main_directions(np.concatenate([rows, labelled]))
    most = min(len(np.unique(both.round(5), axis=0)), MOST_CLUSTERS)
    clusters = min(FIRST_CLUSTERS + len(labelled), most)
    while True:
        cluster_of = cluster(both, clusters, generator)
        taken = np.zeros(clusters, dtype=bool)
        taken[cluster_of[len(rows) :]] = True
        yield cluster_of[: len(rows)], taken
        if clusters == most:
            return
        clusters = min(2 * clusters, most)


def _best_of_each(cluster_of: Ints, taken: Bools, typical_first: Ints) -> list[int]:
    sizes = np.bincount(cluster_of, minlength=taken.size)
    clusters, first = np.unique(cluster_of[typical_first], return_index=True)
    best = dict(zip(clusters.tolist(), typical_first[first].tolist(), strict=True))
    return [best[cluster] for cluster in descending(sizes).tolist() if cluster in best and not taken[cluster]]


def _in_turn(rows: Ints, cluster_of: Ints) -> Ints:
    """Rows, most typical first, so that each cluster gives one in turn, larger clusters first."""
    own = cluster_of[rows]
    sizes = np.bincount(cluster_of)
    place = np.empty(rows.size, dtype=np.int64)
    for one in np.unique(own):
        members = np.flatnonzero(own == one)
        place[members] = np.arange(members.size)
    order: Ints = rows[np.lexsort((-sizes[own], place))]
    return order
