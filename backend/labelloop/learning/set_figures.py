"""How good predicted sets of classes are."""

from collections.abc import Sequence

import numpy as np

from labelloop.errors import NotEnoughLabels
from labelloop.learning.arrays import Bools, Floats, Ints
from labelloop.learning.evaluation import Source
from labelloop.learning.figures import Figures
from labelloop.learning.intervals import f1, f1_interval


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
    hits, guesses, right = _counts(said, truth, axis=0).T
    seen = np.flatnonzero(guesses + right)
    of_class = f1(hits, guesses, right)
    return Figures(
        items=len(truth),
        name="micro F1",
        value=float(f1(hits.sum(), guesses.sum(), right.sum())),
        source=source,
        interval=f1_interval(_counts(said, truth, axis=1), len(truth)),
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
    return f1(*_counts(said, truth, axis=1).T)


def _counts(said: Bools, truth: Bools, axis: int) -> Ints:
    """What is right, found and wanted, int [n, 3] of each item (axis 1) or [C, 3] of each class (axis 0)."""
    return np.stack([(said & truth).sum(axis=axis), said.sum(axis=axis), truth.sum(axis=axis)], axis=1)
