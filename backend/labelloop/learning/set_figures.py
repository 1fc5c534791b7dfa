"""How good predicted sets of classes are."""

from collections.abc import Sequence

import numpy as np

from labelloop.errors import NotEnoughLabels
from labelloop.learning.arrays import Bools, Floats
from labelloop.learning.evaluation import Source
from labelloop.learning.figures import Figures
from labelloop.learning.intervals import CONFIDENCE, DRAWS, Interval, wilson


def measure_sets(said: Bools, truth: Bools, classes: Sequence[str], source: Source = "holdout") -> Figures:
    """Compare sets.

    The figure to go by is the micro F1, over all items and classes together: with few items the F1 of a rare class, and the
    macro F1 with it, is mostly chance. Where there is nothing to find and nothing is found an F1 is 1.

    Args:
        said: bool [n, C], the predicted sets.
        truth: bool [n, C], the right ones.
        classes: the C classes.
        source: what the items are.

    Raises:
        NotEnoughLabels: there is no item to measure.
    """
    if len(truth) == 0:
        raise NotEnoughLabels("There is no labelled item to measure a model on.")
    hits, guesses, right = (said & truth).sum(axis=0), said.sum(axis=0), truth.sum(axis=0)
    seen = np.flatnonzero(guesses + right)
    of_class = _f1(hits, guesses + right)
    return Figures(
        items=len(truth),
        name="micro F1",
        value=float(_f1(hits.sum(), (guesses + right).sum())),
        source=source,
        interval=_interval(said, truth),
        others={
            "macro F1": float(of_class[seen].mean()) if seen.size else 1.0,
            "subset accuracy": float((said == truth).all(axis=1).mean()),
            "Hamming loss": float((said != truth).mean()) if truth.size else 0.0,
        },
        per_class={
            classes[c]: {
                "precision": float(hits[c] / max(guesses[c], 1)),
                "recall": float(hits[c] / max(right[c], 1)),
                "f1": float(of_class[c]),
                "items": float(right[c]),
            }
            for c in seen
        },
    )


def item_f1(said: Bools, truth: Bools) -> Floats:
    """The F1 of each item's set, float64 [n]; 1 where both sets are empty."""
    return _f1((said & truth).sum(axis=1), said.sum(axis=1) + truth.sum(axis=1))


def _f1(hits: Floats, both: Floats) -> Floats:
    result: Floats = np.where(np.asarray(both) > 0, 2 * np.asarray(hits) / np.maximum(both, 1), 1.0)
    return result


def _interval(said: Bools, truth: Bools) -> Interval:
    """Bootstrap over the items (Efron, 1979), at least as wide as an interval of as many independent answers."""
    items = len(truth)
    counts = np.column_stack([(said & truth).sum(axis=1), said.sum(axis=1) + truth.sum(axis=1)])
    drawn = np.random.default_rng(0).multinomial(items, np.full(items, 1 / items), size=DRAWS) @ counts
    low, high = np.quantile(_f1(drawn[:, 0], drawn[:, 1]), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    total = counts.sum(axis=0)
    alone = wilson(float(_f1(total[0], total[1])) * items, items)
    return Interval(min(float(low), alone.low), max(float(high), alone.high))
