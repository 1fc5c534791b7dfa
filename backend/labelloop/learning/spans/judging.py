"""How good spans are: exact matches of class and ends, as seqeval counts them (Nakayama, 2018)."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.evaluation import Source
from labelloop.learning.figures import Figures
from labelloop.learning.intervals import CONFIDENCE, DRAWS, Interval, wilson
from labelloop.records import Span

Key = tuple[str, int, int]
# Draws of the bootstrap made at once, in numbers.
_AT_ONCE: Final = 1_000_000


def keys(spans: Sequence[Span]) -> set[Key]:
    """What makes two spans the same: class, first character, the one after the last."""
    return {(span.label, span.start, span.end) for span in spans}


def f1(hits: Floats, found: Floats, wanted: Floats) -> Floats:
    """2 hits / (found + wanted), elementwise; 1 where nothing was to be found and nothing was."""
    both = np.asarray(found + wanted, dtype=np.float64)
    share: Floats = np.where(both > 0, 2 * hits / np.maximum(both, 1e-12), 1.0)
    return share


def f1_of_each(said: Sequence[Sequence[Span]], right: Sequence[Sequence[Span]]) -> Floats:
    """The F1 of each item's spans, float64 [n] in [0, 1]."""
    counts = _counts([keys(spans) for spans in said], [keys(spans) for spans in right])
    return f1(*counts.T)


def entity_figures(said: Sequence[Sequence[Span]], right: Sequence[Sequence[Span]], source: Source) -> Figures:
    """Entity F1 over all spans of all items, with a 95 % interval, and precision, recall and F1 of each class.

    The interval is a seeded bootstrap over items (Efron, 1979), at least as wide as that of a share of as many spans
    (Wilson, 1927): where all are right, each draw of a bootstrap is all right too.

    Args:
        said: the spans found in n items.
        right: the spans that people marked in them; those that overlap others count too.
        source: where the items are from.
    """
    found, wanted = [keys(spans) for spans in said], [keys(spans) for spans in right]
    counts = _counts(found, wanted)
    names = sorted({key[0] for one in (*found, *wanted) for key in one})
    per_class = {name: _class_figures(name, found, wanted) for name in names}
    totals = counts.sum(axis=0)
    return Figures(
        items=len(said),
        name="entity F1",
        value=float(f1(*totals)),
        source=source,
        interval=_interval(counts),
        others={"precision": _share(totals[0], totals[1]), "recall": _share(totals[0], totals[2])},
        per_class=per_class,
    )


def _counts(found: Sequence[set[Key]], wanted: Sequence[set[Key]]) -> Floats:
    """Of each item the spans that are right, those found and those wanted, float64 [n, 3]."""
    rows = [(len(said & right), len(said), len(right)) for said, right in zip(found, wanted, strict=True)]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def _class_figures(name: str, found: Sequence[set[Key]], wanted: Sequence[set[Key]]) -> dict[str, float]:
    own = [[{key for key in one if key[0] == name} for one in side] for side in (found, wanted)]
    hits, said, right = _counts(*own).sum(axis=0).tolist()
    figures = {"precision": _share(hits, said), "recall": _share(hits, right)}
    return {**figures, "f1": float(f1(hits, said, right)), "spans": right}


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _interval(counts: Floats, seed: int = 0) -> Interval:
    items = len(counts)
    random = np.random.default_rng(seed)
    at_once = max(1, _AT_ONCE // items)
    shares = []
    for start in range(0, DRAWS, at_once):
        drawn = random.multinomial(items, np.full(items, 1 / items), size=min(at_once, DRAWS - start))
        shares.append(f1(*(drawn @ counts).T))
    low, high = np.quantile(np.concatenate(shares), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    hits, found, wanted = counts.sum(axis=0).tolist()
    reach = wilson(hits, (found + wanted) / 2)
    return Interval(min(float(low), reach.low), max(float(high), reach.high))
