"""One uncertainty per item from those of its parts: labels, tokens, regions, pixels, numbers (as in Baal, Atighehchian et al., 2020).

`mean`: how doubtful the parts are in general. `max`: the most doubtful one. `sum`: how much there is to doubt in all, as
1 - exp(-sum). `quantile:q`: what a share q of the parts do not exceed, so 1 is the largest. All take and give values in [0, 1].
`auto`, where a person chooses, is what each learner does of itself; see there.
"""

from typing import Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Floats, Ints

REDUCTIONS: Final = ("mean", "max", "sum", "quantile:0.9")
"""The names; any number in [0, 1] may follow `quantile:`."""

AUTO: Final = "auto"


def check_reduction(how: str) -> None:
    """See that it is `auto` or a reduction.

    Raises:
        LearningError: it is not.
    """
    if how != AUTO:
        _quantile(how)


def reduce(values: Floats, how: str = "mean") -> Floats:
    """One uncertainty for each item of as many parts as any other.

    Args:
        values: [n, ...] in [0, 1], the uncertainties of each item's parts; what is not finite counts as 1.
        how: `mean`, `max`, `sum` or `quantile:q`.

    Returns:
        float64 [n] in [0, 1]; 0 for items without a part.

    Raises:
        LearningError: there is no such reduction.
    """
    parts = int(np.prod(values.shape[1:]))
    return reduce_parts(values.reshape(-1), np.repeat(np.arange(len(values)), parts), len(values), how)


def reduce_parts(values: Floats, item: Ints, items: int, how: str = "mean") -> Floats:
    """One uncertainty for each item of any number of parts.

    Args:
        values: [t] in [0, 1], the uncertainties of all items' parts; what is not finite counts as 1.
        item: int [t] in 0..items-1, which item each part is of.
        items: how many there are.
        how: `mean`, `max`, `sum` or `quantile:q`.

    Returns:
        float64 [items] in [0, 1]; 0 for an item without a part.

    Raises:
        LearningError: there is no such reduction.
    """
    quantile = _quantile(how)
    known = np.clip(np.nan_to_num(np.asarray(values, dtype=np.float64), nan=1.0, posinf=1.0, neginf=1.0), 0, 1)
    counts = np.bincount(item, minlength=items)
    if quantile is not None:
        return _ranked(known, item, counts, quantile)
    totals = np.bincount(item, known, minlength=items)
    return 1 - np.exp(-totals) if how == "sum" else totals / np.maximum(counts, 1)


def _quantile(how: str) -> float | None:
    """The share that a quantile is of, the largest being the one of 1; None for a mean and a sum."""
    name, _, share = how.partition(":")
    if how in ("mean", "sum"):
        return None
    if how == "max":
        return 1.0
    try:
        if name == "quantile" and 0 <= float(share) <= 1:
            return float(share)
    except ValueError:
        pass
    raise LearningError(f"No reduction is called {how!r}; there are mean, max, sum and quantile:q with q from 0 to 1.")


def _ranked(values: Floats, item: Ints, counts: Ints, share: float) -> Floats:
    """The smallest of each item's values that at least that share of them do not exceed."""
    ordered = values[np.lexsort((values, item))]
    place = np.maximum(np.ceil(share * counts).astype(np.int64), 1) - 1
    starts = np.cumsum(counts) - counts
    has = counts > 0
    reduced = np.zeros(counts.size)
    reduced[has] = ordered[(starts + place)[has]]
    return reduced
