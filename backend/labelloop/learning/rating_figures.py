"""How good predicted ratings are: a near miss is better than a wide one."""

from collections.abc import Sequence

import numpy as np

from labelloop.errors import NotEnoughLabels
from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.evaluation import Source
from labelloop.learning.figures import Figures
from labelloop.learning.intervals import CONFIDENCE, DRAWS, Interval, wilson


def measure_ratings(said: Ints, truth: Ints, classes: Sequence[str], source: Source = "holdout") -> Figures:
    """Compare ratings.

    The figure to go by is Cohen's kappa with quadratic weights (Cohen, 1968): 1 is faultless, 0 what guessing by the same
    frequencies reaches; worse than that counts as 0.

    Args:
        said: int [n] in 0..C-1, the predicted ratings' places.
        truth: int [n], the right ones'.
        classes: the C ratings in their order.
        source: what the items are.

    Raises:
        NotEnoughLabels: there is no item to measure.
    """
    if len(truth) == 0:
        raise NotEnoughLabels("There is no labelled item to measure a model on.")
    pairs, counts = np.unique(truth * len(classes) + said, return_counts=True)
    value = float(_kappa(counts[None], pairs // len(classes), pairs % len(classes))[0])
    return Figures(
        items=len(truth),
        name="quadratic kappa",
        value=max(0.0, value),
        source=source,
        interval=_interval(said, truth, len(classes), pairs, counts, value),
        others={
            "accuracy": float((said == truth).mean()),
            "within one": float((np.abs(said - truth) <= 1).mean()),
            "mean absolute error": float(np.abs(said - truth).mean()),
        },
        per_class={
            classes[c]: {
                "precision": float(((said == c) & (truth == c)).sum() / max((said == c).sum(), 1)),
                "recall": float(((said == c) & (truth == c)).sum() / max((truth == c).sum(), 1)),
                "items": float((truth == c).sum()),
            }
            for c in np.unique(np.concatenate([said, truth]))
        },
    )


def nearness(said: Ints, truth: Ints, classes: int) -> Floats:
    """1 - |error| / (C - 1) of each item, float64 [n] in [0, 1]."""
    near: Floats = 1 - np.abs(said - truth) / max(classes - 1, 1)
    return near


def _kappa(counts: Ints, truth: Ints, said: Ints) -> Floats:
    """The kappa of each row of counts [m, p] of p pairs (right, predicted); 1 where all are the same rating, rightly."""
    seen = np.unique(np.concatenate([truth, said]))
    of_truth = counts @ (truth[:, None] == seen).astype(np.float64)
    of_said = counts @ (said[:, None] == seen).astype(np.float64)
    apart = np.square(seen[:, None] - seen).astype(np.float64)
    missed = counts @ np.square(truth - said).astype(np.float64)
    by_chance = ((of_truth @ apart) * of_said).sum(axis=1) / counts.sum(axis=1)
    kappa: Floats = 1 - np.divide(missed, by_chance, out=np.zeros_like(missed), where=by_chance > 0)
    return kappa


def _interval(said: Ints, truth: Ints, classes: int, pairs: Ints, counts: Ints, value: float) -> Interval:
    """Bootstrap over the items (Efron, 1979); each end at least as far off as that of the mean nearness."""
    drawn = np.random.default_rng(0).multinomial(len(truth), counts / len(truth), size=DRAWS)
    kappas = _kappa(drawn, pairs // classes, pairs % classes)
    low, high = np.quantile(kappas, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    share = float(nearness(said, truth, classes).mean())
    alone = wilson(share * len(truth), len(truth))
    return Interval(
        float(np.clip(min(low, value - (share - alone.low)), 0, 1)),
        float(np.clip(max(high, value + (alone.high - share)), 0, 1)),
    )
