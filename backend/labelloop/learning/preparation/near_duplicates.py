"""Which items are nearly the same, told by their features."""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Bools, Floats, Ints
from labelloop.learning.folds import first_of_each
from labelloop.learning.scaling import centre_of, unit_rows
from labelloop.learning.threads import one_thread

# How near is too near, as a share of how far an item usually is from its nearest neighbour. At 0.5 most photographs are
# grouped with copies of theirs that were resized, brightened, cropped by a few pixels or compressed anew, and messages with
# those of the same template; at 0.6 chains begin to join what merely belongs to one class.
NEAR: Final = 0.5
# Rows that the usual distance is measured on.
SAMPLE: Final = 512
# Comparing all pairs in these few directions rules out nearly every pair at a fraction of the cost: the directions that the
# rows vary most in, and random ones for what lies outside of those.
MAIN_DIRECTIONS: Final = 32
RANDOM_DIRECTIONS: Final = 64
BLOCK: Final = 512
# Pairs measured at a time, between which those already joined are looked up.
PAIRS: Final = 65536
# What single precision leaves of the distance between equal rows.
ROUNDING: Final = 1e-5


def near_duplicate_groups(features: Floats, *, near: float = NEAR) -> Ints:
    """Group items whose features are nearly equal, or that a chain of such pairs connects.

    Rows are centred and scaled to length 1, as heads see them. Two are near-duplicates when their distance is at most
    `near` times the median distance of an item to its nearest different neighbour, so that the same figure serves a
    data set of close relatives and one of strangers; cleanlab's near-duplicate check is relative in the same way
    (Northcutt et al., 2021). Every pair is looked at, none is sampled; 50,000 rows take seconds.

    Args:
        features: [n, d]; a row that is not finite is in a group of its own.
        near: share of the usual distance, at least 0; 0 finds equal rows alone.

    Returns:
        int64 [n]: for each row the number of the first row of its group, so a row with no near-duplicate before it has
        its own number. The same features give the same groups.
    """
    groups = np.arange(len(features), dtype=np.int64)
    finite = np.flatnonzero(np.isfinite(features).all(axis=1))
    if finite.size < 2:
        return groups
    with one_thread():
        rows = unit_rows(features[finite], centre_of(features[finite]))
        first, copy_of = _distinct(rows)
        distinct = rows[first]
        joined = _connected(distinct, near * usual_distance(distinct) + ROUNDING)
    groups[finite] = finite[first_of_each(joined[copy_of])]
    return groups


def usual_distance(rows: Floats) -> float:
    """The median distance of rows [n, d], all different, to their nearest neighbour; 0 for fewer than two rows.

    With many rows that of some hundred evenly spaced ones, each to all others.
    """
    if len(rows) < 2:
        return 0.0
    sample = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE)).astype(np.int64))
    squares = np.einsum("ij,ij->i", rows, rows)
    apart = squares[sample][:, None] + squares[None, :] - 2 * (rows[sample] @ rows.T)
    apart[np.arange(sample.size), sample] = np.inf
    return float(np.sqrt(np.median(np.maximum(apart.min(axis=1), 0))))


def _distinct(rows: Floats) -> tuple[Ints, Ints]:
    """The first of each set of equal rows, and for each row the place of its like among those."""
    digests = np.array([blake2b((row.round(6) + 0.0).tobytes(), digest_size=16).digest() for row in rows])
    _, first, copy_of = np.unique(digests, return_index=True, return_inverse=True)
    return first, copy_of.reshape(-1)


def _connected(rows: Floats, limit: float) -> Ints:
    """A component number for each of the rows [n, d], those within `limit` of each other being connected."""
    coordinates = _coordinates(rows)
    order = np.argsort(coordinates[:, 0], kind="stable")
    joined: Ints = np.arange(len(rows), dtype=np.int64)  # of the places in that order
    for start, near in _near(coordinates[order], limit):
        near &= joined[start : start + len(near), None] != joined[None, start : start + near.shape[1]]
        candidates = np.flatnonzero(near)
        for piece in range(0, candidates.size, PAIRS):
            left, right = np.divmod(candidates[piece : piece + PAIRS], near.shape[1])
            joined = _joined_if_close(rows, order, joined, start + left, start + right, limit)
    components: Ints = np.empty_like(joined)
    components[order] = joined
    return components


def _joined_if_close(rows: Floats, order: Ints, joined: Ints, left: Ints, right: Ints, limit: float) -> Ints:
    """`joined` with the components connected of those pairs of places whose rows are at most `limit` apart."""
    # Among n rows that are all close, one row's pairs join all; the other n^2 need not be measured.
    apart = joined[left] != joined[right]
    left, right = left[apart], right[apart]
    close = np.linalg.norm(rows[order[left]] - rows[order[right]], axis=1) <= limit
    return _merged(joined, left[close], right[close]) if close.any() else joined


def _near(coordinates: Floats, limit: float) -> Iterator[tuple[int, Bools]]:
    """What may be at most `limit` apart, told by coordinates [n, k] that are sorted by the first of them.

    Yields:
        the first place of a block, and bool [block, places from there on]: whether a pair may be; each pair is told once.
    """
    along = coordinates[:, 0]
    squares = np.einsum("ij,ij->i", coordinates, coordinates)
    slack = (limit + ROUNDING) ** 2 + 1e-6  # what single precision may add to a square
    for start in range(0, len(coordinates), BLOCK):
        stop = min(start + BLOCK, len(coordinates))
        # Sorted along one direction, rows farther apart in it alone need no look.
        end = int(np.searchsorted(along, along[stop - 1] + limit + ROUNDING, side="right"))
        apart = squares[start:stop, None] + squares[None, start:end]
        apart -= 2 * (coordinates[start:stop] @ coordinates[start:end].T)
        yield start, np.triu(apart <= slack, k=1)


def _coordinates(rows: Floats) -> Floats:
    """Coordinates [n, k] in which rows are as far apart as they are or nearer, the first being the one they vary most in.

    What random directions see of a distance is right in the mean (Johnson and Lindenstrauss, 1984). Its square is halved,
    so that it comes out too long for one pair in millions.
    """
    sample = rows[:: max(1, len(rows) // 4096)]
    _, vectors = np.linalg.eigh((sample.T @ sample).astype(np.float64))
    vectors = vectors[:, ::-1]
    if rows.shape[1] > MAIN_DIRECTIONS + RANDOM_DIRECTIONS:
        main = vectors[:, :MAIN_DIRECTIONS]
        drawn = np.random.default_rng(0).normal(size=(rows.shape[1], RANDOM_DIRECTIONS)) / np.sqrt(RANDOM_DIRECTIONS)
        vectors = np.concatenate([main, (drawn - main @ (main.T @ drawn)) / np.sqrt(2)], axis=1)
    coordinates: Floats = rows @ vectors.astype(np.float32)
    return coordinates


def _merged(joined: Ints, left: Ints, right: Ints) -> Ints:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(joined)
    edges: Any = coo_array((np.ones(left.size, dtype=np.int8), (joined[left], joined[right])), shape=(count, count))
    _, component = connected_components(edges, directed=False)
    return np.asarray(component[joined], dtype=np.int64)
