"""What can be asked of any order, whichever strategy made it: no near copies in front, and a share for rare classes."""

from collections import deque

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.acquisition.distance import distances
from labelloop.learning.acquisition.pool import SAMPLE, View
from labelloop.learning.arrays import Ints


def keep_apart(view: View, order: Ints, apart: float) -> Ints:
    """Move rows nearer than `apart` to a labelled row, or to a row before them, behind all others.

    The first `SAMPLE` places are looked at.

    Raises:
        LearningError: `apart` is not a distance between rows of length 1.
    """
    if not 0 <= apart <= 2:
        raise LearningError(f"The distance that keeps items apart is in [0, 2], not {apart}.")
    if apart == 0:
        return order
    front, rest = order[:SAMPLE], order[SAMPLE:]
    rows = view.take(front).features
    kept = np.asarray((distances(rows, view.labelled) >= apart).all(axis=1))
    near = np.asarray(distances(rows, rows) < apart)
    for place in range(len(front)):
        if kept[place]:
            kept[place + 1 :] &= ~near[place, place + 1 :]
    return np.concatenate([front[kept], rest, front[~kept]])


def raise_rare(view: View, order: Ints, share: float) -> Ints:
    """Give a share of the places to the first row of the class with the fewest labels, rows placed so far counted in.

    A row is of the class the model takes it for. The first `SAMPLE` places are given so.

    Raises:
        LearningError: `share` is not one.
    """
    if not 0 <= share <= 1:
        raise LearningError(f"The share of places for rare classes is in [0, 1], not {share}.")
    if share == 0 or view.pool.probabilities is None:
        return order
    guesses = view.probabilities.argmax(axis=1)
    labels = np.zeros(0, dtype=np.int64) if view.pool.labels is None else view.pool.labels
    have = np.bincount(labels[labels >= 0], minlength=view.probabilities.shape[1])
    waiting = {int(guess): deque(order[guesses[order] == guess].tolist()) for guess in np.unique(guesses)}
    placed: dict[int, None] = {}
    remaining = iter(order.tolist())
    for place in range(min(len(order), SAMPLE)):
        if int((place + 1) * share) > int(place * share):
            pick = _first_of_rarest(waiting, have, placed)
        else:
            pick = next(row for row in remaining if row not in placed)
        placed[pick] = None
        have[guesses[pick]] += 1
    front = np.array(list(placed), dtype=np.int64)
    return np.concatenate([front, order[~np.isin(order, front)]])


def _first_of_rarest(waiting: dict[int, deque[int]], have: Ints, placed: dict[int, None]) -> int:
    for queue in waiting.values():
        while queue and queue[0] in placed:
            queue.popleft()
    rarest = min((guess for guess, queue in waiting.items() if queue), key=lambda guess: have[guess])
    return waiting[rarest].popleft()
